"""The manual: Markdown pages that ship with the package, so that a node without a network has them.

A page is ``NAME.md`` in this folder; its first line is its title, the paragraph behind it says what
it is about. Nothing else lists the pages.
"""

from __future__ import annotations

import re
from pathlib import Path

from compread.errors import UsageError
from compread.text import nearest

_FOLDER = Path(__file__).parent
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


def page_names() -> list[str]:
    """The pages' names, in alphabetical order."""
    return sorted(file.stem for file in _FOLDER.glob("*.md"))


def page_text(name: str) -> str:
    """A page as Markdown, without what only its makers need to see.

    Raises:
        UsageError: there is no such page.
    """
    names = page_names()
    if name not in names:
        meant = nearest(name, names)
        raise UsageError(
            f"no page {name!r}; expected one of {', '.join(names)}"
            + (f"; did you mean {meant}?" if meant else "; of a command: compread COMMAND --help")
        )
    return _COMMENT.sub("", (_FOLDER / f"{name}.md").read_text(encoding="utf-8"))


def page_summary(name: str) -> str:
    """What a page is about: the first paragraph behind its title, in one line.

    Raises:
        UsageError: there is no such page.
    """
    _title, about, *_rest = page_text(name).split("\n\n")
    return " ".join(about.split())
