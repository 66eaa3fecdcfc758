"""Made rows whose options are their own, in the schema of each data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
LETTERS = "ABCDE"


def hellaswag(n: int, split: str) -> Row:
    """WikiHow's marks in the scene and in two endings; the right one is a text."""
    ends = [
        f"[substeps] goes {n} left.",
        "  stays.",
        "Ends  here [title] So it is.",
        "[open falls.",
    ]
    return {
        "ind": n, "activity_label": "Making tea", "ctx": "unused", "ctx_b": "THE man",
        "ctx_a": f"[header] How {split} {n} [title] Boil.", "endings": ends, "label": str(n % 4),
    }  # fmt: skip


def piqa(n: int, split: str) -> Row:
    """Two ways to a goal."""
    return {"goal": f"to {split} {n}", "sol1": f"use {n}", "sol2": "use tape", "label": n % 2}


def copa(n: int, split: str) -> Row:
    """A premise that ends in a point, and two sentences."""
    return {
        "premise": f"The {split} {n} fell.", "choice1": "It was pushed.", "choice2": "I laughed.",
        "question": ("cause", "effect")[n % 2], "idx": n, "label": n % 2,
    }  # fmt: skip


def choices(n: int, size: int) -> Row:
    """Choices as ARC, OpenBookQA and CommonsenseQA have them."""
    return {"text": [f"{c.lower()} {n}" for c in LETTERS[:size]], "label": list(LETTERS[:size])}


def openbookqa(n: int, split: str) -> Row:
    """A stem that a choice completes."""
    row = {"id": f"{n}", "question_stem": f"{split} {n} is", "answerKey": LETTERS[n % 4]}
    return {**row, "choices": choices(n, 4)}


def arc(n: int, split: str) -> Row:
    """Four choices; every seventh question has three of them."""
    size = 3 if n % 7 == 6 else 4
    row = {"id": f"{n}", "question": f"What is {split} {n}?", "answerKey": LETTERS[n % size]}
    return {**row, "choices": choices(n, size)}


def commonsense_qa(n: int, split: str) -> Row:
    """Five choices."""
    row = {"id": f"{n}", "question": f"Why {split} {n}?", "question_concept": "why"}
    return {**row, "choices": choices(n, 5), "answerKey": LETTERS[n % 5]}


def mmlu(n: int, split: str) -> Row:
    """A subject's question; the answer is a place."""
    row = {"question": f"Is {split} {n}?", "subject": "anatomy"}
    return {**row, "choices": choices(n, 4)["text"], "answer": n % 4}


OWN_ROWS: dict[str, Callable[[int, str], Row]] = {
    "hellaswag": hellaswag, "piqa": piqa, "copa": copa, "openbookqa": openbookqa,
    "arc_easy": arc, "arc_challenge": arc, "commonsense_qa": commonsense_qa,
    "mmlu:anatomy": mmlu,
}  # fmt: skip
"""Row ``n`` of a split, of each task."""
