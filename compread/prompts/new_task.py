"""A task file for rows of a user's own: its classes as they are found, two templates to edit.

What is written is a task that runs as it stands; its label words are the values of the label
column, which people seldom want to keep.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compread.errors import PromptError, UsageError
from compread.prompts.local_files import Row, half, read_rows
from compread.prompts.names import check_name
from compread.prompts.sampling import make_pools
from compread.prompts.tasks import Label, Source, Task, Template, Verbalizer, default_shots, no_such
from compread.prompts.templates import template_fields
from compread.text import listed, printable

MOST_CLASSES = 200
"""Values of a label column; more of them are texts or ids."""
_SHOWN = 12
"""Classes or columns that a message names."""

Value = int | str | bool


@dataclass(frozen=True)
class NewTask:
    """A task made from a file, and what its author should know of it."""

    task: Task
    text: str
    """Of the YAML file."""
    counts: Mapping[str, int]
    """Rows of each class, by its name."""
    train: Mapping[str, int]
    """Those of the train half that differ in what the templates read, by the class's name."""
    test: Mapping[str, int]
    rows: int
    """Rows of the file."""
    unused: int
    """Rows without a text or a label."""
    edits: Mapping[str, tuple[int, ...]]
    """What to edit, and the lines it stands in."""


def new_task(
    name: str,
    file: Path,
    texts: Sequence[str],
    label: str,
    folder: Path | None = None,
    ids: str = "",
) -> NewTask:
    """The task ``name`` on the rows of one file.

    Args:
        name: of the task; its file will be ``NAME.yaml``.
        file: CSV, JSON Lines or parquet.
        texts: the columns that a prompt shows, in order.
        label: the column with the class.
        folder: where the task's file will be; None: the working folder.
        ids: the column with what each row is called; empty: its place in the file.

    Raises:
        PromptError: the name is none of a file, the file cannot be read or lacks a column, the
            label column is none of classes, a class has too few rows, or an id is missing or
            stands twice.
        UsageError: the label among the texts, a text twice, or no text.
    """
    check_name(name, "task's name")
    if not texts or label in texts or len(set(texts)) < len(texts):
        given = listed(list(texts), _SHOWN) or "none"
        raise UsageError(
            f"the text columns are {given} and the label column {label}: expected one text column "
            "or more, each once, and another column for the label"
        )
    rows = read_rows(file)
    _check_columns(file, rows, (*texts, label, *([ids] if ids else [])), texts)
    needed = (*texts, label)
    gaps = [column for column in needed if any(_is_empty(row.get(column)) for row in rows)]
    whole = [row for row in rows if not any(_is_empty(row.get(column)) for column in gaps)]
    counts = _counts(file, label, whole)
    place = _seen_from(file, folder or Path())
    source = Source(id=place, splits={}, file=(folder or Path()) / place)
    draft = replace(_draft(name, source, texts, Label(label, tuple(counts)), gaps), id=ids)
    pools = make_pools(draft, half(rows, "train"), half(rows, "test"))
    names = [class_name(value) for value in counts]
    train, test = ([len(queue) for queue in pool.queues] for pool in (pools.train, pools.test))
    _check_enough(file, names, train, test)
    made = _within_budget(draft, min(train))
    text, edits = _written(made, file, dict(zip(names, counts.values(), strict=True)))
    return NewTask(
        task=made,
        text=text,
        counts=dict(zip(names, counts.values(), strict=True)),
        train=dict(zip(names, train, strict=True)),
        test=dict(zip(names, test, strict=True)),
        rows=len(rows),
        unused=len(rows) - len(whole),
        edits=edits,
    )


def class_name(value: Value) -> str:
    """What the class of a label's value is called: ``class_name(True)`` is ``"true"``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_columns(
    file: Path, rows: Sequence[Row], named: Sequence[str], texts: Sequence[str]
) -> None:
    if not rows:
        raise PromptError(f"{file} has no rows; expected some, each with a text and a label")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    for column in named:
        if column not in columns:
            raise PromptError(no_such(f"column {column!r} in {file}", column, columns))
    for column in texts:
        for number, row in enumerate(rows):
            if isinstance(row.get(column), list | dict):
                raise PromptError(
                    f"{file}: row {number} has {row[column]!r:.60} for {column!r}; a text column "
                    "has texts or numbers"
                )


def _is_empty(value: object) -> bool:
    """Whether a cell has nothing to read; a table's empty one can be "not a number"."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _counts(file: Path, label: str, rows: Sequence[Row]) -> dict[Value, int]:
    """The label's values in order, and how many rows have each."""
    found: Counter[Value] = Counter()
    spelt: dict[str, Value] = {}
    for number, row in enumerate(rows):
        value = row[label]
        if isinstance(value, float) and value.is_integer():  # integers of a column with gaps
            value = int(value)
        if not isinstance(value, bool | int | str):
            raise PromptError(
                f"{file}: the label {label!r} is {value!r:.60} in row {number}; expected texts, "
                "whole numbers, or true and false"
            )
        # Python takes True for 1, and a word of the prompt is no other for its spaces.
        before = spelt.setdefault(_word(class_name(value)), value)
        if class_name(before) != class_name(value) or type(before) is not type(value):
            raise PromptError(
                f"{file}: the label {label!r} has both {before!r:.60} and {value!r:.60}, which a "
                "prompt cannot tell apart; write them alike"
            )
        found[value] += 1
    kinds = set(map(type, spelt.values()))
    if {bool, int} <= kinds:
        raise PromptError(
            f"{file}: the label {label!r} has both numbers and truth values; write them alike"
        )
    values = sorted(found, key=lambda value: (isinstance(value, str), value))
    if len(values) < 2:
        raise PromptError(
            f"{file}: the label {label!r} has {listed([*map(repr, values)], 1) or 'no value'} "
            "alone; expected two classes or more"
        )
    if len(values) > min(MOST_CLASSES, len(rows) / 2):
        raise PromptError(
            f"{file}: the label {label!r} has {len(values):,} values in {len(rows):,} rows, such "
            f"as {values[0]!r:.60}; expected {MOST_CLASSES} classes at most, of two rows or more: "
            "name another column"
        )
    return {value: found[value] for value in values}


def _check_enough(
    file: Path, names: Sequence[str], train: Sequence[int], test: Sequence[int]
) -> None:
    """See that each class has a row to show and one to test on."""
    rare = [name for name, a, b in zip(names, train, test, strict=True) if a < 1 or b < 1]
    if rare:
        raise PromptError(
            f"{file}: too few rows of {listed([*map(repr, rare)], _SHOWN)}: of each class, one or "
            "more must fall into either half of the file (a row's hash decides); add rows, or "
            "take that class out of the file"
        )


def _seen_from(file: Path, folder: Path) -> str:
    """The file's path as the task's file in ``folder`` has it: absolute where it was given so."""
    try:
        inside = file.resolve().relative_to(folder.resolve())
    except ValueError:
        return str(file) if file.is_absolute() else os.path.relpath(file, folder)
    return inside.as_posix()


def _draft(
    name: str, source: Source, texts: Sequence[str], label: Label, gaps: Sequence[str]
) -> Task:
    asked = _fields((*texts, label.field))
    shown = "\n".join(f"{_heading(column)}: {{{{ {asked[column]} | trim }}}}" for column in texts)
    names = tuple(map(class_name, label.values))
    words = Verbalizer(names, tuple((f" {_word(one)}",) for one in names))
    plain = "{" not in "".join(names)  # which Jinja2 might read as its own
    said = [*map(_word, names)]
    question = f"Which is it: {', '.join(said[:-1])} or {said[-1]}?" if plain else "Which is it?"
    told = [f"{asked[of]} is defined and {asked[of]} | string | trim != ''" for of in gaps]
    return Task(
        name=name,
        description=f"{label.field} of the rows of {Path(source.id).name}",
        source=source,
        label=label,
        templates={
            "plain": Template("plain", f"{shown}\n{_heading(label.field)}:", words),
            "question": Template("question", f"{shown}\n{question}\nAnswer:", words),
        },
        shots=default_shots(label.n_classes),
        fields={field: column for column, field in asked.items() if field != column},
        where=" and ".join(told),
    )


def _fields(columns: Sequence[str]) -> dict[str, str]:
    """The name that templates call each column by; Jinja2 has no word for some."""
    found: dict[str, str] = {}
    for column in columns:
        plain = "".join(c if c.isalnum() and c.isascii() else "_" for c in column).strip("_")
        options = [column, f"column_{plain}", *(f"column_{n}" for n in range(len(columns) + 1))]
        found[column] = next(
            name for name in options if _is_variable(name) and name not in found.values()
        )
    return found


def _is_variable(name: str) -> bool:
    if not name.isidentifier():
        return False
    try:
        return template_fields(f"{{{{ {name} }}}}") == {name}
    except PromptError:  # a word of Jinja2's own
        return False


def _heading(column: str) -> str:
    """A column's name as a prompt has it: ``review_text`` is ``Review text``."""
    said = " ".join(column.replace("_", " ").replace("{", " ").replace("}", " ").split())
    return said[:1].upper() + said[1:] or "Text"


def _word(name: str) -> str:
    return " ".join(name.split())


def _within_budget(task: Task, rarest: int) -> Task:
    """The task with as many shots and labelled examples as the rarest class has rows for."""
    k = task.label.n_classes
    most = rarest * k
    shots = min(task.shots, most)
    return replace(task, shots=shots, budget=min(max(task.budget, shots), most))


def _written(
    task: Task, file: Path, counts: Mapping[str, int]
) -> tuple[str, dict[str, tuple[int, ...]]]:
    """The YAML text, and the lines of what to edit."""
    lines: list[str] = []
    edits: dict[str, list[int]] = {"the description": [], "the texts": [], "the label words": []}

    def add(line: str, edit: str | None = None) -> None:
        lines.append(line)
        if edit:
            edits[edit].append(len(lines))

    source = task.source.id if task.source else ""
    add(f"# Written by compread tasks new from {printable(file.name)}.")
    add(f"description: {_quoted(task.description)}", "the description")
    add(f"source: {{file: {_quoted(source)}}}  # each row's hash puts it into train or test")
    if task.where:
        add(f"where: {_quoted(task.where)}  # some rows have no text or no label")
    if task.id:
        add(f"id: {_quoted(task.id)}")
    if task.fields:
        pairs = ", ".join(f"{name}: {_quoted(of)}" for name, of in task.fields.items())
        add(f"fields: {{{pairs}}}")
    add("label:")
    add(f"  field: {_quoted(task.label.field)}")
    add("  values:")
    for value, (name, n) in zip(task.label.values, counts.items(), strict=True):
        given = _quoted(value) if isinstance(value, str) else name
        add(f"    - {given}  # {n:,} rows")
    if task.shots != default_shots(task.label.n_classes):
        add(f"shots: {task.shots}  # more would need more rows of the rarest class")
    if task.budget != Task.budget:
        add(f"budget: {task.budget}  # labelled examples, of which the shots are some")
    add("templates:")
    for template in task.templates.values():
        add(f"  {template.id}:")
        add(f"    text: {_quoted(template.text)}", "the texts")
        add("    labels:  # class: [what the model should say, ...], each with its space")
        for name, words in zip(template.verbalizer.classes, template.verbalizer.words, strict=True):
            add(f"      {_quoted(name)}: [{_quoted(words[0])}]", "the label words")
    return "\n".join(lines) + "\n", {what: tuple(at) for what, at in edits.items()}


def _quoted(text: str) -> str:
    """A text as YAML has it between double quotes."""
    import yaml

    dumped: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))
    return dumped.rstrip("\n")
