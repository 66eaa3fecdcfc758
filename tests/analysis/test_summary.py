"""One row a run, and mean and sd over runs."""

import numpy as np
import pytest

from compread.analysis.ranking import rank
from compread.analysis.runs import read_runs
from compread.analysis.summary import mean_and_sd, summarize


@pytest.fixture(scope="module")
def runs(stores):
    """The three planted runs."""
    return read_runs(sorted(stores.iterdir()))


def test_a_row_agrees_with_the_ranking(runs):
    """Best, worst and every count are those that the ranked components give."""
    row = summarize(runs[0]).row()
    *ranked, full = rank(runs[:1]).rows()
    assert row["full_accuracy"] == full["accuracy"]
    assert (row["best"], row["best_accuracy"]) == (ranked[0]["component"], ranked[0]["accuracy"])
    lowest = rank(runs[:1], ascending=True).rows()[0]
    assert (row["worst"], row["worst_accuracy"]) == (lowest["component"], lowest["accuracy"])
    groups = {"": ranked}
    groups |= {f"{kind}_": [r for r in ranked if r["kind"] == kind] for kind in ("head", "mlp")}
    for prefix, members in groups.items():
        assert row[f"{prefix or 'component_'}count"] == len(members)
        for name, category in [("good", "good"), ("bad", "bad"), ("biased", "label-biased")]:
            count = sum(r["category"] == category for r in members)
            assert row[f"{prefix}{name}_count"] == count
            assert row[f"{prefix}{name}_share"] == count / len(members)


def test_planted_shares_are_found(runs):
    """Of eight counted components at least the planted one is good, one bad, three biased."""
    row = summarize(runs[0]).row()
    assert row["component_count"] == 8
    assert (row["best"], row["worst"]) == ("L0H0", "L0H1")
    assert row["head_good_count"] == 1 and row["head_bad_count"] == 1
    assert row["head_biased_count"] == 2 and row["mlp_biased_count"] == 1
    assert row["biased_share"] == 3 / 8


def test_a_kind_that_is_not_there_has_no_share(runs, tmp_path, write_store):
    """A model without mixers has a mixer count of 0 and shares that are None."""
    from compread.components import LayerShape, component_axis

    path = write_store(tmp_path / "s.h5", axis=component_axis([LayerShape(2)]))
    row = summarize(read_runs([path])[0]).row()
    assert (row["mixer_count"], row["mixer_good_share"]) == (0, None)
    assert list(row) == list(summarize(runs[0]).row())


def test_mean_and_sd_are_the_papers(runs):
    """Measurements are averaged with the population sd; what names a run is None."""
    rows = [summarize(run).row() for run in runs]
    mean, sd = mean_and_sd(rows)
    assert (mean["store"], sd["store"]) == ("mean", "sd")
    values = [row["full_accuracy"] for row in rows]
    assert mean["full_accuracy"] == pytest.approx(sum(values) / 3)
    assert sd["full_accuracy"] == pytest.approx(np.sqrt(np.var(values, ddof=0)))
    for key in ("model", "task", "seed", "shots", "n", "best"):
        assert mean[key] is None and sd[key] is None
    assert list(mean) == list(sd) == list(rows[0])


def test_p_values_have_no_mean(stores):
    """The mean of p-values of several runs is no p-value, and is left out."""
    rows = [summarize(run).row() for run in read_runs(sorted(stores.iterdir()), resample=True)]
    assert all(0 < row[f"{end}_p_value"] <= 1 for row in rows for end in ("best", "worst"))
    for row in mean_and_sd(rows):
        assert row["best_p_value"] is None and row["worst_p_value"] is None
        assert row["best_crossfit_accuracy"] is not None
