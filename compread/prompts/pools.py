"""A task's rows sorted by class, ready to be drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compread.errors import PromptError
from compread.prompts.sampling import Queues, class_queues
from compread.prompts.sources import Row
from compread.prompts.tasks import Task, Template
from compread.prompts.templates import fields_named, fulfils, render, template_fields


@dataclass(frozen=True)
class Pool:
    """The rows of one split, and those of each class in drawing order."""

    task: str
    """The task that the rows are of."""
    split: str
    rows: Sequence[Row]
    classes: Mapping[int, int]
    """Class of each row that may be drawn, by the row's number."""
    queues: Queues

    def id(self, number: int) -> str:
        """``"train-1238"`` for row 1238 of the split, counted from 0."""
        return f"{self.split}-{number}"

    def text(self, template: Template, number: int) -> str:
        """A row's input.

        Raises:
            PromptError: the row cannot be rendered.
        """
        try:
            return render(template, self.rows[number])
        except PromptError as error:
            where = f"row {self.id(number)} of task {self.task!r}"
            raise PromptError(f"{where}: {error}") from error


@dataclass(frozen=True)
class Pools:
    """Both splits of a task, without rows that repeat, or test rows that are also train rows."""

    train: Pool
    test: Pool


def make_pools(task: Task, rows_train: Sequence[Row], rows_test: Sequence[Row]) -> Pools:
    """Sort a task's rows by class; done once for all templates and seeds.

    ``rows_train`` are the lender's where the task has one. Rows that the task's ``where`` rules out
    are left aside.

    Rows are the same if they agree in every field that the task's templates read. A row that stood
    before is left out, and so is a test row that is anywhere in the train file: the test rows are
    then the same for each seed, and no text counts twice.

    Raises:
        PromptError: a label that is not one of the task's values.
    """
    source = task.lender or task
    fields = sorted(set().union(*(template_fields(t.text) for t in task.templates.values())))
    train, test = _named(source, "train", rows_train), _named(task, "test", rows_test)
    known = _distinct(train, fields, _usable(source, "train", train))
    found = _distinct(test, fields, _usable(task, "test", test))
    unseen = [number for content, number in found.items() if content not in known]
    return Pools(
        _pool(source, "train", train, list(known.values())), _pool(task, "test", test, unseen)
    )


def _named(task: Task, split: str, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows with the names that the task's templates use."""
    if not task.fields:
        return rows
    for name in task.fields.values():
        for number, row in enumerate(rows):
            if name not in row:
                where = f"row {split}-{number} of task {task.name!r}"
                raise PromptError(f"{where} has no {name!r}; {fields_named(row)}")
    return [{**row, **{to: row[of] for to, of in task.fields.items()}} for row in rows]


def _usable(task: Task, split: str, rows: Sequence[Row]) -> list[int]:
    """Numbers of the rows that the task's ``where`` lets through."""
    found = []
    for number, row in enumerate(rows):
        try:
            if fulfils(task.where, row):
                found.append(number)
        except PromptError as error:
            where = f"row {split}-{number} of task {task.name!r}"
            raise PromptError(f"{where}: its 'where' {error}") from error
    return found


def _pool(task: Task, split: str, rows: Sequence[Row], kept: Sequence[int]) -> Pool:
    classes = {number: _class(task, f"{split}-{number}", rows[number]) for number in kept}
    queues = class_queues(classes, len(task.label_values), f"{task.name}:{split}", kept)
    return Pool(task.name, split, rows, classes, queues)


def _class(task: Task, row_id: str, row: Row) -> int:
    field, values = task.label_field, task.label_values
    where = f"row {row_id} of task {task.name!r}"
    if field not in row:
        raise PromptError(f"{where} has no {field!r}; {fields_named(row)}")
    known = ", ".join(map(repr, values))
    if row[field] is None or row[field] != row[field]:  # an empty cell can be "not a number"
        raise PromptError(f"{where} has a null {field!r}; drop it, or give one of {known}")
    if row[field] not in values:
        raise PromptError(f"{where} has {field!r} {row[field]!r:.60}, not one of {known}")
    return values.index(row[field])


def _distinct(
    rows: Sequence[Row], fields: Sequence[str], kept: Sequence[int]
) -> dict[tuple[str, ...], int]:
    """The number of the first row of each content."""
    first: dict[tuple[str, ...], int] = {}
    for number in kept:
        first.setdefault(_content(rows[number], fields), number)
    return first


def _content(row: Row, fields: Sequence[str]) -> tuple[str, ...]:
    values = (row.get(field) for field in fields)
    return tuple(v.strip() if isinstance(v, str) else repr(v) for v in values)
