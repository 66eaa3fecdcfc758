"""Reweighting where rows choose from answers of their own, of different numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_run

from compread.cli import main
from compread.components import NORMALIZER, LayerShape, component_axis
from compread.errors import StoreError, UsageError
from compread.reweight.apply import apply, normalization_of
from compread.reweight.ensemble import ensembles
from compread.reweight.fit import oracles, reweight
from compread.reweight.methods.blend import advantage
from compread.reweight.registry import METHODS, for_own_answers, make_methods
from compread.reweight.rows import Rows, Training, rows_of
from compread.reweight.scoring import finite_scores
from compread.reweight.solvers.convex import solve
from compread.reweight.solvers.descent import Recipe, descend_each
from compread.reweight.solvers.ridge import LOUDNESS, RIDGE, dual, primal, ridge_weights
from compread.reweight.solvers.shares import right_scores
from compread.reweight.solvers.signal import Signal
from compread.reweight.solvers.sums import ABSENT, InBlocks, SideBySide, Sums
from compread.reweight.temperature import best_temperature
from compread.reweight.weights_file import Weights
from compread.store import Labels, RowAnswers, SplitRows, StoreWriter, open_store

AXIS = (*component_axis([LayerShape(3), LayerShape(0, mixer=True), LayerShape(3)]), NORMALIZER)
TAKEN = [
    f"{name}:{recipe}" if recipe else name
    for name, method in METHODS.items()
    if method.own_answers
    for recipe in method.recipes or [None]
]
REFUSED = [name for name, method in METHODS.items() if not method.own_answers]


def planted(seed: int = 0, n: int = 30, most: int = 4) -> tuple[Any, Any, Any]:
    """Parts [N, C, K] of rows with 2 to ``most`` answers, right ones, counts; two parts know."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(2, most + 1, n)
    counts[0] = most
    gold = rng.integers(0, counts)
    parts = rng.normal(size=(n, len(AXIS), most)) - 2
    parts[:, -1] -= 2 * np.arange(most)  # the normalizer, the more the longer an answer
    parts[:, [2, 8]] += 1.5 * np.eye(most)[gold][:, None]
    parts[np.broadcast_to((np.arange(most) >= counts[:, None])[:, None], parts.shape)] = np.nan
    return parts.astype(np.float32), gold, counts


def training(seed: int = 0, n: int = 30, most: int = 4) -> Training:
    """The planted rows to learn from."""
    parts, gold, _ = planted(seed, n, most)
    rows = Rows(parts, parts.sum(1), AXIS, own_answers=True)
    return Training(rows, gold, tuple(map(str, range(n))), label_gram=grams_of(rows.absent, seed))


def grams_of(absent: Any, seed: int = 0) -> Any:
    """[N, K, K] inner products of random directions of several lengths; 0 for absent answers."""
    directions = np.random.default_rng(seed).normal(size=(*absent.shape, 9))
    directions *= np.where(absent, 0, np.arange(1, absent.shape[1] + 1))[..., None]
    return directions @ directions.swapaxes(1, 2)


def features_of(run: Training) -> Any:
    """[N, J, K] of the components that carry a weight, NaN where a row has no answer."""
    return run.rows.parts[:, run.rows.reweighted()].astype(float)


def by_row(features: Any, weights: Any, gold: Any) -> tuple[float, Any]:
    """The mean cross-entropy over each row's own answers, and its gradient, row by row."""
    losses, gradients = [], []
    for row, right in zip(features, gold, strict=True):
        own = row[:, ~np.isnan(row[0])]  # [J, answers]
        scores = weights @ own
        share = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        losses.append(-np.log(share[right]))
        gradients.append(own @ (share - np.eye(len(share))[right]))
    return float(np.mean(losses)), np.mean(gradients, axis=0)


@pytest.mark.parametrize("sums", [SideBySide.of, lambda one: InBlocks.of(one[0])])
def test_only_a_rows_own_answers_are_likely(sums: Any) -> None:
    """Scores, cross-entropy and gradient over the answers that there are."""
    run = training()
    features, weights = features_of(run), np.linspace(-1, 1, features_of(run).shape[1])
    found: Sums = sums([features.copy()])
    scores = found.scores(weights[None])
    loss, gradient = found.descent(weights[None], run.gold[None])
    expected, slopes = by_row(features, weights, run.gold)
    assert loss[0] == pytest.approx(expected) and np.allclose(gradient[0], slopes)
    absent = np.isnan(features[:, 0])
    for these in (scores[0], found.scores(weights[None])[0]):
        assert (these[absent] <= ABSENT / 2).all()
        np.testing.assert_allclose(
            these[~absent], np.einsum("njk,j->nk", features, weights)[~absent]
        )


@pytest.mark.parametrize("signed", [False, True])
def test_the_optimum_is_that_of_the_answers_there_are(signed: bool) -> None:
    """No weights near it have a lower objective, by the sum over rows."""
    run, penalty = training(), 0.01
    features = features_of(run)
    found = solve(features, run.gold, penalty, signed)
    best = by_row(features, found.weights, run.gold)[0] + penalty * np.abs(found.weights).sum()
    rng = np.random.default_rng(0)
    for _ in range(50):
        near = found.weights + rng.normal(size=len(found.weights)) * 0.05
        near = near if signed else near.clip(0, 1)
        assert by_row(features, near, run.gold)[0] + penalty * np.abs(near).sum() >= best - 1e-9


def test_official_training_goes_by_the_answers_there_are() -> None:
    """Step by step as the released code, with a softmax over each row's own answers."""
    run = training()
    features, recipe = features_of(run), Recipe(epochs=40, check_every=10)
    (found,) = descend_each([features], [run.gold], recipe)
    weights = np.ones(features.shape[1])
    for _ in range(found.epochs + 1):
        _, gradient = by_row(features, weights.clip(0, 1), run.gold)
        step = gradient * ((weights >= 0) & (weights <= 1)) + recipe.l1 * np.sign(weights)
        weights = weights - recipe.learning_rate * step
    np.testing.assert_allclose(found.weights, weights.clip(0, 1), atol=1e-9)


def signal_by_hand(features: Any) -> Any:
    """Centred over each row's own answers; nothing is taken from columns."""
    return np.nan_to_num(features - np.nanmean(features, axis=2, keepdims=True))


def ridge_by_hand(signal: Any, gold: Any, own: Any, penalty: float, loud: Any) -> Any:
    """The ridge weights from the normal equations, answer by answer."""
    pairs = [(n, k) for n in range(len(gold)) for k in np.flatnonzero(own[n])]
    x = np.array([signal[n, :, k] for n, k in pairs])
    target = np.array([(k == gold[n]) - 1 / own[n].sum() for n, k in pairs])
    return np.linalg.solve(x.T @ x + penalty * np.diag(loud**LOUDNESS), x.T @ target)


def test_ridge_regresses_each_rows_right_answer() -> None:
    """Both solutions, and a row left out as by a refit without it."""
    run = training()
    signal, own = Signal.of(run.rows)[:], ~run.rows.absent
    np.testing.assert_allclose(signal, signal_by_hand(features_of(run)), atol=1e-12)
    loud = np.sqrt((signal**2).sum(axis=(0, 2)) / own.sum())
    penalty = float(RIDGE * (loud ** (2 - LOUDNESS)).sum())
    fitted = ridge_weights(signal, run.gold, own)
    expected = ridge_by_hand(signal, run.gold, own, penalty, loud)
    np.testing.assert_allclose(fitted.weights, expected, atol=1e-10)
    scale = loud ** (-LOUDNESS / 2)
    for solver in (dual, primal):
        weights, left_out = solver(signal, scale, run.gold, penalty, own)
        np.testing.assert_allclose(weights, expected, atol=1e-10)
        for n in range(0, len(run), 7):
            kept = np.arange(len(run)) != n
            w = ridge_by_hand(signal[kept], run.gold[kept], own[kept], penalty, loud)
            np.testing.assert_allclose(left_out[n], w @ signal[n], atol=1e-10)


def test_blend_is_the_average_of_three_without_levels() -> None:
    """Uniform, turned down on contributions as they are, and ridge; both forms score alike."""
    run = training()
    used, own = run.rows.reweighted(), ~run.rows.absent
    signal = signal_by_hand(features_of(run))
    ridge = ridge_weights(signal, run.gold, own)
    (end,) = descend_each([features_of(run)], [run.gold], Recipe())
    from scipy.stats import norm

    model = signal.sum(axis=1)
    ahead = advantage(right_scores(ridge.left_out, run.gold, 1.0, own), model, run.gold, own)
    learned = max(1 / 3, norm.cdf(ahead))
    wanted = 0.0
    shares = ((1 - learned) / 2, (1 - learned) / 2, learned)
    for w, share in zip((np.ones(used.sum()), end.weights, ridge.weights), shares, strict=True):
        wanted = wanted + share * w / np.sqrt((np.einsum("njk,j->nk", signal, w) ** 2).mean())
    batch, row = (m.fit([run])[0] for m in make_methods(["blend", "blend-row"]))
    np.testing.assert_allclose(batch.weights[used], wanted, rtol=1e-9)
    scores = np.einsum("njk,j->nk", np.nan_to_num(run.rows.parts.astype(float)), batch.weights)
    for fitted in (batch, row):
        np.testing.assert_allclose(fitted.scores(run.rows)[own], scores[own], rtol=1e-6)
        assert (fitted.levels == 0).all()


def test_the_normalizer_carries_a_weight_and_never_stands_alone() -> None:
    """It is weighed beside heads and MLPs, and no component that is picked or votes."""
    run = training()
    assert run.rows.reweighted()[-1] and AXIS[-1] == NORMALIZER
    for method in make_methods(["comprw", "blend-row", "best-one", "vote"]):
        found = method.fit([run])[0].parameters().values()
        numbers = next(value for value in found if value.shape == (len(AXIS),))
        assert (numbers[-1] != 0) == (method.name in ("comprw", "blend-row"))


@pytest.mark.parametrize("name", ["tr", "tl"])
def test_heads_by_their_scores(name: str) -> None:
    """Answer by answer: the head that is chosen has the largest mean score over the rows."""
    run = training(n=40)
    heads = [j for j, c in enumerate(AXIS) if c.kind == "head"]

    def score(j: int, gram: Any) -> float:
        values = []
        for n, y in enumerate(run.gold):
            own = np.flatnonzero(~run.rows.absent[n])
            g = run.rows.parts[n, j, own].astype(float)
            length = g @ np.linalg.solve(gram[n][np.ix_(own, own)], g)
            wrong = [g[y] - x for k, x in enumerate(g) if k != y]
            values.append(length if name == "tr" else sum(wrong) / len(wrong) / length)
        return float(np.mean(values))

    order = sorted(heads, key=lambda j: score(j, run.label_gram))
    one_for_all = np.broadcast_to(np.eye(4), (40, 4, 4))
    assert order != sorted(heads, key=lambda j: score(j, one_for_all))
    (method,) = make_methods([name])
    (fitted,) = method.fit([run])
    assert np.flatnonzero(fitted.parameters()["weights"]).tolist() == [order[-1]]


def test_a_store_without_inner_products_is_named(tmp_path: Path) -> None:
    """With what to do; one of the same rows that has them is fitted."""
    methods = make_methods(["tr", "tl"])
    with open_store(write(tmp_path / "a.h5")) as store:
        assert len(reweight([store], methods)) == 2
    with (
        open_store(write(tmp_path / "o.h5", older=True)) as store,
        pytest.raises(UsageError, match=r"o\.h5 is older than .* of its answers' .* --force"),
    ):
        reweight([store], methods)


@pytest.mark.parametrize("title", TAKEN)
def test_the_place_of_an_answer_says_nothing(title: str) -> None:
    """With each row's answers in another order the same answers are chosen, and by the same fit."""
    run, others = training(), training(seed=5, n=60)
    rng = np.random.default_rng(9)

    def turned(one: Training) -> tuple[Training, Any]:
        counts = (~one.rows.absent).sum(1)
        order = np.array([[*rng.permutation(c), *range(c, 4)] for c in counts])
        parts = np.take_along_axis(one.rows.parts, order[:, None], axis=2)
        full = np.take_along_axis(one.rows.full, order, axis=1)
        gold = np.argmax(order == one.gold[:, None], axis=1)
        gram = np.take_along_axis(one.label_gram, order[:, None], axis=2)
        gram = np.take_along_axis(gram, order[:, :, None], axis=1)
        rows = replace(one.rows, parts=parts, full=full)
        return replace(one, rows=rows, gold=gold, label_gram=gram), order

    (method,) = make_methods([title])
    (fitted,) = method.fit([run])
    (again,) = method.fit([turned(run)[0]])
    moved, order = turned(others)
    scores, other = finite_scores(fitted, others.rows), finite_scores(again, moved.rows)
    assert (np.isneginf(scores) == others.rows.absent).all()
    same = np.take_along_axis(scores, order, axis=1).argmax(1) == other.argmax(1)
    assert same.mean() > 0.98  # folds of λ are dealt by columns
    right = (scores.argmax(1) == others.gold).mean()
    assert right > 0.3 or title == "tr"  # which goes by lengths alone


def test_a_temperature_is_of_the_answers_there_are() -> None:
    """No temperature near it has a smaller loss, Platt's targets being over a row's own answers."""
    run = training(n=12)
    scores = np.where(run.rows.absent, np.nan, 3 * np.random.default_rng(2).normal(size=(12, 4)))
    scores[np.arange(12), run.gold] += 2

    def loss(at: float) -> float:
        own = [row[~np.isnan(row)] for row in scores]
        flat = np.concatenate([row - row.mean() for row in own])
        total = (np.log(at / np.sqrt((flat**2).mean())) - 1) ** 2 / (2 * 1.5**2)
        for row, right in zip(own, run.gold, strict=True):
            target = (np.eye(len(row))[right] * 12 + 1) / (12 + len(row))
            total -= (target * (row / at - np.log(np.exp(row / at).sum()))).sum()
        return float(total)

    found = best_temperature(scores, run.gold)
    assert all(loss(found) <= loss(found * factor) + 1e-9 for factor in (0.8, 0.99, 1.01, 1.25))


def write(path: Path, seed: int = 0, most: int = 4, *, older: bool = False, **changes: Any) -> Path:
    """A store of planted train and test rows; ``older`` ones have no inner products."""
    sizes, splits, parts = {"train": 24, "test": 50}, {}, []
    grams = []
    for split, n in sizes.items():
        own, gold, counts = planted(seed + len(split), n, most)
        answers = tuple(
            RowAnswers(tuple(f" {'x' * (k + 1)}{r}" for k in range(c)), tuple(range(1, c + 1)))
            for r, c in enumerate(counts.tolist())
        )
        names = tuple(f"{split}{r}" for r in range(n))
        splits[split] = SplitRows(gold, names, names, answers)
        parts.append(np.nan_to_num(own))
        grams.append(grams_of(np.isnan(own[:, 0]), seed))
    both, info = np.concatenate(parts), make_run(**changes)
    labels = Labels(tuple("ABCDEF"[:most]), (-1,) * most)
    with StoreWriter.open(path, info, AXIS, labels, splits) as writer:
        few = np.zeros(len(both))
        writer.append(range(len(both)), both, both.sum(1), few, few)
        return writer.finish(info, None if older else np.concatenate(grams))


def test_every_method_that_can_is_scored_and_saved(tmp_path: Path) -> None:
    """On a store; the weights come back and go to rows with other numbers of answers."""
    with open_store(write(tmp_path / "a.h5"), "logsumexp", "tokens") as store:
        fits = reweight([store], make_methods(TAKEN), temperatures=True)
        assert all(fit.temperature and fit.test and fit.test.calibration for fit in fits)
        assert all(fit.test is not None and 0 < fit.test.accuracy <= 1 for fit in fits)
        best = {fit.title: fit.test.accuracy for fit in fits if fit.test}
        assert best["blend"] > best["full"] and best["blend"] == best["blend-row"]
        assert len(oracles([store], make_methods(["comprw"]))) == 1
        assert {fit.row()["normalize"] for fit in fits} == {"tokens"}
    Weights(fits).write(tmp_path / "w.json")
    read = Weights.read(tmp_path / "w.json").fits
    assert normalization_of(read, None) == "tokens" == normalization_of(read, "tokens")
    with pytest.raises(UsageError, match="the weights were fitted with --normalize tokens"):
        normalization_of(read, "bytes")
    with open_store(write(tmp_path / "b.h5", 3, most=6, task="b"), None, "tokens") as other:
        done = apply(read, [other])
        assert len(done) == len(read) and all(0 < one.test.accuracy <= 1 for one in done)


def test_an_ensemble_averages_over_a_rows_own_answers(tmp_path: Path) -> None:
    """Each store's scores less their mean over these, by their size; absent ones stay so."""
    first, other = write(tmp_path / "a.h5"), write(tmp_path / "o.h5", template="t2")
    with open_store(first) as one, open_store(other) as two:
        methods = make_methods(["full", "blend"])
        fits = reweight([one, two], methods)
        found = ensembles([one, two], fits, methods, [None], "templates")
        rows = rows_of(one.split("test"), one.components)
    for together, alone in zip(found, fits[:2], strict=True):
        scores = together.scores([rows, rows])
        assert (np.isneginf(scores) == rows.absent).all()
        assert together.test is not None and alone.test is not None
        assert together.test.accuracy == alone.test.accuracy  # two stores of the same numbers
    with (
        open_store(first) as one,
        open_store(write(tmp_path / "p.h5", seed=1, template="t2")) as two,
        pytest.raises(StoreError, match="other numbers of answers in its rows"),
    ):
        ensembles([one, two], reweight([one, two], methods), methods, [None], "templates")


@pytest.mark.parametrize("name", REFUSED)
def test_methods_of_labels_refuse(name: str, tmp_path: Path) -> None:
    """In one sentence that has those that work, before anything is fitted."""
    with (
        open_store(write(tmp_path / "a.h5")) as store,
        pytest.raises(StoreError, match="goes by labels that all rows have; take --methods full,"),
    ):
        reweight([store], make_methods([name]))


def test_methods_that_are_not_named_are_left_out(tmp_path: Path, capsys: Any) -> None:
    """The defaults that take such rows are fitted, with a note; a named one is refused."""
    path = str(write(tmp_path / "a.h5"))
    kept, told = for_own_answers(make_methods(["full", "comprw"]))
    assert len(kept) == 2 and told is None
    assert main(["reweight", path, "--save", str(tmp_path / "w.json"), "--normalize", "bytes"]) == 0
    out, err = capsys.readouterr()
    assert "so calib+, bc, which need labels in common, are left out" in err
    assert "log p per UTF-8 byte" in " ".join(out.split()) and "blend" in out
    assert main(["reweight", path, "--apply", str(tmp_path / "w.json")]) == 0
    assert main(["rank", path, "--weights", str(tmp_path / "w.json"), "--by", "weight"]) == 0
    assert main(["plot", "weights", str(tmp_path / "w.json"), "-o", "-"]) == 0
    capsys.readouterr()
    assert main(["reweight", path, "--methods", "full,bc"]) == 4
    err = capsys.readouterr().err
    assert "bc goes by labels that all rows have" in err and err.count("\n") == 1
