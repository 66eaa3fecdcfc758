"""Rendering a row with a template: Jinja2, sandboxed, on a budget, strict about missing fields.

Whatever a row lacks is an error that names it; a null is one too, since Jinja2 would print it as
the word ``None``. Both stand as undefined from the start, so that no filter can make a text of
them; a template that can do without a field says so: ``{{ field | default('') }}``. Line ends and
spaces of the template are kept to the character.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from math import isnan
from typing import TYPE_CHECKING, Any, TypeVar

from compread.errors import PromptError
from compread.prompts.tasks import Template

if TYPE_CHECKING:
    from jinja2 import Undefined

T = TypeVar("T")
LONGEST_SOURCE = 100_000
"""Characters of a template."""
_NAMED = 20
"""Fields of a row that a message names."""


def template_fields(text: str) -> frozenset[str]:
    """Names of the row's fields that a template reads.

    ``template_fields("{{ question }}? {{ passage }}")`` is ``{"question", "passage"}``.

    Raises:
        PromptError: the text is not valid Jinja2; the message names the line.
    """
    return _fields(text)


def render(template: Template, row: Mapping[str, Any]) -> str:
    """The input of one row, up to its label.

    Raises:
        PromptError: a field is missing or null, or the template fails on this row, takes more time
            or memory than a prompt can be worth, or makes what is no text.
    """
    return render_text(template.text, row, f"template {template.id!r}")


def render_text(source: str, row: Mapping[str, Any], name: str) -> str:
    """The text that a Jinja2 source makes of a row; ``name`` is what messages call the source.

    Raises:
        PromptError: as ``render`` does.
    """
    from compread.prompts.budget import LONGEST, Budget

    fields = template_fields(source)
    try:
        compiled = _compiled(source)
        with Budget():
            context = compiled.new_context(_context(row, fields), shared=True)
            text: str = compiled.environment.concat(compiled.root_render_func(context))
        text.encode()
    except UnicodeEncodeError as error:
        raise PromptError(f"{name} makes half a surrogate pair") from error
    except Exception as error:  # a template is a user's program: it can raise anything
        raise PromptError(f"{name} {_reason(error, row)}") from error
    if len(text) > LONGEST:
        raise PromptError(f"{name} makes {len(text):,} characters; expected {LONGEST:,} at most")
    return text


def expression_fields(text: str) -> frozenset[str]:
    """Names of the row's fields that a Jinja2 expression reads; of the empty one, none.

    Raises:
        PromptError: the text is not an expression.
    """
    return _expression(text)[1]


def fulfils(expression: str, row: Mapping[str, Any]) -> bool:
    """Whether an expression is true of a row; the empty one always is.

    Raises:
        PromptError: it reads a field that is missing or null, or fails on this row.
    """
    return not expression or evaluate(expression, row, bool)


def evaluate(expression: str, row: Mapping[str, Any], kind: Callable[[Any], T]) -> T:
    """What an expression is of a row, made a ``kind``: ``list``, ``bool``.

    Raises:
        PromptError: it reads a field that is missing or null, or fails on this row.
    """
    from compread.prompts.budget import Budget

    compiled, fields = _expression(expression)
    try:
        with Budget():
            # Within the budget: a filter's result can be a program that has yet to run.
            return kind(compiled(_context(row, fields)))
    except Exception as error:  # as in ``render``
        raise PromptError(f"{expression!r} {_reason(error, row)}") from error


def fields_named(row: Mapping[str, Any]) -> str:
    """What a message says of the fields that a row has."""
    if not row:
        return "the row has no field at all"
    more = f" and {len(row) - _NAMED} more" if len(row) > _NAMED else ""
    return f"the row has {', '.join(map(repr, list(row)[:_NAMED]))}{more}"


def row_of_task(name: str, task: str) -> str:
    """A row of a task as messages name it."""
    return f"row {name} of task {task!r}"


@contextmanager
def told_of(row: str) -> Iterator[None]:
    """Say in an error of the block which row it is of."""
    try:
        yield
    except PromptError as error:
        raise PromptError(f"{row}: {error}") from error


def _reason(error: Exception, row: Mapping[str, Any]) -> str:
    """Why a rendering failed, in one line."""
    from jinja2 import UndefinedError

    said = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, UndefinedError):
        said = said if said.startswith("needs ") else f"needs what is not there: {said}"
        if "which is null" in said:
            return f"{said}; drop the row, or write default('') behind the field"
        return f"{said}; {fields_named(row)}"
    if isinstance(error, RecursionError):
        return "fails: it nests or calls itself too deeply"
    if isinstance(error, PromptError):
        return f"is refused: {said}"
    return f"fails: {said}; {fields_named(row)}"


def _context(row: Mapping[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    """The row, with something that raises in place of every null and every field it lacks."""
    context = {**_globals(), **row}
    for field in fields:
        if field in row:
            context[field] = _given(row[field], field)
        else:
            context[field] = _undefined(f"needs {field!r}")
    return context


def _given(value: Any, path: str) -> Any:
    """A value of the row whose nulls, however deep, are undefined."""
    if not _lacks(value):
        return value
    if isinstance(value, dict):
        return {key: _given(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_given(item, f"{path}[{n}]") for n, item in enumerate(value)]
    return _undefined(f"needs {path!r}, which is null")


def _lacks(value: Any) -> bool:
    """Whether a value is null, or holds one; a table's empty cell can be "not a number"."""
    if isinstance(value, str):
        return False
    if isinstance(value, dict):
        return any(map(_lacks, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_lacks, value))
    return value is None or (isinstance(value, float) and isnan(value))


@cache
def _globals() -> Mapping[str, Any]:
    from compread.prompts.sandbox import environment

    return dict(environment().globals)


def _undefined(message: str) -> Undefined:
    from jinja2 import StrictUndefined

    return StrictUndefined(hint=message)


@cache
def _fields(text: str) -> frozenset[str]:
    from jinja2 import TemplateSyntaxError, meta, nodes

    from compread.prompts.sandbox import environment

    if len(text) > LONGEST_SOURCE:
        raise PromptError(
            f"the template has {len(text):,} characters; expected {LONGEST_SOURCE:,} at most"
        )
    try:
        parsed = environment().parse(text)
        others = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
        if any(map(parsed.find, others)):
            raise PromptError("the template uses another template: write the whole text here")
        _compiled(text)
        return frozenset(meta.find_undeclared_variables(parsed))
    except PromptError:
        raise
    except Exception as error:  # as ``_syntax`` lists
        at = f"'s line {error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
        raise PromptError(f"the template{at} is not valid Jinja2: {_syntax(error)}") from error


@cache
def _compiled(text: str) -> Any:
    from compread.prompts.budget import Budget
    from compread.prompts.sandbox import environment

    with Budget():
        return environment().from_string(text)


@cache
def _expression(text: str) -> tuple[Any, frozenset[str]]:
    from compread.prompts.budget import Budget
    from compread.prompts.sandbox import environment

    try:
        with Budget():
            compiled = environment().compile_expression(text or "true", undefined_to_none=False)
    except Exception as error:  # as ``_syntax`` lists
        what = f"{text[:80]!r} is not a Jinja2 expression: {_syntax(error)}"
        raise PromptError(what) from error
    return compiled, template_fields(f"{{{{ {text} }}}}" if text else "")


def _syntax(error: Exception) -> str:
    """What is wrong with a template's source.

    Jinja2 raises its own errors for most; brackets in brackets and numbers of thousands of digits
    end in whatever Python's parser does with them.
    """
    from jinja2 import TemplateSyntaxError

    if isinstance(error, TemplateSyntaxError):
        return " ".join(str(error.message).split())
    if isinstance(error, RecursionError | MemoryError | SyntaxError):
        return "it nests too deeply"
    return " ".join(str(error).partition(";")[0].split())[:200]
