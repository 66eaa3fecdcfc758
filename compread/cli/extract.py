"""``compread extract``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from compread.cli import extract_options as opt
from compread.cli.extract_grid import Checkpoint, PromptChoices, checkpoints, targets
from compread.cli.output import note, write
from compread.cli.progress import RowProgress

if TYPE_CHECKING:
    from compread.extract import Extraction, ExtractOptions, Extractor
    from compread.prompts import Chat, PromptSet

EXAMPLE = """\
compread extract --model gpt2 --prompts prompts.jsonl -o out.h5
compread extract --model gpt2 --tasks sst2,qqp --templates all --seeds 0-4 -o stores/"""

LOW_MASS = 0.01
"""Median probability on the label words below which a run is warned about."""


def extract(
    context: typer.Context,
    model: opt.MODEL,
    output: opt.OUTPUT,
    tasks: opt.TASKS = None,
    prompts: opt.PROMPTS = None,
    templates: opt.TEMPLATES = None,
    seeds: opt.SEEDS = "0",
    num_fewshot: opt.NUM_FEWSHOT = None,
    n_train: opt.N_TRAIN = None,
    limit: opt.LIMIT = None,
    labels: opt.LABELS = None,
    demo_labels: opt.DEMO_LABELS = None,
    prompt_selection: opt.SELECTION = opt.Selection.fixed,
    embedder: opt.EMBEDDER = None,
    data_dir: opt.DATA_DIR = None,
    include_path: opt.INCLUDE_PATH = None,
    apply_chat_template: opt.CHAT_TEMPLATE = False,
    system_instruction: opt.SYSTEM = None,
    fewshot_as_multiturn: opt.MULTITURN = False,
    revision: opt.REVISION = None,
    revisions: opt.REVISIONS = None,
    dtype: opt.DTYPE = "auto",
    device: opt.DEVICE = "auto",
    device_map: opt.DEVICE_MAP = None,
    offline: opt.OFFLINE = False,
    batch_tokens: opt.BATCH_TOKENS = 2048,
    share: opt.SHARE = True,
    force: opt.FORCE = False,
    show_prompts: opt.SHOW_PROMPTS = 0,
    quiet: opt.QUIET = False,
) -> None:
    """Run a model once and store every component's label logits.

    Prints the path of each finished store, one a line. A run that was stopped goes on where it
    was when the same command is given again. Exit status 3: the parts did not add up to the
    model's own logits, and nothing was written.
    """
    if quiet or not sys.stderr.isatty():
        # Read when tqdm is imported, and torch already does that.
        os.environ.setdefault("TQDM_DISABLE", "1")
    from compread.prompts import Chat

    chat = Chat(apply_chat_template, system_instruction, fewshot_as_multiturn)
    nearest = prompt_selection is opt.Selection.nearest
    sets = PromptChoices(
        tasks, prompts, templates, seeds, num_fewshot, n_train, limit, labels, demo_labels,
        nearest, embedder, data_dir, include_path, offline,
    ).prompt_sets()  # fmt: skip
    points = checkpoints(model, revision, revisions)
    places = _places(output, sets, points, chat, force)

    from compread.extract import ExtractOptions, Extractor
    from compread.model import ModelRequest, load_model, quieten_libraries

    quieten_libraries(bars=sys.stderr.isatty() and not quiet)
    for point, paths in zip(points, places, strict=True):
        request = ModelRequest(point.model, point.revision, dtype, device, device_map, offline)
        options = ExtractOptions(
            batch_tokens=batch_tokens,
            share=share,
            force=force,
            reuse=output.suffix != ".h5",
            command=context.obj,
            checkpoint=point.label or point.revision,
        )
        extractor = Extractor(load_model(request))
        _run_all(extractor, _worded(extractor, sets, chat), paths, options, show_prompts, quiet)
        del extractor  # before the next checkpoint takes its memory


def _places(
    output: Path, sets: list[PromptSet], points: list[Checkpoint], chat: Chat, force: bool
) -> list[list[Path]]:
    """The targets of each checkpoint, looked at before a model is loaded."""
    from compread.store import check_free, check_target

    names = [
        one.file_name.removesuffix(".h5") + f"{'' if chat.plain else chat.variant}.h5"
        for one in sets
    ]
    places = targets(output, names, points)
    for target in (path for paths in places for path in paths):
        check_target(target)
        if output.suffix == ".h5" and not force:
            check_free(target)
    return places


def _worded(extractor: Extractor, sets: list[PromptSet], chat: Chat) -> list[PromptSet]:
    """The prompt sets as this model reads them, tried on a few rows of each."""
    from compread.prompts import preflight

    loaded = extractor.loaded
    if not chat.plain:
        sets = [chat.apply(one, loaded.tokenizer) for one in sets]
    if len(sets) > 1:  # a mistake in the last of a grid shows before the first is run
        for one in sets:
            preflight(one, loaded.tokenizer, loaded.context_length)
    return sets


def _run_all(
    extractor: Extractor,
    sets: Sequence[PromptSet],
    paths: Sequence[Path],
    options: ExtractOptions,
    show_prompts: int,
    quiet: bool,
) -> None:
    """Run each prompt set with one loaded model, and print the stores' paths."""
    from compread.prompts import audit

    loaded = extractor.loaded
    for prompt_set, target in zip(sets, paths, strict=True):
        if show_prompts:
            for line in audit(prompt_set, loaded.tokenizer, loaded.context_length, show_prompts):
                note(line)
        try:
            with RowProgress(target.name, quiet=quiet) as progress:
                done = extractor.extract(prompt_set, target, options, progress)
        except KeyboardInterrupt:
            without = " without --force" if options.force else ""
            note(f"{target}: finished rows are kept; the same command{without} goes on from there")
            raise
        for warning in done.warnings:
            note(f"warning: {warning}")
        _check_mass(done.path)
        if not quiet:
            note(_summary(done))
        write(f"{done.path}\n")


def _check_mass(path: Path) -> None:
    """Warn of a model that would say something else than the label words."""
    import numpy as np

    from compread.store import SPLITS, open_store

    with open_store(path) as store:
        mass = np.concatenate([store.array(split, "label_mass") for split in SPLITS])
    median = float(np.median(mass)) if len(mass) else 1.0
    if median < LOW_MASS:
        note(
            f"warning: {path.name}: the label words have {median:.2%} of the model's probability "
            "in the median; look at the prompt's end and the words' spaces with --show-prompts 1"
        )


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
