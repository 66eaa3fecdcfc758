"""One prompt set x one model -> one store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from compread import __version__
from compread.errors import SumError
from compread.extract.batches import plan_batches
from compread.extract.engine import Engine
from compread.extract.prefix import CannotShareError, SharedPrefix, shared_length
from compread.model.decompose import BatchParts
from compread.model.find import find_anatomy
from compread.model.loading import LoadedModel
from compread.model.tolerance import sum_tolerance
from compread.prompts import PromptSet, TokenizedSet, tokenize
from compread.store import (
    ALL_SPLITS,
    Labels,
    RunInfo,
    SplitRows,
    StoreWriter,
    journal_path,
    open_store,
)


@dataclass(frozen=True)
class ExtractOptions:
    """How a run is computed; none of this changes what is computed beyond rounding."""

    batch_tokens: int = 2048
    """Token budget of a batch, padding included."""
    share: bool = True
    """Run the tokens that all prompts share once."""
    force: bool = False
    """Replace an existing store and start over a stopped one."""
    reuse: bool = False
    """Leave a finished store of the very same run as it is."""
    command: str = ""
    """The command line, kept in the store."""
    checkpoint: str | None = None
    """The revision as the user names it, kept in the store."""


@dataclass(frozen=True)
class Extraction:
    """What a finished run did."""

    path: Path
    kept: int
    """Rows that an earlier run had left."""
    warnings: tuple[str, ...]
    rows: int = 0
    """Rows computed now."""
    seconds: float = 0.0
    tokens_whole: int = 0
    """Tokens that whole prompts would have taken for ``rows``."""
    tokens_run: int = 0
    """Tokens that were computed for them, the shared prefix once."""
    worst_error: float = 0.0
    """Largest sum error of ``rows``, as a share of the logits' scale."""


Progress = Callable[[int, int], None]
"""Called with rows done and rows in all, after each batch."""


class Extractor:
    """A loaded model with its anatomy, ready for any number of prompt sets."""

    def __init__(self, loaded: LoadedModel) -> None:
        """Find the model's anatomy.

        Raises:
            ModelError: its structure is not understood.
        """
        self.loaded = loaded
        self.anatomy = find_anatomy(loaded.model)
        dtype = next(loaded.model.parameters()).dtype
        self.tolerance = sum_tolerance(dtype, len(self.anatomy.layers))

    def extract(
        self,
        prompt_set: PromptSet,
        target: Path,
        options: ExtractOptions,
        progress: Progress = lambda done, total: None,
    ) -> Extraction:
        """Run a prompt set and write its store, going on where a stopped run left off.

        Raises:
            PromptError: the prompts or labels cannot be turned into tokens as they must be.
            SumError: a row's parts do not add up; nothing is left at the target.
            TargetError: the target exists, is busy, or cannot be written.
            ResumableError: out of device memory; the finished rows are kept.
        """
        tokens = tokenize(prompt_set, self.loaded.tokenizer, self.loaded.context_length)
        engine = Engine(self.loaded.model, self.anatomy, tokens.label_ids)
        prefix, warnings = self._share(engine, tokens, options)
        run = self._describe(prompt_set, prefix, options)
        warnings = (*tokens.warnings, *warnings)
        if options.reuse and not options.force and _is_finished(target, run):
            return Extraction(target, kept=len(tokens.ids), warnings=warnings)
        own = [row[run.prefix_tokens :] for row in tokens.ids]
        writer = StoreWriter.open(
            target,
            run,
            engine.decomposer.components,
            Labels(prompt_set.labels, tokens.label_ids, prompt_set.classes),
            {split: _split_rows(prompt_set, split) for split in ALL_SPLITS},
            force=options.force,
        )
        with writer:
            kept = int(writer.done.sum())
            started = time.monotonic()
            worst, fresh = self._run_batches(engine, own, prefix, run, writer, progress)
            path = writer.finish(
                replace(
                    run,
                    worst_sum_error=writer.worst_sum_error,
                    versions=_versions(),
                    date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                    command=options.command,
                )
            )
        return Extraction(
            path=path,
            rows=len(fresh),
            kept=kept,
            seconds=time.monotonic() - started,
            tokens_whole=sum(len(tokens.ids[row]) for row in fresh),
            tokens_run=sum(len(own[row]) for row in fresh) + run.prefix_tokens,
            worst_error=worst,
            warnings=warnings,
        )

    def _share(
        self, engine: Engine, tokens: TokenizedSet, options: ExtractOptions
    ) -> tuple[SharedPrefix | None, tuple[str, ...]]:
        """The shared prefix, proved on two rows, or the reason for whole prompts."""
        length = shared_length(tokens.ids) if options.share else 0
        if not length:
            return None, ()
        # Two rows of different lengths: a cache may be right for one and wrong for a batch.
        rows = [max(tokens.ids, key=len), min(tokens.ids, key=len)]
        whole = engine.run(rows)
        try:
            prefix = engine.share(rows[0][:length])
            shared = engine.run([row[length:] for row in rows], prefix)
        except CannotShareError as error:
            return None, (
                f"the model cannot go on from a shared prefix ({error}); whole prompts are run",
            )
        misfit = float(((whole.parts - shared.parts).abs().amax((1, 2)) / whole.scale).max())
        if misfit <= self.tolerance:
            return prefix, ()
        return None, (
            f"the shared prefix of {length} tokens changes the parts by {misfit:.1e} of the "
            f"logits' scale (at most {self.tolerance:.1e} expected); whole prompts are run",
        )

    def _run_batches(
        self,
        engine: Engine,
        own: Sequence[Sequence[int]],
        prefix: SharedPrefix | None,
        run: RunInfo,
        writer: StoreWriter,
        progress: Progress,
    ) -> tuple[float, list[int]]:
        """Run what is not kept yet; the worst relative error and the rows that were run."""
        worst, fresh = 0.0, []
        ids = writer.axes.ids
        progress(int(writer.done.sum()), len(own))
        for batch in plan_batches([len(row) for row in own], run.batch_tokens, run.prefix_tokens):
            if writer.done[batch].all():
                continue
            parts = engine.run([own[row] for row in batch], prefix)
            try:
                worst = max(worst, self._judge(parts, [ids[row] for row in batch]))
            except SumError:
                writer.discard()
                raise
            writer.append(
                batch, *map(_array, (parts.parts, parts.full, parts.sum_error, parts.label_mass))
            )
            fresh += batch
            progress(int(writer.done.sum()), len(own))
        return worst, fresh

    def _judge(self, batch: BatchParts, ids: Sequence[str]) -> float:
        """The batch's worst error as a share of the logits' scale, within the tolerance."""
        errors = batch.sum_error / batch.scale
        # A NaN must fail too, so the comparison is for what is good.
        bad = ~(errors <= self.tolerance)
        if bad.any():
            row = int(bad.to(torch.uint8).argmax())
            raise SumError(
                f"the parts of row {ids[row]} add up to {float(batch.sum_error[row]):.3g} logits "
                f"away from the model's own ({float(errors[row]):.1e} of the logits' scale, at "
                f"most {self.tolerance:.1e} allowed in {self.loaded.dtype}); nothing was written: "
                f"run `compread check {self.loaded.request.name}`, or try --dtype float32"
            )
        return float(errors.max())

    def _describe(
        self, prompt_set: PromptSet, prefix: SharedPrefix | None, options: ExtractOptions
    ) -> RunInfo:
        return RunInfo(
            model=self.loaded.request.name,
            model_type=self.loaded.model_type,
            revision=self.loaded.revision,
            fingerprint=self.loaded.fingerprint,
            dtype=self.loaded.dtype,
            task=prompt_set.task,
            template=prompt_set.template,
            template_text=prompt_set.template_text,
            demonstrations=prompt_set.demonstrations,
            seed=prompt_set.seed,
            shots=prompt_set.shots,
            prompt_set=prompt_set.hash,
            shared_prefix=prefix is not None,
            prefix_tokens=len(prefix.tokens) if prefix else 0,
            soft_cap=self.anatomy.soft_cap,
            tolerance=self.tolerance,
            batch_tokens=options.batch_tokens,
            protocol=dict(prompt_set.protocol),
            checkpoint=options.checkpoint,
            sample_prompt=prompt_set.prompts[0].text,
        )


def _is_finished(target: Path, run: RunInfo) -> bool:
    """Whether the target is a finished store of this very run, with nothing left to clean up."""
    if not target.exists() or journal_path(target).exists():
        return False
    with open_store(target) as store:
        return store.run.identity() == run.identity()


def _split_rows(prompt_set: PromptSet, split: str) -> SplitRows:
    rows = [prompt for prompt in prompt_set.prompts if prompt.split == split]
    return SplitRows(
        gold=np.array([prompt.gold for prompt in rows], dtype=np.int64),
        id=tuple(prompt.id for prompt in rows),
        prompt_hash=tuple(prompt.hash for prompt in rows),
    )


def _array(values: Tensor) -> npt.NDArray[np.float32]:
    return values.to(torch.float32).numpy()


def _versions() -> dict[str, str]:
    return {
        "compread": __version__,
        "torch": str(torch.__version__),
        "transformers": version("transformers"),
    }
