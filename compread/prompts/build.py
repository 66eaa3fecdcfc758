"""From a task's rows to its prompt sets: demonstrations, train rows and test rows as text.

Prompt = each demonstration's input, its label word and a newline, then the row's own input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compread.errors import PromptError
from compread.prompts.sampling import Queues, class_queues, draw_labelled, draw_test
from compread.prompts.sets import Prompt, PromptSet
from compread.prompts.sources import Row, load_rows
from compread.prompts.tasks import Task, Template
from compread.prompts.templates import render, template_fields


@dataclass(frozen=True)
class Pool:
    """The rows of one split, and those of each class in drawing order."""

    split: str
    rows: Sequence[Row]
    columns: Sequence[int]
    """[N] column of each row's label."""
    queues: Queues

    def id(self, number: int) -> str:
        """``"train-1238"`` for row 1238 of the split, counted from 0."""
        return f"{self.split}-{number}"


@dataclass(frozen=True)
class Pools:
    """Both splits of a task, without the test rows that are also train rows."""

    train: Pool
    test: Pool


def make_pools(task: Task, rows_train: Sequence[Row], rows_test: Sequence[Row]) -> Pools:
    """Sort a task's rows by class; done once for all templates and seeds.

    Rows are the same if they agree in every field that the task's templates read. A train row that
    stood before is left out, and so is a test row that is anywhere in the train file: the test
    rows are then the same for each seed.

    Raises:
        PromptError: a label that is not one of the task's values.
    """
    fields = sorted(set().union(*(template_fields(t.text) for t in task.templates.values())))
    first: dict[tuple[str, ...], int] = {}
    for number, row in enumerate(rows_train):
        first.setdefault(_content(row, fields), number)
    unseen = [n for n, row in enumerate(rows_test) if _content(row, fields) not in first]
    return Pools(
        _pool(task, "train", rows_train, list(first.values())),
        _pool(task, "test", rows_test, unseen),
    )


def build_prompt_set(
    task: Task,
    template_id: str,
    pools: Pools,
    *,
    seed: int = 0,
    shots: int | None = None,
    n_train: int | None = None,
    limit: int | None = None,
) -> PromptSet:
    """The prompt set of one template and one seed.

    Args:
        task: the task.
        template_id: one of its templates.
        pools: its rows, from ``make_pools``.
        seed: which demonstrations and train rows (from 0).
        shots: demonstrations; None: the task's own number.
        n_train: train rows; None: what the shots leave of the task's budget.
        limit: test rows at most; None: 2,000 or all there are, class counts equal.

    Raises:
        PromptError: unknown template, too few rows, or a row that the template cannot render.
        UsageError: a negative number, or no test row wanted.
    """
    template = task.template(template_id)
    shots = task.shots if shots is None else shots
    n_train = task.train_rows(shots) if n_train is None else n_train
    drawn = draw_labelled(
        pools.train.queues, task.name, seed=seed, shots=shots, n_train=n_train, budget=task.budget
    )
    prefix = "".join(
        f"{_input(task, template, pools.train, n)}{template.labels[pools.train.columns[n]]}\n"
        for n in drawn.demonstrations
    )
    chosen = [(pools.train, n) for n in drawn.train]
    chosen += [(pools.test, n) for n in draw_test(pools.test.queues, task.name, limit)]
    return PromptSet(
        task=task.name,
        labels=template.labels,
        prompts=tuple(
            Prompt(
                prefix + _input(task, template, pool, n), pool.columns[n], pool.split, pool.id(n)
            )
            for pool, n in chosen
        ),
        template=template.id,
        template_text=template.text,
        demonstrations=tuple(map(pools.train.id, drawn.demonstrations)),
        seed=seed,
        shots=shots,
    )


def prompt_sets(
    task: Task,
    templates: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    shots: int | None = None,
    n_train: int | None = None,
    limit: int | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
) -> list[PromptSet]:
    """The grid of templates (None: all of the task's) and seeds, template by template.

    Raises:
        PromptError: rows that cannot be loaded, and what ``build_prompt_set`` raises.
        UsageError: as in ``build_prompt_set``.
    """
    wanted = list(dict.fromkeys(task.templates if templates is None else templates))
    for template_id in wanted:
        task.template(template_id)  # a wrong name shows before anything is downloaded
    pools = make_pools(
        task,
        load_rows(task, "train", data_dir, offline),
        load_rows(task, "test", data_dir, offline),
    )
    return [
        build_prompt_set(
            task, template_id, pools, seed=seed, shots=shots, n_train=n_train, limit=limit
        )
        for template_id in wanted
        for seed in dict.fromkeys(seeds)
    ]


def _pool(task: Task, split: str, rows: Sequence[Row], kept: Sequence[int]) -> Pool:
    columns = [_column(task, f"{split}-{number}", row) for number, row in enumerate(rows)]
    queues = class_queues(columns, len(task.label_values), f"{task.name}:{split}", kept)
    return Pool(split, rows, columns, queues)


def _column(task: Task, row_id: str, row: Row) -> int:
    field, values = task.label_field, task.label_values
    if field not in row:
        there = ", ".join(map(repr, row))
        raise PromptError(f"row {row_id} of task {task.name!r} has no {field!r}, only {there}")
    if row[field] not in values:
        known = ", ".join(map(repr, values))
        raise PromptError(
            f"row {row_id} of task {task.name!r} has {field!r} {row[field]!r}, not one of {known}"
        )
    return values.index(row[field])


def _content(row: Row, fields: Sequence[str]) -> tuple[str, ...]:
    values = (row.get(field) for field in fields)
    return tuple(v.strip() if isinstance(v, str) else repr(v) for v in values)


def _input(task: Task, template: Template, pool: Pool, number: int) -> str:
    try:
        return render(template, pool.rows[number])
    except PromptError as error:
        raise PromptError(f"row {pool.id(number)} of task {task.name!r}: {error}") from error
