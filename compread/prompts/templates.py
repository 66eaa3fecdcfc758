"""Rendering a row with a template: Jinja2, sandboxed, strict about missing fields.

Whatever a row lacks is an error that names it; a null is one too, since Jinja2 would print it as
the word ``None``. Line ends and spaces of the template are kept to the character.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from compread.errors import PromptError
from compread.prompts.tasks import Template

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment


def template_fields(text: str) -> frozenset[str]:
    """Names of the row's fields that a template reads.

    ``template_fields("{{ question }}? {{ passage }}")`` is ``{"question", "passage"}``.

    Raises:
        PromptError: the text is not valid Jinja2; the message names the line.
    """
    from jinja2 import TemplateSyntaxError, meta

    try:
        return frozenset(meta.find_undeclared_variables(_environment().parse(text)))
    except TemplateSyntaxError as error:
        raise PromptError(
            f"the template's line {error.lineno} is not valid Jinja2: {error.message}"
        ) from error


def render(template: Template, row: Mapping[str, Any]) -> str:
    """The input of one row, up to its label.

    Raises:
        PromptError: a field is missing or null, or the template fails on this row.
    """
    try:
        return str(_compiled(template.text).render(row))
    except PromptError as error:
        raise PromptError(f"template {template.id!r}: {error}") from error
    except Exception as error:  # a template is a user's program: it can raise anything
        lacking = sorted(template_fields(template.text) - row.keys())
        what = f"needs {', '.join(map(repr, lacking))}" if lacking else f"fails: {error}"
        there = ", ".join(map(repr, row))
        raise PromptError(f"template {template.id!r} {what}; the row has {there}") from error


def check_expression(text: str) -> None:
    """See whether a text is a Jinja2 expression, or nothing.

    Raises:
        PromptError: it is not.
    """
    _expression(text)


def fulfils(expression: str, row: Mapping[str, Any]) -> bool:
    """Whether an expression is true of a row; the empty one always is.

    Raises:
        PromptError: the expression fails on this row.
    """
    if not expression:
        return True
    try:
        return bool(_expression(expression)(**row))
    except Exception as error:  # as in ``render``
        raise PromptError(f"{expression!r} fails: {error}") from error


@cache
def _expression(text: str) -> Any:
    from jinja2 import TemplateSyntaxError

    try:
        return _environment().compile_expression(text or "true", undefined_to_none=False)
    except TemplateSyntaxError as error:
        raise PromptError(f"{text!r} is not a Jinja2 expression: {error.message}") from error


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=_not_null
    )


@cache
def _compiled(text: str) -> Any:
    template_fields(text)
    return _environment().from_string(text)


def _not_null(value: Any) -> Any:
    if value is None:
        raise PromptError("a field of the row is null where text is expected; drop the row")
    return value
