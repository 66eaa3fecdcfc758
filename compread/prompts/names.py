"""The names that become parts of file names: tasks, templates, prompt files.

One rule for every name, wherever it comes from, so that a store is one file in the folder it was
asked for, on every system: nothing that a path, a shell, a glob or a file system reads as its own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from compread.errors import PromptError

LONGEST = 80
"""Bytes of a name in UTF-8; a store's name has two of them, and a file system takes 255."""
OTHERS = " _-.+=@,()&'"
"""Characters of a name that are neither letters nor digits."""
_EXPECTED = (
    f"expected at most {LONGEST} bytes of letters, digits, spaces and {OTHERS.strip()}, a letter, "
    "digit or _ first, no space or dot last"
)
_WINDOWS = ("CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in range(10)))


def name_fault(name: str) -> str | None:
    """Why a name cannot be part of a file name, or None.

    ``name_fault("a/b")`` is ``"'a/b' cannot be part of a file name: '/' in it; expected ..."``.
    """
    shown = repr(name if len(name) <= LONGEST else name[:LONGEST] + "...")
    bad = next((c for c in name if not _allowed(c)), None)
    if bad is not None:
        what = f"{bad!a} in it"
    elif not name or not (name[0].isalnum() or name[0] == "_"):
        what = f"it begins with {name[:1]!r}"
    elif name[-1] in " .":
        what = f"it ends in {name[-1]!r}"
    elif len(name.encode()) > LONGEST:
        what = f"it has {len(name.encode())} bytes"
    elif name.partition(".")[0].upper() in _WINDOWS:
        what = "Windows keeps that name for a device"
    elif unicodedata.normalize("NFC", name) != name:
        what = f"its accents are written apart: write {unicodedata.normalize('NFC', name)!r}"
    else:
        return None
    return f"{shown} cannot be part of a file name: {what}; {_EXPECTED}"


def check_name(name: str, what: str) -> str:
    """The name, which can be part of a file name.

    Args:
        name: the name.
        what: what it is of, for the message: ``"template id"``.

    Raises:
        PromptError: it cannot.
    """
    fault = name_fault(name)
    if fault is not None:
        raise PromptError(f"the {what} {fault}")
    return name


def one_file(names: Iterable[str]) -> tuple[str, str] | None:
    """Two of the names that are one file on some systems: equal but for case or accents."""
    seen: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFKC", name).casefold()
        if folded in seen:
            return seen[folded], name
        seen[folded] = name
    return None


def _allowed(character: str) -> bool:
    return (
        character.isalnum()
        or character in OTHERS
        or unicodedata.category(character).startswith("M")
    )
