"""The tasks as rows and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compread.prompts import PromptSet, Task
from compread.views.tables import Column, Row, Table

FETCH_VIEW = [
    Column("task", justify="left"),
    Column("split", justify="left"),
    Column("rows"),
    Column("source", justify="left", shorten="start"),
    Column("revision", justify="left", shorten="end", drop=1),
]
VALIDATE_VIEW = [
    Column("file", justify="left"),
    Column("verdict", justify="left"),
    Column("mistake", justify="left"),
]
PROMPT_VIEW = [
    Column("task", justify="left"),
    Column("template", justify="left"),
    Column("label", justify="left", format=lambda row: repr(row["label"])),
    Column("prompt", justify="left", format=lambda row: repr(row["prompt"])),
]


def task_rows(task: Task) -> list[dict[str, Any]]:
    """One row for each template of a task."""
    source = task.source
    return [
        {
            "task": task.name,
            "template": template.id,
            "contrast_of": template.contrast_of,
            "labels": [list(words) for words in template.verbalizer.words],
            "options": template.options or None,
            "shots": task.shots,
            "budget": task.budget,
            "demonstrations": task.lender.name if task.lender else task.name,
            "source": source.id if source else None,
            "config": source.config if source else None,
            "subjects": list(source.subjects) if source else [],
            "revision": source.revision if source else None,
            "description": task.description,
            "license": task.license,
            "wording": template.wording,
            "access": task.access or None,
        }
        for template in task.templates.values()
    ]


def task_view(rows: Sequence[Row]) -> list[Table]:
    """The list for the terminal, a block a task."""
    blocks: dict[str, list[Row]] = {}
    for row in rows:
        blocks.setdefault(row["task"], []).append(row)
    columns = [
        Column("task", justify="left", format=_once(rows)),
        Column("template", justify="left"),
        Column("labels", justify="left", format=_labels, shorten="end"),
        Column("source", justify="left", format=_source, shorten="end", drop=1),
    ]
    return [Table(columns, list(blocks.values()))]


def prompt_rows(made: Sequence[PromptSet]) -> list[dict[str, Any]]:
    """The first prompt of each set, with what its row chooses from."""
    return [
        {
            "task": one.task,
            "template": one.template,
            "shots": one.shots,
            "seed": one.seed,
            "id": prompt.id,
            "prompt": prompt.text,
            "label": one.answers(prompt)[prompt.gold],
            "labels": list(one.answers(prompt)),
            "wording": one.protocol.get("wording"),
        }
        for one in made
        for prompt in one.prompts[:1]
    ]


def _once(rows: Sequence[Row]) -> Any:
    """A format that names the task in the first row of its block only."""
    first = {row["task"]: row["template"] for row in reversed(rows)}

    def name(row: Row) -> str:
        return str(row["task"]) if first[row["task"]] == row["template"] else ""

    return name


def _labels(row: Row) -> str:
    """The words without their spaces: ``negative/positive``."""
    if row["options"]:
        return "row's own"
    return "/".join("|".join(word.strip() for word in words) for words in row["labels"])


def _source(row: Row) -> str:
    where = "local only" if row["source"] is None else str(row["source"])
    config = f" {row['config']}" if row["config"] else ""
    if row["subjects"]:
        config = " by subject"
    borrowed = row["demonstrations"] != row["task"]
    return f"{where}{config}" + (f", after {row['demonstrations']}" if borrowed else "")
