"""A page of the manual for the terminal, laid out by rich."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Markdown
from rich.text import Text
from rich.theme import Theme

from compread.views.tables import Column

LONGEST = 100
"""Width of a page at most: longer lines are hard to read."""
LIST = [Column("page", justify="left"), Column("about", justify="left")]
"""The view of the pages' list."""


class _Lines(CodeBlock):
    """Commands and their output as they stand, at the margin: rich would indent and wrap them."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(str(self.text).rstrip(), style="cyan", no_wrap=True, overflow="ignore")


class _Page(Markdown):
    elements: ClassVar = {**Markdown.elements, "fence": _Lines, "code_block": _Lines}


def page_rows(pages: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """One row a page, from names and what each is about."""
    return [{"page": name, "about": about} for name, about in pages]


def to_page(markdown: str, width: int, color: bool) -> str:
    """Markdown as lines for a terminal of ``width`` columns; code keeps its own width."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=min(width, LONGEST),
        color_system="standard" if color else None,
        force_terminal=color,
        force_jupyter=False,
        legacy_windows=False,
        emoji=False,
        # Readable on light and on dark: rich's own puts words on black.
        theme=Theme({"markdown.code": "bold cyan"}),
    )
    console.print(_Page(markdown, hyperlinks=False), crop=False)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())
