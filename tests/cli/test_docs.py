"""``compread docs``: the manual comes with the package, on a terminal and in a pipe."""

from __future__ import annotations

import re

import pytest

from compread.cli import main
from compread.docs import page_names, page_text
from compread.views.pages import LONGEST, to_page

PAGES = page_names()
Out = pytest.CaptureFixture[str]


def test_without_a_name_the_pages_are_listed(capsys: Out) -> None:
    """Each with what it is about, in 80 columns."""
    assert main(["docs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:] if not line.startswith(" ")] == PAGES
    assert {"stores", "tasks", "statistics", "reweighting", "speed", "models"} <= set(PAGES)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", PAGES)
def test_a_page_in_a_pipe_is_the_markdown(name: str, capsys: Out) -> None:
    """As it was written, notes to its makers aside."""
    assert main(["docs", name]) == 0
    out = capsys.readouterr().out
    assert out == page_text(name) and out.startswith("# ") and "<!--" not in out


@pytest.mark.parametrize("name", PAGES)
def test_a_page_on_a_terminal_is_laid_out(name: str) -> None:
    """Without the marks of Markdown, its code whole, its text within the width."""
    markdown = page_text(name)
    shown = to_page(markdown, width=72, color=False)
    code = {
        line.rstrip()
        for block in markdown.split("```")[1::2]
        for line in block.splitlines()[1:]
        if line.strip()
    }
    lines = shown.splitlines()
    assert code <= set(lines)
    assert max(len(line) for line in lines if line not in code) <= 72
    text = " ".join(line.strip() for line in lines if line not in code)
    for inline in re.findall(r"`([^`\n]*\*\*[^`\n]*)`", markdown):  # where it is a power
        text = text.replace(inline, "")
    assert "```" not in shown and "**" not in text
    widest = to_page(markdown, width=500, color=False).splitlines()
    assert max(len(line) for line in widest if line not in code) <= LONGEST


def test_colours_are_for_terminals_that_have_them() -> None:
    """Escapes stand in a coloured page and in no other."""
    assert "\x1b[" in to_page("# Title\n\n`code`\n", 80, color=True)
    assert "\x1b" not in to_page("# Title\n\n`code`\n", 80, color=False)


@pytest.mark.parametrize(("name", "words"), [("store", "did you mean stores?"), ("x", "one of ")])
def test_a_page_that_is_not_there(name: str, words: str, capsys: Out) -> None:
    """The error names the pages there are, and the one that was meant."""
    assert main(["docs", name]) == 2
    assert words in capsys.readouterr().err
