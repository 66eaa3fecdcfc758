"""``compread check``."""

from __future__ import annotations

from typing import Annotated

import typer

from compread.cli.options import FORMAT, Format
from compread.cli.output import emit

EXAMPLE = "compread check gpt2\ncompread check ./my-model --format json | jq -r '.models[].verdict'"
_NOT_CERTIFIED = 3


def check(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Hub id, folder, .gguf file, or a bare model type such as gpt_neox.",
            show_default=False,
        ),
    ],
    revision: Annotated[str | None, typer.Option("--revision", help="Hub revision.")] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use local files and caches only.")
    ] = False,
    format: FORMAT = Format.table,
) -> None:
    """Prove that a model family is read rightly, from its config alone.

    Builds a tiny model with the same structure and loud random weights on the CPU in float64, and
    compares the parts with what that model does. Exit status 0: certified; 3: not.
    """
    from compread.extract import certify
    from compread.model import load_config, quieten_libraries
    from compread.views.certificate import certificate_rows, certificate_view

    quieten_libraries(bars=False)
    certificate = certify(load_config(model, revision, offline))
    document = certificate_rows([certificate])
    emit(document, certificate_view(document), format.value)
    if not certificate.certified:
        raise typer.Exit(_NOT_CERTIFIED)
