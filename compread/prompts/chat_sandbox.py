"""A chat template rendered on a budget, before ``transformers`` renders it without one.

A chat template comes with a model, and ``transformers`` runs it in Jinja2's sandbox, which bounds
neither time nor memory. What cannot be rendered here within the budget is refused. The environment
has what ``transformers`` gives its templates; its text is not used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser

from compread.prompts.budget import Budget, OverBudgetError
from compread.prompts.sandbox import BoundedEnvironment, bounded_filter


class _Generation(Extension):
    """``{% generation %}``, which only marks what the assistant says."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Leave what is inside."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def try_chat_template(
    text: str, messages: Sequence[Mapping[str, str]], opened: bool, special: Mapping[str, Any]
) -> None:
    """Render the turns, and work out every constant that Jinja2 would fold, within a budget.

    Args:
        text: the chat template.
        messages: the turns.
        opened: whether the assistant's turn is opened behind them.
        special: the tokenizer's special tokens by name.

    Raises:
        OverBudgetError: it takes too much time or memory.
        Exception: whatever a template raises.
    """
    with Budget():
        template = _compiled(text)
        template.render({
            **special, "messages": list(map(dict, messages)), "tools": None, "documents": None,
            "add_generation_prompt": opened,
        })  # fmt: skip


@cache
def _compiled(text: str) -> Any:
    environment = _environment()
    for expression in _constants(environment.parse(text)):
        target = nodes.Name("_", "store", lineno=expression.lineno)
        body = [nodes.Assign(target, expression, lineno=expression.lineno)]
        constant = nodes.Template(body, lineno=1)
        constant.set_environment(environment)
        try:
            environment.from_string(constant).render()
        except OverBudgetError:
            raise
        except Exception:  # one that fails is not folded; rendering meets it, or never does
            continue
    return environment.from_string(text)


def _constants(node: nodes.Node) -> Iterator[nodes.Expr]:
    """The largest expressions that no variable is in."""
    plain = nodes.Const | nodes.TemplateData
    varies = isinstance(node, plain | nodes.Name) or node.find(nodes.Name) is not None
    if isinstance(node, nodes.Expr) and not varies:
        yield node
        return
    for child in node.iter_child_nodes():
        yield from _constants(child)


@cache
def _environment() -> BoundedEnvironment:
    """As ``transformers`` makes its own."""
    made = BoundedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    made.filters["tojson"] = bounded_filter("tojson", _tojson)
    made.globals |= {"raise_exception": _raise, "strftime_now": _strftime_now}
    return made


def _tojson(
    x: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(format: str) -> str:
    return datetime.now().strftime(format)
