"""How rows with answers of their own are run, proved on a model's own weights and prompts.

Best is a tree of three levels: what prompts share, if anything, each row's prompt behind it, its
answers side by side behind that. Where a family cannot do that, each answer is run behind the
shared prefix with a prompt of its own, and where nothing can be shared, whole. Whatever is chosen
gives the parts of whole prompts, on the longest and the shortest row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compread.errors import ModelError, option
from compread.extract.answer_engine import AnswerEngine
from compread.extract.answer_rows import AnswerRow, rows_of, side_by_side
from compread.extract.groups import Group, plan_groups, whole_groups
from compread.extract.memory import must_fit
from compread.extract.prefix import CannotShareError
from compread.model.switches import Switches
from compread.prompts import TokenizedSet


def longest_pieces(tokens: TokenizedSet) -> TokenizedSet:
    """Each prompt with its longest answer in the prompt's place, for proofs at later positions."""
    longest = [max(row.whole, key=len) for row in rows_of(tokens)]
    return replace(tokens, ids=tuple(map(list, longest)), answers=())


def answers_to_run(
    engine: AnswerEngine, tokens: TokenizedSet, tolerance: float, *, share: bool
) -> tuple[list[AnswerRow], list[Group], tuple[str, ...]]:
    """The rows as they are run, their groups, and what the user must know of it.

    Args:
        engine: the model.
        tokens: the prompts and their answers.
        tolerance: the largest difference allowed, as a share of the logits' scale.
        share: whether anything may be shared at all.

    Raises:
        ModelError: the model cannot run the rows, or computes a row's prompt and answers otherwise.
        ResumableError: two rows do not fit into the device's memory.
    """
    whole = rows_of(tokens)
    _check_stretches(whole, tokens.names, engine.switches)
    groups = plan_groups(tokens.ids, engine.switches) if share else []
    firsts: dict[tuple[int, bool], Group] = {}
    for group in groups:
        stretch = engine.switches.start(len(tokens.ids[group.rows[0]]))
        firsts.setdefault((stretch, bool(group.prefix)), group)
    reasons: list[str] = []
    for apart in (False, True) if share else ():
        rows = whole if apart else side_by_side(tokens)
        # The largest group is run first, and finds its prefix there.
        proved = [g for g in reversed(firsts.values()) if g.prefix or not apart]
        found = (_why_not(engine, g, rows, whole, tolerance) for g in proved)
        reason = _why_too_long(rows, engine.switches) or next(filter(None, found), None)
        if reason is None:
            return rows, groups, tuple(reasons)
        way = "whole prompts are run" if apart else "each is run behind a prompt of its own"
        reasons.append(f"a row's answers cannot be run side by side: {reason}; {way}")
        if apart:
            reasons[-1] = f"{reason}; {way}"
    engine.free_prefix()
    return whole, whole_groups(tokens.ids, engine.switches), tuple(reasons)


def _why_not(
    engine: AnswerEngine,
    group: Group,
    rows: Sequence[AnswerRow],
    whole: Sequence[AnswerRow],
    tolerance: float,
) -> str | None:
    """Why a group's rows cannot be run so; None where they can."""
    by_length = sorted((whole[n] for n in group.rows), key=len)
    ends = [by_length[-1], by_length[0]]
    start = len(group.prefix)
    apart = rows[group.rows[0]].apart
    try:
        with must_fit(f"two rows of up to {len(ends[0])} tokens"):
            expected = engine.run(ends)
            behind = [
                replace(row, apart=apart)[start:] for row in ends if isinstance(row, AnswerRow)
            ]
            found = engine.run(behind, engine.share(group.prefix))
    except CannotShareError as error:
        return f"the model cannot run them so ({error})"
    off = (expected.parts - found.parts).abs().amax((1, 2)) / expected.scale
    misfit = float(off.max())
    if misfit <= tolerance:
        return None
    where = f"behind the shared prefix of {start} tokens " if start else ""
    return (
        f"{where}parts change by {misfit:.1e} of the logits' "
        f"scale (at most {tolerance:.1e} expected)"
    )


def _why_too_long(rows: Sequence[AnswerRow], switches: Switches) -> str | None:
    """Why rows are longer than the model computes alike with all that they are run as."""
    long = [row for row in rows if switches.start(len(row.prompt)) != switches.start(len(row))]
    if not long or long[0].apart:
        return None
    length = max(map(len, long))
    return f"a row has {length} tokens with all answers, which the model computes otherwise"


def _check_stretches(rows: Sequence[AnswerRow], names: Sequence[str], switches: Switches) -> None:
    """Refuse rows that a model computes in one way up to some token and in another beyond."""
    for row, name in zip(rows, names, strict=True):
        longest = max(map(len, row.whole))
        if switches.start(len(row.prompt)) != switches.start(longest):
            raise ModelError(
                f"row {name!r} goes from {len(row.prompt)} to {longest} tokens with its answers, "
                f"and the model computes longer rows otherwise from {switches.start(longest)} "
                f"tokens on: use fewer shots ({option('num-fewshot')}), or drop the row"
            )
