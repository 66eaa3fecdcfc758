"""Accuracy over revisions."""

import numpy as np
import pytest

from compread.analysis.runs import read_runs
from compread.analysis.training import revision_order, training_rows
from compread.components import LayerShape, component_axis
from compread.errors import StoreError, UsageError


@pytest.fixture(scope="module")
def runs(tmp_path_factory, write_store):
    """Three revisions of two seeds, and a seed that lacks one."""
    folder = tmp_path_factory.mktemp("training")
    axis = component_axis([LayerShape(4)] * 3)
    paths = []
    for step in (1000, 20, 143000):
        for seed in range(3 if step != 20 else 2):
            path = folder / f"{step}-{seed}.h5"
            data = {"axis": axis, "checkpoint": f"step{step}", "fingerprint": str(step)}
            # Another seed of numbers at each step, the same prompt.
            paths.append(write_store(path, seed=seed, template=f"t{step % 7}x"[:1], **data))
    return read_runs(paths)


def test_curves_are_those_of_the_runs(runs):
    """A value is the mean over the prompts that all revisions have, the sd the population's."""
    rows = training_rows(runs)
    assert [row["revision"] for row in rows] == ["step20", "step1000", "step143000"]
    assert {row["prompts"] for row in rows} == {2}
    by = {(r.info.checkpoint, r.info.seed): r.stats for r in runs}
    last = {s: by["step143000", s].parts.accuracy[1:-1].argmax() for s in range(2)}
    for row in rows:
        stats = [by[row["revision"], s] for s in range(2)]
        inner = [s.parts.accuracy[1:-1] for s in stats]
        wanted = {
            "full": [s.full.accuracy[0] for s in stats],
            "best": [a.max() for a in inner],
            "worst": [a.min() for a in inner],
            "best_at_last": [inner[s][last[s]] for s in range(2)],
        }
        for name, values in wanted.items():
            assert row[name] == pytest.approx(np.mean(values))
            assert row[f"{name}_sd"] == pytest.approx(np.std(values))
    assert rows[-1]["best"] == rows[-1]["best_at_last"]


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["step1000", "step20", "step1000"], ["step20", "step1000"]),
        (["b", "a1"], ["b", "a1"]),
        (["stage1-step9-tokens2B", "stage1-step3-tokens1B"],
         ["stage1-step3-tokens1B", "stage1-step9-tokens2B"]),
    ],
)  # fmt: skip
def test_revisions_are_in_the_order_of_their_numbers(names, order):
    """Names with numbers are sorted by the last one, others stay as given."""
    assert revision_order(names) == order


def test_prompts_that_share_nothing_are_an_error(tmp_path, write_store):
    """Without a prompt at all revisions there is no curve."""
    paths = [
        write_store(tmp_path / f"{seed}.h5", seed=seed, checkpoint=f"step{seed}")
        for seed in range(2)
    ]
    with pytest.raises(UsageError, match="no prompt was run at all of step0, step1"):
        training_rows(read_runs(paths))


def test_revisions_share_their_components(tmp_path, write_store):
    """A revision of another shape is refused."""
    paths = [
        write_store(
            tmp_path / f"{n}.h5", checkpoint=f"step{n}", axis=component_axis([LayerShape(n)])
        )
        for n in (2, 3)
    ]
    with pytest.raises(StoreError, match="different components"):
        training_rows(read_runs(paths))
