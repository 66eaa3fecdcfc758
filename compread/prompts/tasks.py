"""Classification tasks as data: where their rows come from, their classes and their templates.

A task is one YAML file, built in (``compread/prompts/tasks/NAME.yaml``) or the user's own; its
keys are those of ``task_files.read_task_file``. Nothing about a single task is in code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from compread.errors import PromptError

BUILT_IN = Path(__file__).with_name("tasks")


@dataclass(frozen=True)
class Template:
    """A wording of the task: how a row becomes a prompt, and the word of each class."""

    id: str
    text: str
    """Jinja2 source of the input over the row's fields; it ends right before the label."""
    labels: tuple[str, ...]
    """[K] exact continuations in column order, leading space included."""
    wording: str = ""
    """Where the wording comes from."""


@dataclass(frozen=True)
class Source:
    """A data set on the Hugging Face hub, or a local folder laid out as one."""

    id: str
    splits: Mapping[str, str]
    """The data set's name of our ``train`` and of our ``test`` split."""
    config: str | None = None
    revision: str | None = None
    """Pinned commit, or None for the newest."""


@dataclass(frozen=True)
class Task:
    """One classification task with K classes."""

    name: str
    description: str
    source: Source | None
    """None: the rows come from ``--data-dir`` alone."""
    label_field: str
    label_values: tuple[int | str | bool, ...]
    """[K] values of the label field in column order."""
    templates: Mapping[str, Template]
    shots: int
    """Demonstrations in a prompt by default."""
    budget: int = 24
    """Labelled examples in all, demonstrations included (the paper's K, section 5.1)."""
    license: str = ""

    def template(self, template_id: str) -> Template:
        """The template of that id.

        Raises:
            PromptError: the task has no such template.
        """
        if template_id not in self.templates:
            what = f"template {template_id!r} of task {self.name!r}"
            raise PromptError(_unknown(what, template_id, self.templates))
        return self.templates[template_id]

    def train_rows(self, shots: int) -> int:
        """Train rows by default: what ``shots`` demonstrations leave of the budget."""
        return max(0, self.budget - shots)


def default_shots(n_classes: int) -> int:
    """The most balanced demonstrations up to four, one a class at least (paper, section 3).

    ``[default_shots(k) for k in (2, 3, 4, 5)]`` is ``[4, 3, 4, 5]``.
    """
    return max(4 // n_classes, 1) * n_classes


def task_names(include_path: Path | None = None) -> tuple[str, ...]:
    """Names of the tasks that ``load_task`` knows, sorted."""
    return tuple(sorted(_task_files(include_path)))


def load_task(name: str, include_path: Path | None = None) -> Task:
    """Read a task by its name; a file in ``include_path`` goes before a built-in one.

    Raises:
        PromptError: no such task (the nearest name is suggested), or a mistake in its file.
    """
    from compread.prompts.task_files import read_task_file

    files = _task_files(include_path)
    if name not in files:
        raise PromptError(_unknown(f"task {name!r}", name, sorted(files)))
    return read_task_file(files[name])


def _task_files(include_path: Path | None) -> dict[str, Path]:
    if include_path is not None and not include_path.is_dir():
        raise PromptError(f"{include_path} is not a folder: give the folder that holds TASK.yaml")
    folders = [BUILT_IN] if include_path is None else [BUILT_IN, include_path]
    return {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"there is no {what}: {hint}known are {', '.join(known)}"
