"""The change between two models, against SciPy and by its coverage."""

import numpy as np
import pytest
from conftest import make_run
from scipy import stats

from compread.analysis.chance import two_sided
from compread.analysis.change import change, mcnemar, paired_interval
from compread.analysis.spread import RowSet, change_interval
from compread.components import LayerShape, component_axis
from compread.errors import StoreError, UsageError
from compread.store import Labels, SplitRows, StoreWriter, open_store


def hits(path):
    """[N, C + 1] right predictions of a store, the full model last."""
    with open_store(path) as store:
        split = store.split("test")
    logits = np.concatenate([split.parts, split.full[:, None]], axis=1)
    return logits.argmax(axis=2) == split.gold[:, None]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, write_store):
    """Two seeds of two models: other numbers, the same rows."""
    folder = tmp_path_factory.mktemp("change")
    axis = component_axis([LayerShape(3)] * 2)

    def store(model, seed):
        path = folder / f"{model}{seed}.h5"
        rng = np.random.default_rng([len(model) + ord(model[0]), seed])
        gold, ids = np.arange(90) % 2, [str(row) for row in range(90)]
        parts = rng.normal(size=(90, len(axis), 2))
        info = make_run(model=model, fingerprint=model, seed=seed)
        rows = {"test": SplitRows(gold, ids, ids)}
        with StoreWriter.open(path, info, axis, Labels((" a", " b"), (1, 2)), rows) as writer:
            writer.append(range(90), parts, parts.sum(1), np.zeros(90), np.full(90, 0.8))
            return writer.finish(info)

    return [[store(model, seed) for seed in range(2)] for model in ("base", "chat")]


def test_one_pair_is_mcnemar(pairs):
    """Accuracies, changes and p-values of one pair are those of the rows."""
    (before, _), (after, _) = pairs
    got = change([before], [after])
    first, second = hits(before), hits(after)
    np.testing.assert_allclose(got.before, first.mean(0))
    np.testing.assert_allclose(got.after, second.mean(0))
    for j, row in enumerate(got.rows()):
        lost = int((first[:, j] & ~second[:, j]).sum())
        won = int((second[:, j] & ~first[:, j]).sum())
        wanted = stats.binomtest(won, lost + won).pvalue if lost + won else 1
        assert row["p_value"] == pytest.approx(wanted)
        assert row["change_low"] <= row["change"] <= row["change_high"]
        assert row["change"] == pytest.approx((won - lost) / len(first))
    assert [row["component"] for row in got.rows()][-2:] == ["bias", "full"]
    outside = [row["component"] for row in got.rows() if row["q_value"] is None]
    assert outside == ["embed", "bias"]
    np.testing.assert_allclose(got.q[1:-2], stats.false_discovery_control(got.p[1:-2]))


def test_several_pairs_are_averaged(pairs):
    """The changes are means; the interval holds them, has a width and stays within [-1, 1]."""
    got = change(*pairs)
    each = [change([a], [b]) for a, b in zip(*pairs, strict=True)]
    differences = np.array([one.after - one.before for one in each])
    np.testing.assert_allclose(got.after - got.before, differences.mean(0))
    assert (got.low < differences.mean(0)).all() and (differences.mean(0) < got.high).all()
    assert (got.low >= -1).all() and (got.high <= 1).all() and got.pairs == 2


def test_pairs_over_the_same_rows_are_one_test(pairs):
    """The p-value is that of drawn swaps of both models on each row, for all pairs at once."""
    rng = np.random.default_rng(0)
    net = sum(hits(b).astype(int) - hits(a) for a, b in zip(*pairs, strict=True))
    signs = rng.choice([-1, 1], (100_000, len(net)))
    drawn = signs.astype(np.float32) @ net.astype(np.float32)
    above, below = (drawn >= net.sum(0)).mean(0), (drawn <= net.sum(0)).mean(0)
    wanted = np.minimum(1, 2 * np.minimum(above, below))
    np.testing.assert_allclose(change(*pairs).p, wanted, rtol=0.1, atol=0.01)


def test_changes_are_covered():
    """Of pairs that share noise and differ in how they change, about 95 % of intervals hold it."""
    rng = np.random.default_rng(5)
    s, n, c, inside = 3, 200, 300, []
    for _ in range(6):
        shared = rng.random((1, n, c)) < 0.8
        noise = np.where(shared, rng.random((1, n, c)), rng.random((s, n, c)))
        rate = 0.1 + 0.03 * rng.normal(size=(s, 1, c))
        net = np.where(noise < 0.15, -1, np.where(noise > 1 - 0.15 - rate, 1, 0))
        rows = RowSet(
            net.mean(axis=1), net.sum(axis=0).astype(np.int32), (net != 0).sum((0, 1)) * 1.0
        )
        low, high = change_interval([rows], np.ones(c, bool))
        inside.append(((low <= 0.1) & (high >= 0.1)).mean())
    assert 0.93 <= np.mean(inside) <= 0.975


def test_mcnemar_equals_scipy():
    """The exact test is SciPy's for every small table."""
    lost, won = (a.ravel() for a in np.meshgrid(np.arange(15), np.arange(15)))
    wanted = [stats.binomtest(w, w + b).pvalue if w + b else 1 for b, w in zip(lost, won)]  # noqa: B905
    test = mcnemar(lost, won)
    np.testing.assert_allclose(two_sided(test.above, test.below), wanted)


@pytest.mark.parametrize("cells", [(40, 5, 15, 40), (10, 0, 0, 0), (0, 0, 3, 0), (0, 3, 0, 0)])
def test_the_ends_of_the_interval(cells):
    """Half a row is added to each cell, then the usual interval is taken, within [-1, 1]."""
    stays, lost, won, never = (cell + 0.5 for cell in cells)
    n = stays + lost + won + never
    centre = (won - lost) / n
    half = stats.norm.ppf(0.975) * np.sqrt((won + lost) - (won - lost) ** 2 / n) / n
    by_hand = max(-1, centre - half), min(1, centre + half)
    got = paired_interval(np.array([cells[1]]), np.array([cells[2]]), sum(cells))
    assert np.ravel(got) == pytest.approx(by_hand)


def test_the_interval_covers_the_truth():
    """Of paired rows with a known change, 95 % of the intervals hold it, within two points."""
    rng = np.random.default_rng(0)
    for n, cells in ((50, (0.5, 0.1, 0.2, 0.2)), (300, (0.4, 0.02, 0.1, 0.48))):
        counts = rng.multinomial(n, cells, size=20_000)
        low, high = paired_interval(counts[:, 1], counts[:, 2], n)
        truth = cells[2] - cells[1]
        assert 0.93 <= ((low <= truth) & (truth <= high)).mean() <= 0.98


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ({"template": "other"}, UsageError, "has no partner"),
        ({"axis": component_axis([LayerShape(4)])}, StoreError, "different components"),
        ({"n_test": 7}, StoreError, "different test rows"),
    ],
)
def test_runs_that_do_not_pair_are_refused(pairs, tmp_path, write_store, data, error, words):
    """A run of another prompt, another shape or other rows has no partner."""
    axis = component_axis([LayerShape(3)] * 2)
    other = write_store(tmp_path / "other.h5", **{"axis": axis, **data})
    with pytest.raises(error, match=words):
        change([pairs[0][0]], [other])


def test_runs_without_a_partner_are_left_out(pairs, tmp_path, write_store):
    """They are named, and the change is that of the rest; the full model's q is its p."""
    axis = component_axis([LayerShape(3)] * 2)
    lone = write_store(tmp_path / "lone.h5", axis=axis, template="lone")
    found = change([pairs[0][0], lone], [pairs[1][0]])
    assert found.unpaired == (lone,) and found.pairs == 1
    assert found.q[-1] == found.p[-1]


def test_two_runs_of_one_prompt_are_refused(pairs):
    """One side has each prompt once."""
    with pytest.raises(UsageError, match="runs of one prompt"):
        change([pairs[0][0], pairs[1][0]], [pairs[0][0]])
