"""One row a run, the best component as an oracle sees it and as it can be had, mean and sd."""

import numpy as np
import pytest

from compread.analysis.categories import counted
from compread.analysis.components import collect, stats_of
from compread.analysis.ranking import rank
from compread.analysis.runs import Resampled, RunStats, Trained, read_runs
from compread.analysis.summary import mean_and_sd, pick, summarize
from compread.analysis.tally import Resampling
from compread.components import LayerShape, component_axis
from compread.store import Labels


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


def run_of(split, axis, seed=0, splits=20, shuffles=200, train=None):
    """A run's statistics from arrays, as ``run_stats`` makes them from a store."""
    drawn = Resampling.draw(split.gold, splits, shuffles, seed)
    parts, whole = collect([(slice(0, len(split)), split.parts)], split.full, split.gold, drawn)
    resampled = Resampled.of(parts, drawn, counted(axis))
    labels = Labels((" a", " b"), (1, 2))
    return RunStats("s.h5", None, axis, labels, stats_of(parts, whole), resampled, train)


def planted(rng, make_split, truth, n):
    """A split whose component j is right on each row with probability ``truth[j]``."""
    gold = rng.permutation(np.arange(n) % 2)
    hit = rng.random((n, len(truth))) < truth
    choice = np.where(hit, gold[:, None], 1 - gold[:, None])
    return make_split(np.eye(2)[choice], gold)


@pytest.mark.parametrize("worst", [False, True])
def test_the_cross_fitted_estimate_is_unbiased_and_the_oracle_is_not(make_split, worst):
    """Over 150 planted runs, cross-fitting hits what its choices are worth; the oracle overshoots.

    What the choice made on a half is worth is known here: its planted accuracy.
    """
    rng = np.random.default_rng(11)
    axis = component_axis([LayerShape(59)])
    truth = np.full(len(axis), 0.5)
    truth[1:4], truth[4:7] = 0.56, 0.44
    sign = -1 if worst else 1
    crossfit, oracle, worth = [], [], []
    for _ in range(150):
        run = run_of(planted(rng, make_split, truth, 200), axis, shuffles=1)
        got = pick(run, worst)
        crossfit.append(got.crossfit_accuracy)
        oracle.append(got.oracle_accuracy)
        chosen = (sign * run.resampled.halves[:, :, 1:-1]).argmax(axis=2) + 1
        worth.append(truth[chosen].mean())
    error = np.subtract(crossfit, worth)
    standard_error = error.std(ddof=1) / np.sqrt(len(error))
    assert abs(error.mean()) < 3 * standard_error < 0.02
    assert sign * (np.mean(oracle) - np.mean(worth)) > 0.05


def test_halves_are_balanced_and_differ():
    """Each half has half of each label's rows, and no two splits are alike."""
    gold = np.repeat([0, 1, 2], [100, 60, 41])
    halves = Resampling.draw(gold, 10, 0).halves
    for label, n in enumerate([100, 60, 41]):
        counts = halves[:, gold == label].sum(axis=1)
        assert (abs(counts - n / 2) <= 1).all()
    assert len({half.tobytes() for half in halves}) == 10


def test_shuffles_keep_the_labels():
    """A shuffle has the labels of the rows in another order."""
    gold = np.repeat([0, 1, 2], [5, 9, 20])
    shuffled = Resampling.draw(gold, 0, 30).shuffled
    assert (np.sort(shuffled, axis=1) == np.sort(gold)).all()
    assert len({row.tobytes() for row in shuffled}) == 30


def test_counts_under_shuffles_and_halves_equal_a_plain_loop(make_split):
    """Accuracies on halves and under shuffles are those of the rows one by one, in pieces too."""
    rng = np.random.default_rng(2)
    n, c, k = 41, 6, 3
    gold = rng.integers(0, k, n)
    logits = rng.normal(size=(n, c, k)).astype(np.float32)
    drawn = Resampling.draw(gold, 4, 5, seed=3)
    pieces = [(slice(0, 10), logits[:10]), (slice(10, n), logits[10:])]
    parts, _ = collect(pieces, logits.sum(axis=1), gold, drawn)
    choice = logits.argmax(axis=2)
    for r in range(4):
        wanted = (choice == gold[:, None])[drawn.halves[r]].sum(axis=0)
        assert parts.first_half[r].tolist() == wanted.tolist()
    for p in range(5):
        assert parts.shuffled_right[p].tolist() == [
            (choice[:, j] == drawn.shuffled[p]).sum() for j in range(c)
        ]


def test_random_components_are_what_chance_gives(make_split):
    """On noise the oracle is near its mean under the null, and its p-values are uniform."""
    rng = np.random.default_rng(5)
    axis = component_axis([LayerShape(99)])
    truth = np.full(len(axis), 0.5)
    picks = [
        pick(run_of(planted(rng, make_split, truth, 100), axis, seed=i, splits=1, shuffles=100))
        for i in range(60)
    ]
    gap = np.array([p.oracle_accuracy - p.chance_accuracy for p in picks])
    assert abs(gap.mean()) < 0.01 and np.mean([p.chance_accuracy for p in picks]) > 0.6
    p = np.array([one.p_value for one in picks])
    assert 0.3 < p.mean() < 0.75 and p.min() >= 1 / 101


def test_the_train_rows_choose(make_split):
    """The component chosen on train rows is scored on test rows; its margin settles ties."""
    axis = component_axis([LayerShape(2)])
    gold = np.array([0, 1] * 10)
    right = np.eye(2)[gold]
    train_parts = np.stack([right, right, right * 3, right, right], axis=1)
    test_parts = np.stack([right, right, 1 - right, right, right], axis=1)
    parts, _ = collect([(slice(0, 20), np.float32(train_parts))], np.float32(right), gold)
    train = Trained(parts.right / parts.n, parts.margin()[0])
    run = run_of(make_split(test_parts, gold), axis, train=train)
    got = pick(run)
    assert axis[got.trained].name == "L0H1" and got.trained_accuracy == 0
    assert axis[got.oracle].name == "L0H0" and got.oracle_accuracy == 1


@pytest.mark.parametrize("worst", [False, True])
def test_the_observed_order_is_one_of_the_shuffles(make_split, worst):
    """No shuffle gets as far as a component that is always right, or never: p is 1 in 1 + P.

    Where every shuffle gets as far, it is 1.
    """
    axis = component_axis([LayerShape(2)])
    gold = np.arange(40) % 2
    known = np.eye(2)[1 - gold if worst else gold]
    said = np.tile([1.0, 0.0], (40, 1))
    parts = np.stack([known, known, said, said, known], axis=1)
    assert pick(run_of(make_split(parts, gold), axis, shuffles=19), worst).p_value == 1 / 20
    parts = np.stack([said] * 5, axis=1)
    assert pick(run_of(make_split(parts, gold), axis, shuffles=19), worst).p_value == 1


def test_what_is_missing_is_nan(stores):
    """Without halves, shuffles and train rows there is an oracle only."""
    (run,) = read_runs([stores / "sst2-t1-k4-s0.h5"])
    keys = pick(run).keys("best", run)
    assert keys["best"] == "L0H0" and keys["best_accuracy"] == 0.9
    assert [k for k, v in keys.items() if v is None] == [
        "best_by_train",
        "best_by_train_accuracy",
        "best_crossfit_accuracy",
        "best_by_chance_accuracy",
        "best_p_value",
    ]


def test_a_single_row_has_no_cross_fit(make_split):
    """With one row there is no other half."""
    axis = component_axis([LayerShape(3)])
    split = make_split(np.random.default_rng(0).normal(size=(1, len(axis), 2)), [1])
    assert np.isnan(pick(run_of(split, axis)).crossfit_accuracy)
