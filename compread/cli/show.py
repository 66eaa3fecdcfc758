"""``compread show``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from compread.cli.forms import FORMAT, ONE_TABLE, TABLE
from compread.cli.options import STORES
from compread.cli.output import emit, width, write

EXAMPLE = "compread show out.h5\ncompread show out.h5 --format json | jq '.runs[0].versions'"


def show(
    stores: STORES,
    prompt: Annotated[
        bool, typer.Option("--prompt", help="Print the sample prompt from its beginning.")
    ] = False,
    table: ONE_TABLE = None,
    format: FORMAT = TABLE,
) -> None:
    """Show what is in a store.

    That is: the model and the options of its run, its labels with their tokens, how many
    components and rows it has, how exactly the parts add up to the logits, and a sample prompt. If
    the run is not finished, it says how many rows there are so far and ends with status 4.
    """
    from compread.store import open_store, store_paths
    from compread.views.show import sample_prompt, store_rows, store_view

    documents, prompts = [], []
    for path in store_paths(stores, sys.stdin):
        with open_store(path) as store:
            documents.append(store_rows(store))
            prompts.append(sample_prompt(store.run, width(sys.stdout), prompt))
    if format.exact or table is not None:
        together = {k: [row for d in documents for row in d[k]] for k in documents[0]}
        emit(together, [], format, table)
        return
    for document, text in zip(documents, prompts, strict=True):
        emit(document, store_view(document), format)
        if text and format.format == "table" and not format.columns:  # elsewhere: commands
            write(f"\n{text}\n")
