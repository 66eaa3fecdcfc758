"""The templates of a task's YAML file: texts, label words or options, contrasts, oddities."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from compread.errors import PromptError
from compread.prompts.names import name_fault, one_file
from compread.prompts.tasks import Label, Task, Template, Verbalizer
from compread.prompts.templates import expression_fields, template_fields
from compread.prompts.yaml_reader import Section, read_yaml, shown_value
from compread.text import nearest

_JINJA = re.compile(r"{{.*?}}|{%.*?%}|{#.*?#}", re.DOTALL)
ANSWER = " {{ option | trim }}"
"""How an option stands behind the text unless the template says otherwise."""
_OWN = ("options", "answer")
_KEYS = ("text", "labels", "wording", "contrast_of", "unconditional", *_OWN)
_SINGLE_BRACES = re.compile(r"{\s*([A-Za-z_]\w*)\s*}")


def read_templates(
    top: Section,
    label: Label,
    lender: Task | None,
    attempt: Callable[[Callable[[], Any], Any], Any],
) -> Mapping[str, Template]:
    """The templates by id: the file's own, else the lender's.

    Args:
        top: the whole file.
        label: how the task's rows are labelled.
        lender: the task that lends its demonstrations.
        attempt: runs a reader and keeps its complaint; gives the default then.
    """
    if "templates" not in top.values:
        return lender.templates if lender else {}
    section = attempt(lambda: top.section("templates"), None)
    found: dict[str, Template] = {}
    for id in section.values if section else ():
        fault = name_fault(id)
        if fault:
            attempt(partial(_raise, section.error(id, f"has an id that is no name: {fault}")), None)
            continue
        template = attempt(partial(_named_template, section, id, label), None)
        if template is not None:
            found[id] = template
    if pair := one_file(found):
        same = f"is one file with {pair[0]!r} on some systems; choose another id"
        attempt(partial(_raise, top.section("templates").error(pair[1], same)), None)
    for id, template in found.items():
        attempt(partial(_check_contrast, section, id, template), None)
    if found and all(template.contrast_of for template in found.values()):
        wrong = top.error("templates", "has only contrasts: take out one 'contrast_of'")
        attempt(partial(_raise, wrong), None)
    return found


def _named_template(section: Section, id: str, label: Label) -> Template:
    return _template(id, section.section(id), label)


def _check_contrast(section: Section, id: str, template: Template) -> None:
    others = [name for name in section.values if name != id]
    if template.contrast_of not in (None, *others):
        known = ", ".join(others)
        raise section.section(id).error(
            "contrast_of", f"is {template.contrast_of!r}, not another template: {known}"
        )


def _raise(error: PromptError) -> None:
    raise error


def _template(template_id: str, section: Section, label: Label) -> Template:
    # A misspelt key is told with those that were meant.
    meant = section.values if "labels" in section.values else map(_meant, section.values)
    own = not set(_OWN).isdisjoint(meant)
    needed, more = ("options", ("answer",)) if own else ("labels", ())
    section.check_keys(("text", needed), ("wording", "contrast_of", "unconditional", *more))
    section.required_text("text")
    text = read_jinja(section, "text")
    options = answer = ""
    if own:
        section.required_text("options")
        options = read_expression(section, "options")
        answer = read_jinja(section, "answer") or ANSWER
    return Template(
        template_id,
        text,
        Verbalizer((), ()) if own else _verbalizer(section, len(label.values) or None),
        section.text("wording") or "",
        section.text("contrast_of"),
        options,
        answer,
        section.text("unconditional") or "",
    )


def _meant(key: object) -> str | None:
    return nearest(str(key), _KEYS)


def read_expression(section: Section, key: str) -> str:
    """A text that is a Jinja2 expression; empty where the key is left out.

    Raises:
        PromptError: it is not text, or not an expression.
    """
    return _text_for(expression_fields, section, key)


def read_jinja(section: Section, key: str) -> str:
    """A text that is Jinja2; empty where the key is left out.

    Raises:
        PromptError: it is not text, or not valid Jinja2.
    """
    return _text_for(template_fields, section, key)


def _text_for(parse: Callable[[str], object], section: Section, key: str) -> str:
    text = section.text(key) or ""
    try:
        parse(text)
    except PromptError as error:
        raise section.error(key, f"cannot be used: {error}") from error
    return text


def _verbalizer(section: Section, n_classes: int | None) -> Verbalizer:
    """The label words, as many as there are classes; None: rows are labelled by a place."""
    if not isinstance(section.values["labels"], dict):
        words = section.distinct("labels", _is_word, "words in quotes")
        if len(words) != (n_classes or len(words)):
            raise section.error("labels", f"has {len(words)} words for {n_classes} label values")
        return Verbalizer.of_words(words)
    classes = section.section("labels")
    if len(classes.values) != (n_classes or len(classes.values)):
        raise section.error(
            "labels", f"has {len(classes.values)} classes for {n_classes} label values"
        )
    seen: dict[str, str] = {}
    for name, words in classes.values.items():
        if not isinstance(words, list) or not words or not all(map(_is_word, words)):
            raise classes.error(name, f"is {shown_value(words)}, not a list of words in quotes")
        for word in words:
            if word in seen:
                raise classes.error(name, f"has {word!r}, which {seen[word]!r} has already")
            seen[word] = name
    return Verbalizer(tuple(classes.values), tuple(map(tuple, classes.values.values())))


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def oddities(file: Path, task: Task) -> list[PromptError]:
    """What reads well but cannot give the tokens that it should."""
    top = read_yaml(file)
    if "templates" not in top.values:
        return []
    sections, found = top.section("templates"), []
    for id, template in task.templates.items():
        section = sections.section(id)
        found += [section.error("text", what) for what in _odd_text(template)]
        found += [section.error("labels", what) for what in _odd_words(template)]
        if template.options and "option" not in template_fields(template.answer):
            found.append(
                section.error("answer", "is one text for all options: write {{ option }} in it")
            )
    return found


def _odd_text(template: Template) -> Iterator[str]:
    text = template.text
    if text.endswith((" ", "\t")):
        behind = "the answer" if template.options else "the label words"
        yield f"ends in a space: take it off, and begin {behind} with it"
    single = _SINGLE_BRACES.search(_JINJA.sub("", text))
    if single:
        field = single.group(1)
        yield f"has {{{field}}}, which stays as it is: write {{{{ {field} }}}} for the row's field"
    if not template_fields(text):
        yield "reads no field of the row, so all prompts are one: write {{ FIELD }} in it"


def _odd_words(template: Template) -> Iterator[str]:
    for word in template.verbalizer.columns:
        if word != word.rstrip():
            yield f"has {word!r}: take the space off its end"
        elif not word.startswith(" ") and not template.text.endswith(("\n", " ", "\t")):
            yield f"has {word!r} right behind the text: write {' ' + word!r}"
