"""Small changes of Python source, each of which a test should notice."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
EXCHANGED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr, ast.Pow: ast.Mult,
}  # fmt: skip
DROPPED = (ast.Raise, ast.AugAssign, ast.Continue, ast.Break, ast.Assert, ast.Delete)
"""Statements that are dropped, beside calls whose result nobody takes."""


@dataclass(frozen=True)
class Mutant:
    """One changed line of one file."""

    file: Path
    line: int
    function: int
    """First line of the innermost function around it; 0 at the top of the module."""
    what: str
    source: str
    """The whole file, changed."""


def count_places(file: Path) -> list[tuple[int, int]]:
    """(place, change) of every mutant of a file, without making it."""
    tree = ast.parse(file.read_text())
    nodes = enumerate(_nodes(tree))
    return [(i, j) for i, (node, _) in nodes for j, _ in enumerate(_changes(node))]


def mutant_at(file: Path, place: int, change: int) -> Mutant:
    """One of the mutants that ``count_places`` counts."""
    tree = ast.parse(file.read_text())
    node, function = next(found for i, found in enumerate(_nodes(tree)) if i == place)
    line = node.lineno
    what, apply = list(_changes(node))[change]
    apply(node)
    return Mutant(file, line, function, what, ast.unparse(ast.fix_missing_locations(tree)))


def _nodes(tree: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, int]]:
    """What may be changed, each with the first line of its function: no types, no docstrings."""
    stack: list[tuple[ast.AST, int]] = [(tree, 0)]
    while stack:
        node, function = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # A decorated function's code begins at its first decorator.
            function = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.expr | ast.stmt):
            yield node, function
        for name, value in reversed(list(ast.iter_fields(node))):
            if name in ("annotation", "returns", "decorator_list", "type_comment"):
                continue
            for inner in reversed(value if isinstance(value, list) else [value]):
                if isinstance(inner, ast.AST) and not _is_text(inner):
                    stack.append((inner, function))


def _is_text(node: ast.AST) -> bool:
    """A docstring, or text: its wording is no behaviour."""
    if isinstance(node, ast.Expr):
        node = node.value
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


Change = tuple[str, Callable[[ast.AST], None]]


def _changes(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            flipped = FLIPPED[type(operator)]
            yield f"{_name(operator)} -> {flipped.__name__}", _set_item("ops", i, flipped())
    elif isinstance(node, ast.BinOp) and type(node.op) in EXCHANGED:
        # A sum with text in it joins text.
        if not any(map(_is_text, (node.left, node.right))):
            other = EXCHANGED[type(node.op)]
            yield f"{_name(node.op)} -> {other.__name__}", _set("op", other())
    elif isinstance(node, ast.BoolOp):
        other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{_name(node.op)} -> {_name(other_op)}", _set("op", other_op)
    elif isinstance(node, ast.Constant) and not isinstance(node.value, str | bytes):
        yield from _constant(node)
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        yield "condition negated", _negate
    elif isinstance(node, DROPPED) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ):
        yield f"dropped: {ast.unparse(node)[:60]!r}", _drop
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield f"{_name(node.op)} dropped", _set("op", ast.UAdd() if isinstance(
            node.op, ast.USub) else None)  # fmt: skip


def _constant(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield f"{value} -> {not value}", _set("value", not value)
    elif isinstance(value, int):
        yield f"{value} -> {value + 1}", _set("value", value + 1)
    elif isinstance(value, float):
        changed = value * 2 if value else 1.0
        yield f"{value} -> {changed}", _set("value", changed)


def _name(node: ast.AST) -> str:
    return type(node).__name__


def _set(field: str, value: object) -> Callable[[ast.AST], None]:
    def change(node: ast.AST) -> None:
        if value is None:  # ``not x`` becomes ``bool(x)``
            operand = node.operand  # type: ignore[attr-defined]
            node.op = ast.Not()  # type: ignore[attr-defined]
            node.operand = ast.UnaryOp(ast.Not(), operand)  # type: ignore[attr-defined]
        else:
            setattr(node, field, value)

    return change


def _set_item(field: str, index: int, value: object) -> Callable[[ast.AST], None]:
    def change(node: ast.AST) -> None:
        getattr(node, field)[index] = value

    return change


def _negate(node: ast.AST) -> None:
    node.test = ast.UnaryOp(ast.Not(), node.test)  # type: ignore[attr-defined]


def _drop(node: ast.AST) -> None:
    """Make a statement ``...``, in its own place."""
    line = node.lineno  # type: ignore[attr-defined]
    node.__class__ = ast.Expr
    node.__dict__.clear()
    node.value = ast.Constant(...)  # type: ignore[attr-defined]
    node.lineno, node.col_offset = line, 0  # type: ignore[attr-defined]
