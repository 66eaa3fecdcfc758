"""``compread extract``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compread.cli.output import note, write
from compread.cli.progress import RowProgress
from compread.cli.values import comma_list, number_ranges
from compread.errors import TargetError, UsageError

if TYPE_CHECKING:
    from compread.extract import Extraction
    from compread.prompts import PromptSet

EXAMPLE = """\
compread extract --model gpt2 --prompts prompts.jsonl -o out.h5
compread extract --model gpt2 --tasks sst2 --seeds 0-4 -o stores/ | xargs compread rank"""


def extract(
    context: typer.Context,
    model: Annotated[
        str, typer.Option("--model", help="Hub id, folder or .gguf file.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="A .h5 path for one run; else a folder.", show_default=False
        ),
    ],
    tasks: Annotated[
        list[str] | None, typer.Option("--tasks", help="Built-in tasks, such as sst2.")
    ] = None,
    prompts: Annotated[
        str | None, typer.Option("--prompts", help="A prompt set in JSON Lines; - for stdin.")
    ] = None,
    templates: Annotated[
        str | None,
        typer.Option("--templates", help="Template ids, all, contrast. [default: first]"),
    ] = None,
    seeds: Annotated[
        str, typer.Option("--seeds", help="Demonstration sets, such as 0-4 or 0,2.")
    ] = "0",
    num_fewshot: Annotated[
        int | None, typer.Option("--num-fewshot", help="Demonstrations. [default: the task's]")
    ] = None,
    n_train: Annotated[
        int | None, typer.Option("--n-train", help="Train rows. [default: 24 less the shots]")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Test rows. [default: 2000 or all there are]")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels", help='Label words of --prompts in column order: " negative, positive".'
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Folder with TASK/{train,test}.jsonl.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Hub revision of the model.")
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.")
    ] = "auto",
    device: Annotated[
        str, typer.Option("--device", help="auto, cuda, cuda:1, mps or cpu.")
    ] = "auto",
    device_map: Annotated[
        str | None, typer.Option("--device-map", help="Spread a large model: auto, balanced ...")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use local files and caches only.")
    ] = False,
    batch_tokens: Annotated[
        int, typer.Option("--batch-tokens", min=1, help="Tokens in a batch.")
    ] = 2048,
    share: Annotated[
        bool, typer.Option("--share/--no-share", help="Run the prompts' shared prefix once.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Replace existing stores and start over.")
    ] = False,
    show_prompts: Annotated[
        int, typer.Option("--show-prompts", min=0, help="Print N prompts of each run on stderr.")
    ] = 0,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no summary on stderr.")
    ] = False,
) -> None:
    """Run a model once and store every component's label logits.

    Prints the path of each finished store, one a line. A run that was stopped goes on where it
    was when the same command is given again. Exit status 3: the parts did not add up to the
    model's own logits, and nothing was written.
    """
    if quiet or not sys.stderr.isatty():
        # Read when tqdm is imported, and torch already does that.
        os.environ.setdefault("TQDM_DISABLE", "1")
    from compread.store import check_free, check_target

    sets = _prompt_sets(
        tasks, prompts, templates, seeds, num_fewshot, n_train, limit, labels, data_dir, offline
    )
    targets = _targets(output, sets)
    for target in targets:
        check_target(target)
        if output.suffix == ".h5" and not force:
            check_free(target)
    for prompt_set in sets:
        for prompt in prompt_set.prompts[:show_prompts]:
            note(f"--- {prompt_set.task} {prompt.split} row {prompt.id}\n{prompt.text}")
            note(f"--- right label: {prompt_set.labels[prompt.gold]!r}")

    from compread.extract import ExtractOptions, Extractor
    from compread.model import ModelRequest, load_model, quieten_libraries

    quieten_libraries(bars=sys.stderr.isatty() and not quiet)
    request = ModelRequest(model, revision, dtype, device, device_map, offline)
    options = ExtractOptions(
        batch_tokens=batch_tokens,
        share=share,
        force=force,
        reuse=output.suffix != ".h5",
        command=context.obj,
    )
    extractor = Extractor(load_model(request))
    for prompt_set, target in zip(sets, targets, strict=True):
        try:
            with RowProgress(target.name, quiet=quiet) as progress:
                done = extractor.extract(prompt_set, target, options, progress)
        except KeyboardInterrupt:
            without = " without --force" if force else ""
            note(f"{target}: finished rows are kept; the same command{without} goes on from there")
            raise
        for warning in done.warnings:
            note(f"warning: {warning}")
        if not quiet:
            note(_summary(done))
        write(f"{done.path}\n")


def _prompt_sets(
    tasks: list[str] | None,
    prompts: str | None,
    templates: str | None,
    seeds: str,
    num_fewshot: int | None,
    n_train: int | None,
    limit: int | None,
    labels: str | None,
    data_dir: Path | None,
    offline: bool,
) -> list[PromptSet]:
    """The grid of runs that the options ask for."""
    from compread.prompts import load_task, prompt_sets, read_prompt_file

    if bool(tasks) == bool(prompts):
        raise UsageError("give either --tasks or --prompts: what should the model be run on?")
    if prompts:
        given = (num_fewshot, n_train, limit, templates, data_dir)
        if any(value is not None for value in given) or seeds != "0":
            raise UsageError(
                "--prompts is one finished prompt set: --templates, --seeds, --num-fewshot, "
                "--n-train, --limit and --data-dir go with --tasks"
            )
        return [read_prompt_file(prompts, labels.split(",") if labels else None)]
    if labels:
        raise UsageError("--labels goes with --prompts; a task brings its own label words")
    names = dict.fromkeys(comma_list(tasks or []))
    if not names:
        raise UsageError("--tasks is empty: expected names of tasks, such as sst2")
    sets = []
    for name in names:
        task = load_task(name)
        wanted = list(task.templates)[:1] if templates is None else comma_list([templates])
        if not wanted:
            raise UsageError("--templates is empty: expected template ids, or all")
        sets += prompt_sets(
            task,
            wanted,
            number_ranges("--seeds", seeds),
            shots=num_fewshot,
            n_train=n_train,
            limit=limit,
            data_dir=data_dir,
            offline=offline,
        )
    return sets


def _targets(output: Path, sets: list[PromptSet]) -> list[Path]:
    """Where each run's store goes."""
    if output.suffix == ".h5":
        if len(sets) > 1:
            raise UsageError(
                f"{output} is one store, but these options ask for {len(sets)} runs; give a folder"
            )
        return [output]
    if output.is_file():
        raise TargetError(f"{output} is a file; give a .h5 path or a folder")
    return [output / prompt_set.file_name for prompt_set in sets]


def _summary(done: Extraction) -> str:
    """What a run did and what it cost."""
    kept = f" (+ {done.kept} kept from before)" if done.kept else ""
    if not done.rows:
        return f"{done.path.name}: all {done.kept} rows were kept from before"
    saved = 1 - done.tokens_run / done.tokens_whole
    return (
        f"{done.path.name}: {done.rows} rows{kept} in {done.seconds:.1f} s\n"
        f"  {done.rows / done.seconds:.1f} rows/s, {done.tokens_run / done.seconds:.0f} tokens/s, "
        f"{saved:.0%} of tokens saved by sharing\n"
        f"  worst sum error {done.worst_error:.1e} of the logits' scale"
    )
