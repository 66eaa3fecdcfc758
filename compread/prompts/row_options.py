"""What a row chooses from, and which of it is right: its own options, or a template's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compread.errors import PromptError
from compread.prompts.tasks import Label, Template
from compread.prompts.templates import evaluate, expression_fields, render_text, template_fields

MOST_ANSWERS = 26
"""Options of a row's own."""

Row = Mapping[str, Any]


def fields_read(template: Template) -> frozenset[str]:
    """Names of all the row's fields that a template reads, its options' too."""
    of_options = expression_fields(template.options)
    return (
        template_fields(template.text)
        | of_options
        | (template_fields(template.answer) - {"option"})
    )


def row_answers(template: Template, row: Row) -> tuple[str, ...]:
    """The exact continuations that a row chooses from, a template's words one a class.

    Raises:
        PromptError: the row's options are no list of 2 to 26, one cannot be rendered, or is empty.
    """
    if not template.options:
        return template.labels
    where = f"template {template.id!r}"
    try:
        options = evaluate(template.options, row, _listed)
    except PromptError as error:
        raise PromptError(f"{where}: its 'options' {error}") from error
    if not 2 <= len(options) <= MOST_ANSWERS:
        raise PromptError(
            f"{where}: its options {template.options!r} are {len(options)}; expected 2 to "
            f"{MOST_ANSWERS}"
        )
    answers = []
    for number, option in enumerate(options):
        name = f"{where}: its answer of option {number}"
        answers.append(render_text(template.answer, {**row, "option": option}, name))
        if not answers[-1].strip():
            raise PromptError(f"{name} is empty; drop the row, or write a 'where' that does")
    return tuple(answers)


def right_option(label: Label, row: Row) -> int:
    """The number of the right option by the task's ``label.index``.

    Raises:
        PromptError: it is not a whole number from 0 up, or cannot be worked out.
    """
    try:
        number = evaluate(label.index, row, _there)
    except PromptError as error:
        raise PromptError(f"its 'label.index' {error}") from error
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise PromptError(
            f"its 'label.index' {label.index!r} is {number!r:.60}; expected the right option's "
            "place, from 0"
        )
    return number


def check_right(right: int, answers: Sequence[str]) -> None:
    """See that the right option is there.

    Raises:
        PromptError: it is not.
    """
    if right >= len(answers):
        raise PromptError(f"option {right} is right, but the row has only 0 to {len(answers) - 1}")


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str | Mapping) or not hasattr(value, "__iter__"):
        raise PromptError(f"expected a list, got {value!r:.60}")
    return list(value)


def _there(value: Any) -> Any:
    bool(value)  # raises for one that is not there
    return value
