"""Text for people: safe to show on a terminal, in one line, and the name that was meant."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

LONGEST_REASON = 200
"""Characters of another library's message that are quoted."""
BEGINNING = 3
"""Letters of a name from which on they say which is meant."""


def printable(text: str, keep: str = "") -> str:
    r"""The text with every character that is not plainly visible as an escape.

    Escaped are control characters (ESC, DEL, C1), marks that reorder or hide text (bidirectional
    overrides and isolates, zero-width characters, line and paragraph separators), blanks other
    than the space, lone surrogates, and what this Python's Unicode does not know:
    ``printable("a\x1b[2J\u202e")`` is ``r"a\x1b[2J\u202e"``.

    Args:
        text: any text.
        keep: characters that stay as they are, such as ``"\n"``.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def json_text(value: Any) -> str:
    r"""The value as JSON in one line, readable, with what ``printable`` escapes as ``\uXXXX``.

    Such text is exact: ``json.loads`` gives the value back.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    # Outside of JSON's strings every character is printable.
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def one_line(error: object, longest: int = LONGEST_REASON) -> str:
    """What an error says, in one line of at most ``longest`` characters; else its type's name."""
    return " ".join(str(error).split())[:longest] or type(error).__name__


def brief(texts: Sequence[str], longest: int) -> list[str]:
    r"""Each text in one line of at most ``longest`` characters, to tell it from the others.

    Lines that all of them begin with, such as demonstrations in common, are left out:
    ``brief(["A: x\nB: y", "A: x\nB: z"], 80)`` is ``["B: y", "B: z"]``.
    """
    lines = [text.split("\n") for text in texts]
    shared = takewhile(lambda same: len(set(same)) == 1, zip(*lines, strict=False))
    start = sum(1 for _ in shared) if len(set(texts)) > 1 else 0
    found = (" ".join(" ".join(of[min(start, len(of) - 1) :]).split()) for of in lines)
    return [line if len(line) <= longest else f"{line[: longest - 3]}..." for line in found]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name``, or None where none is like it.

    One that begins with ``name``, of some letters, is what was meant: the shortest of those.
    """
    known = list(known)
    if begun := [one for one in known if len(name) >= BEGINNING and one.startswith(name)]:
        return min(begun, key=len)
    near = difflib.get_close_matches(name, known, n=1)
    return near[0] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"did you mean 'accuracy'? "`` as a message has it before what there is; empty without."""
    near = nearest(name, known)
    return f"did you mean {near!r}? " if near else ""


def with_class(name: str, of: str | None) -> str:
    """A label with its class behind it, where that is called otherwise.

    ``with_class("good", "pos")`` is ``"good (pos)"``, ``with_class("pos", "Pos")`` ``"pos"``.
    """
    same = of is None or of.strip().casefold() == name.strip(" “”").casefold()
    return name if same else f"{name} ({of})"


def model_name(model: str) -> str:
    """A model as a caption names it: a hub id whole, of a path the last name.

    ``model_name("/models/SmolLM2.gguf")`` is ``"SmolLM2.gguf"``.
    """
    if not re.match(r"[/.~]|[^/]+/[^/]+/", model):
        return model
    return model.rstrip("/").rpartition("/")[2] or model


def base_settings(settings: Iterable[str | None]) -> dict[str | None, str]:
    """What runs differ in as tables have it: models by their base names, where those differ.

    ``base_settings(["/models/a.gguf, 4-shot"])`` has ``a.gguf, 4-shot``; None is empty.
    """
    whole = list(dict.fromkeys(settings))
    short = {s: ", ".join(" with ".join(map(model_name, part.split(" with ")))
                          for part in (s or "").split(", ")) for s in whole}  # fmt: skip
    return short if len(set(short.values())) == len(whole) else {s: s or "" for s in whole}


def base_names(paths: Sequence[str]) -> dict[str, str]:
    """Each path by as many of its last names as tell it from the others, without ``.h5``.

    ``base_names(["/a/x.h5", "/b/y.h5"])`` has ``x`` and ``y``.
    """
    parts = {path: path.removesuffix(".h5").rstrip("/").split("/") for path in paths}
    for last in range(1, max(map(len, parts.values()), default=0) + 1):
        names = {path: "/".join(of[-last:]) for path, of in parts.items()}
        if len(set(names.values())) == len(parts):
            return names
    return {path: path for path in paths}


def listed(names: Sequence[str], most: int) -> str:
    """The names with commas, the first ``most`` of them: ``a, b and 3 more``."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def number_spans(text: str) -> list[range]:
    """``number_spans("0-2,5")`` is ``[range(0, 3), range(5, 6)]``.

    Raises:
        ValueError: something else than numbers and ranges.
    """
    spans = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError("expected numbers and ranges, such as 0-4 or 0,2")
        span = range(int(first), int(last if dash else first) + 1)
        if not span:
            raise ValueError(f"{part} counts down; write {last}-{first}")
        spans.append(span)
    return spans


def si(value: float, unit: str) -> str:
    """``si(2_500_000, "B")`` is ``"2.5 MB"``."""
    for prefix in ("", "k", "M", "G", "T", "P"):
        if abs(value) < 999.5 or prefix == "P":  # what rounds to 1000 has the next prefix
            break
        value /= 1000
    return f"{value:.3g} {prefix}{unit}" if prefix else f"{value:.0f} {unit}"


def spoken(seconds: float) -> str:
    """``spoken(6000)`` is ``"1 h 40 min"``, ``spoken(90)`` ``"2 min"``, ``spoken(5)`` ``"5 s"``."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min"
