"""The tasks that there are, by name: the built-in ones and those of a user's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from compread.errors import PromptError
from compread.prompts.task_files import read_task_file, task_mistakes
from compread.prompts.tasks import Task, no_such
from compread.text import listed, nearest

BUILT_IN = Path(__file__).with_name("tasks")
_ENDING = ".yaml"


def task_names(include_path: Path | None = None) -> tuple[str, ...]:
    """Names of the tasks that ``load_task`` knows, sorted."""
    return tuple(sorted(_task_files(include_path)))


def load_task(name: str, include_path: Path | None = None, any_subject: bool = False) -> Task:
    """Read a task by its name; a file in ``include_path`` goes before a built-in one.

    A name that neither has may be a file of the working folder, ``NAME.yaml``; a name that ends in
    ``.yaml`` is the path of a task's file. A task of several subjects is named with one of them:
    ``mmlu:anatomy``; with ``any_subject`` it need not, and its data cannot be loaded then.

    Raises:
        PromptError: no such task or subject (the nearest name is suggested), a subject that is not
            named, or a mistake in the task's file.
    """
    files = _task_files(include_path)
    if name.endswith(_ENDING):
        file = Path(name).expanduser()
        name, files = file.stem, {**_task_files(_folder_of(file)), file.stem: file}
    base, _, subject = name.partition(":")
    here = Path(f"{base}{_ENDING}")
    if base not in files and here.name == str(here) and here.is_file():
        files = {**files, base: here}
    if subject and name not in files:
        return _load(base, files).of_subject(subject)
    task = _load(name, files)
    if task.source and task.source.subjects and not any_subject:
        known = listed(task.source.subjects, 3)
        raise PromptError(
            f"task {name!r} has {len(task.source.subjects)} subjects: name one, as in "
            f"{name}:{task.source.subjects[0]}; they are {known}"
        )
    return task


def every_task(include_path: Path | None = None) -> Iterator[tuple[str, Task | PromptError]]:
    """Each task that ``task_names`` names, in its order, or why its file cannot be used.

    The folder is listed once: it may hold thousands of files of another program.
    """
    files = _task_files(include_path)
    for name in sorted(files):
        try:
            yield name, _load(name, files)
        except PromptError as error:
            yield name, error


def _load(name: str, files: Mapping[str, Path]) -> Task:
    if name not in files:
        here = [file.stem for file in Path().glob(f"*{_ENDING}") if nearest(name, [file.stem])]
        raise PromptError(no_such(f"task {name!r}", name, sorted({*files, *here})))
    return read_task_file(files[name], lambda other: _load(other, files))


def mistakes_in(file: Path) -> list[str]:
    """Every mistake of a task file, with its line and the fix; none where it can be used.

    Tasks that it borrows demonstrations from may stand beside it.
    """
    return task_mistakes(file, lambda other: load_task(other, file.absolute().parent))


def _folder_of(file: Path) -> Path:
    """The folder of a task's file, where tasks that it borrows from may be."""
    if not file.is_file():
        raise PromptError(f"there is no task's file {file}")
    return file.absolute().parent


def _task_files(include_path: Path | None) -> dict[str, Path]:
    if include_path is not None and not include_path.is_dir():
        raise PromptError(f"{include_path} is not a folder: give the folder that holds TASK.yaml")
    if include_path is not None and not os.access(include_path, os.R_OK | os.X_OK):
        raise PromptError(f"{include_path} cannot be read: give a folder that this user may read")
    folders = [BUILT_IN] if include_path is None else [BUILT_IN, include_path]
    return {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}
