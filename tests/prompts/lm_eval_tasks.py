"""Tasks in lm-evaluation-harness's YAML format on local JSON Lines, made here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Doc = dict[str, Any]
TASK = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{train: {folder}/train.jsonl, validation: {folder}/validation.jsonl}}
output_type: multiple_choice
training_split: train
validation_split: validation
description: "Choose.\\n\\n"
doc_to_text: "Q: {{{{q}}}}\\nA:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: label
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
"""
CHOICES: tuple[Sequence[str], ...] = (
    ("good", "bad", "a film that no one likes"),
    ("bad", "bad film", "ça va très bien", "好"),
    ("日本の首都です", "日本"),
    tuple(f"choice {letter}" for letter in "abcdefghijklmnopqrstuvwxyz"),
    ("да", "нет, спасибо", "so it is, and so it was, and so it will be for ever"),
)
"""In several languages, one a beginning of another, 26 of them, one token beside many."""


def docs(split: str, n: int) -> list[Doc]:
    """Documents of a split, with choices of their own."""
    return [
        {"q": f"{split} {i} is", "choices": CHOICES[i % 5], "label": i % len(CHOICES[i % 5])}
        for i in range(n)
    ]


def write_task(
    folder: Path, name: str = "made", n: tuple[int, int] = (30, 20), **more: str
) -> Path:
    """A folder with the task's YAML and its data; ``more`` are further keys, or other values."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in zip(("train", "validation"), n, strict=True):
        lines = [json.dumps(doc, ensure_ascii=False) for doc in docs(split, count)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = TASK.format(name=name, folder=folder)
    kept = [line for line in text.splitlines() if line.partition(":")[0] not in more]
    lines = [*kept, *(f"{key}: {value}" for key, value in more.items() if value)]
    (folder / f"{name}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
