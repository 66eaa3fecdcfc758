"""Reading a task's YAML file, with messages that name the file and the line.

    description: one line                           (required)
    license: of the data                            (optional)
    source:                                         (optional; without it, local data only)
      id: hub id, or a folder in hub layout
      config: name of the data set's configuration  (optional)
      subjects: [CONFIG, ...]                       (optional; one is named as in TASK:CONFIG)
      revision: commit                              (optional)
      splits: {train: NAME, test: NAME}             (test alone, with demonstrations)
                                      or, instead of these: one file, half train and half test
      file: NAME.csv, .jsonl or .parquet            (seen from the task's file)
    access: how to get data that are not on the hub (optional)
    where: Jinja2 expression that a row must fulfil (optional)
    label: {field: NAME, values: [v0, v1, ...]}     (values in class order)
                                      or, without classes: the right option's place, from 0
    label: {index: Jinja2 expression}
    id: NAME                                        (optional; the field with each row's id)
    demonstrations: TASK                            (optional; its train rows, templates, labels)
    fields: {TEMPLATE_NAME: ROW_NAME}               (optional; other names for a row's fields)
    instruction: Jinja2, before the demonstrations  (optional)
    shots: 4                                        (optional; 3 for three classes)
    budget: 24                                      (optional)
    templates:                                      (optional with demonstrations)
      ID:
        text: Jinja2
        labels: [" word0", ...]         or   {CLASS: [" word", " another"], ...}
                                      or, instead of them: options of each row's own
        options: Jinja2 expression, a list
        answer: Jinja2 of an option as it is read   (optional; " {{ option | trim }}")
        wording: where from                         (optional)
        contrast_of: ID                             (optional; a small edit of that template)
        unconditional: text                         (optional; of extract --unconditional)

The task's name is the file's stem.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from compread.errors import PromptError
from compread.prompts.names import name_fault
from compread.prompts.tasks import Label, Source, Task, default_shots
from compread.prompts.template_files import oddities, read_expression, read_jinja, read_templates
from compread.prompts.yaml_reader import Section, read_yaml
from compread.text import nearest

T = TypeVar("T")

_OPTIONAL = (
    "license", "source", "access", "where", "id", "demonstrations", "fields", "instruction",
    "shots", "budget",
)  # fmt: skip


def read_task_file(file: Path, load: Callable[[str], Task]) -> Task:
    """Read and check one task file.

    Args:
        file: the file.
        load: gives the task that ``demonstrations`` names.

    Raises:
        PromptError: unreadable, not YAML, an unknown or missing key, a value of the wrong kind, a
            template that is not Jinja2, or label words that do not fit the classes.
    """
    mistakes: list[PromptError] = []
    task = _read(file, load, mistakes)
    if mistakes or task is None:
        raise mistakes[0]
    return task


def task_mistakes(file: Path, load: Callable[[str], Task]) -> list[str]:
    """Every mistake of a task file, a line of text each; none: ``read_task_file`` reads it."""
    mistakes: list[PromptError] = []
    try:
        task = _read(file, load, mistakes)
    except PromptError as error:
        return [str(error)]
    if not mistakes and task is not None:
        mistakes += oddities(file, task)
    return list(dict.fromkeys(map(str, mistakes)))


def _read(file: Path, load: Callable[[str], Task], mistakes: list[PromptError]) -> Task | None:
    """The task, where nothing is wrong; every mistake is added to ``mistakes``."""
    top = read_yaml(file)
    fault = name_fault(file.stem)
    if fault:
        mistakes.append(PromptError(f"{file}: the task's name {fault}; rename the file"))

    def attempt(read: Callable[[], T], default: T) -> T:
        try:
            return read()
        except PromptError as error:
            mistakes.append(error)
            return default

    lends = "demonstrations" in top.values
    optional = (*_OPTIONAL, "templates") if lends else _OPTIONAL
    required = ("description", "label") if lends else ("description", "label", "templates")
    mistakes += top.key_mistakes(required, optional)
    description = attempt(lambda: top.text("description"), None) or ""
    label: Label | None = attempt(lambda: _label(top), None)
    lender = attempt(partial(_lender, top, load, label), None) if lends and label else None
    templates = read_templates(top, label, lender, attempt) if label else {}
    source = (
        attempt(lambda: _source(top.section("source"), lends), None)
        if ("source" in top.values)
        else None
    )
    label = label or Label()
    default = lender.shots if lender else default_shots(label.n_classes)
    task = Task(
        name=file.stem,
        description=description,
        source=source,
        label=label,
        templates=templates,
        shots=attempt(lambda: top.count("shots", default), 0),
        budget=attempt(lambda: top.count("budget", lender.budget if lender else 24), 0),
        license=attempt(lambda: top.text("license"), None) or "",
        lender=lender,
        id=attempt(lambda: top.text("id"), None) or "",
        fields=attempt(lambda: _fields(top), {}),
        instruction=attempt(lambda: read_jinja(top, "instruction"), "")
        or (lender.instruction if lender else ""),
        where=attempt(lambda: read_expression(top, "where"), ""),
        access=attempt(lambda: top.text("access"), None) or "",
    )
    return None if mistakes else task


def _label(top: Section) -> Label:
    label = top.section("label")
    if any(nearest(str(key), ("field", "values", "index")) == "index" for key in label.values):
        label.check_keys(("index",))
        label.required_text("index")
        return Label(index=read_expression(label, "index"))
    label.check_keys(("field", "values"))
    values = label.distinct("values", lambda v: isinstance(v, int | str), "numbers or texts")
    return Label(label.required_text("field"), values)


def _lender(top: Section, load: Callable[[str], Task], label: Label) -> Task:
    name = top.text("demonstrations") or ""
    if name == top.file.stem:
        raise top.error("demonstrations", "names this very task; leave it out")
    try:
        lender = load(name)
    except PromptError as error:
        raise top.error("demonstrations", f"cannot be used: {error.message}") from error
    if lender.lender is not None:
        raise top.error("demonstrations", f"is {name!r}, which borrows its own: name that task")
    if lender.source and lender.source.subjects:
        raise top.error("demonstrations", f"is {name!r}, which has subjects: name another task")
    theirs, ours = (len(one.values) for one in (lender.label, label))
    if theirs != ours:
        raise top.error(
            "demonstrations",
            f"is {name!r} of {theirs or 'no'} classes, but this task has {ours or 'none'}",
        )
    return lender


def _source(section: Section, lends: bool) -> Source:
    if "file" in section.values:
        section.check_keys(("file",))
        name = section.required_text("file")
        return Source(id=name, splits={}, file=section.file.parent / Path(name).expanduser())
    section.check_keys(("id", "splits"), ("config", "revision", "subjects"))
    if "subjects" in section.values and "config" in section.values:
        raise section.error("subjects", "are configurations, so there is no 'config' beside them")
    splits = section.section("splits")
    wanted = ("test",) if lends else ("train", "test")
    splits.check_keys(wanted)
    return Source(
        id=section.required_text("id"),
        splits={split: splits.required_text(split) for split in wanted},
        config=section.text("config"),
        revision=section.text("revision"),
        subjects=_subjects(section),
    )


def _subjects(section: Section) -> tuple[str, ...]:
    if "subjects" not in section.values:
        return ()
    found = section.distinct("subjects", lambda value: isinstance(value, str), "texts")
    for subject in found:
        if fault := name_fault(subject):
            raise section.error("subjects", f"has a name that is none: {fault}")
    return found


def _fields(top: Section) -> Mapping[str, str]:
    if "fields" not in top.values:
        return {}
    section = top.section("fields")
    return {name: section.required_text(name) for name in section.values}
