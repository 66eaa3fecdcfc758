"""Which way components move single rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import answer_sample
import numpy as np
import pytest
import store_sample

from compread.analysis.examples import breakdowns, logit_differences, rivals
from compread.errors import UsageError
from compread.store import open_store


@pytest.mark.parametrize("write", [store_sample.write, answer_sample.write])
def test_a_difference_is_over_the_likeliest_wrong_label(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    """The rival is the wrong label that the full model has the likeliest."""
    with open_store(write(tmp_path / "run.h5")) as store:
        numbers = store.split("test")
        by_hand = []
        for n, gold in enumerate(numbers.gold):
            wrong = [k for k in range(numbers.full.shape[1]) if k != gold]
            there = [k for k in wrong if not np.isnan(numbers.full[n, k])]
            rival = max(there, key=lambda k: numbers.full[n, k])
            by_hand.append(numbers.parts[n, 2, gold] - numbers.parts[n, 2, rival])
        rival = rivals(numbers.full[:], numbers.gold)
        found = logit_differences(numbers.parts[:, 2], numbers.gold, rival)
    np.testing.assert_allclose(found, by_hand)


def test_differences_add_up_to_the_margin() -> None:
    """The rival is one for all components of a row."""
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(6, 5, 3)).astype(np.float32)
    full, gold = parts.sum(axis=1), np.array([0, 1, 2, 0, 1, 2])
    margin = logit_differences(parts, gold, rivals(full, gold)).sum(axis=1)
    for n in range(6):
        others = [full[n, k] for k in range(3) if k != gold[n]]
        assert margin[n] == pytest.approx(full[n, gold[n]] - max(others), abs=1e-5)


@pytest.mark.parametrize("write", [store_sample.write, answer_sample.write])
def test_a_breakdown_runs_from_embed_to_the_sum_of_all(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    """Largest first between embed and bias; by hand from the row's parts."""
    path = write(tmp_path / "run.h5")
    with open_store(path) as store:
        numbers, names = store.split("test"), [c.name for c in store.components]
        example = numbers.id[1]
        own = store.answers("test")
    (found,) = breakdowns([path], "test", example)
    gold, full, parts = int(numbers.gold[1]), numbers.full[1], numbers.parts[1]
    there = [k for k in range(len(full)) if not np.isnan(full[k])]
    rival = max((k for k in there if k != gold), key=lambda k: full[k])
    by_hand = {name: float(parts[j, gold] - parts[j, rival]) for j, name in enumerate(names)}
    rows = found.rows()
    ends = [name for name in names if name in ("bias", "normalizer")]
    layered = [name for name in names if name.startswith("L")]
    order = ["embed", *sorted(layered, key=lambda name: -abs(by_hand[name])), *ends, "full"]
    assert [row["component"] for row in rows] == order
    running = 0.0
    for row in rows[:-1]:
        running += by_hand[row["component"]]
        assert row["logit_difference"] == pytest.approx(by_hand[row["component"]])
        assert row["running_sum"] == pytest.approx(running, abs=1e-6)
        alone = parts[names.index(row["component"])]
        said = max(there, key=lambda k: (alone[k], -k))
        assert row["prediction"] == (own[1].text[said] if own else found.answers[said])
    assert rows[-1]["logit_difference"] == pytest.approx(float(full[gold] - full[rival]))
    assert rows[-1]["running_sum"] == pytest.approx(running, abs=1e-6)
    assert found.rows({"L0H1"}) == [row for row in rows if row["component"] in ("L0H1", "full")]


def test_each_store_that_has_the_example_is_told_of(tmp_path: Path) -> None:
    """The others are left out; their ids count as known ones."""
    one = store_sample.write(tmp_path / "one.h5")
    other = answer_sample.write(tmp_path / "other.h5")
    assert [found.store for found in breakdowns([one, other, one], "test", "c")] == [str(other)]
    assert len(breakdowns([one, other, one], "test", "r9")) == 2


@pytest.mark.parametrize(
    ("example", "split", "words"),
    [
        ("row-8", "test", r"no test row has this id: did you mean 'row-é8'\? they are row-é7,"),
        ("zzz", "test", r"no test row has this id: they are row-é7, row-é8, r9 and 10 more"),
        ("r3", "test", r"--example r3 is a train row: add --split train"),
        ("r9", "train", r"--example r9 is a test row: add --split test"),
    ],
)
def test_an_unknown_example_is_refused(
    example: str, split: str, words: str, tmp_path: Path
) -> None:
    """With the id that was meant, or the split that has it."""
    path = store_sample.write(tmp_path / "run.h5")
    with pytest.raises(UsageError, match=words):
        breakdowns([path], split, example)
