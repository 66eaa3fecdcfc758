"""What a rendering may cost: one budget, spent on what is made and on every turn of a loop.

A template is a program of somebody else's. Each thing it makes is paid for by its size before it is
made, where the size can be told, so that neither time nor memory is taken beyond the budget. The
price depends on the template and the row alone: what renders on one machine renders on all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from string import Formatter
from typing import Any

from compread.errors import PromptError

WORK = 50_000_000
"""Characters that a rendering may make; an item of a list counts ``ITEM`` of them."""
TURN = 20
"""Price of one turn of a loop."""
CALL = 200
"""Price of one call."""
ITEM = 64
"""Price of an item of a list, whatever it is."""
SECONDS = 5.0
"""Processor time of a rendering, for work that has a price of nearly nothing."""
LONGEST = 4_000_000
"""Characters of a rendered text."""
DEEPEST = 50
"""Lists in lists."""
WIDEST = 10_000
"""Spaces that a number can ask for, as in ``center(80)``."""
_BITS = 10_000
_CHECKED_EVERY = 64
_PERCENT_WIDTH = re.compile(r"%(?:\([^)]*\))?[-#0 +]*\d*\.?(?:\*|\d{5,})")
_BRACE_WIDTH = re.compile(r"\d{5,}|{")


class OverBudgetError(PromptError):
    """A template that would take more time or memory than a prompt can be worth."""


class Budget:
    """What one rendering has left; ``with Budget():`` it is that of what is rendered inside."""

    __slots__ = ("_left", "_spent", "_token", "_until")

    def __init__(self) -> None:
        """A full one."""
        self._left, self._spent, self._until = WORK, 0, 0.0

    def __enter__(self) -> Budget:
        """Begin; other threads have budgets of their own."""
        self._token = _BUDGET.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        """End."""
        _BUDGET.reset(self._token)

    def spend(self, work: int) -> None:
        """Pay.

        Raises:
            OverBudgetError: there is not so much left.
        """
        self._left -= work
        self._spent += 1
        if self._left < 0 or (self._spent % _CHECKED_EVERY == 0 and self._late()):
            raise OverBudgetError(
                f"it takes over {SECONDS:.0f} s or {WORK:,} characters of work to render: a loop, "
                "a power or a width makes too much"
            )

    def _late(self) -> bool:
        # The time runs from the first look at the clock: most renderings never take one.
        now = time.thread_time()
        self._until = self._until or now + SECONDS
        return now > self._until


_BUDGET: ContextVar[Budget] = ContextVar("budget")


def current_budget() -> Budget:
    """The budget of this rendering."""
    return _BUDGET.get()


def spend(work: int) -> None:
    """Pay from the budget of this rendering.

    Raises:
        OverBudgetError: there is not so much left.
    """
    _BUDGET.get().spend(work)


def weight(value: Any) -> int:
    """The size of a value, everything in it included, which is paid for on the way.

    A list that stands in another twice counts twice: that is how it prints, compares and sorts.

    Raises:
        OverBudgetError: more than is left, or lists in lists in lists.
    """
    if isinstance(value, str | bytes):
        spend(len(value))
        return len(value)
    pay, total, waiting = _BUDGET.get().spend, 0, [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEEPEST:
            raise OverBudgetError(f"it nests lists more than {DEEPEST} deep; flatten them")
        size = ITEM
        if isinstance(item, str | bytes):
            size += len(item)
        elif isinstance(item, int):
            size += item.bit_length() // 8
        elif isinstance(item, Mapping):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list | tuple | set | frozenset):
            waiting += [(part, depth + 1) for part in item]
        elif hasattr(item, "_fail_with_undefined_error"):
            str(item)  # a value that is not there: Jinja2's own says which
        pay(size)
        total += size
    return total


def paid(value: Any) -> Any:
    """The value, after its weight is paid."""
    weight(value)
    return value


def product(left: Any, right: Any) -> None:
    """Pay for ``left * right``."""
    for text, count in ((left, right), (right, left)):
        if isinstance(text, str | bytes | list | tuple) and isinstance(count, int):
            spend((weight(text) + 1) * max(0, count))
    if isinstance(left, int) and isinstance(right, int):
        _number(left.bit_length() + right.bit_length())


def power(left: Any, right: Any) -> None:
    """Pay for ``left ** right``."""
    if isinstance(left, int) and isinstance(right, int):
        _number(left.bit_length() * max(0, right))


def percent(text: str, values: Any) -> None:
    """Pay for ``text % values``."""
    _fields(text, text.count("%"), values, bool(_PERCENT_WIDTH.search(text)))


def braces(text: str, values: Any) -> None:
    """Pay for ``text.format(*values)``."""
    specs = [spec or "" for _, field, spec, _ in Formatter().parse(text) if field is not None]
    _fields(text, len(specs), values, any(map(_BRACE_WIDTH.search, specs)))


def replaced(text: str, old: str, new: str) -> None:
    """Pay for ``text.replace(old, new)``."""
    spend(len(text) + text.count(old) * len(new))


def joined(between: str, parts: Sequence[Any]) -> None:
    """Pay for ``between.join(parts)``."""
    spend(weight(parts) + len(parts) * len(between))


def widened(width: Any, times: int = 1) -> None:
    """Pay for a number of spaces, or a text, that is put in ``times``."""
    size = abs(width) if isinstance(width, int) else len(str(width))
    if size > WIDEST:
        raise OverBudgetError(f"a width or count of {str(width)[:20]} is over {WIDEST:,}; lower it")
    spend(size * max(1, times))


def _fields(text: str, fields: int, values: Any, wide: bool) -> None:
    if wide:
        raise OverBudgetError(f"a width in {text[:40]!r} is over {WIDEST:,}, or not a plain number")
    spend(len(text) + fields * (weight(values) + WIDEST))


def _number(bits: int) -> None:
    if bits > _BITS:
        raise OverBudgetError(f"it makes a number of {bits:,} bits; expected {_BITS:,} at most")
