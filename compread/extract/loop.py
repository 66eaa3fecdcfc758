"""One prompt set x one model -> one store."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from compread.array_types import Floats
from compread.errors import CompreadError, ModelError, SumError, option
from compread.extract import joined
from compread.extract.answer_engine import AnswerEngine
from compread.extract.answer_sharing import answers_to_run, longest_pieces
from compread.extract.describe import axes_of, describe
from compread.extract.engine import Engine
from compread.extract.finishing import ComputedRun, Finisher
from compread.extract.groups import Group, whole_groups
from compread.extract.launch import HeadStart
from compread.extract.memory import peak_memory, reset_peak, token_budget
from compread.extract.outcome import Extraction, ExtractOptions, Progress
from compread.extract.runner import RowCounts, Runner
from compread.extract.sharing import Ids, groups_to_run
from compread.extract.sum_check import SumCheck
from compread.extract.workers import Workers
from compread.model.find import find_anatomy
from compread.model.fuse import fuse
from compread.model.linear import device_of
from compread.model.load.loading import LoadedModel
from compread.model.matrices import forward_flops
from compread.model.taps import Taps
from compread.prompts import PromptSet, TokenizedSet, tokenize
from compread.store import (
    Axes,
    RunInfo,
    StoreWriter,
    is_finished,
    merge_rank_journals,
    part_path,
    partial_status,
)


class Extractor:
    """A loaded model with its anatomy, ready for any number of prompt sets."""

    def __init__(
        self, loaded: LoadedModel, workers: Workers | None = None, *, compile: bool = False
    ) -> None:
        """Find the model's anatomy, and fuse its element-wise work where ``compile`` asks for it.

        Raises:
            ModelError: its structure is not understood, or torch cannot compile it here.
        """
        self.loaded = loaded
        self.workers = workers or Workers()
        self.anatomy = find_anatomy(loaded.model)
        watched = Taps(loaded.model, self.anatomy, all_writes=True).modules
        self.fusion = fuse(loaded.model, watched) if compile else None
        if self.fusion is not None:
            self.fusion.add(joined, "join", "shared prefix")
        self.sum_check = SumCheck(loaded, len(self.anatomy.layers))
        self._engine: Engine | None = None

    def tokenized(
        self, prompt_sets: Iterable[PromptSet]
    ) -> Iterator[tuple[PromptSet, TokenizedSet]]:
        """Each prompt set with its tokens, made while the model runs the set before.

        Raises:
            PromptError: the prompts or labels cannot be turned into tokens as they must be.
        """
        with ThreadPoolExecutor(1) as background:
            ahead: list[tuple[PromptSet, Any]] = []
            for prompt_set in prompt_sets:
                ahead.append((prompt_set, background.submit(self._tokenize, prompt_set)))
                if len(ahead) > 1:
                    ready, future = ahead.pop(0)
                    yield ready, future.result()
            for ready, future in ahead:
                yield ready, future.result()

    def _tokenize(self, prompt_set: PromptSet) -> TokenizedSet:
        return tokenize(prompt_set, self.loaded.tokenizer, self.loaded.context_length)

    def extract(
        self,
        prompt_set: PromptSet,
        target: Path,
        options: ExtractOptions,
        progress: Progress = lambda done, total, tokens: None,
        tokens: TokenizedSet | None = None,
    ) -> Extraction:
        """Run a prompt set and write its store, going on where a stopped run left off.

        The arguments are those of ``compute``.

        Raises:
            PromptError: the prompts or labels cannot be turned into tokens as they must be.
            SumError: a row's parts do not add up; nothing is left at the target.
            TargetError: another run's store is at the target, or it is busy or cannot be written.
            StoreError: what is at the target is damaged, or no store.
            ResumableError: out of device memory; the finished rows are kept.
        """
        done: list[Extraction] = []
        with Finisher(self.workers) as finisher:
            computed = self.compute(prompt_set, target, options, progress, tokens)
            finisher.hand(computed, done.append)
        return done[0] if done else computed.report

    def compute(
        self,
        prompt_set: PromptSet,
        target: Path,
        options: ExtractOptions,
        progress: Progress = lambda done, total, tokens: None,
        tokens: TokenizedSet | None = None,
    ) -> ComputedRun:
        """Run what is not kept yet of a prompt set; its store is there once it is finished.

        Args:
            prompt_set: the prompts and label words.
            target: the store's path.
            options: how it is computed.
            progress: called after each batch.
            tokens: the prompt set's tokens, where they are made already.

        Raises:
            CompreadError: as ``extract``.
        """
        tokens = tokens or self._tokenize(prompt_set)
        engine = self.engine_for(tokens)
        budget = self.workers.first(lambda: self._budget(options, target))
        head = HeadStart(engine, tokens.ids, budget, wanted=self._starts_anew(options, target))
        rows, groups, warnings = self._plan(engine, tokens, options, head)
        gram = engine.label_gram(tokens.answers)
        run = self._describe(prompt_set, groups, budget, options, gram)
        warnings = (*tokens.warnings, *warnings)
        axes = axes_of(prompt_set, tokens, engine)
        loose = () if options.batch_tokens else ("batch_tokens",)
        if not options.force and self.workers.first(lambda: is_finished(target, run, axes, loose)):
            return ComputedRun(Extraction(target, kept=len(tokens.ids), warnings=warnings))
        writer, done = self._open(axes, run, target, options)
        warnings += writer.notes
        started = time.monotonic()
        reset_peak(device_of(self.loaded.model))
        try:
            runner = Runner(
                engine,
                rows,
                writer,
                self.sum_check,
                self.workers,
                row_wise=self.sum_check.row_wise,
                head=head,
            )
            tally = self._run(runner, groups, budget, done, progress)
            if not self.workers.is_first:
                writer.close()
            tallies = self.workers.gather(tally)
            report = self._report(target, tallies, int(done.sum()), warnings, started)
            # Here, as the thread that finishes the store must leave the model alone.
            grams = engine.grams(tokens.answers) if self.workers.is_first else None
        except BaseException:
            writer.close()
            raise
        mine = writer if self.workers.is_first else None
        return ComputedRun(report, started, run, mine, options.command, grams)

    def _plan(
        self, engine: Engine, tokens: TokenizedSet, options: ExtractOptions, head: HeadStart
    ) -> tuple[Sequence[Ids], Sequence[Group], tuple[str, ...]]:
        """Prove the model on some rows; all rows as they are run, their groups, and warnings."""
        if isinstance(engine, AnswerEngine):
            return self.answer_plan(engine, tokens, share=options.share)
        seen = self.sum_check.prove(engine, tokens)
        groups = whole_groups(tokens.ids, engine.switches)
        warnings = self.sum_check.warnings
        if options.share and not self.sum_check.row_wise:
            tolerance = self.sum_check.tolerance
            groups, warnings = groups_to_run(engine, tokens.ids, tolerance, seen, head.launch)
        return tokens.ids, groups, warnings

    def answer_plan(
        self, engine: AnswerEngine, tokens: TokenizedSet, *, share: bool
    ) -> tuple[Sequence[Ids], Sequence[Group], tuple[str, ...]]:
        """``_plan`` of rows with whole answers.

        Raises:
            ModelError: the model can only run each row alone, or not the rows at all.
        """
        self.sum_check.prove(engine, longest_pieces(tokens))
        if self.sum_check.row_wise:
            raise ModelError(
                f"{self.sum_check.warnings[0]}, which answers of several tokens cannot be: "
                f"try {option('dtype', 'float32')}, or labels of one token"
            )
        return answers_to_run(engine, tokens, self.sum_check.tolerance, share=share)

    def engine_for(self, tokens: TokenizedSet) -> Engine:
        """The engine of the run before where it has the same labels, which take a while to fold."""
        before, ids, most = self._engine, tokens.label_ids, max(map(len, tokens.answers), default=0)
        kept = before.most if isinstance(before, AnswerEngine) else 0
        if before is None or before.decomposer.label_ids != ids or kept != most:
            model = self.loaded.model
            self._engine = before = (
                AnswerEngine(model, self.anatomy, ids, most)
                if most
                else Engine(model, self.anatomy, ids)
            )
        before.free_prefix()
        return before

    def _starts_anew(self, options: ExtractOptions, target: Path) -> bool:
        """Whether this process is surely to run the first batch, and on a GPU beside the host."""
        if device_of(self.loaded.model).type != "cuda" or self.workers.size > 1:
            return False
        return options.force or not (target.exists() or partial_status(target))

    def _budget(self, options: ExtractOptions, target: Path) -> int:
        """Tokens of a batch; a stopped run goes on with its own, and so to the same bytes."""
        stopped = None if options.force else partial_status(target)  # a broken one is told first
        if options.batch_tokens:
            return options.batch_tokens
        if stopped is not None and stopped.run:
            return int(stopped.run["batch_tokens"])
        return token_budget(self.loaded.model)

    def _open(
        self,
        axes: Axes,
        run: RunInfo,
        target: Path,
        options: ExtractOptions,
    ) -> tuple[StoreWriter, Any]:
        """This worker's writer, and which rows [N] were kept before."""

        def begin(rank: int) -> StoreWriter:
            return StoreWriter.open(
                part_path(target, rank),
                run,
                axes.components,
                axes.labels,
                axes.splits,
                force=options.force or rank > 0,
            )

        writer, error, done = None, None, None
        if self.workers.is_first:
            try:
                writer = begin(0)
                merge_rank_journals(writer, force=options.force)
                done = writer.done.copy()
            except CompreadError as problem:
                error = problem
                if writer is not None:
                    writer.close()
        self.workers.all_right(error)
        done = self.workers.gather(done)[0]
        try:
            writer = writer or begin(self.workers.rank)
        except CompreadError as problem:
            error = problem
        # A worker that went on to the next run alone would be taken for one of this run's.
        try:
            self.workers.all_right(error)
        except BaseException:
            if writer is not None:
                writer.close()
            raise
        assert writer is not None
        return writer, np.asarray(done)

    def _run(
        self,
        runner: Runner,
        groups: Sequence[Group],
        budget: int,
        done: Any,
        progress: Progress,
    ) -> RowCounts:
        """This worker's batches; when any rank's sums are wrong, no worker keeps rows."""
        error: CompreadError | None = None
        try:
            runner.run(groups, budget, done, progress)
        except CompreadError as problem:
            error = problem
        try:
            self.workers.all_right(error)
        except SumError:
            runner.writer.discard()
            raise
        return runner.counts

    def _describe(
        self,
        prompt_set: PromptSet,
        groups: Sequence[Group],
        budget: int,
        options: ExtractOptions,
        label_gram: Floats | None,
    ) -> RunInfo:
        shared = [group for group in groups if group.prefix]
        return describe(
            self.loaded,
            prompt_set,
            shared_prefix=bool(shared),
            prefix_tokens=sum(len(group.prefix) for group in shared),
            soft_cap=self.anatomy.soft_cap,
            tolerance=self.sum_check.tolerance,
            batch_tokens=budget,
            checkpoint=options.checkpoint,
            label_gram=() if label_gram is None else tuple(map(tuple, label_gram.tolist())),
        )

    def _report(
        self,
        target: Path,
        tallies: Sequence[RowCounts],
        kept: int,
        warnings: tuple[str, ...],
        started: float,
    ) -> Extraction:
        tokens_run = sum(tally.tokens_run for tally in tallies)
        rows = sum(tally.rows for tally in tallies)
        halved = [tally.halved for tally in tallies if tally.halved]
        if halved:
            warnings += (
                f"the device's memory did not suffice: batches were cut to {min(halved)} tokens",
            )
        memory = self.workers.gather(peak_memory(device_of(self.loaded.model)))
        return Extraction(
            path=target,
            rows=rows,
            kept=kept,
            seconds=time.monotonic() - started,
            tokens_whole=sum(tally.tokens_whole for tally in tallies),
            tokens_run=tokens_run,
            worst_error=max(tally.worst_error for tally in tallies),
            flops=forward_flops(self.loaded.model, tokens_run, sum(t.reads for t in tallies)),
            memory=max(memory),
            warnings=warnings,
        )
