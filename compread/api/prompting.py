"""Which prompt sets are meant by what ``extract`` is given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias, cast

from compread.api.runs import StorePath
from compread.errors import UsageError, option
from compread.prompts import (
    PromptSet,
    is_lm_eval,
    lm_eval_sets,
    load_embedder,
    load_task,
    prompt_sets,
    prompts_of_rows,
    read_prompt_file,
    refuse_choices,
)

Prompts: TypeAlias = "StorePath | PromptSet | Sequence[str] | Iterable[Mapping[str, Any]]"
"""A task or several, a JSON Lines file, rows as such a file has them, or a prompt set."""


@dataclass(frozen=True)
class TaskChoices:
    """How the prompts of a task are made; the fields are arguments of ``extract``."""

    templates: str | Sequence[str] | None = None
    seeds: int | Sequence[int] | None = None
    num_fewshot: int | None = None
    n_train: int | None = None
    limit: int | None = None
    demo_labels: Sequence[int] | None = None
    embedder: str | None = None
    calibration_prompts: bool = False
    data_dir: StorePath | None = None
    include_path: StorePath | None = None

    def prompt_sets(self, tasks: Iterable[str], offline: bool) -> list[PromptSet]:
        """The grid of prompt sets, task by task.

        Raises:
            PromptError: a task or template that is not there, or data that cannot be used.
            UsageError: choices that exclude each other.
        """
        names = list(tasks)
        foreign = [name for name in names if is_lm_eval(name)]
        known = [load_task(n, _folder(self.include_path)) for n in names if n not in foreign]
        nearest = None if self.embedder is None else load_embedder(self.embedder, offline)
        wanted = [self.templates] if isinstance(self.templates, str) else self.templates
        seeds = [self.seeds] if isinstance(self.seeds, int) else self.seeds
        harness = [one for name in foreign for one in self._of_lm_eval(name, seeds, offline)]
        return harness + [
            one
            for task in known
            for one in prompt_sets(
                task,
                list(task.templates)[:1] if wanted is None else wanted,
                [0] if seeds is None else seeds,
                shots=self.num_fewshot,
                n_train=self.n_train,
                limit=self.limit,
                data_dir=_folder(self.data_dir),
                offline=offline,
                demo_labels=self.demo_labels,
                nearest=nearest,
                calibration=self.calibration_prompts,
            )
        ]

    def _of_lm_eval(self, name: str, seeds: Sequence[int] | None, offline: bool) -> list[PromptSet]:
        refuse_choices(name, {
            "templates": self.templates, "demo-labels": self.demo_labels,
            "embedder": self.embedder, "calibration-prompts": self.calibration_prompts,
            "data-dir": self.data_dir,
        })  # fmt: skip
        return lm_eval_sets(
            name,
            seeds,
            shots=self.num_fewshot,
            n_train=self.n_train,
            limit=self.limit,
            include_path=_folder(self.include_path),
            offline=offline,
        )

    @property
    def named(self) -> list[str]:
        """The choices that are not the defaults."""
        return [f.name for f in fields(self) if getattr(self, f.name) != f.default]


def chosen_sets(
    prompts: Prompts,
    labels: Sequence[str | Sequence[str]] | None,
    choices: TaskChoices,
    offline: bool,
) -> list[PromptSet]:
    """The prompt sets of tasks, or the one of a file or of rows.

    Raises:
        UsageError: choices of tasks beside prompts of one's own, or the other way round.
        PromptError: a task, file, row or label that cannot be used.
    """
    tasks = _tasks(prompts)
    if tasks is not None:
        if labels is not None:
            raise UsageError(
                f"{option('labels')} goes with rows or a file of prompts; a task brings its own "
                "label words"
            )
        if not tasks:
            raise UsageError("there are no prompts: give a task, such as sst2, a file, or rows")
        return choices.prompt_sets(tasks, offline)
    if choices.named:
        told = ", ".join(option(name.replace("_", "-")) for name in choices.named)
        raise UsageError(f"these prompts are one finished set: {told} goes with tasks")
    if isinstance(prompts, PromptSet):
        return [prompts]
    if isinstance(prompts, (str, os.PathLike)):
        return [read_prompt_file(Path(prompts).expanduser(), labels)]
    return [prompts_of_rows(cast("Iterable[Mapping[str, Any]]", prompts), labels)]


def _tasks(prompts: Prompts) -> list[str] | None:
    """The names of tasks; None where the prompts are rows, a file or a set."""
    if isinstance(prompts, str) and (
        prompts.endswith(".yaml") or not (prompts.endswith(".jsonl") or Path(prompts).is_file())
    ):
        return [name.strip() for name in prompts.split(",") if name.strip()]
    if isinstance(prompts, (list, tuple)) and all(isinstance(one, str) for one in prompts):
        return list(prompts)
    return None


def _folder(path: StorePath | None) -> Path | None:
    return None if path is None else Path(path).expanduser()
