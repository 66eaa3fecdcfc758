"""Errors of functions that are called from Python name arguments, not options of a command."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from compread.errors import CompreadError

P = ParamSpec("P")
T = TypeVar("T")


def told_in_python(function: Callable[P, T]) -> Callable[P, T]:
    """The function, whose errors say ``split="test"`` where a command's say ``--split test``."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except CompreadError as error:
            error.in_python = True
            raise

    return call
