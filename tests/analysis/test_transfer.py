"""Correlation and overlap between runs, against SciPy and the paper's arithmetic."""

from itertools import combinations

import numpy as np
import pytest
from conftest import make_run
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_summary import planted, run_of

from compread.analysis.pairs import PAIR_KINDS, choose_pairs, pair_kinds
from compread.analysis.runs import RunStats, read_runs
from compread.analysis.transfer import (
    MEASURED,
    compare_runs,
    overlap,
    pearson,
    ranks,
    top_set,
    transfer_rows,
)
from compread.components import LayerShape, component_axis


def protocol(contrast_of=None, demo_labels=None):
    """A run's protocol."""
    return {"contrast_of": contrast_of, "demo_labels": demo_labels}


@pytest.fixture(scope="module")
def grid(tmp_path_factory, write_store):
    """Five seeds of three templates and of an edit of the first, as in the paper's Table 2."""
    folder = tmp_path_factory.mktemp("grid")
    paths = [
        write_store(
            folder / f"{template}-{seed}.h5",
            seed=seed,
            template=template,
            protocol=protocol("t1" if template == "t1-edited" else None),
            axis=component_axis([LayerShape(5)] * 4),
        )
        for template in ("t1", "t2", "t3", "t1-edited")
        for seed in range(5)
    ]
    return read_runs(paths, resample=True)


def test_five_seeds_and_three_templates_are_thirty_fifteen_and_five_pairs(grid):
    """The pairs of the paper's Table 2, each value the mean of a direct computation."""
    rows = {row["pair_kind"]: row for row in transfer_rows(compare_runs(grid))}
    assert {kind: row["pairs"] for kind, row in rows.items()} == {
        "demonstrations": 30,
        "template": 15,
        "contrast": 5,
    }
    accuracy = {(run.info.template, run.info.seed): run.stats.parts.accuracy[1:-1] for run in grid}
    wanted = {
        "demonstrations": [((t, a), (t, b)) for t in ("t1", "t2", "t3")
                           for a, b in combinations(range(5), 2)],
        "template": [((a, s), (b, s)) for s in range(5)
                     for a, b in combinations(("t1", "t2", "t3"), 2)],
        "contrast": [(("t1", s), ("t1-edited", s)) for s in range(5)],
    }  # fmt: skip
    for kind, pairs in wanted.items():
        vectors = [(accuracy[a], accuracy[b]) for a, b in pairs]
        each = {
            "pearson": [stats.pearsonr(a, b)[0] for a, b in vectors],
            "spearman": [stats.spearmanr(a, b)[0] for a, b in vectors],
            "iou": [_iou(a, b) for a, b in vectors],
            "transferred": [(a[b.argmax()] + b[a.argmax()]) / 2 for a, b in vectors],
            "oracle": [(a.max() + b.max()) / 2 for a, b in vectors],
        }
        for name, values in each.items():
            assert rows[kind][name] == pytest.approx(np.mean(values), abs=1e-12)
            assert rows[kind][f"{name}_sd"] == pytest.approx(np.std(values), abs=1e-12)


def _iou(a, b):
    tops = [set(sorted(range(len(v)), key=lambda j, v=v: (-v[j], j))[:5]) for v in (a, b)]
    return len(tops[0] & tops[1]) / len(tops[0] | tops[1])


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ({}, {}, None),
        ({"seed": 1}, {"seed": 2}, "demonstrations"),
        ({"shots": 4}, {"shots": 8}, "demonstrations"),
        ({"protocol": protocol(None, [0, 1])}, {"protocol": protocol(None, [0, 0])},
         "demonstrations"),
        ({"template": "a"}, {"template": "b"}, "template"),
        ({"template": "a", "seed": 1}, {"template": "b", "seed": 2}, None),
        ({"template": "a"}, {"template": "b", "protocol": protocol("a")}, "contrast"),
        ({"template": "b", "protocol": protocol("a")}, {"template": "a"}, "contrast"),
        ({"template": "c"}, {"template": "b", "protocol": protocol("a")}, None),
        ({"protocol": protocol("a"), "seed": 1}, {"protocol": protocol("a"), "seed": 2}, None),
        ({"task": "sst2"}, {"task": "rte", "template": "b"}, "task"),
        ({"task": "sst2", "shots": 4}, {"task": "mnli", "shots": 3}, "task"),
        ({"task": "sst2", "seed": 1}, {"task": "rte", "seed": 2}, None),
        ({"checkpoint": "step1"}, {"checkpoint": "step2", "fingerprint": "x"}, "revision"),
        ({"checkpoint": "step1"}, {"checkpoint": "step2", "seed": 7}, None),
        ({"model": "base"}, {"model": "chat", "fingerprint": "x"}, "model"),
        ({"dtype": "float32"}, {"dtype": "bfloat16"}, None),
        ({"task": "sst2"}, {"task": "rte", "dtype": "bfloat16"}, None),
        ({"task": "sst2"}, {"task": "rte", "model": "chat"}, None),
        ({"task": "sst2"}, {"task": "rte", "checkpoint": "step2"}, None),
    ],
)  # fmt: skip
def test_a_pair_is_of_the_kind_of_its_one_difference(one, other, kind):
    """Runs that differ in one thing are a pair of that kind, in either order; others are none."""
    first, second = make_run(**one), make_run(**other)
    kinds = pair_kinds([first, second])
    places = [kinds[0, 1], kinds[1, 0]]
    assert [PAIR_KINDS[place] if place >= 0 else None for place in places] == [kind, kind]


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=30))
def test_ranks_equal_scipy(values):
    """Equal values share their mean rank."""
    assert ranks(np.array(values, float)).tolist() == stats.rankdata(values).tolist()


def test_constant_accuracies_have_no_correlation():
    """A vector without spread correlates with nothing, not even itself."""
    constant = np.full(300, 1 / 3)
    assert np.isnan(pearson(constant, constant)) and np.isnan(pearson(constant, np.arange(300.0)))


def test_top_sets():
    """The first among equals is in the top set; overlap is of the union."""
    assert top_set(np.array([1, 2, 2, 0, 2.0]), 2) == {1, 2}
    assert overlap(frozenset({1, 2}), frozenset({2, 3})) == pytest.approx(1 / 3)
    assert overlap(frozenset(), frozenset()) == 1


def test_the_ceiling_is_what_a_second_measurement_reaches(make_split):
    """Two measurements of the same planted accuracies correlate as the ceiling says."""
    rng = np.random.default_rng(4)
    axis = component_axis([LayerShape(299)])
    truth = rng.uniform(0.4, 0.6, len(axis))
    runs = []
    for seed in range(12):
        run = run_of(planted(rng, make_split, truth, 150), axis, seed, shuffles=1)
        runs.append(RunStats(f"{seed}.h5", make_run(seed=seed), axis, *_rest(run)))
    (row,) = transfer_rows(compare_runs(runs))
    assert row["pairs"] == 66
    assert row["pearson"] == pytest.approx(row["ceiling"], abs=0.02)
    assert 0.5 < row["ceiling"] < 0.9
    # Half as many rows, and still rows of their own: what Spearman and Brown's formula takes back.
    half = row["pearson_apart"]
    assert 2 * half / (1 + half) == pytest.approx(row["ceiling"], abs=0.02)


def test_noise_that_runs_share_is_not_transfer(make_split):
    """Two runs that guess alike on the same rows correlate, but not apart."""
    rng = np.random.default_rng(9)
    axis = component_axis([LayerShape(299)])
    gold = rng.permutation(np.arange(200) % 2)
    guesses = np.eye(2)[rng.integers(0, 2, (200, len(axis)))]
    runs = []
    for seed in range(2):
        own = np.eye(2)[rng.integers(0, 2, (200, len(axis)))]
        same = rng.random((200, len(axis), 1)) < 0.7
        split = make_split(np.where(same, guesses, own), gold)
        run = run_of(split, axis, shuffles=1)
        runs.append(RunStats(f"{seed}.h5", make_run(seed=seed), axis, *_rest(run)))
    (row,) = transfer_rows(compare_runs(runs))
    assert row["pearson"] > 0.5 and abs(row["pearson_apart"]) < 0.1 and row["ceiling"] < 0.3


@pytest.mark.parametrize("own_rows", [False, True])
@pytest.mark.parametrize("truth", [0, 0.5, 1])
def test_agreement_is_freed_of_noise(make_split, truth, own_rows):
    """Accuracies that correlate by 0, a half and 1 say so, noise and rows shared or not.

    The runs of a pair guess alike on most rows where these are the same ones.
    """
    rng = np.random.default_rng(7)
    axis, n, runs, planted = component_axis([LayerShape(299)]), 200, [], []
    common = rng.normal(size=len(axis))
    gold, luck = rng.permutation(np.arange(n) % 2), rng.random((n, len(axis)))
    for seed in range(8):
        own = np.sqrt(truth) * common + np.sqrt(1 - truth) * rng.normal(size=len(axis))
        fresh = rng.random((n, len(axis)))
        shared = rng.random((n, len(axis))) < (0 if own_rows else 0.7)
        planted.append(own[1:-1])
        hit = np.where(shared, luck, fresh) < 0.5 + 0.04 * own
        choice = np.where(hit, gold[:, None], 1 - gold[:, None])
        run = run_of(make_split(np.eye(2)[choice], gold), axis, shuffles=1)
        runs.append(RunStats(f"{seed}.h5", make_run(seed=seed), axis, *_rest(run)))
    (row,) = transfer_rows(compare_runs(runs))
    wanted = np.corrcoef(planted)[np.triu_indices(8, 1)].mean()
    assert wanted == pytest.approx(truth, abs=0.1)
    assert row["agreement"] == pytest.approx(wanted, abs=0.05)


def test_pairs_are_drawn_where_there_are_many(grid):
    """Of each kind so many as asked for are compared, always the same; the rest is counted."""
    whole, drawn = compare_runs(grid, most=None), compare_runs(grid, most=12)
    paths = [(pair.one.path, pair.other.path) for pair in drawn.pairs]
    assert paths == [(p.one.path, p.other.path) for p in compare_runs(grid, most=12).pairs]
    every = [(pair.one.path, pair.other.path) for pair in whole.pairs]
    assert len(every) == 190 and paths == [pair for pair in every if pair in set(paths)]
    counts = {r["pair_kind"]: (r["pairs"], r["pairs_found"]) for r in transfer_rows(drawn)}
    assert counts == {"demonstrations": (12, 30), "template": (12, 15), "contrast": (5, 5)}


def test_drawn_pairs_have_the_mean_of_all(grid):
    """Each pair is drawn with the same chance, so that over many seeds the mean is that of all."""
    pairs = compare_runs(grid, most=None).pairs
    value = {(p.one.path, p.other.path): p.pearson for p in pairs if p.kind == "demonstrations"}
    means = []
    for seed in range(300):
        chosen = [(grid[i].path, grid[j].path) for i, j, _ in choose_pairs(grid, 10, seed).pairs]
        means.append(np.mean([value[pair] for pair in chosen if pair in value]))
    wanted, error = np.mean(list(value.values())), np.std(means) / np.sqrt(len(means))
    assert abs(np.mean(means) - wanted) < 4 * error < 0.02


def test_halves_against_a_plain_loop(make_split):
    """Overlap and correlation of halves are means over splits, then over both runs of a pair."""
    rng = np.random.default_rng(1)
    axis, runs = component_axis([LayerShape(59)]), []
    for seed, reach in enumerate((0.2, 0.05)):
        truth = 0.5 + reach * rng.uniform(-1, 1, len(axis))
        run = run_of(planted(rng, make_split, truth, 200), axis, seed, shuffles=1)
        runs.append(RunStats(f"{seed}.h5", make_run(seed=seed), axis, *_rest(run)))
    (pair,) = compare_runs(runs).pairs
    overlaps, r = [], []
    for run in runs:
        halves = run.resampled.halves[:, :, 1:-1]
        sets = [[top_set(half, 5) for half in split] for split in halves]
        overlaps.append(np.mean([len(a & b) / len(a | b) for a, b in sets]))
        r.append(max(0, np.mean([stats.pearsonr(*split).statistic for split in halves])))
    assert pair.iou_halves == pytest.approx(np.mean(overlaps))
    assert r[0] > 2 * r[1] > 0
    assert pair.pearson_halves == pytest.approx(np.sqrt(r[0] * r[1]))
    ceiling = np.sqrt(np.prod([2 * x / (1 + x) for x in r]))
    assert pair.ceiling == pytest.approx(ceiling)


def _rest(run):
    return run.labels, run.stats, run.resampled


def test_tasks_have_rows_of_their_own_and_one_together(tmp_path, write_store):
    """Pairs of several tasks are averaged by task and over all."""
    paths = [
        write_store(tmp_path / f"{task}{seed}.h5", seed=seed, task=task)
        for task in ("sst2", "rte")
        for seed in range(3)
    ]
    rows = transfer_rows(compare_runs(read_runs(paths, resample=True)))
    found = [(row["pair_kind"], row["task"], row["pairs"]) for row in rows]
    assert found == [
        ("demonstrations", "sst2", 3),
        ("demonstrations", "rte", 3),
        ("demonstrations", "all", 6),
        ("task", "rte / sst2", 3),
    ]
    for name in MEASURED:
        mean = np.mean([rows[0][name], rows[1][name]])
        assert rows[2][name] == pytest.approx(mean)


def test_runs_of_other_models_are_no_pairs(tmp_path, write_store):
    """Runs whose component axes differ are not compared."""
    paths = [
        write_store(tmp_path / f"{heads}.h5", axis=component_axis([LayerShape(heads)]))
        for heads in (2, 3)
    ]
    assert compare_runs(read_runs(paths)).pairs == ()
