"""``compread check``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from compread.cli.extract_options import TRUST
from compread.cli.forms import FORMAT, ONE_TABLE, TABLE
from compread.cli.output import emit, note
from compread.cli.progress import hide_foreign_bars
from compread.errors import UsageError

if TYPE_CHECKING:
    from compread.check import Certificate

EXAMPLE = (
    "compread check gpt2\ncompread check ./my-model --format json | jq -r '.models[].verdict'\n"
    "compread check --all"
)
_NOT_CERTIFIED = 3


def check(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Hub id, folder, .gguf file, or a bare model type such as gpt_neox.",
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Check every type of causal language model that transformers has."
        ),
    ] = False,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Branch, tag or commit on the hub.")
    ] = None,
    adapter: Annotated[
        str | None, typer.Option("--adapter", help="Check it with an adapter like this one (peft).")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use only what is on this machine; download nothing.")
    ] = False,
    trust_remote_code: TRUST = False,
    table: ONE_TABLE = None,
    format: FORMAT = TABLE,
) -> None:
    """Prove that a family of models is split correctly, from its config alone.

    Builds a tiny model of the same structure with large random weights, on the CPU in float64, and
    checks that the parts add up to what that model computes. No weights are downloaded. The exit
    status is 0 if the family is certified, else 3; with --all, 3 if none is or a check crashed.
    """
    if (model is None) != every:
        raise UsageError("expected a MODEL or --all, one of the two; see compread check --help")
    if every and adapter:
        raise UsageError("--adapter goes with one MODEL, not with --all")
    hide_foreign_bars()
    from compread.check import certify
    from compread.model import load_adapter_config, load_config, quieten_libraries
    from compread.views.check import certificate_rows, certificate_view, sweep_view

    quieten_libraries(bars=False)
    if model is None:
        certificates = _check_all()
        document = certificate_rows(certificates)
        emit(document, sweep_view(document), format, table)
        good = any(c.certified for c in certificates) and not any(c.died for c in certificates)
    else:
        change = load_adapter_config(adapter, offline) if adapter else None
        certificate = certify(
            load_config(model, revision, offline, trust_remote_code), change, trust_remote_code
        )
        document = certificate_rows([certificate])
        emit(document, certificate_view(document), format, table)
        good = certificate.certified
    if not good:
        raise typer.Exit(_NOT_CERTIFIED)


def _check_all() -> list[Certificate]:
    from compread.check import causal_types, certify_all

    types = causal_types()
    return certify_all(types, jobs=os.cpu_count() or 1, checked=_count(len(types)))


def _count(total: int) -> Callable[[Certificate], None]:
    """Say on stderr how far the sweep is, one line a type."""
    done = 0

    def checked(certificate: Certificate) -> None:
        nonlocal done
        done += 1
        note(f"{done}/{total} {certificate.model_type}: {certificate.verdict}")

    return checked
