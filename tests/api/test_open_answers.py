"""``compread.open`` on rows that have answers of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from answer_sample import ABSENT, ANSWERS, AXIS, FULL, PARTS, write

import compread
from compread.errors import UsageError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of three test rows with two to four answers."""
    return write(tmp_path / "cloze.h5")


def test_a_row_predicts_one_of_its_own_answers(path: Path) -> None:
    """Of a component on its own, and of all at once."""
    run = compread.open(path)
    assert run.answers == tuple(of.text for of in ANSWERS[1:])
    expected = np.where(ABSENT[1:, None], -np.inf, PARTS[1:]).argmax(2)
    np.testing.assert_array_equal(run.predictions, expected)
    np.testing.assert_array_equal(run[AXIS[1].name].predictions, expected[:, 1])


def test_the_long_frame_has_the_answers_that_there_are(path: Path) -> None:
    """A line for each of a row's own, under its text."""
    frame = compread.open(path).to_pandas()
    assert len(frame) == len(AXIS) * (~ABSENT[1:]).sum() and not frame["logit"].isna().any()
    of = frame[(frame["row"] == "c") & (frame["component"] == AXIS[1].name)]
    assert tuple(of["label_text"]) == ANSWERS[2].text and list(of["label"]) == ["A", "B", "C"]


def test_answers_are_made_alike(path: Path) -> None:
    """Runs bring their normalisation to what is asked of them, unless another is named."""
    runs = compread.open(path, normalize="tokens")
    assert runs.full[1, 2] == pytest.approx(FULL[2, 2] / 3)
    assert {row["normalize"] for row in compread.rank(runs)} == {"tokens"}
    assert {row["normalize"] for row in compread.analyze(runs)["runs"]} == {"tokens"}
    assert "normalize" not in compread.rank(runs, normalize="none")[0]
    with pytest.raises(UsageError, match=r'normalize="byte": did you mean \'bytes\'\?'):
        compread.rank(path, normalize="byte")
