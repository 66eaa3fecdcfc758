"""Content-free prompts: the shape of a row, none of its content."""

from __future__ import annotations

import pytest

from compread.errors import UsageError
from compread.prompts import load_task
from compread.prompts.build import build_prompt_set
from compread.prompts.content_free import content_free_rows
from compread.prompts.sampling import make_pools

ROWS = [
    {
        "question": f"what is {word} of it",
        "choices": {"text": [f"{word} one", "two", "it", "4"], "label": ["A", "B", "C", "D"]},
        "answerKey": "ABCD"[n % 4],
    }
    for n, word in enumerate(["this", "that", "more", "less"] * 8)
]


def test_texts_are_replaced_and_the_shape_stays() -> None:
    """Choices stay four with their letters; the key that is not a text of the prompt stays too."""
    found = dict(content_free_rows(ROWS, ["choices", "question"], "s"))
    assert list(found)[:3] == ["content-free-0", "content-free-1", "content-free-2"]
    assert list(found)[3:] == [f"domain-{n}" for n in range(20)]
    for n, text in enumerate(("N/A", "", "[MASK]")):
        row = found[f"content-free-{n}"]
        assert row["question"] == text and row["answerKey"] == "A"
        assert row["choices"] == {"text": [text] * 4, "label": ["A", "B", "C", "D"]}


def test_bags_are_the_datas_own_words_in_their_number() -> None:
    """A field's bag has its own words, as many as its texts on average; the seed fixes them."""
    found = dict(content_free_rows(ROWS, ["choices", "question"], "s"))
    bags = [found[f"domain-{n}"] for n in range(20)]
    known = {word for row in ROWS for word in row["question"].split()}
    assert all(len(bag["question"].split()) == 5 for bag in bags)
    assert {word for bag in bags for word in bag["question"].split()} <= known
    assert len({bag["question"] for bag in bags}) > 15
    assert all(bag["choices"]["label"] == ["A", "B", "C", "D"] for bag in bags)
    assert found == dict(content_free_rows(ROWS, ["choices", "question"], "s"))
    assert found != dict(content_free_rows(ROWS, ["choices", "question"], "t"))


def test_one_row_is_enough() -> None:
    """Of a single row the bags have its words."""
    found = dict(content_free_rows(ROWS[:1], ["question"], "s"))
    words = {word for n in range(20) for word in found[f"domain-{n}"]["question"].split()}
    assert len(found) == 23 and words <= set(ROWS[0]["question"].split())


def test_they_stand_behind_the_same_demonstrations() -> None:
    """The prompt set is the one without them, and 23 prompts more at its end."""
    task = load_task("arc_easy")
    pools = make_pools(task, ROWS, [{**row, "question": f"Q{n}"} for n, row in enumerate(ROWS)])
    sizes = {"n_train": 0, "limit": 8}
    plain = build_prompt_set(task, "question-choices", pools, **sizes)
    more = build_prompt_set(task, "question-choices", pools, calibration=True, **sizes)
    added = more.prompts[len(plain.prompts) :]
    assert more.prompts[: len(plain.prompts)] == plain.prompts and len(added) == 23
    before = plain.prompts[0].pieces
    assert before is not None
    for prompt in added:
        assert (prompt.split, prompt.gold) == ("calibration", 0)
        assert prompt.pieces is not None and prompt.pieces.demonstrations == before.demonstrations
    assert added[0].text.endswith("Question: N/A\nA. N/A\nB. N/A\nC. N/A\nD. N/A\nAnswer:")
    assert more.protocol["calibration_prompts"] and not plain.protocol["calibration_prompts"]


def test_nearest_demonstrations_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row without content is near to nothing."""
    task = load_task("arc_easy")
    pools = make_pools(task, ROWS, [{**row, "question": f"Q{n}"} for n, row in enumerate(ROWS)])
    with pytest.raises(UsageError, match="choose one of both"):
        build_prompt_set(task, "question-choices", pools, calibration=True, nearest=object())  # type: ignore[arg-type]
