"""Whether a model may go on from a shared prefix, proved on its own weights and prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compread.extract.engine import Engine
from compread.extract.groups import Group, plan_groups
from compread.extract.memory import must_fit
from compread.extract.prefix import CannotShareError
from compread.model.decompose import BatchParts

Ids = Sequence[int]


@dataclass(frozen=True)
class Whole:
    """Prompts that were run whole for a proof, which another proof need not run again."""

    rows: list[Ids]
    """[B] the tokens of each."""
    parts: BatchParts


def extremes(ids: Sequence[Ids]) -> list[Ids]:
    """The longest and the shortest row: what is right for both is right for a padded batch."""
    rows = sorted(ids, key=len)
    return [rows[-1], rows[0]]


def groups_to_run(
    engine: Engine, ids: Sequence[Ids], tolerance: float, seen: Whole | None = None
) -> tuple[list[Group], tuple[str, ...]]:
    """The groups that prompts are run in, and what the user must know of it.

    Parts add up to the logits behind a wrong prefix too, so the prefix has a proof of its own: on
    the longest and the shortest row of the first group the parts must be those of the whole
    prompts. Where they are not, all prompts are run whole.

    Args:
        engine: the model.
        ids: the tokens of each prompt.
        tolerance: the largest difference allowed, as a share of the logits' scale.
        seen: prompts that were run whole already.

    Raises:
        ModelError: the model cannot run the prompts at all.
        ResumableError: two rows do not fit into the device's memory.
    """
    groups = plan_groups(ids)
    shared = next((group for group in groups if group.prefix), None)
    if shared is None:
        return groups, ()
    # Two rows of different lengths: a cache may be right for one and wrong for a batch.
    rows = extremes([ids[row] for row in shared.rows])
    try:
        with must_fit(f"two rows of up to {len(rows[0])} tokens"):
            whole = seen.parts if seen and seen.rows == rows else engine.run(rows)
            misfit = _misfit(engine, rows, shared.prefix, whole)
    except CannotShareError as error:
        reason = f"the model cannot go on from a shared prefix ({error})"
    else:
        if misfit <= tolerance:
            return groups, ()
        reason = (
            f"the shared prefix of {len(shared.prefix)} tokens changes the parts by {misfit:.1e} "
            f"of the logits' scale (at most {tolerance:.1e} expected)"
        )
    engine.let_go()
    return [Group((), tuple(range(len(ids))))], (f"{reason}; whole prompts are run",)


def _misfit(
    engine: Engine, rows: Sequence[Ids], prefix: tuple[int, ...], whole: BatchParts
) -> float:
    shared = engine.run([row[len(prefix) :] for row in rows], engine.share(prefix))
    return float(((whole.parts - shared.parts).abs().amax((1, 2)) / whole.scale).max())
