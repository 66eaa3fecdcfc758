"""What a shell offers where Tab is pressed: tasks, templates, methods, components, stores, pages.

Each function gets what the command line holds so far and the word under the cursor, and gives the
words that it may become. A mistake elsewhere on the line is no time for a message: then nothing is
offered.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import typer

from compread.errors import CompreadError

ASKED_BY = "_COMPREAD_COMPLETE"
"""Set by the shell when it asks for completions."""
_BASH = "complete_bash"
_BREAKS = (":", "=")
"""What divides words for bash and for no one else."""


def answer(command: Callable[..., Any]) -> None:
    """Print what may stand where Tab was pressed, as the shell's own script wants it; then exit."""
    kept = _join_words(os.environ)
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            command(prog_name="compread")
    finally:
        for line in filter(None, said.getvalue().splitlines()):
            print(line.removeprefix(kept))


def _join_words(environment: MutableMapping[str, str]) -> str:
    """Join what bash has divided at ``:`` and ``=``, as of ``comprw:convex`` or ``--by=margin``.

    Returns:
        What of the word under the cursor bash keeps, and must not get again.
    """
    if environment.get(ASKED_BY) != _BASH or "COMP_WORDS" not in environment:
        return ""
    words: list[str] = []
    here = int(environment.get("COMP_CWORD", "0"))
    for word in re.split("[ \n]", environment["COMP_WORDS"])[: here + 1]:
        if words and (word in _BREAKS or words[-1].endswith(_BREAKS)):
            words[-1] += word
        else:
            words.append(word)
    environment["COMP_WORDS"], environment["COMP_CWORD"] = " ".join(words), str(len(words) - 1)
    return words[-1][: max(words[-1].rfind(mark) for mark in _BREAKS) + 1]


def stores(incomplete: str) -> list[str]:
    """The ``.h5`` files and folders that a path may become; of a single folder what is in it."""
    found = _below(incomplete)
    while len(found) == 1 and found[0].endswith("/"):
        inside = _below(found[0])
        if not inside:
            break
        # The folder stands beside its contents, so that no shell takes it for the whole word.
        found = inside if len(inside) > 1 else [found[0], *inside]
    return found


def tasks(ctx: typer.Context, incomplete: str) -> list[str]:
    """The tasks' names, a user's own with ``--include-path``."""
    from compread.prompts import task_names

    with suppress(CompreadError):
        return _in_list([*task_names(ctx.params.get("include_path")), "all"], incomplete)
    return []


def templates(ctx: typer.Context, incomplete: str) -> list[str]:
    """The template ids of the tasks that are named before, and ``all`` and ``contrast``."""
    from compread.cli.values import comma_list
    from compread.prompts import load_task

    named = ctx.params.get("tasks") or _arguments(ctx, "names")
    ids: dict[str, None] = {"all": None, "contrast": None}
    for name in comma_list(named):
        with suppress(CompreadError):
            ids |= dict.fromkeys(load_task(name, ctx.params.get("include_path")).templates)
    return _in_list(ids, incomplete)


def measures(incomplete: str) -> list[str]:
    """What components can be ranked by, arithmetic aside."""
    from compread.analysis.measures import MEASURES
    from compread.options import WEIGHT

    return [name for name in (*MEASURES, WEIGHT) if name.startswith(incomplete)]


def methods(incomplete: str) -> list[str]:
    """The methods of reweighting, with the recipes that they have."""
    from compread.reweight.registry import METHODS

    names = []
    for name, method in METHODS.items():
        names += [name, *(f"{name}:{recipe}" for recipe in method.recipes)]
    return _in_list(names, incomplete)


def kinds(incomplete: str) -> list[str]:
    """The kinds of components, and all of them."""
    from compread.components import KINDS
    from compread.options import ALL

    return _in_list([*KINDS, ALL], incomplete)


def components(ctx: typer.Context, incomplete: str) -> list[str]:
    """``full``, kinds, and the components of the first store that is named before."""
    from compread.components import KIND_PLURALS
    from compread.store import open_store, store_paths

    given = _arguments(ctx, "stores")
    with suppress(CompreadError, OSError):
        if given and "-" not in given:
            with open_store(store_paths(given)[0]) as store:
                names = [component.name for component in store.components]
                return _in_list(["full", *KIND_PLURALS, *names], incomplete)
    return []


def pages(incomplete: str) -> list[str]:
    """The pages of the manual."""
    from compread.docs import page_names

    return _in_list(page_names(), incomplete)


def _arguments(ctx: typer.Context, name: str) -> list[str]:
    """The arguments before the cursor; behind an option without its value they are not parsed."""
    return list(ctx.params.get(name) or ctx.args)


def _below(incomplete: str) -> list[str]:
    folder, _, begun = incomplete.rpartition("/")
    at = Path(f"{folder}/" if incomplete.startswith("/") else folder or ".").expanduser()
    before = f"{folder}/" if "/" in incomplete else ""
    found = []
    with suppress(OSError):
        for path in sorted(at.iterdir()):
            hidden = path.name.startswith(".") and not begun.startswith(".")
            if path.name.startswith(begun) and not hidden:
                if path.is_dir():
                    found.append(f"{before}{path.name}/")
                elif path.suffix == ".h5":
                    found.append(f"{before}{path.name}")
    return found


def _in_list(names: Iterable[Any], incomplete: str) -> list[str]:
    """The names that the last of a list with commas may become, behind those that stand there."""
    before, comma, begun = incomplete.rpartition(",")
    taken = before.split(",")
    return [
        f"{before}{comma}{name}" for name in names if name.startswith(begun) and name not in taken
    ]
