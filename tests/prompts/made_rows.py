"""Made-up rows for every task, in the field names of its data set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

VALUES: dict[str, Sequence[Any]] = {
    "sst2": (0, 1), "yelp_polarity": (0, 1), "boolq": (False, True),
    "boolq_contrast": (False, True), "qqp": (0, 1), "wic": (0, 1), "rte": (0, 1),
    "mnli": (0, 1, 2), "ag_news": (0, 1, 2, 3), "arc_easy": ("A", "B", "C", "D"),
    "task069": ("1", "2"), "task070": ("1", "2"),
    "mednli": ("entailment", "neutral", "contradiction"),
}  # fmt: skip
"""The label values of each task in class order."""
LENDERS = {"yelp_polarity": "sst2", "boolq_contrast": "boolq", "mednli": "mnli"}
"""Whose train rows a task borrows."""
TEN = (
    "sst2", "boolq", "qqp", "wic", "rte", "mnli", "ag_news", "arc_easy", "yelp_polarity",
    "boolq_contrast",
)  # fmt: skip


def made_row(task: str, split: str, n: int) -> Row:
    """Row ``n``; the classes come in turn, and no two rows are alike."""
    text, label = f"{split} text {n}", VALUES[task][n % len(VALUES[task])]
    choices = {"label": list("ABCD"), "text": [f"{text} choice {c}" for c in "ABCD"]}
    story = f"Beginning: {text}. Middle 1: a. Middle 2: b. Ending: c."
    return {
        "sst2": {"sentence": f"{text} ", "label": label},
        "yelp_polarity": {"text": text, "label": label},
        "boolq": {"question": f"is it {text}", "passage": f"Passage of {text}.", "answer": label},
        "boolq_contrast": {"question": f"is it {text}", "passage": "Passage.", "answer": label},
        "qqp": {"question1": f"{text}?", "question2": f"and {text}?", "label": label},
        "wic": {"word": "play", "sentence1": text, "sentence2": f"Play {text}.", "label": label},
        "rte": {"sentence1": f"{text}.", "sentence2": f"So {text}.", "label": label},
        "mnli": {"premise": f"{text}.", "hypothesis": f"So {text}.", "label": label},
        "ag_news": {"text": text, "label": label},
        "arc_easy": {"question": f"{text}?", "choices": choices, "answerKey": label},
        "task069": {"definition": f"Which {split}?", "input": story, "output": label},
        "task070": {"definition": f"Which not, {split}?", "input": story, "output": label},
        "mednli": {"sentence1": f"{text}.", "sentence2": f"So {text}.", "gold_label": label},
    }[task]  # fmt: skip


def made_rows(task: str, split: str, n: int) -> list[Row]:
    """The first ``n`` rows of a split."""
    return [made_row(task, split, number) for number in range(n)]


def write_json_lines(file: Path, rows: Sequence[Row]) -> Path:
    """Rows as JSON Lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def write_data(folder: Path, *tasks: str, n_train: int = 700, n_test: int = 130) -> Path:
    """A ``--data-dir`` with those tasks and what they borrow."""
    for task in tasks:
        if task not in LENDERS:
            write_json_lines(folder / task / "train.jsonl", made_rows(task, "train", n_train))
        else:
            write_data(folder, LENDERS[task], n_train=n_train, n_test=n_test)
        write_json_lines(folder / task / "test.jsonl", made_rows(task, "test", n_test))
    return folder
