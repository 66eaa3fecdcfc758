"""JSON out of a file, checked against type hints before anything is made of it.

Whatever a hand or a crash can leave in a file's JSON, other types, numbers that are none, keys
that stand twice, brackets without end, is one ``StoreError`` that names the place.
"""

from __future__ import annotations

import json
import math
import reprlib
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from compread.errors import StoreError

_DEEPEST = 32
"""Lists and objects in each other, in values of any type; those of a run are at most 3."""


def parse(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        StoreError: it is none, has a key twice, a number that is not finite, or is nested without
            end.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError as error:
        raise StoreError("its JSON is nested too deep for any run's") from error
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are such
        raise StoreError(f"its JSON cannot be read ({error})") from error


def typed(value: Any, hint: Any, where: str) -> Any:
    """A value as its hint says, lists as tuples where it asks for tuples.

    Hints are ``int`` (of 64 bits), ``float`` (finite), ``str``, ``bool``, ``Literal``, ``Any`` (of
    few levels), ``X | None``, ``tuple[X, ...]``, ``tuple[X, Y]`` and ``dict[str, X]``.

    Raises:
        StoreError: it is something else; ``where`` names it.
    """
    origin, args = _parts(hint)
    if origin in (Union, UnionType):
        inner = next(one for one in args if one is not NoneType)
        return None if value is None else typed(value, inner, where)
    if origin is tuple and type(value) in (list, tuple):
        if args[-1] is Ellipsis:
            return tuple([typed(one, args[0], where) for one in value])
        if len(value) == len(args):
            return tuple([typed(*pair, where) for pair in zip(value, args, strict=True)])
    elif origin is dict and type(value) is dict:
        return {key: typed(one, args[1], f"{where}.{key}") for key, one in value.items()}
    elif _is(value, hint, origin, args):
        return value
    raise StoreError(f"`{where}` is {reprlib.repr(value)}, wanted {_name(hint)}")


@cache
def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """What ``typing`` says of a hint; there are some thirty hints, and a thousand stores."""
    return get_origin(hint), get_args(hint)


def _is(value: Any, hint: Any, origin: Any, args: tuple[Any, ...]) -> bool:
    """Whether a value without parts is what the hint says."""
    if hint is Any:
        return _depth(value, _DEEPEST) >= 0
    if origin is Literal:
        return value in args
    if hint is float:
        return type(value) in (int, float) and math.isfinite(_as_float(value))
    return type(value) is hint and (hint is not int or -(1 << 63) <= value < 1 << 63)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of 400 digits
        return math.inf


def _depth(value: Any, left: int) -> int:
    """The levels left below a value, of those that are allowed; negative: it has more."""
    if left < 0 or not isinstance(value, (dict, list, tuple)):
        return left
    inner = value.values() if isinstance(value, dict) else value
    return min((_depth(one, left - 1) for one in inner), default=left)


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {reprlib.repr(twice)} stands twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")
