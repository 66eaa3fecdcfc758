"""Whether a model may go on from a shared prefix, proved on its own weights and prompts."""

from __future__ import annotations

from collections.abc import Sequence

from compread.extract.engine import Engine
from compread.extract.groups import Group, plan_groups
from compread.extract.memory import must_fit
from compread.extract.prefix import CannotShareError

Ids = Sequence[int]


def groups_to_run(
    engine: Engine, ids: Sequence[Ids], tolerance: float
) -> tuple[list[Group], tuple[str, ...]]:
    """The groups that prompts are run in, and what the user must know of it.

    Parts add up to the logits behind a wrong prefix too, so the prefix has a proof of its own: on
    the longest and the shortest row of the first group the parts must be those of the whole
    prompts. Where they are not, all prompts are run whole.

    Args:
        engine: the model.
        ids: the tokens of each prompt.
        tolerance: the largest difference allowed, as a share of the logits' scale.

    Raises:
        ModelError: the model cannot run the prompts at all.
        ResumableError: two rows do not fit into the device's memory.
    """
    groups = plan_groups(ids)
    shared = next((group for group in groups if group.prefix), None)
    if shared is None:
        return groups, ()
    whole = [Group((), tuple(range(len(ids))))]
    # Two rows of different lengths: a cache may be right for one and wrong for a batch.
    rows = sorted((ids[row] for row in shared.rows), key=len)
    try:
        with must_fit(f"two rows of up to {len(rows[-1])} tokens"):
            misfit = _misfit(engine, [rows[-1], rows[0]], shared.prefix)
    except CannotShareError as error:
        return whole, (
            f"the model cannot go on from a shared prefix ({error}); whole prompts are run",
        )
    if misfit <= tolerance:
        return groups, ()
    return whole, (
        f"the shared prefix of {len(shared.prefix)} tokens changes the parts by {misfit:.1e} of "
        f"the logits' scale (at most {tolerance:.1e} expected); whole prompts are run",
    )


def _misfit(engine: Engine, rows: Sequence[Ids], prefix: tuple[int, ...]) -> float:
    whole = engine.decomposer.decompose(engine.watch_whole(rows))
    shared = engine.run([row[len(prefix) :] for row in rows], engine.share(prefix))
    return float(((whole.parts - shared.parts).abs().amax((1, 2)) / whole.scale).max())
