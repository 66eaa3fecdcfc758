"""Whether a row's numbers are its own: the same alone, in a batch, and whatever was run before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compread.extract.engine import Engine
from compread.model.decompose import BatchParts

Ids = Sequence[int]


@dataclass(frozen=True)
class RowDependence:
    """How far rows' parts change, as a share of the logits' scale, with what is run besides."""

    in_batch: float
    """Largest difference between a row alone and in a batch with rows of its stretch."""
    after_others: float
    """Difference between the shortest row alone before all others and after them."""
    where: str = ""
    """Which row differs most in a batch, by its length."""


def row_dependence(
    engine: Engine,
    rows: Sequence[Ids],
    run: Callable[[list[Ids]], BatchParts] | None = None,
) -> RowDependence:
    """Run rows alone, together where the model computes them alike, and the shortest again.

    Args:
        engine: the model.
        rows: the tokens of each.
        run: how a batch of them is run, if not by the engine.
    """
    rows = sorted(rows, key=len, reverse=True)
    # The shortest first: what a longer one leaves behind is seen only after it.
    alone = [engine.run([row]) for row in reversed(rows)][::-1]
    in_batch, where = 0.0, ""
    for stretch in reversed(engine.switches.stretches(list(map(len, rows)))):
        together = (run or engine.run)([rows[n] for n in stretch])
        for i, n in enumerate(stretch):
            # A NaN is as far off as can be.
            if not (off := _misfit(alone[n], together, i)) <= in_batch:
                in_batch, where = off, f"{len(rows[n])} tokens"
    return RowDependence(in_batch, _misfit(alone[-1], engine.run([rows[-1]]), 0), where)


def _misfit(alone: BatchParts, batch: BatchParts, row: int) -> float:
    return float((alone.parts[0] - batch.parts[row]).abs().max() / alone.scale[0])
