"""The order of components, the rows that show it, and what its places are worth elsewhere."""

import numpy as np
import pytest
from conftest import make_run
from whole_split import component_stats

from compread.analysis.choices import Choices, RowChoices
from compread.analysis.measures import MEASURES
from compread.analysis.ranking import crossfit_accuracy, predicted_keys, rank
from compread.analysis.runs import RunStats, read_runs
from compread.components import LayerShape, component_axis
from compread.errors import UsageError
from compread.store import Labels

KEYS = [
    "rank", "component", "kind", "layer", "head", "accuracy", "accuracy_low", "accuracy_high",
    "accuracy_sd", "chance", "balanced_accuracy", "macro_f1", "margin", "margin_sd",
    "predicted_negative", "predicted_positive", "entropy", "agreement", "direct_effect",
    "direct_share", "mcc", "ece", "tied", "p_value", "q_value", "category", "crossfit_accuracy",
    "n", "stores",
]  # fmt: skip


@pytest.fixture(scope="module")
def runs(stores):
    """The three planted runs."""
    return read_runs(sorted(stores.iterdir()))


def test_planted_components_are_found(runs):
    """The planted good, bad and label-biased components have their places and their names."""
    rows = {row["component"]: row for row in rank(runs[:1]).rows()}
    assert next(iter(rows)) == "L0H0"
    assert rows["L0H0"]["category"] == "good"
    assert rows["L0H0"]["accuracy"] == pytest.approx(0.9)
    assert rows["L0H1"]["category"] == "bad" and rows["L0H1"]["accuracy"] == 0
    assert rows["L0H1"]["margin"] == -1
    assert rows["L1H0"]["category"] == "label-biased" and rows["L1H0"]["predicted_negative"] == 1
    assert rows["L1MLP"]["category"] == "label-biased" and rows["L1MLP"]["predicted_positive"] == 1
    assert rows["L1H1"]["tied"] == 1 and rows["L1H1"]["category"] == "label-biased"


@pytest.mark.parametrize("stores_used", [1, 3])
def test_rows_have_the_stable_keys(runs, stores_used):
    """Every row has the same keys in the same order; the last row is the full model."""
    rows = rank(runs[:stores_used]).rows()
    assert all(list(row) == KEYS for row in rows)
    assert [row["rank"] for row in rows] == [*range(1, len(rows)), None]
    assert (rows[-1]["component"], rows[-1]["kind"]) == ("full", "model")
    assert all(row["stores"] == stores_used for row in rows)
    assert (rows[0]["accuracy_sd"] is None) == (stores_used == 1)


def test_layer_and_head_are_null_where_they_do_not_apply(runs):
    """An MLP and a mixer have no head, the embedding no layer either."""
    rows = {row["component"]: row for row in rank(runs, kinds=("embed", "mixer", "mlp")).rows()}
    assert (rows["embed"]["layer"], rows["embed"]["head"]) == (None, None)
    assert (rows["L2MIX"]["layer"], rows["L2MIX"]["head"]) == (2, None)
    assert (rows["L0MLP"]["layer"], rows["L0MLP"]["head"]) == (0, None)


@pytest.mark.parametrize("by", [name for name, one in MEASURES.items() if not one.answers])
@pytest.mark.parametrize("ascending", [False, True])
def test_order_is_by_the_measure(runs, by, ascending):
    """The measure falls from rank to rank, or rises where the lowest come first."""
    values = [row[by] for row in rank(runs, by, ascending=ascending).rows()[:-1]]
    assert values == sorted(values, reverse=not ascending)
    assert len(set(values)) > 1


@pytest.mark.parametrize("ascending", [False, True])
def test_equal_components_keep_the_axis_order(make_split, ascending):
    """Components with equal values stand in axis order, whichever way the list runs."""
    axis = component_axis([LayerShape(3)])
    stats = component_stats(make_split(np.zeros((4, len(axis), 2)), [0, 1, 0, 1]))
    run = RunStats("s.h5", make_run(), axis, Labels((" a", " b"), (1, 2)), stats)
    names = [row["component"] for row in rank([run], ascending=ascending).rows()]
    assert names == ["L0H0", "L0H1", "L0H2", "L0MLP", "full"]


def test_embed_and_bias_are_left_out_unless_named(runs):
    """By default heads, mixers and MLPs are ranked."""
    kinds = {row["kind"] for row in rank(runs).rows()}
    assert kinds == {"head", "mixer", "mlp", "model"}
    assert {row["kind"] for row in rank(runs, kinds=("bias",)).rows()} == {"bias", "model"}


def test_top_keeps_the_first_and_the_full_model(runs):
    """``top=2`` is two components and the full model; 0 is all."""
    everything = rank(runs).rows()
    assert rank(runs, top=2).rows() == [*everything[:2], everything[-1]]
    assert len(everything) == 8 + 1


def test_a_kind_that_is_not_there_is_a_usage_error(tmp_path, write_store):
    """The message names the kinds that are."""
    path = write_store(tmp_path / "s.h5", axis=component_axis([LayerShape(2)]))
    with pytest.raises(UsageError, match="no component of kind mixer; it has embed, head, mlp"):
        rank(read_runs([path]), kinds=["mixer"])


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ((" yes", " no"), ["predicted_yes", "predicted_no"]),
        ((" yes", "yes"), ["predicted_ yes", "predicted_yes"]),
        ((" a", "\n"), ["predicted_ a", "predicted_\n"]),
    ],
)
def test_label_words_become_keys(words, keys):
    """Words lose their outer spaces unless that makes two alike or leaves nothing."""
    assert predicted_keys(Labels(words, (1, 2))) == keys


def runs_of(choices, gold, keys=None):
    """Runs with predictions [S, N, C] over rows of labels [N]."""
    runs = []
    for s, choice in enumerate(choices):
        packed = Choices.pack(choice.astype(np.int16), 2)
        rows = RowChoices(keys[s] if keys else "same", gold, packed, packed)
        labels = Labels((" a", " b"), (1, 2))
        runs.append(RunStats(f"{s}.h5", make_run(), (), labels, None, rows=rows))
    return runs


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("s", [1, 3])
def test_guessing_components_are_worth_half(s, ascending):
    """Of components that guess, the first of many looks far better than half, and is worth half."""
    rng = np.random.default_rng(s)
    worth, seen = [], []
    for _ in range(40):
        gold = rng.permutation(np.arange(100) % 2)
        common = rng.integers(0, 2, (1, 100, 200))
        own = rng.integers(0, 2, (s, 100, 200))
        choices = np.where(rng.random((s, 100, 200)) < 0.7, common, own)
        accuracy = (choices == gold[:, None]).mean(axis=(0, 1))
        seen.append(accuracy.min() if ascending else accuracy.max())
        worth.append(crossfit_accuracy(runs_of(choices, gold), np.arange(200), ascending)[0])
    assert abs(np.mean(seen) - 0.5) > 0.08
    assert np.mean(worth) == pytest.approx(0.5, abs=3 * np.std(worth) / np.sqrt(40))


def test_places_that_are_deserved_keep_their_worth():
    """Planted accuracies far apart come back in their order, over other rows and the same ones."""
    rng = np.random.default_rng(0)
    truth = np.array([0.3, 0.9, 0.6])
    gold = np.arange(2000) % 2
    hit = rng.random((2, 2000, 3)) < truth
    choices = np.where(hit, gold[:, None], 1 - gold[:, None])
    for keys in (None, ["one", "other"]):
        got = crossfit_accuracy(runs_of(choices, gold, keys), np.arange(3))
        np.testing.assert_allclose(got, [0.9, 0.6, 0.3], atol=0.03)


def test_a_single_row_has_no_other_half():
    """With one row nothing can be scored elsewhere."""
    runs = runs_of(np.zeros((1, 1, 3), int), np.array([0]))
    assert np.isnan(crossfit_accuracy(runs, np.arange(3))).all()
