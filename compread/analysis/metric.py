"""A measure of one's own: arithmetic over the keys that each component's row has.

``accuracy - chance`` or ``abs(margin) / margin_sd`` is read by Python's own parser, and only what
is listed here is taken from its tree: nothing of a text is ever run as code.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from compread.analysis.measures import MEASURES
from compread.errors import UsageError, option
from compread.options import WEIGHT
from compread.text import did_you_mean

Metric: TypeAlias = Callable[[Mapping[str, Any]], "float | None"]
"""From a component's row, by its stable keys, to what it is ranked by; None and NaN stand last."""
OPERATORS: Mapping[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "abs": abs, "min": min, "max": max, "sqrt": math.sqrt, "log": math.log, "exp": math.exp,
}  # fmt: skip
LONGEST = 500
"""Characters; Python's parser takes more memory the deeper a text is nested."""


@dataclass(frozen=True)
class Expression:
    """Arithmetic over the numbers of a row."""

    text: str
    tree: ast.expr

    @classmethod
    def parse(cls, text: str) -> Expression:
        """The expression that a text is.

        Raises:
            UsageError: it is no arithmetic; the message says at which character.
        """
        if len(text) > LONGEST:
            raise UsageError(f"{option('by')}: {len(text)} characters, expected {LONGEST} at most")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except SyntaxError as error:
            at = f" at character {error.offset}" if error.offset else ""
            raise UsageError(f"{option('by', repr(text))}: {error.msg}{at}; {_EXPECTED}") from error
        except (ValueError, RecursionError, MemoryError) as error:  # NUL, or nested too deep
            raise UsageError(f"{option('by', repr(text))}: cannot be read; {_EXPECTED}") from error
        found = cls(text.strip(), tree)
        found._check(tree)
        return found

    @property
    def names(self) -> dict[str, int]:
        """The keys that it is of, and the character at which each stands first."""
        functions = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        found: dict[str, int] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and id(node) not in functions:
                found[node.id] = min(found.get(node.id, LONGEST), node.col_offset + 1)
        return found

    def check(self, row: Mapping[str, Any]) -> None:
        """Refuse keys that a row has not, or that are no numbers there.

        Raises:
            UsageError: with where the key stands, the nearest and what there is.
        """
        numbers = [key for key, value in row.items() if _is_number(value) and key not in _OF_ORDER]
        for name, at in self.names.items():
            if name not in numbers:
                hint = did_you_mean(name, numbers)
                raise UsageError(
                    f"{option('by', repr(self.text))}: there is no number {name!r} (character "
                    f"{at}): {hint}there is {', '.join(numbers)}"
                )

    def __call__(self, row: Mapping[str, Any]) -> float:
        """Its value for a row; NaN where a number is missing or the arithmetic has no result."""
        try:
            return float(_value(self.tree, row))
        except (ArithmeticError, ValueError):
            return math.nan

    def _check(self, node: ast.expr) -> None:
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            inner = [node.left, node.right]
        elif isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
            inner = [node.operand]
        elif isinstance(node, ast.Call) and not node.keywords and _is_function(node.func):
            inner = node.args
            self._check_count(node)
        elif isinstance(node, ast.Name) or (
            isinstance(node, ast.Constant) and _is_number(node.value)
        ):
            inner = []
        else:
            part = ast.get_source_segment(self.text, node) or self.text
            raise UsageError(
                f"{option('by', repr(self.text))}: {part!r:.60} at character "
                f"{node.col_offset + 1} is no arithmetic; {_EXPECTED}"
            )
        for one in inner:
            self._check(one)

    def _check_count(self, node: ast.Call) -> None:
        assert isinstance(node.func, ast.Name)  # ``_is_function`` has seen to it
        several = node.func.id in ("min", "max")
        if (len(node.args) < 2) if several else (len(node.args) != 1):
            raise UsageError(
                f"{option('by', repr(self.text))}: {node.func.id} at character "
                f"{node.col_offset + 1} takes {'two numbers or more' if several else 'one number'}"
            )


_OF_ORDER = ("rank", "crossfit_accuracy")
"""Keys that are of a row's place in another order."""
_EXPECTED = (
    "expected a measure or arithmetic over keys, such as accuracy - chance, with + - * / ** ( ) "
    f"and {', '.join(FUNCTIONS)}"
)


FURTHER = (
    "chance", "accuracy_high", "accuracy_sd", "margin_sd", "direct_share", "tied", "p_value",
    "q_value", "layer", "head", "n", "stores",
)  # fmt: skip
"""Numbers of a row beside the measures."""


def measure_or_metric(by: str) -> str | Expression:
    """What to rank by: a measure, or ``weight``, by its name, else the expression that a text is.

    Raises:
        UsageError: it is neither; a lone name is told apart before a store is read.
    """
    names = (*MEASURES, WEIGHT)
    name = by.strip()
    if (joined := name.replace("-", "_")) in names:
        return joined
    if name.isidentifier() and name not in FURTHER and not name.startswith("predicted_"):
        hint = did_you_mean(name, names)
        raise UsageError(
            f"{option('by', by)}: {hint}there is {', '.join(names)}, or arithmetic over keys such "
            "as accuracy - chance"
        )
    return Expression.parse(by)


def metric_value(metric: Metric, row: Mapping[str, Any]) -> float:
    """What a metric says of a row, as a number.

    Raises:
        UsageError: it gives something else.
    """
    value = metric(row)
    if value is None:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{option('by')}: gave {value!r:.60} for {row['component']}, expected a number"
        ) from error


def metric_name(metric: Metric) -> str:
    """What a column of it is called: an expression's text, a function's name."""
    if isinstance(metric, Expression):
        return metric.text
    name = getattr(metric, "__name__", "metric")
    return "metric" if name == "<lambda>" else str(name)


def _is_function(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in FUNCTIONS


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _value(node: ast.expr, row: Mapping[str, Any]) -> float:
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]  # a number, as ``_check`` has seen
    if isinstance(node, ast.Name):
        value = row.get(node.id)
        return math.nan if value is None else float(value)
    if isinstance(node, ast.UnaryOp):
        return OPERATORS[type(node.op)](_value(node.operand, row))
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](_value(node.left, row), _value(node.right, row))
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return FUNCTIONS[node.func.id](*(_value(one, row) for one in node.args))


def ranked_by(
    rows: Sequence[Mapping[str, Any]], metric: Metric, ascending: bool = False, top: int = 0
) -> list[dict[str, Any]]:
    """Rows of ``Ranking.rows`` in order of a metric, which each has as ``metric``; the full last.

    Those without a number stand last, those with equal ones as they stood.

    Raises:
        UsageError: the metric is of keys that the rows have not, or gives no number.
    """
    *parts, full = rows
    if isinstance(metric, Expression):
        metric.check(parts[0])
    sign = 1 if ascending else -1
    found = [{**row, "metric": metric_value(metric, row)} for row in parts]
    found.sort(key=lambda row: (math.isnan(row["metric"]), sign * row["metric"]))
    for number, row in enumerate(found, start=1):
        # Cross-fitting is of the order of accuracies.
        row |= {"rank": number, "crossfit_accuracy": None}
    return [*(found[:top] if top else found), {**full, "metric": metric_value(metric, full)}]
