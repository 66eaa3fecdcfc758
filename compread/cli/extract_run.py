"""The runs of ``extract``: each prompt set through one loaded model, or what that would take."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compread.cli.output import emit, note, write_path
from compread.cli.progress import GridClock, RowProgress, pace
from compread.errors import CompreadError, DiskError, StoreError, TargetError
from compread.text import si, spoken

if TYPE_CHECKING:
    from compread.extract import Extraction, ExtractOptions, Extractor, RunRecord
    from compread.model import ModelRequest
    from compread.prompts import PromptSet, TokenizedSet
    from compread.views.choose import Form


class Runs:
    """The runs of one command, over all its checkpoints. A context manager.

    What would be said of run after run is said once: a warning, and at the end which runs give
    the label words hardly any probability.
    """

    def __init__(
        self,
        works: Sequence[float],
        options: ExtractOptions,
        show_prompts: int,
        quiet: bool,
        record: RunRecord,
    ) -> None:
        """Get ready for runs of these ``works`` (``compread.prompts.work``)."""
        self._record = record
        self._clock = GridClock(works)
        self._options, self._show_prompts, self._quiet = options, show_prompts, quiet
        self._said: set[str] = set()
        self._masses: dict[str, float] = {}
        self._works, self._speaks = len(works), True
        self._refused: list[CompreadError] = []

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, *_: object) -> None:
        from compread.extract.label_mass import mass_warning

        if warning := mass_warning(self._masses):
            note(f"warning: {warning}")

    def check_all_made(self) -> None:
        """See that no run was left out.

        Raises:
            StoreError: some were, each for what stands at its target.
            TargetError: some were, among them one whose target is busy or another run's.
        """
        if self._refused:
            damaged = all(isinstance(error, StoreError) for error in self._refused)
            raise (StoreError if damaged else TargetError)(
                f"{len(self._refused)} of {self._works} runs were not made, as said above; the "
                "others are done"
            )

    def run_all(
        self,
        extractor: Extractor,
        sets: Sequence[PromptSet],
        paths: Sequence[Path],
        checkpoint: str | None,
    ) -> None:
        """Run each prompt set with one loaded model, and print the stores' paths."""
        from compread.extract import Finisher

        speaks = self._speaks = extractor.workers.is_first
        options = replace(self._options, checkpoint=checkpoint)
        with Finisher(extractor.workers, self._goes_on) as finisher:
            for (prompt_set, tokens), target in zip(extractor.tokenized(sets), paths, strict=True):
                if self._show_prompts and speaks:
                    _show(extractor, prompt_set, tokens, self._show_prompts)
                quiet = self._quiet or not speaks
                try:
                    with RowProgress(target.name, self._clock, quiet=quiet) as progress:
                        noted = self._record.noted(target, progress, self._clock.place)
                        run = extractor.compute(prompt_set, target, options, noted, tokens)
                    # The clock stands at the next run when this one is told of.
                    finisher.hand(run, partial(self._tell, self._clock.place))
                except KeyboardInterrupt:
                    without = " without --force" if options.force else ""
                    note(
                        f"{target}: finished rows are kept; the same command{without} goes on "
                        "from there"
                    )
                    raise
                except CompreadError as error:
                    self._record.failed(target, error)
                    if not self._goes_on(error):
                        raise

    def _goes_on(self, error: CompreadError) -> bool:
        """Whether the other runs are made, and this one's error is told of at once."""
        # Of a full disk, a wrong sum or a broken model the next run would only say the same.
        its_own = isinstance(error, (StoreError, TargetError)) and not isinstance(error, DiskError)
        if self._works == 1 or not its_own:
            return False
        self._refused.append(error)
        if self._speaks:
            note(f"error: {error}")
        return True

    def _tell(self, place: str, done: Extraction) -> None:
        from compread.extract.label_mass import median_mass

        left = self._clock.seconds_left() if place else None
        self._record.ended(done, place, left)
        if not self._quiet:
            rest = f", {spoken(left)} left" if left else ""
            place = f"{place}{rest}, " if place else ""
            note(place + summary(done, "\n  " if sys.stderr.isatty() else "; "))
        for warning in done.warnings:
            if warning not in self._said:
                note(f"warning: {warning}")
        self._said |= set(done.warnings)
        self._masses[done.path.name] = median_mass(done.path)
        write_path(done.path)


def _show(extractor: Extractor, prompt_set: PromptSet, tokens: TokenizedSet, count: int) -> None:
    from compread.extract import preview, preview_answers
    from compread.prompts import audit

    loaded = extractor.loaded
    for line in audit(prompt_set, loaded.tokenizer, loaded.context_length, count):
        note(line)
    for number, prompt in enumerate(prompt_set.prompts[:count]):
        ids = tokens.ids[number]
        said = (
            preview_answers(loaded, ids, tokens.answers[number], prompt_set.answers(prompt))
            if tokens.answers
            else preview(loaded, ids, tokens.label_ids)
        )
        note(f"--- row {prompt.id}: {said}")


def summary(done: Extraction, between: str = "\n  ") -> str:
    """What a run did and what it cost, ``between`` its parts."""
    kept = f" (+ {done.kept} kept from before)" if done.kept else ""
    if not done.rows:
        return f"{done.path.name}: all {done.kept} rows were kept from before"
    saved = 1 - done.tokens_run / done.tokens_whole
    return between.join((
        f"{done.path.name}: {done.rows} rows{kept} in {done.seconds:.1f} s",
        f"{pace(done.rows, done.seconds)}, {done.tokens_run / done.seconds:.0f} tokens/s; "
        f"{done.tokens_run} of {done.tokens_whole} tokens run, {saved:.0%} saved by sharing",
        f"{si(done.flops, 'FLOP')} at {si(done.flops / done.seconds, 'FLOP/s')}, "
        f"{si(done.memory, 'B')} of memory, a store of {si(done.store_bytes, 'B')}",
        f"worst sum error {done.worst_error:.1e} of the logits' scale",
    ))  # fmt: skip


def forecast(
    requests: Sequence[ModelRequest],
    worded: Callable[[Any], list[PromptSet]],
    share: bool,
    format: Form,
) -> None:
    """Print what the runs will take, one row each and one for all together."""
    from compread.extract.forecast import Forecaster, total
    from compread.model import context_length, load_without_weights
    from compread.prompts import tokenize

    found = []
    for request in requests:
        config, tokenizer = load_without_weights(request)
        longest = context_length(config)
        sets = [(one, tokenize(one, tokenizer, longest)) for one in worded(tokenizer)]
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
        Column("tokens"),
        Column("tokens_run", "tokens\nrun"),
        Column("flops", "FLOPs", format=units("flops", "FLOP")),
        Column("memory", format=units("memory", "B")),
        Column("store_bytes", "store\nbytes", format=units("store_bytes", "B")),
    ]
    note = (
        "Nothing was run. FLOPs: the matrix products of the model. Memory: at most, the model "
        "included; on a GPU that of tensors, else that of the process."
    )
    return [Table(columns, [rows[:-1], rows[-1:]] if len(rows) > 2 else [rows[:1]], note=note)]
