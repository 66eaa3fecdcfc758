"""What sums over some of the components predict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compread.analysis.categories import COUNTED_KINDS, kinds_asked
from compread.analysis.predictions import FULL, scorers
from compread.analysis.sums import (
    matching,
    mean_scores,
    sum_rows,
    sum_scores,
    up_to_layers,
    without_and_only,
)
from compread.components import KINDS, NORMALIZER, LayerShape, component_axis
from compread.errors import UsageError
from compread.store import open_store

AXIS = component_axis([LayerShape(2), LayerShape(2), LayerShape(0, mixer=True)])


@pytest.mark.parametrize(
    ("group", "wanted"),
    [
        ("L0H1", "L0H1"),
        ("l0mlp, bias", "L0MLP bias"),
        ("L1", "L1H0 L1H1 L1MLP"),
        ("L2", "L2MIX L2MLP"),
        ("L*H1", "L0H1 L1H1"),
        ("heads", "L0H0 L0H1 L1H0 L1H1"),
        ("Head", "L0H0 L0H1 L1H0 L1H1"),
        ("MLPs,mixers", "L0MLP L1MLP L2MIX L2MLP"),
        ("embed,L1,L1H0", "embed L1H0 L1H1 L1MLP"),
    ],
)
def test_a_group_names_components(group: str, wanted: str) -> None:
    """By name, pattern, layer or kind, whatever the case."""
    found = matching(group, AXIS)
    assert [c.name for c, there in zip(AXIS, found, strict=True) if there] == wanted.split()


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("haed", "there is no component 'haed': did you mean 'head'"),
        ("L0,L17", r"no component 'L17': .* a layer \(L0 to L2\)"),
        ("L1H7", "did you mean 'L1H"),
        ("mpl", "did you mean 'mlp'"),
        (" , ", "no component is named"),
    ],
)
def test_an_unknown_group_is_refused(group: str, words: str) -> None:
    """With the nearest name and what there is."""
    with pytest.raises(UsageError, match=words):
        matching(group, AXIS)


@pytest.mark.parametrize("group", ["heads", "head", "L1", "L0H1", "l0h*", "mlp", "bias", "*"])
def test_components_have_one_vocabulary(group: str) -> None:
    """What a sum is over, and whose predictions are shown, is named alike."""
    named = [c.name for c, it in zip(AXIS, matching(group, AXIS), strict=True) if it]
    assert [name for name in scorers([group], AXIS) if name != FULL] == named != []


def test_kinds_are_asked_for_in_either_number() -> None:
    """One by one or with commas, each once; none are those that results are about."""
    assert kinds_asked(["heads,MLP", "mlps"]) == ("head", "mlp")
    assert kinds_asked(["all"]) == KINDS and kinds_asked([]) == COUNTED_KINDS
    with pytest.raises(UsageError, match="'hed': did you mean 'head'"):
        kinds_asked(["mlp,hed"])


def test_sums_are_scored_as_components_are(stores: Path) -> None:
    """Accuracy, change and margin of each sum by hand, beside the full model and the sum of all."""
    path = stores / "sst2-t1-k4-s0.h5"
    groups = without_and_only(["L0H0,L1", "heads"], ["mlps"])
    (found,) = sum_scores([path], groups)
    with open_store(path) as store:
        split, names = store.split("test"), [c.name for c in store.components]
    kept = {
        "all components": names,
        "without L0H0,L1": [n for n in names if n != "L0H0" and not n.startswith("L1")],
        "without heads": [n for n in names if "H" not in n],
        "only mlps": [n for n in names if n.endswith("MLP")],
    }
    full, *rows = found.rows()
    right = split.full.argmax(1) == split.gold
    assert (full["sum"], full["accuracy"], full["change"]) == ("full", right.mean(), 0)
    assert [row["sum"] for row in rows] == list(kept)
    for row, members in zip(rows, kept.values(), strict=True):
        logits = split.parts[:, [names.index(n) for n in members]].astype(np.float64).sum(1)
        accuracy = (logits.argmax(1) == split.gold).mean()
        at = np.arange(len(logits))
        own = logits[at, split.gold]
        other = np.where(np.eye(logits.shape[1], dtype=bool)[split.gold], -np.inf, logits).max(1)
        assert row["components"] == len(members)
        assert row["accuracy"] == pytest.approx(accuracy)
        assert row["change"] == pytest.approx(accuracy - right.mean())
        assert row["margin"] == pytest.approx((own - other).mean(), abs=1e-5)
        assert row["accuracy_low"] < accuracy < row["accuracy_high"]


def test_sums_up_to_a_layer_grow_to_the_sum_of_all() -> None:
    """With embed and what is no layer's from the start; heads and MLPs each alone."""
    axis = (*AXIS, NORMALIZER)
    sums = {(one.layer, one.name): one.members for one in up_to_layers(axis)}

    def names(layer: int, through: str) -> list[str]:
        return [c.name for c, on in zip(axis, sums[layer, through], strict=True) if on]

    assert names(0, "all") == ["embed", "L0H0", "L0H1", "L0MLP", "bias", "normalizer"]
    assert sums[2, "all"].all()
    assert names(1, "attention") == ["L0H0", "L0H1", "L1H0", "L1H1"]
    assert names(2, "attention") == [*names(1, "attention"), "L2MIX"]
    assert names(1, "mlp") == ["L0MLP", "L1MLP"]
    without_heads = component_axis([LayerShape(0), LayerShape(1, mlp=False)])
    assert [(one.layer, one.name) for one in up_to_layers(without_heads)] == [
        (0, "all"), (0, "mlp"), (1, "all"), (1, "attention"), (1, "mlp"),
    ]  # fmt: skip


def test_several_stores_have_a_mean(stores: Path) -> None:
    """The mean of the stores' accuracies with an interval of its own, last."""
    paths = sorted(stores.glob("*.h5"))
    found = sum_scores(paths, without_and_only(["heads"], []))
    mean = mean_scores(found)
    assert mean is not None and len(paths) == 3
    *each, last = [row for row in sum_rows(found) if row["sum"] == "without heads"]
    assert last["store"] == "mean of 3 stores" and last["task"] is None
    assert last["accuracy"] == pytest.approx(np.mean([row["accuracy"] for row in each]))
    assert last["accuracy_low"] < last["accuracy"] < last["accuracy_high"]


def test_no_mean_of_runs_with_other_labels(
    stores: Path, tmp_path: Path, write_store: Callable[..., Any]
) -> None:
    """Accuracies of two labels and of three have no mean; each store stands for itself."""
    three = write_store(tmp_path / "three.h5", words=(" a", " b", " c"), task="other")
    found = sum_scores([stores / "sst2-t1-k4-s0.h5", three], without_and_only([], ["heads"]))
    assert mean_scores(found) is None and len(sum_rows(found)) == 6
