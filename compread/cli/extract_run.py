"""The runs of ``extract``: each prompt set through one loaded model, or what that would take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compread.cli.output import emit, note, write_path
from compread.cli.progress import RowProgress
from compread.errors import StoreError
from compread.text import si

if TYPE_CHECKING:
    from compread.extract import Extraction, ExtractOptions, Extractor
    from compread.model import ModelRequest
    from compread.prompts import PromptSet, TokenizedSet

LOW_MASS = 0.01
"""Median probability on the label words below which a run is warned about."""


def run_all(
    extractor: Extractor,
    sets: Sequence[PromptSet],
    paths: Sequence[Path],
    options: ExtractOptions,
    show_prompts: int,
    quiet: bool,
    told: set[str],
) -> list[StoreError]:
    """Run each prompt set with one loaded model, and print the stores' paths.

    Args:
        extractor: the model.
        sets: the prompt sets.
        paths: where each one's store goes.
        options: how it is computed.
        show_prompts: how many prompts of each to print.
        quiet: print no progress.
        told: the warnings that were printed by now; each is printed once.

    Returns:
        What kept runs from being made, such as damaged stores at their targets.
    """
    speaks = extractor.ranks.is_first
    refused: list[StoreError] = []
    for (prompt_set, tokens), target in zip(extractor.tokenized(sets), paths, strict=True):
        if show_prompts and speaks:
            _show(extractor, prompt_set, tokens, show_prompts)
        try:
            with RowProgress(target.name, quiet=quiet or not speaks) as progress:
                done = extractor.extract(prompt_set, target, options, progress, tokens)
        except KeyboardInterrupt:
            without = " without --force" if options.force else ""
            note(f"{target}: finished rows are kept; the same command{without} goes on from there")
            raise
        except StoreError as error:
            refused.append(error)
            if speaks and len(sets) > 1:
                note(f"error: {error}")
            continue
        if speaks:
            _tell(done, quiet, told)
    return refused


def _show(extractor: Extractor, prompt_set: PromptSet, tokens: TokenizedSet, count: int) -> None:
    from compread.extract import preview
    from compread.prompts import audit

    loaded = extractor.loaded
    for line in audit(prompt_set, loaded.tokenizer, loaded.context_length, count):
        note(line)
    for prompt, ids in zip(prompt_set.prompts[:count], tokens.ids, strict=False):
        note(f"--- row {prompt.id}: {preview(loaded, ids, tokens.label_ids)}")


def _tell(done: Extraction, quiet: bool, told: set[str]) -> None:
    if not quiet:
        note(summary(done))
    for warning in done.warnings:
        if warning not in told:
            note(f"warning: {warning}")
    told.update(done.warnings)
    _check_mass(done.path)
    write_path(done.path)


def _check_mass(path: Path) -> None:
    """Warn of a model that would say something else than the label words."""
    import numpy as np

    from compread.store import SPLITS, open_store

    with open_store(path) as store:
        mass = np.concatenate([store.array(split, "label_mass") for split in SPLITS])
    median = float(np.median(mass)) if len(mass) else 1.0
    if median < LOW_MASS:
        note(
            f"warning: {path.name}: the label words have {median:.2%} of the probability in the "
            "median; look at the prompt's end and the words' spaces with --show-prompts 1"
        )


def summary(done: Extraction) -> str:
    """What a run did and what it cost."""
    kept = f" (+ {done.kept} kept from before)" if done.kept else ""
    if not done.rows:
        return f"{done.path.name}: all {done.kept} rows were kept from before"
    saved = 1 - done.tokens_run / done.tokens_whole
    return (
        f"{done.path.name}: {done.rows} rows{kept} in {done.seconds:.1f} s\n"
        f"  {done.rows / done.seconds:.1f} rows/s, {done.tokens_run / done.seconds:.0f} tokens/s; "
        f"{done.tokens_run} of {done.tokens_whole} tokens run, {saved:.0%} saved by sharing\n"
        f"  {si(done.flops, 'FLOP')} at {si(done.flops / done.seconds, 'FLOP/s')}, "
        f"{si(done.memory, 'B')} of memory, a store of {si(done.store_bytes, 'B')}\n"
        f"  worst sum error {done.worst_error:.1e} of the logits' scale"
    )


def forecast(
    requests: Sequence[ModelRequest],
    worded: Callable[[Any], list[PromptSet]],
    share: bool,
    format: str,
) -> None:
    """Print what the runs will take, one row each and one for all together."""
    from compread.extract.forecast import Forecaster, total
    from compread.model import load_config, load_tokenizer
    from compread.prompts import tokenize

    found = []
    for request in requests:
        config = load_config(
            request.name, request.revision, request.offline, request.trust_remote_code
        )
        tokenizer = load_tokenizer(request)
        sets = [(one, tokenize(one, tokenizer)) for one in worded(tokenizer)]
        forecaster = Forecaster(request, config)
        found += [forecaster.run(one, tokens, share=share) for one, tokens in sets]
    rows = [asdict(one) for one in (*found, total(found))]
    emit(rows, _forecast_view(rows), format)


def _forecast_view(rows: Sequence[dict[str, Any]]) -> Any:
    from compread.views.tables import Column, Table

    def units(key: str, unit: str) -> Callable[[Any], str]:
        return lambda row: si(row[key], unit)

    columns = [
        Column("run", justify="left", shorten="start"),
        Column("rows"),
        Column("tokens", "tokens\nin all"),
        Column("tokens_run", "to be\nrun"),
        Column("flops", "operations", format=units("flops", "FLOP")),
        Column("memory", format=units("memory", "B")),
        Column("store_bytes", "store", format=units("store_bytes", "B")),
    ]
    note = (
        "Nothing was run. Operations: the matrix products of the model. Memory: at most, the model "
        "included; on a GPU that of tensors, else that of the process."
    )
    return [Table(columns, [rows[:-1], rows[-1:]] if len(rows) > 2 else [rows[:1]], note=note)]
