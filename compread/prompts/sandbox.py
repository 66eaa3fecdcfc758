"""Jinja2 for templates of somebody else's: sandboxed, folding nothing, and on a budget.

Jinja2's own sandbox keeps a template from the machine, not from its time and memory: it works out
constants while it parses (``{{ 'x' * 1000000000 }}``), and nothing bounds what loops, filters and
methods make. Here every way to make much from little goes through ``budget``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, wraps
from typing import Any

from jinja2 import Environment, StrictUndefined, Undefined, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from compread.errors import PromptError
from compread.prompts import budget
from compread.prompts.budget import CALL, TURN, OverBudgetError, paid, spend, weight

TOO_MUCH = ("lipsum", "pprint", "urlize", "wordwrap", "xmlattr")
"""Filters and globals that are left out: for web pages, and without a bound that is told easily."""
_ABSENT_IS_FINE = ("default", "d")
_SHALLOW = (
    "attr", "batch", "count", "d", "default", "first", "items", "last", "length", "list", "map",
    "reject", "rejectattr", "reverse", "select", "selectattr", "slice",
)  # fmt: skip
"""Filters that leave the insides of a list alone."""
_WEIGHED = ("join", "format", "tojson", "indent", "batch", "slice", "center", "round")
"""Those that can make much of a short text even without an argument, or take what is no text."""
_BY_LETTER = (
    "batch", "groupby", "list", "map", "max", "min", "reject", "rejectattr", "select", "selectattr",
    "slice", "sort", "sum", "title", "unique", "wordcount",
)  # fmt: skip
"""Those that make a list of a text's letters or words, each a thing in memory."""
_INTO_WORDS = ("split", "rsplit", "splitlines")
_REFUSED_METHODS = ("format_map", "maketrans", "to_bytes", "translate")


class Names(Namespace):
    """A ``namespace`` that does not print what it holds: two in each other would not end."""

    __repr__ = object.__repr__


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox; render in ``with Budget():``."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self, **options: Any) -> None:
        """Take Jinja2's own options."""
        super().__init__(**options, optimized=False, autoescape=False, finalize=_printable)
        self.globals = {k: v for k, v in self.globals.items() if k not in TOO_MUCH}
        self.globals["namespace"] = Names
        self.filters = {
            name: bounded_filter(name, filter)
            for name, filter in self.filters.items()
            if name not in TOO_MUCH
        }
        self.tests = {name: _bounded_test(test) for name, test in self.tests.items()}
        self.tests["none"] = _is_none
        # Not names that a template can write.
        self.filters |= {" turns": _Turns, " paid": paid, " joined": _joined_texts}

    def concat(self, chunks: Iterable[str]) -> str:
        """Join a template's chunks."""
        pay, parts = budget.current_budget().spend, []
        for chunk in chunks:
            pay(len(chunk))
            parts.append(chunk)
        return "".join(parts)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Work out ``left operator right``."""
        if operator == "*":
            budget.product(left, right)
        elif operator == "**":
            budget.power(left, right)
        elif operator == "%" and isinstance(left, str):
            budget.percent(left, right)
        return paid(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls; its keywords can have any name, hence the underscores."""
        spend(CALL)
        # Jinja2 wraps ``str.format``.
        plain = getattr(__obj, "__wrapped__", __obj)
        owner, name = getattr(plain, "__self__", None), getattr(plain, "__name__", "")
        if isinstance(owner, str | bytes | int):
            if name in _REFUSED_METHODS:
                raise OverBudgetError(f"{name!r} cannot be called in a template")
            if name == "join" and args:
                args = (list(_Turns(args[0])), *args[1:])
                budget.joined(str(owner), args[0])
            elif name == "format":
                budget.braces(str(owner), [*args, *kwargs.values()])
            else:
                if name in _INTO_WORDS and isinstance(owner, str | bytes):
                    spend(len(owner) * budget.ITEM // 2)
                _pay_for(name, owner, [*args, *kwargs.values()])
        return paid(super().call(__context, __obj, *args, **kwargs))

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        # Jinja2's documented hook between parsing and code.
        return super()._generate(Pricing(self).visit(source), *args, **kwargs)


class Pricing(NodeTransformer):
    """Puts a price on what the sandbox does not go through: loops, literals, comparisons."""

    def __init__(self, environment: Environment) -> None:
        """Take the environment that the nodes are of."""
        self._environment = environment

    def visit_For(self, node: nodes.For) -> nodes.Node:
        """A loop pays for each turn."""
        self.generic_visit(node)
        node.iter = self._through(" turns", node.iter)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        """A comparison pays for both sides."""
        self.generic_visit(node)
        node.expr = self._through(" paid", node.expr)
        for operand in node.ops:
            operand.expr = self._through(" paid", operand.expr)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        """``a ~ b`` pays for both."""
        self.generic_visit(node)
        return self._through(" joined", nodes.Tuple(node.nodes, "load", lineno=node.lineno))

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        """A slice is a copy."""
        self.generic_visit(node)
        return self._through(" paid", node) if isinstance(node.arg, nodes.Slice) else node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        """Written-out containers pay for what they hold; targets of ``set`` and ``for`` do not."""
        self.generic_visit(node)
        return self._through(" paid", node) if node.ctx == "load" else node

    def visit_List(self, node: nodes.List) -> nodes.Node:
        """As ``visit_Tuple``."""
        self.generic_visit(node)
        return self._through(" paid", node)

    visit_Dict = visit_List

    def _through(self, name: str, node: Any) -> nodes.Filter:
        line, at = node.lineno, self._environment
        return nodes.Filter(node, name, [], [], None, None, lineno=line, environment=at)


class _Turns:
    """What a loop goes over; each turn is paid for."""

    def __init__(self, items: Any) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        pay = budget.current_budget().spend
        for item in self._items:
            pay(TURN)
            yield item

    def __len__(self) -> int:
        return len(self._items)


@cache
def environment() -> BoundedEnvironment:
    """The one that tasks' templates are rendered in: what a row lacks is an error."""
    made = BoundedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    del made.filters["random"]  # a prompt is the same each time
    return made


def bounded_filter(name: str, filter: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, paying for what it takes and makes.

    A value that is not there is an error before the filter sees it, except to ``default``.
    """
    # Jinja2 gives some filters its context first.
    n = 1 if hasattr(filter, "jinja_pass_arg") else 0

    @wraps(filter)  # and with it that mark
    def call(*given: Any, **kwargs: Any) -> Any:
        if name in _BY_LETTER and type(given[n]) is str:
            spend(len(given[n]) * budget.ITEM)
        if len(given) == n + 1 and type(given[n]) is str and name not in _WEIGHED:
            made = filter(*given, **kwargs)
            spend(len(given[n]))
            return made if isinstance(made, Iterator) else paid(made)
        if name in _ABSENT_IS_FINE:
            return filter(*given, **kwargs)
        value, *args = given[n:]
        for one in (value, *args, *kwargs.values()):
            if isinstance(one, Undefined):
                _absent(one)
        every = [*args, *kwargs.values()]
        if name == "join":
            value = list(_Turns(value))
            budget.joined(str(every[0]) if every else "", value)
        elif name == "format":
            budget.percent(str(value), every)
        elif name not in _SHALLOW:
            weight(value)
        _pay_for(name, value, every)
        made = filter(*given[:n], value, *args, **kwargs)
        # What comes lazily is paid for where it is gone through.
        return made if isinstance(made, Iterator) else paid(made)

    return call


def _bounded_test(test: Any) -> Callable[..., Any]:
    @wraps(test)
    def call(*args: Any, **kwargs: Any) -> Any:
        for one in args:
            if isinstance(one, str | list | tuple | dict):
                weight(one)
        return test(*args, **kwargs)

    return call


def _pay_for(name: str, value: Any, every: list[Any]) -> None:
    """Pay for a filter or a method of a text that makes more than it takes."""
    if name == "replace" and len(every) > 1:
        budget.replaced(str(value), str(every[0]), str(every[1]))
    elif name in ("center", "ljust", "rjust", "zfill", "batch", "slice", "round"):
        for number in every if name == "round" else every[:1]:
            budget.widened(number)
    elif name in ("indent", "expandtabs", "tojson"):
        lines = budget.DEEPEST if name == "tojson" else 1
        for width in every:
            budget.widened(width, lines * weight(value))
    elif name == "sum" and any(isinstance(one, list | tuple) for one in every):
        raise OverBudgetError("'sum' adds numbers; join lists with +")


def _joined_texts(parts: tuple[Any, ...]) -> str:
    return "".join(str(paid(part)) for part in parts)


def _is_none(value: Any) -> bool:
    """A null of the row stands as undefined here, so that no filter prints it."""
    return value is None or isinstance(value, Undefined)


def _absent(value: Undefined) -> None:
    str(value)  # a strict one raises, with its message; a lenient one is empty


@pass_context
def _printable(context: Context, value: Any) -> Any:
    """What ``{{ value }}`` prints; taking the context keeps Jinja2 from folding constants."""
    if isinstance(value, str):
        return value
    if value is None:
        raise PromptError("a value is null where text is expected; drop the row")
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        weight(value)
    return value
