"""The paper's prompts, character for character (Chang et al. 2024, section 2.5 and Table 9)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_rows import made_row, made_rows, write_data, write_json_lines

from compread.prompts import load_task, prompt_sets

Row = dict[str, Any]
NO_YES = (" No", " Yes")
NEWS = (" World", " Sports", " Business", " Technology")
REGARDING = "Is this a piece of news regarding World, Sports, Business, or Technology?"


def review(gap: str) -> Callable[[Row], str]:
    """SST-2, with what stands after the text."""
    return lambda row: (
        f"Review: {row['sentence'].strip()}{gap}\nDo you think the review is positive or negative?"
    )


def passage(gap: str) -> Callable[[Row], str]:
    """BoolQ, with what stands before ``Answer``."""
    return lambda row: (
        f"Based on the following passage, {row['question']}? {row['passage']}{gap}Answer:"
    )


def same_thing(row: Row) -> str:
    """QQP."""
    one, two = row["question1"], row["question2"]
    return f'Are the questions "{one}" and "{two}" asking the same thing?'


def news(gap: str) -> Callable[[Row], str]:
    """AG News, with what stands before the question."""
    return lambda row: f"{row['text']}{gap}{REGARDING}"


PAIRS = [
    ("sst2", "review-question", review(""), (" negative", " positive")),
    ("sst2", "review-question-contrast", review(" "), (" negative", " positive")),
    ("boolq", "passage-answer", passage("\n"), NO_YES),
    ("boolq", "passage-answer-contrast", passage(" "), NO_YES),
    ("qqp", "same-thing", same_thing, (" no", " yes")),
    ("qqp", "same-thing-contrast", same_thing, NO_YES),
    ("ag_news", "piece-of-news", news("\n"), NEWS),
    ("ag_news", "piece-of-news-contrast", news(" "), NEWS),
]


@pytest.mark.parametrize(("task", "template", "wording", "words"), PAIRS)
def test_prompts_of_the_paper(
    task: str, template: str, wording: Callable[[Row], str], words: tuple[str, ...], tmp_path: Path
) -> None:
    """Demonstrations, each with its word and a newline, then the row: the whole text."""
    data = write_data(tmp_path, task)
    loaded = load_task(task)
    (made,) = prompt_sets(loaded, [template], (2,), data_dir=data)

    def own(split_and_number: str) -> Row:
        split, number = split_and_number.split("-")
        return made_row(task, split, int(number))

    def word(row: Row) -> str:
        return words[loaded.label.values.index(row[loaded.label.field])]

    shown = "".join(f"{wording(own(d))}{word(own(d))}\n" for d in made.demonstrations)
    assert made.labels == words and len(made.demonstrations) == 4
    for prompt in made.prompts:
        assert prompt.text == shown + wording(own(prompt.id))
        assert words[prompt.gold] == word(own(prompt.id))


def test_contrasts_are_named_after_their_template() -> None:
    """The four printed pairs, and one of our own for ARC-Easy, are there by name."""
    pairs = {
        (task, one.contrast_of)
        for task in ("sst2", "boolq", "qqp", "ag_news", "arc_easy")
        for one in load_task(task).templates.values()
        if one.contrast_of and one.id == f"{one.contrast_of}-contrast"
    }
    assert pairs == {
        ("sst2", "review-question"), ("boolq", "passage-answer"), ("qqp", "same-thing"),
        ("ag_news", "piece-of-news"), ("arc_easy", "question-choices"),
    }  # fmt: skip


def test_arc_questions_of_another_form_are_left_out(tmp_path: Path) -> None:
    """Questions with three choices, or numbered ones, are neither shown nor asked."""
    data = write_data(tmp_path, "arc_easy", n_train=200, n_test=8)
    odd = {"question": "odd?", "choices": {"label": ["1", "2", "3"], "text": ["a", "b", "c"]}}
    write_json_lines(
        data / "arc_easy" / "test.jsonl",
        [{**odd, "answerKey": "1"}, *made_rows("arc_easy", "test", 8)],
    )
    (made,) = prompt_sets(load_task("arc_easy"), ["question-choices"], data_dir=data)
    asked = [prompt for prompt in made.prompts if prompt.split == "test"]
    assert sorted(prompt.id for prompt in asked) == [f"test-{n}" for n in range(1, 9)]
    first = next(prompt for prompt in asked if prompt.id == "test-1")
    assert first.text.endswith(
        "\nQuestion: test text 0?\nA. test text 0 choice A\nB. test text 0 choice B\n"
        "C. test text 0 choice C\nD. test text 0 choice D\nAnswer:"
    )
