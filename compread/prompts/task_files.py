"""Reading a task's YAML file, with messages that name the file and the line.

    description: one line                           (required)
    license: of the data                            (optional)
    source:                                         (optional; without it, local data only)
      id: hub id, or a folder in hub layout
      config: name of the data set's configuration  (optional)
      revision: commit                              (optional)
      splits: {train: NAME, test: NAME}             (test alone, with demonstrations)
    access: how to get data that are not on the hub (optional)
    where: Jinja2 expression that a row must fulfil (optional)
    label: {field: NAME, values: [v0, v1, ...]}     (values in class order)
    demonstrations: TASK                            (optional; its train rows, templates, labels)
    fields: {TEMPLATE_NAME: ROW_NAME}               (optional; other names for a row's fields)
    instruction: Jinja2, before the demonstrations  (optional)
    shots: 4                                        (optional; 3 for three classes)
    budget: 24                                      (optional)
    templates:                                      (optional with demonstrations)
      ID:
        text: Jinja2
        labels: [" word0", ...]         or   {CLASS: [" word", " another"], ...}
        wording: where from                         (optional)
        contrast_of: ID                             (optional; a small edit of that template)

The task's name is the file's stem.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from compread.errors import PromptError
from compread.prompts.tasks import Source, Task, Template, default_shots
from compread.prompts.templates import check_expression, template_fields
from compread.prompts.verbalizers import Verbalizer
from compread.prompts.yaml_sections import Section, read_yaml

_OPTIONAL = (
    "license", "source", "access", "where", "demonstrations", "fields", "instruction", "shots",
    "budget",
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
    top = read_yaml(file)
    lends = "demonstrations" in top.values
    top.check_keys(
        ("description", "label", *(() if lends else ("templates",))),
        (*_OPTIONAL, *(("templates",) if lends else ())),
    )
    label = top.section("label")
    label.check_keys(("field", "values"))
    values = label.distinct("values", lambda v: isinstance(v, int | str), "numbers or texts")
    lender = _lender(top, load, len(values)) if lends else None
    return Task(
        name=file.stem,
        description=top.required_text("description"),
        source=_source(top.section("source"), lends) if "source" in top.values else None,
        label_field=label.required_text("field"),
        label_values=values,
        templates=_templates(top, len(values), lender),
        shots=top.count("shots", lender.shots if lender else default_shots(len(values))),
        budget=top.count("budget", lender.budget if lender else 24),
        license=top.text("license") or "",
        lender=lender,
        fields=_fields(top),
        instruction=_jinja(top, "instruction") or (lender.instruction if lender else ""),
        where=_where(top),
        access=top.text("access") or "",
    )


def _lender(top: Section, load: Callable[[str], Task], n_classes: int) -> Task:
    name = top.required_text("demonstrations")
    if name == top.file.stem:
        raise top.error("demonstrations", "names this very task; leave it out")
    try:
        lender = load(name)
    except PromptError as error:
        raise top.error("demonstrations", f"cannot be used: {error}") from error
    if lender.lender is not None:
        raise top.error("demonstrations", f"is {name!r}, which borrows its own: name that task")
    if len(lender.label_values) != n_classes:
        classes = f"{len(lender.label_values)} classes, but 'label.values' has {n_classes}"
        raise top.error("demonstrations", f"is {name!r} of {classes}")
    return lender


def _source(section: Section, lends: bool) -> Source:
    section.check_keys(("id", "splits"), ("config", "revision"))
    splits = section.section("splits")
    wanted = ("test",) if lends else ("train", "test")
    splits.check_keys(wanted)
    return Source(
        id=section.required_text("id"),
        splits={split: splits.required_text(split) for split in wanted},
        config=section.text("config"),
        revision=section.text("revision"),
    )


def _fields(top: Section) -> Mapping[str, str]:
    if "fields" not in top.values:
        return {}
    section = top.section("fields")
    return {name: section.required_text(name) for name in section.values}


def _where(top: Section) -> str:
    text = top.text("where") or ""
    try:
        check_expression(text)
    except PromptError as error:
        raise top.error("where", f"cannot be used: {error}") from error
    return text


def _templates(top: Section, n_classes: int, lender: Task | None) -> Mapping[str, Template]:
    if "templates" not in top.values and lender is not None:
        return lender.templates
    section = top.section("templates")
    found = {id: _template(id, section.section(id), n_classes) for id in section.values}
    for id, template in found.items():
        if template.contrast_of not in (None, *(set(found) - {id})):
            others = ", ".join(name for name in found if name != id)
            raise section.section(id).error(
                "contrast_of", f"is {template.contrast_of!r}, not another template: {others}"
            )
    if all(template.contrast_of for template in found.values()):
        raise top.error("templates", "has only contrasts: take out one 'contrast_of'")
    return found


def _template(template_id: str, section: Section, n_classes: int) -> Template:
    section.check_keys(("text", "labels"), ("wording", "contrast_of"))
    section.required_text("text")
    text = _jinja(section, "text")
    return Template(
        template_id,
        text,
        _verbalizer(section, n_classes),
        section.text("wording") or "",
        section.text("contrast_of"),
    )


def _jinja(section: Section, key: str) -> str:
    text = section.text(key) or ""
    try:
        template_fields(text)
    except PromptError as error:
        raise section.error(key, f"cannot be used: {error}") from error
    return text


def _verbalizer(section: Section, n_classes: int) -> Verbalizer:
    if not isinstance(section.values["labels"], dict):
        words = section.distinct("labels", _is_word, "words in quotes")
        if len(words) != n_classes:
            raise section.error("labels", f"has {len(words)} words for {n_classes} label values")
        return Verbalizer.of_words(words)
    classes = section.section("labels")
    if len(classes.values) != n_classes:
        raise section.error(
            "labels", f"has {len(classes.values)} classes for {n_classes} label values"
        )
    seen: dict[str, str] = {}
    for name, words in classes.values.items():
        if not isinstance(words, list) or not words or not all(map(_is_word, words)):
            raise classes.error(name, f"is {words!r}, not a list of words in quotes")
        for word in words:
            if word in seen:
                raise classes.error(name, f"has {word!r}, which {seen[word]!r} has already")
            seen[word] = name
    return Verbalizer(tuple(classes.values), tuple(map(tuple, classes.values.values())))


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""
