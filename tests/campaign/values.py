"""Values that nobody expects: in JSON, in YAML, in a row, in a config."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

HOSTILE_TEXT = (
    "", " ", "None", "null", "a/b", "../../../evil", "..", "/etc/passwd", "-", "a\0b",
    "\x1b[2J\x1b]0;evil\x07", "\x9b31m", "\u202eright to left\u2066", "bell\x07", "two\nlines",
    "\r\r\r", "$x_$", "[bold]x[/bold]", "%s%n{0}", "é好🙂", "\ufeff", "x" * 300, "x" * 100_000,
    "{{ 7*7 }}", "<script>alert(1)</script>", "</s>", "<s>", "nan", "1e999", "\ud800",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1.5, 1e308, -0.0,
    float("nan"), float("inf"), float("-inf"), [], {}, [[]], [None], [1, 2, 3], {"a": {"b": []}},
    ["x"] * 1000, {"": ""}, *HOSTILE_TEXT,
)  # fmt: skip
RAW = {
    "5,000 digits": "9" * 5000,
    "3,000 brackets": "[" * 3000 + "]" * 3000,
    "3,000 braces": '{"a":' * 3000 + "1" + "}" * 3000,
    "100,000 open brackets": "[" * 100_000,
    "bare NaN": "NaN",
    "bare Infinity": "-Infinity",
    "lone surrogate": '"\\ud800"',
    "NUL escape": '"a\\u0000b"',
}
"""JSON that ``json.dumps`` would not write."""


def paths_in(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value of a JSON document is; the document itself is at ``()``."""
    found = [prefix]
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += paths_in(inner, (*prefix, key))
    return found


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with the value at a path replaced, in place where it can be."""
    if not path:
        return value
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


def change_json(rng: random.Random) -> tuple[str, Callable[[str], str]]:
    """What is done, and a function that does it to a JSON text: one value odd, gone or raw."""
    way = rng.choice(["odd", "odd", "odd", "drop", "raw", "cut", "whole"])
    value, raw, seed = rng.choice(ODD), rng.choice(sorted(RAW)), rng.random()

    def change(text: str) -> str:
        choose = random.Random(seed)
        if way == "cut":
            return text[: choose.randrange(len(text))]
        if way == "whole":
            return choose.choice([RAW[raw], json.dumps(value)])
        document = json.loads(text)
        path = choose.choice(paths_in(document)[1:])
        if way == "drop":
            inner = document
            for key in path[:-1]:
                inner = inner[key]
            del inner[path[-1]]
            return json.dumps(document)
        if way == "odd":
            return json.dumps(put(document, path, value))
        return json.dumps(put(document, path, "@@raw@@")).replace('"@@raw@@"', RAW[raw])

    told = {"odd": f"{value!r:.40}", "raw": raw, "whole": f"{raw} or {value!r:.40}"}
    return f"{way} {told.get(way, '')} ({seed:.6f})", change
