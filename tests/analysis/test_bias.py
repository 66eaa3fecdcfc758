"""The components that lean furthest to either of two labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import make_run

from compread.analysis.bias import leanings
from compread.components import LayerShape, component_axis
from compread.store import Labels, SplitRows, StoreWriter

AXIS = component_axis([LayerShape(2)])
HEADS = [j for j, component in enumerate(AXIS) if component.kind == "head"]
ROWS = [(2.0, 1.0), (3.0, 3.0), (2.0, -1.0), (0.0, 1.0)]
"""The first head's logits: label 0 is ahead twice, tied once, behind once."""


@pytest.fixture
def leaning(tmp_path: Path) -> Path:
    """A store of which one head leans to the first label and the other, mirrored, to the second."""
    parts = np.zeros((len(ROWS), len(AXIS), 2), np.float32)
    parts[:, HEADS[0]] = ROWS
    parts[:, HEADS[1]] = [(y, x) for x, y in ROWS]
    n = len(ROWS)
    names = [str(i) for i in range(n)]
    rows = {"test": SplitRows([0, 1, 0, 1], names, names)}
    path = tmp_path / "x.h5"
    with StoreWriter.open(path, make_run(), AXIS, Labels((" a", " b"), (1, 2)), rows) as writer:
        writer.append(range(n), parts, parts.sum(1), np.zeros(n), np.ones(n))
        return writer.finish(make_run())


def test_a_tie_says_no_label(leaning: Path) -> None:
    """The share of biased rows counts those where the label is strictly ahead, for both labels."""
    first, second = leanings([leaning])
    assert [one.component for one in (first, second)] == [AXIS[j] for j in HEADS]
    assert (first.biased, second.biased) == ((0.5,), (0.5,))


def test_labels_the_other_way_round(leaning: Path) -> None:
    """Of labels 1 and 0 the component that leans to 1 comes first."""
    first, second = leanings([leaning], labels=(1, 0))
    assert [one.component for one in (first, second)] == [AXIS[j] for j in reversed(HEADS)]
    assert first.words == ("“b”", "“a”")
    np.testing.assert_array_equal(first.logits[0][:, 0], [x for x, _ in ROWS])
