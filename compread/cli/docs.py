"""``compread docs``: the manual, where there is no network."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from compread.cli import complete
from compread.cli.output import color, emit, width, write, write_styled

EXAMPLE = """\
compread docs
compread docs recipes
compread docs --man | man -l -
compread docs stores | grep -i checksum"""


def docs(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            autocompletion=complete.pages,
            help="A page.  [default: list them]",
        ),
    ] = None,
    man: Annotated[
        bool, typer.Option("--man", help="Print the page for man, with every command and option.")
    ] = False,
) -> None:
    """Show a page of the manual.

    The pages come with the package, so no network is needed. A terminal gets a page laid out, a
    pipe or a file its Markdown. Without NAME the pages are listed.

    To have the commands' help in man: compread docs --man > ~/.local/share/man/man1/compread.1
    """
    from compread.docs import page_names, page_summary, page_text
    from compread.views.choose import Form
    from compread.views.pages import LIST, page_rows, to_page

    if man:
        from compread.cli.man import man_page

        write(man_page(context.find_root().command, context))
        return
    if name is None:
        rows = page_rows([(page, page_summary(page)) for page in page_names()])
        emit(rows, LIST, Form())
        return
    text = page_text(name)
    if sys.stdout.isatty():
        write_styled(to_page(text, width(sys.stdout), color(sys.stdout)))
    else:
        write(text)
