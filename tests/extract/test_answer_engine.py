"""Answers side by side behind one prompt have the parts that each has behind its own prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from loud import DEVICES, FAMILIES, LABELS, loud_engine, some_prompts

from compread.extract import branches, lending, prefix
from compread.extract.answer_engine import AnswerEngine
from compread.extract.answer_rows import AnswerRow
from compread.extract.prefix import CannotShareError
from compread.model.decompose import BatchParts

LENDS = [name for name in FAMILIES if name != "gemma2"]
(PREFIX,) = some_prompts(11, seed=1)
OWN = [tuple(row) for row in some_prompts(9, 1, 4, seed=2)]
ANSWERS = (
    ((7,), (7, 8, 8, 30), (7, 8)),
    ((60, 5, 17), (3, 4, 5, 6, 7, 8, 9, 10, 11, 12)),
    ((44,), (9, 45), (46,), (47, 48, 9, 9)),
)
"""Prefixes of one another, one token and ten, and no two rows with as many."""
ROWS = [AnswerRow((*PREFIX, *own), answers) for own, answers in zip(OWN, ANSWERS, strict=True)]


def engine_for(name: str, dtype: torch.dtype = torch.float64, device: str = "cpu") -> AnswerEngine:
    """An engine for the rows above."""
    engine = loud_engine(name, dtype, device)
    return AnswerEngine(engine.model, engine.decomposer.anatomy, LABELS, 4)


def whole(engine: AnswerEngine) -> BatchParts:
    """Each answer behind a whole prompt of its own."""
    return engine.run([replace(row, apart=True) for row in ROWS])


def behind(engine: AnswerEngine, apart: bool = False) -> BatchParts:
    """The rows behind the prefix that they share."""
    rows = [replace(row, apart=apart)[len(PREFIX) :] for row in ROWS]
    return engine.run(rows, engine.share(PREFIX))


def misfit(a: BatchParts, b: BatchParts) -> float:
    """The largest difference of any number, as a share of the loudest part."""
    loudest = a.parts.abs().max()
    pairs = ((a.parts, b.parts), (a.full, b.full), (a.pre_cap, b.pre_cap))
    return max(float((x - y).abs().max() / loudest) for x, y in pairs)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("way", ["a kernel", "products", "at once"])
@pytest.mark.parametrize("name", LENDS)
def test_side_by_side_is_apart(
    name: str, way: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way attention is computed, in float64."""
    if way == "at once":
        monkeypatch.setattr(lending, "kernel_for", lambda query, value: None)
    if way == "products":
        monkeypatch.setattr(branches, "_on_cpu", branches._by_products)
    engine = engine_for(name, device=device)
    found = behind(engine)
    assert misfit(whole(engine), found) < 1e-6
    assert found.parts.shape == (3, len(engine.answers.components), 4)
    assert not found.parts[1, :, 2:].any() and not found.full[1, 2:].any()


@pytest.mark.parametrize("name", FAMILIES)
def test_apart_behind_a_prefix_is_whole(name: str) -> None:
    """A family whose attention cannot see branches runs each answer behind the shared prefix."""
    engine = engine_for(name)
    assert misfit(whole(engine), behind(engine, apart=True)) < 1e-6


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FAMILIES)
def test_side_by_side_by_a_mask_is_apart(
    name: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On copies of the prefix, and without any; a soft-cap in the attention is no hindrance."""
    monkeypatch.setattr(prefix, "can_lend", lambda *args: False)
    engine = engine_for(name, device=device)
    expected = whole(engine)
    assert misfit(expected, behind(engine)) < 1e-6
    assert misfit(expected, engine.run([replace(row, apart=False) for row in ROWS])) < 1e-6


def test_a_narrow_window_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask of ours would widen it, so that such a family is refused."""
    monkeypatch.setattr(prefix, "can_lend", lambda *args: False)
    engine = engine_for("gemma2")
    config = engine.model.config
    assert prefix.shortest_window(config) == 32
    monkeypatch.setattr(config, "sliding_window", 16)
    with pytest.raises(CannotShareError, match="attention sees 16 tokens at most"):
        behind(engine)


def _blind_to_the_prompt(seen: Any) -> Any:
    return torch.eye(seen.shape[-1], dtype=torch.bool).expand_as(seen)


def _sees_other_answers(seen: Any) -> Any:
    return torch.ones_like(seen).tril()


@pytest.mark.parametrize("broken", [_blind_to_the_prompt, _sees_other_answers])
def test_a_twin_with_another_mask_is_wrong(broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that see too little or other answers have other parts."""
    of = branches.Branches.of

    def twin(*args: Any) -> branches.Branches:
        right = of(*args)
        return replace(right, seen=broken(right.seen))

    monkeypatch.setattr(branches.Branches, "of", twin)
    engine = engine_for("llama grouped")
    assert misfit(whole(engine), behind(engine)) > 1e-2


def test_a_twin_whose_answers_stand_behind_each_other_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second answer's tokens stand right behind the prompt, as the first one's do."""
    of = branches.Branches.of

    def twin(*args: Any) -> branches.Branches:
        right = of(*args)
        return replace(
            right, position=torch.arange(right.position.shape[1]).expand_as(right.position)
        )

    monkeypatch.setattr(branches.Branches, "of", twin)
    engine = engine_for("llama grouped")
    assert misfit(whole(engine), behind(engine)) > 1e-2


def test_a_row_counts_what_is_run() -> None:
    """Side by side the prompt once; apart once for each answer; last tokens never."""
    row = AnswerRow((1, 2, 3), ((4,), (5, 6, 7)))
    assert (len(row), list(row)) == (5, [1, 2, 3, 5, 6])
    assert len(replace(row, apart=True)) == 8 and row.whole == ((1, 2, 3), (1, 2, 3, 5, 6))
    assert row[2:] == AnswerRow((3,), ((4,), (5, 6, 7)))
    with pytest.raises(IndexError, match="within its prompt of 3"):
        row[3:]


def test_the_scale_makes_a_rows_error_that_of_its_worst_answer() -> None:
    """An error of one answer is held to the logits of that answer, not of a longer one beside."""
    engine = engine_for("llama grouped")
    found = whole(engine)
    assert (found.sum_error / found.scale).max() < 1e-6
    alone = [
        engine.run([AnswerRow(row.prompt, (answer,), apart=True)]) for row in ROWS[:1]
        for answer in row.answers
    ]  # fmt: skip
    shares = torch.cat([one.sum_error / one.scale for one in alone])
    assert float(found.sum_error[0] / found.scale[0]) == pytest.approx(float(shares.max()), rel=0.5)
