"""New rows behind a run's demonstrations: what a row lacks is told with its id."""

from __future__ import annotations

from typing import Any

import pytest

from compread.errors import PromptError
from compread.prompts import load_task
from compread.prompts.new_rows import NewRows


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"sentence": None}, "row '7': .*needs 'sentence', which is null; drop the row"),
        ({"sentence": float("nan")}, "row '7': .*needs 'sentence', which is null; drop the row"),
        ({}, r"row '7': .*needs 'sentence'; the row has no field at all$"),
        ({"text": "x"}, r"row '7': .*needs 'sentence'; the row has 'text'$"),
        ({"prompt": None}, "row '7': 'prompt' is None, not a text"),
    ],
)
def test_rows_that_lack_something(row: dict[str, Any], message: str) -> None:
    """A null or missing field ends in one whole sentence."""
    task = load_task("sst2")
    template = task.template("review-sentiment")
    rows = NewRows("sst2", template.labels, (), {"shown": []}, template, {})
    with pytest.raises(PromptError, match=message):
        rows.prompt("7", row)
    assert rows.prompt("7", {"sentence": "fine "}).text == "Review: fine\nSentiment:"
