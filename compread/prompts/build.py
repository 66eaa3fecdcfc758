"""From a task's rows to its prompt sets: demonstrations, train rows and test rows as text.

Prompt = the task's instruction and a blank line where it has one, then each demonstration's input,
its label word and a newline, then the row's own input.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compread.errors import PromptError, UsageError, flag
from compread.prompts.content_free import content_free_rows
from compread.prompts.local_files import Row
from compread.prompts.nearest import Nearest
from compread.prompts.sampling import Labelled, Pool, Pools, draw_labelled, draw_test, make_pools
from compread.prompts.sets import Pieces, Prompt, PromptSet
from compread.prompts.sources import load_rows
from compread.prompts.tasks import Task, Template
from compread.prompts.templates import render, row_of_task, template_fields, told_of


def build_prompt_set(
    task: Task,
    template_id: str,
    pools: Pools,
    *,
    seed: int = 0,
    shots: int | None = None,
    n_train: int | None = None,
    limit: int | None = None,
    demo_labels: Sequence[int] | None = None,
    nearest: Nearest | None = None,
    calibration: bool = False,
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
        demo_labels: the demonstrations' classes in prompt order (paper, Figure 5); None: balanced,
            in an order whose last two differ.
        nearest: chooses each row's own demonstrations among all labelled examples (the paper's
            PromptS); None: the same ones for every row.
        calibration: also content-free prompts, in the split ``calibration``.

    Raises:
        PromptError: unknown template, too few rows, or a row that the template cannot render.
        UsageError: a negative number, no test row wanted, a class that is not there, or choices
            that exclude each other.
    """
    template = task.template(template_id)
    if calibration:
        _check_content_free(template, nearest)
    if demo_labels is not None:
        shots = _shots_of(task, shots, demo_labels, nearest)
    shots = task.shots if shots is None else shots
    n_train = task.train_rows(shots) if n_train is None else n_train
    # By the lender's name, a task shares its demonstrations with the task it borrows them from.
    drawn = draw_labelled(
        pools.train.queues, (task.lender or task).name, seed=seed, shots=shots, n_train=n_train,
        budget=task.budget, demo_labels=demo_labels,
    )  # fmt: skip
    shown = _Demonstrations(template, pools.train, drawn, shots, nearest)
    prompts, twins = without_twins(_row_prompts(task, template, pools, drawn, limit, shown))
    if calibration:
        prompts += _content_free(task, template, pools.train, shown)
    protocol = _protocol(
        task, template, shown, demo_labels, n_train=n_train, limit=limit, calibration=calibration
    )
    if template.options:
        protocol |= {"options": template.options, "answer": template.answer, "left_out": twins}
    return PromptSet(
        task=task.name,
        labels=template.verbalizer.columns,
        classes=template.verbalizer.column_classes,
        prompts=tuple(prompts),
        template=template.id,
        template_text=template.text,
        demonstrations=tuple(map(pools.train.id, shown.numbers)),
        seed=seed,
        shots=shots,
        variant=_variant(demo_labels, nearest),
        protocol=protocol,
        unconditional=template.unconditional,
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
    demo_labels: Sequence[int] | None = None,
    nearest: Nearest | None = None,
    calibration: bool = False,
) -> list[PromptSet]:
    """The grid of templates (as in ``Task.chosen_templates``) and seeds, template by template.

    Raises:
        PromptError: rows that cannot be loaded, and what ``build_prompt_set`` raises.
        UsageError: as in ``build_prompt_set``.
    """
    wanted = task.chosen_templates(templates)  # a wrong name shows before anything is downloaded
    if not wanted:
        return []
    # The task's own rows first: what it says of its data comes before another task's download.
    test = load_rows(task, "test", data_dir, offline)
    pools = make_pools(task, load_rows(task.lender or task, "train", data_dir, offline), test)
    return [
        build_prompt_set(
            task,
            template_id,
            pools,
            seed=seed,
            shots=shots,
            n_train=n_train,
            limit=limit,
            demo_labels=demo_labels,
            nearest=nearest,
            calibration=calibration,
        )
        for template_id in wanted
        for seed in dict.fromkeys(seeds)
    ]


def _row_prompts(
    task: Task,
    template: Template,
    pools: Pools,
    drawn: Labelled,
    limit: int | None,
    shown: _Demonstrations,
) -> list[Prompt]:
    """Every train row and test row behind its demonstrations."""
    chosen = [(pools.train, n) for n in drawn.train]
    chosen += [(pools.test, n) for n in draw_test(pools.test.queues, task.name, limit)]
    if shown.nearest is not None:
        shown.nearest.learn([pool.text(template, n) for pool, n in chosen])
    return [_prompt(task, template, pool, n, shown) for pool, n in chosen]


def _prompt(
    task: Task, template: Template, pool: Pool, number: int, shown: _Demonstrations
) -> Prompt:
    """One row behind its demonstrations."""
    instruction = _instruction(task, template, pool, number)
    pieces = Pieces(instruction, shown(pool, number), pool.text(template, number))
    answers, right = pool.answers(template, number), pool.classes[number]
    if template.options:
        return Prompt(pieces.text, right, pool.split, pool.id(number), pieces, answers)
    gold = template.verbalizer.column(right)
    return Prompt(pieces.text, gold, pool.split, pool.id(number), pieces)


def without_twins(prompts: Sequence[Prompt]) -> tuple[list[Prompt], list[str]]:
    """The prompts that can be chosen in, and the ids of those two of whose answers are one text.

    Raises:
        PromptError: none can be chosen in.
    """
    twins = [prompt.id for prompt in prompts if len({*prompt.answers}) < len(prompt.answers)]
    if prompts and len(twins) == len(prompts):
        raise PromptError(
            f"every row has two options of the same text, such as {twins[0]!r} with "
            f"{list(prompts[0].answers)!r:.200}: write options, or an answer, that tell them apart"
        )
    return [prompt for prompt in prompts if prompt.id not in twins], twins


def _protocol(
    task: Task,
    template: Template,
    shown: _Demonstrations,
    demo_labels: Sequence[int] | None,
    *,
    n_train: int,
    limit: int | None,
    calibration: bool,
) -> dict[str, Any]:
    """How the prompts were made, as the store keeps it."""
    nearest = shown.nearest
    return {
        "demonstrations_from": shown.pool.task,
        "demo_labels": None if demo_labels is None else list(demo_labels),
        "prompt_selection": "nearest" if nearest else "fixed",
        "embedder": nearest.name if nearest else None,
        "n_train": n_train,
        "limit": limit,
        "instruction": task.instruction or None,
        "fields": dict(task.fields),
        # Texts, not ids alone: new rows are put behind them without the task's data.
        "shown": None if nearest else [list(pair) for pair in shown.fixed],
        "wording": template.wording or None,
        "contrast_of": template.contrast_of,
        "calibration_prompts": calibration,
    }


def _check_content_free(template: Template, nearest: Nearest | None) -> None:
    """Refuse content-free prompts where nothing is near them, or where rows bring their options."""
    if nearest is not None:
        raise UsageError("content-free prompts have no nearest demonstrations: choose one of both")
    if template.options:
        raise UsageError(
            f"template {template.id!r} has options of each row's own, and content-free prompts "
            f"need label words in common: leave {flag('calibration-prompts')} out"
        )


def _content_free(
    task: Task, template: Template, pool: Pool, shown: _Demonstrations
) -> list[Prompt]:
    """Prompts without content behind the demonstrations that every row has."""
    rows = [pool.rows[n] for n in sorted(pool.classes)]
    fields = sorted(template_fields(template.text))
    found = []
    like = pool.id(min(pool.classes))
    for name, row in content_free_rows(rows, fields, f"{task.name}:{template.id}"):
        with told_of(f"{row_of_task(name, task.name)}, made like {like}"):
            instruction = _instruction_of(task, template, row)
            pieces = Pieces(instruction, tuple(shown.fixed), render(template, row))
        found.append(Prompt(pieces.text, 0, "calibration", name, pieces))
    return found


def _instruction_of(task: Task, template: Template, row: Row) -> str:
    if not task.instruction:
        return ""
    return render(Template("instruction", task.instruction, template.verbalizer), row)


class _Demonstrations:
    """The demonstrations of each row, as input and label word."""

    def __init__(
        self, template: Template, pool: Pool, drawn: Labelled, shots: int, nearest: Nearest | None
    ) -> None:
        self._template, self.pool, self._shots, self.nearest = template, pool, shots, nearest
        self.numbers = (*drawn.demonstrations, *(drawn.train if nearest else ()))
        """Rows that are shown, or that are chosen among."""
        self.fixed = [
            (pool.text(template, n), pool.answers(template, n)[pool.classes[n]])
            for n in self.numbers
        ]

    def __call__(self, pool: Pool, number: int) -> tuple[tuple[str, str], ...]:
        if self.nearest is None:
            return tuple(self.fixed)
        candidates = [
            shown
            for n, shown in zip(self.numbers, self.fixed, strict=True)
            if (pool.split, n) != (self.pool.split, number)  # a row is no demonstration of itself
        ]
        query = pool.text(self._template, number)
        order = self.nearest.order(query, [text for text, _ in candidates], self._shots)
        return tuple(candidates[place] for place in order)


def _shots_of(
    task: Task, shots: int | None, demo_labels: Sequence[int], nearest: Nearest | None
) -> int:
    """The number of demonstrations that a list of their classes gives."""
    given = ",".join(map(str, demo_labels))
    if nearest is not None:
        raise UsageError(f"demo labels {given}: nearest demonstrations have no set classes")
    if shots is not None and shots != len(demo_labels):
        raise UsageError(f"demo labels {given} are {len(demo_labels)} demonstrations, not {shots}")
    if task.label.index:
        raise UsageError(
            f"demo labels {given}: {task.name!r} has no classes, its rows have options of their own"
        )
    for label in demo_labels:
        if not 0 <= label < len(task.label.values):
            last = len(task.label.values) - 1
            raise UsageError(f"demo label {label}: the classes of {task.name!r} are 0 to {last}")
    return len(demo_labels)


def _variant(demo_labels: Sequence[int] | None, nearest: Nearest | None) -> str:
    """What tells the store's name apart from that of the paper's default."""
    labels = "" if demo_labels is None else "-demos" + "_".join(map(str, demo_labels))
    return labels + ("-nearest" if nearest else "")


def _instruction(task: Task, template: Template, pool: Pool, number: int) -> str:
    if not task.instruction:
        return ""
    return pool.text(Template("instruction", task.instruction, template.verbalizer), number)
