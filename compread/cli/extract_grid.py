"""Which runs the options of ``extract`` ask for: their prompt sets, checkpoints and targets."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compread.cli.values import comma_list, number_ranges
from compread.errors import TargetError, UsageError

if TYPE_CHECKING:
    from compread.prompts import Nearest, PromptSet, Task


LONGEST_NAME = 230
"""Bytes of a store's name; a file system takes 255, and a journal's ending comes behind."""


@dataclass(frozen=True)
class PromptChoices:
    """What the options say about prompts."""

    tasks: Sequence[str] | None = None
    prompts: str | None = None
    templates: str | None = None
    seeds: str | None = None
    shots: int | None = None
    n_train: int | None = None
    limit: int | None = None
    labels: str | None = None
    demo_labels: str | None = None
    nearest: bool = False
    embedder: str | None = None
    data_dir: Path | None = None
    include_path: Path | None = None
    offline: bool = False
    calibration: bool = False

    def prompt_sets(self) -> list[PromptSet]:
        """The grid of prompt sets, task by task.

        Raises:
            UsageError: choices that exclude each other or lack one they need.
            PromptError: a task, template, file or row that cannot be used.
        """
        if bool(self.tasks) == bool(self.prompts):
            raise UsageError("give either --tasks or --prompts: what should the model be run on?")
        if self.nearest != (self.embedder is not None):
            raise UsageError(
                "--prompt-selection nearest and --embedder go together: the one needs the other"
            )
        return self._of_file(self.prompts) if self.prompts else self._of_tasks()

    def _of_file(self, file: str) -> list[PromptSet]:
        from compread.prompts import read_prompt_file

        alone = (
            self.shots, self.n_train, self.limit, self.templates, self.data_dir, self.demo_labels,
            self.embedder, self.include_path, self.seeds,
        )  # fmt: skip
        if any(value is not None for value in alone) or self.calibration:
            raise UsageError(
                "--prompts has finished prompts, so leave out what makes prompts of --tasks: "
                "--templates, --seeds, --num-fewshot, --n-train, --limit, --demo-labels, "
                "--prompt-selection, --calibration-prompts, --include-path and --data-dir"
            )
        if file == "-" and os.environ.get("WORLD_SIZE", "1") != "1":
            raise UsageError(
                "--prompts -: several processes cannot all read standard input; write the prompts "
                "to a file and give its path"
            )
        words = [word.split("|") for word in self.labels.split(",")] if self.labels else None
        return [read_prompt_file(file, words)]

    def _of_tasks(self) -> list[PromptSet]:
        from compread.prompts import is_lm_eval, load_embedder, load_task, prompt_sets

        if self.labels:
            raise UsageError("--labels goes with --prompts; a task brings its own label words")
        names = dict.fromkeys(comma_list(self.tasks or []))
        if not names:
            raise UsageError("--tasks is empty: expected names of tasks, such as sst2")
        foreign = [name for name in names if is_lm_eval(name)]
        tasks = [load_task(name, self.include_path) for name in names if name not in foreign]
        templates = self._templates(tasks) if tasks else []
        seeds = number_ranges("--seeds", "0" if self.seeds is None else self.seeds)
        classes = number_list("--demo-labels", self.demo_labels)
        nearest: Nearest | None = None
        if self.embedder is not None:
            nearest = load_embedder(self.embedder, self.offline)
        sets = [one for name in foreign for one in self._of_lm_eval(name)]
        for task, wanted in zip(tasks, templates, strict=True):
            if wanted:
                sets += prompt_sets(
                    task,
                    wanted,
                    seeds,
                    shots=self.shots,
                    n_train=self.n_train,
                    limit=self.limit,
                    data_dir=self.data_dir,
                    offline=self.offline,
                    demo_labels=classes,
                    nearest=nearest,
                    calibration=self.calibration,
                )
        return sets

    def _of_lm_eval(self, name: str) -> list[PromptSet]:
        from compread.prompts import lm_eval_sets, refuse_choices

        refuse_choices(name, {
            "templates": self.templates, "demo-labels": self.demo_labels,
            "prompt-selection": self.nearest, "calibration-prompts": self.calibration,
            "data-dir": self.data_dir,
        })  # fmt: skip
        return lm_eval_sets(
            name,
            None if self.seeds is None else number_ranges("--seeds", self.seeds),
            shots=self.shots,
            n_train=self.n_train,
            limit=self.limit,
            include_path=self.include_path,
            offline=self.offline,
        )

    def _templates(self, tasks: Sequence[Task]) -> list[list[str]]:
        """The template ids of each task; an id need not be one of every task's."""
        if self.templates is None:
            return [list(task.templates)[:1] for task in tasks]
        wanted = comma_list([self.templates])
        if not wanted:
            raise UsageError("--templates is empty: expected template ids, or all")
        groups = ("all", "contrast")
        for name in wanted:
            if name not in groups and not any(name in task.templates for task in tasks):
                tasks[0].template(name)  # raises, with the nearest name
        chosen = []
        for task in tasks:
            known = [name for name in wanted if name in groups or name in task.templates]
            if not known:
                task.template(wanted[0])
            chosen.append(task.chosen_templates(known))
        if not any(chosen):
            names = ", ".join(task.name for task in tasks)
            raise UsageError(f"--templates {self.templates}: {names} has no contrast template")
        return chosen


@dataclass(frozen=True)
class Checkpoint:
    """A model to load: its name for the loader and its revision."""

    model: str
    revision: str | None
    label: str | None = None
    """What the stores' names say of it; None: there is only one."""


def checkpoints(model: str, revision: str | None, revisions: str | None) -> list[Checkpoint]:
    """The checkpoints that ``--model``, ``--revision`` and ``--revisions`` ask for.

    Raises:
        UsageError: both options, none named, a single file, or a folder without such subfolders.
    """
    if revisions is None:
        return [Checkpoint(model, revision)]
    if revision is not None:
        raise UsageError("--revision and --revisions: give one of them")
    names = list(dict.fromkeys(comma_list([revisions])))
    if not names:
        raise UsageError("--revisions is empty: expected revisions, such as step1000,step4000")
    if model.endswith(".gguf"):
        raise UsageError(f"--revisions: {model} is a single file; give a hub id or a folder")
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return [Checkpoint(model, name, name) for name in names]
    for name in names:
        if not (folder / name).is_dir():
            raise UsageError(f"--revisions {name}: {folder} has no such subfolder")
    return [Checkpoint(str(folder / name), None, name) for name in names]


def targets(output: Path, names: Sequence[str], points: Sequence[Checkpoint]) -> list[list[Path]]:
    """Where each run's store goes, checkpoint by checkpoint.

    Args:
        output: a ``.h5`` path or a folder.
        names: the runs' own file names.
        points: the checkpoints; their labels go into the names.

    Raises:
        UsageError: one path for several runs, or two runs whose names are one file.
        TargetError: the folder is a file.
    """
    n = len(names) * len(points)
    if output.suffix == ".h5":
        if n > 1:
            raise UsageError(
                f"{output} is one store, but these options ask for {n} runs; give a folder"
            )
        return [[output]]
    if output.is_file():
        raise TargetError(f"{output} is a file; give a .h5 path or a folder")
    made = [[_with_label(name, point.label) for name in names] for point in points]
    _check_apart([name for named in made for name in named], output)
    return [[output / name for name in named] for named in made]


def number_list(option: str, text: str | None) -> list[int] | None:
    """``"0,0,1"`` -> ``[0, 0, 1]``: order and repeats are kept.

    Raises:
        UsageError: something else than numbers.
    """
    if text is None:
        return None
    parts = comma_list([text])
    if not parts or not all(part.isdecimal() for part in parts):
        raise UsageError(f"{option} {text}: expected numbers, such as 0,0,0,0")
    return [int(part) for part in parts]


def _check_apart(names: Sequence[str], folder: Path) -> None:
    """Refuse runs that would overwrite each other on some file system, and names beyond all."""
    from compread.prompts.names import one_file

    if pair := one_file(names):
        raise UsageError(
            f"two of these runs are one file of {folder} ({pair[0]!r} and {pair[1]!r}, upper and "
            "lower case apart): give each an -o of its own, or rename a task or template"
        )
    longest = max(names, key=lambda name: len(name.encode()))
    if len(longest.encode()) > LONGEST_NAME:
        raise UsageError(
            f"the store's name {longest[:40]!r}... has {len(longest.encode())} bytes, over "
            f"{LONGEST_NAME}: shorten the names of task, template or revision"
        )


def _with_label(name: str, label: str | None) -> str:
    if label is None:
        return name
    return f"{name.removesuffix('.h5')}-{re.sub(r'[^A-Za-z0-9_.]', '_', label)}.h5"
