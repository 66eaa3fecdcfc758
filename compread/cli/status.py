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
        ),
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Also check all numbers against their checksums.")
    ] = False,
    format: FORMAT = TABLE,
) -> None:
    """Say which runs are finished, how far the others are, and which wait.

    Which wait, how long runs took and when the rest will be done is told by the list that extract
    leaves in a folder (.compread-runs.jsonl, which no store needs).

    Reads the description of each store and counts its rows, which is quick. With --verify it also
    reads all numbers and compares their checksums; the exit status is 4 if anything is damaged.
    To continue a partial run, give the same extract again; to replace a damaged store, add --force.
    It may be asked while extract is running.
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
