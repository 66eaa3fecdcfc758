"""How often a component picks the longest or the shortest of a row's own answers."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from conftest import make_run

from compread.analysis.components import collect, stats_of
from compread.analysis.ranking import rank
from compread.analysis.runs import read_runs
from compread.components import NORMALIZER, LayerShape, component_axis
from compread.errors import UsageError
from compread.store import Labels, RowAnswers, SplitRows, StoreWriter

N, K = 50, 4
AXIS = (*component_axis([LayerShape(1)]), NORMALIZER)
_rng = np.random.default_rng(0)
COUNTS = _rng.integers(2, K + 1, N)
ABSENT = np.arange(K) >= COUNTS[:, None]
TOKENS = np.where(ABSENT, 0, _rng.integers(1, 4, (N, K)))
GOLD = _rng.integers(0, COUNTS)
PARTS = np.where(ABSENT[:, None], np.nan, _rng.normal(size=(N, len(AXIS), K))).astype(np.float32)
PARTS[:, 1] = np.where(ABSENT, np.nan, TOKENS - 9)  # the longest, the first of several


def by_hand(end: str) -> tuple[list[float], float]:
    """The share of each component and what is expected of a random pick."""
    picks, expected = [], []
    for n in range(N):
        own = TOKENS[n, : COUNTS[n]].tolist()
        if len(set(own)) > 1:
            wanted = max(own) if end == "longest" else min(own)
            chosen = PARTS[n, :, : COUNTS[n]].argmax(1)
            picks.append([own[k] == wanted for k in chosen])
            expected.append(own.count(wanted) / len(own))
    assert 0 < len(picks) < N
    return np.mean(picks, axis=0).tolist(), float(np.mean(expected))


@pytest.mark.parametrize("pieces", [(0, N), (0, 7, 31, N)])
@pytest.mark.parametrize("end", ["longest", "shortest"])
def test_picks_are_counted_row_by_row(end: str, pieces: tuple[int, ...]) -> None:
    """Over rows whose answers differ in length, in any number of pieces, ties being as long."""
    spans = [slice(a, b) for a, b in itertools.pairwise(pieces)]
    stats = stats_of(*collect([(s, PARTS[s]) for s in spans], PARTS.sum(1), GOLD, tokens=TOKENS))
    shares, chance = by_hand(end)
    np.testing.assert_allclose(stats.parts[f"picks_{end}"], shares)
    at = ("longest", "shortest").index(end)
    assert stats.parts.length_chance[at] == pytest.approx(chance)
    assert stats.parts["picks_longest"][1] == 1 and stats.parts["picks_shortest"][1] == 0


def test_rows_of_equal_lengths_say_nothing() -> None:
    """No share and no chance, rather than 1 of both."""
    stats = stats_of(
        *collect([(slice(0, N), PARTS)], PARTS.sum(1), GOLD, tokens=np.minimum(TOKENS, 1))
    )
    assert np.isnan(stats.parts["picks_longest"]).all()
    assert np.isnan(stats.parts.length_chance).all()


def test_a_ranking_has_them_where_answers_are_a_rows_own(tmp_path: Path, stores: Path) -> None:
    """By either, with what chance is, in rows; labels in common have neither."""
    answers = tuple(
        RowAnswers(tuple(f" {k}" for k in range(count)), tuple(of[:count].tolist()))
        for count, of in zip(COUNTS, TOKENS, strict=True)
    )
    names, few = tuple(map(str, range(N))), np.zeros(N)
    rows, info = {"test": SplitRows(GOLD, names, names, answers)}, make_run()
    labels = Labels(tuple("ABCD"), (-1,) * K)
    with StoreWriter.open(tmp_path / "x.h5", info, AXIS, labels, rows) as writer:
        writer.append(range(N), np.nan_to_num(PARTS), np.nan_to_num(PARTS).sum(1), few, few)
        path = writer.finish(info)
    ranked = rank(read_runs([path]), by="picks_longest").rows()
    assert ranked[0]["component"] == AXIS[1].name and ranked[0]["picks_longest"] == 1
    assert ranked[0]["longest_chance"] == pytest.approx(by_hand("longest")[1])
    assert ranked[-1]["shortest_chance"] == pytest.approx(by_hand("shortest")[1])
    runs = read_runs([stores / "sst2-t1-k4-s0.h5"])
    assert "picks_longest" not in rank(runs).rows()[0]
    with pytest.raises(UsageError, match="picks_longest: here every row has the same labels"):
        rank(runs, by="picks_longest")
