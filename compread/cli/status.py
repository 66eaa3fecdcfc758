"""``compread status``."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from compread.cli import complete
from compread.cli.forms import FORMAT, TABLE
from compread.cli.output import emit
from compread.errors import StoreError

EXAMPLE = "compread status stores/\ncompread status stores/ --format json | jq 'group_by(.state)'"


def status(
    stores: Annotated[
        list[str],
        typer.Argument(
            metavar="STORE",
            autocompletion=complete.stores,
            help="Folders, .h5 files, or - for paths on standard input.",
            show_default=False,
        ),
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Read all numbers against their checksums.")
    ] = False,
    format: FORMAT = TABLE,
) -> None:
    """Say which runs are finished, how far the others are, and which wait.

    Which wait, how long runs took and when the rest will be done is told by the list that extract
    leaves in a folder (.compread-runs.jsonl, which no store needs).

    Of a finished store the attributes are read and the rows counted, not its numbers. With --verify
    those are read too, and the exit status is 4 where a store or journal is damaged.
    A partial run goes on when the extract that began it is given again; a damaged store is
    extracted anew with --force. May be asked while extract runs.
    """
    from compread.cli.parallel import look_at_all
    from compread.store.paths import paths_on
    from compread.store.states import DAMAGED, outlook, store_states
    from compread.views.status import state_rows, status_view

    paths: list[str] = []
    for name in stores:
        paths += paths_on(sys.stdin) if name == "-" else [name]
    states = store_states(paths, verify, look_at_all)
    rows = state_rows(states)
    now = time.time()
    emit(rows, status_view(rows, outlook(states, now), now), format)
    if verify and any(one.state == DAMAGED for one in states):
        raise typer.Exit(StoreError.exit_code)
