"""Whether a model may go on from a shared prefix, proved on its own weights and prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compread.extract.engine import Engine
from compread.extract.groups import Group, plan_groups, whole_groups
from compread.extract.launch import HostCopy
from compread.extract.memory import must_fit
from compread.extract.prefix import CannotShareError
from compread.model.decompose import BatchParts

Ids = Sequence[int]


@dataclass(frozen=True)
class ReferenceRun:
    """Prompts that were run whole for a proof, which another proof need not run again."""

    rows: list[Ids]
    """[B] the tokens of each."""
    parts: BatchParts


def longest_and_shortest(ids: Sequence[Ids]) -> list[Ids]:
    """The longest and the shortest row: what is right for both is right for a padded batch."""
    rows = sorted(ids, key=len)
    return [rows[-1], rows[0]]


def groups_to_run(
    engine: Engine,
    ids: Sequence[Ids],
    tolerance: float,
    seen: Sequence[ReferenceRun] = (),
    meanwhile: Callable[[Group], None] = lambda group: None,
) -> tuple[list[Group], tuple[str, ...]]:
    """The groups that prompts are run in, and what the user must know of it.

    Parts add up to the logits behind a wrong prefix too, so the prefix has a proof of its own: on
    the longest and the shortest row of the first group the parts must be those of the whole
    prompts, and on those of the first group of each further stretch that the model computes
    otherwise. Where they are not, all prompts are run whole.

    Args:
        engine: the model.
        ids: the tokens of each prompt.
        tolerance: the largest difference allowed, as a share of the logits' scale.
        seen: prompts that were run whole already.
        meanwhile: called with the group that is run first, its prefix ready, before each of the
            proof's two passes and while their numbers are waited for.

    Raises:
        ModelError: the model cannot run the prompts at all.
        ResumableError: two rows do not fit into the device's memory.
    """
    groups = plan_groups(ids, engine.switches)
    firsts: dict[int, Group] = {}
    for group in groups:
        if group.prefix:
            firsts.setdefault(engine.switches.start(len(group.prefix)), group)
    # The largest group is run first, and finds its prefix there.
    for group in reversed(firsts.values()):
        first = meanwhile if group is groups[0] else lambda group: None
        if reason := _why_not(engine, group, ids, tolerance, seen, first):
            engine.free_prefix()
            return whole_groups(ids, engine.switches), (f"{reason}; whole prompts are run",)
    return groups, ()


def _why_not(
    engine: Engine,
    group: Group,
    ids: Sequence[Ids],
    tolerance: float,
    seen: Sequence[ReferenceRun],
    meanwhile: Callable[[Group], None],
) -> str | None:
    """Why a group's rows cannot be run behind their prefix; None where they can."""
    # Two rows of different lengths: a cache may be right for one and wrong for a batch.
    rows = longest_and_shortest([ids[row] for row in group.rows])
    try:
        with must_fit(f"two rows of up to {len(rows[0])} tokens"):
            engine.share(group.prefix)
            meanwhile(group)
            known = next((whole.parts for whole in seen if whole.rows == rows), None)
            whole = HostCopy(known or engine.run(rows))
            meanwhile(group)
            own = [row[len(group.prefix) :] for row in rows]
            shared = HostCopy(engine.run(own, engine.share(group.prefix)))
            meanwhile(group)
    except CannotShareError as error:
        return f"the model cannot go on from a shared prefix ({error})"
    misfit = _misfit(whole.wait(), shared.wait())
    if misfit <= tolerance:
        return None
    if engine.packs:
        engine.packs = False
        return _why_not(engine, group, ids, tolerance, seen, meanwhile)
    return (
        f"the shared prefix of {len(group.prefix)} tokens changes the parts by {misfit:.1e} "
        f"of the logits' scale (at most {tolerance:.1e} expected)"
    )


def _misfit(whole: BatchParts, shared: BatchParts) -> float:
    return float(((whole.parts - shared.parts).abs().amax((1, 2)) / whole.scale).max())
