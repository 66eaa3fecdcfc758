"""What is said of the labels' shares among the rows to predict, and what methods make of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import norm

from compread.errors import UsageError
from compread.reweight.apply import retold
from compread.reweight.ensemble import Ensemble
from compread.reweight.fit import reweight
from compread.reweight.label_shares import known_shares, label_shares_of
from compread.reweight.methods.prototypical import fit_mixture
from compread.reweight.registry import METHODS, make_methods
from compread.reweight.rows import Rows, rows_of, training_of
from compread.reweight.running import Running, told_of
from compread.reweight.solvers import shares as shares_module
from compread.reweight.solvers.shares import LEAST_WITHIN, TEMPER, estimate
from compread.reweight.weights_file import Weights, checksum

TRANSDUCTIVE = [name for name, method in METHODS.items() if method.fitted.transductive]
SKEWED = (0.7, 0.2, 0.1)


@pytest.fixture(scope="module")
def store(make_store):
    """Three labels, thirty train rows."""
    return make_store(5, n_train=30, labels=3, n_test=90)


def fitted(store, name, said=None, n_train=30):
    """A method's fit on the store's first rows."""
    (method,) = make_methods([name], None, said)
    run = training_of(store.split("train"), store.components, n_train, "s")
    return method.fit([run])[0]


def test_rows_alone_do_not_know_of_it(store):
    """All transductive methods are meant, and no other one can be told."""
    assert TRANSDUCTIVE == ["bc", "bc-prob", "procal", "blend"]
    with pytest.raises(UsageError, match="ask for one of bc, bc-prob, procal, blend"):
        make_methods(["full", "comprw", "blend-row"], None, "balanced")
    made = make_methods(["full", "blend"], None, SKEWED)
    assert made[0] == METHODS["full"].make() and made[1].label_shares == SKEWED


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (None, None), ("train", "train"), ("0.8,0.2", (0.8, 0.2)), ([0.25, 0.75], (0.25, 0.75)),
        ("0.33,0.33,0.33", (1 / 3, 1 / 3, 1 / 3)), (" 0.5, .5", (0.5, 0.5)),
    ],
)  # fmt: skip
def test_what_can_be_said(value, meant):
    """A name, or numbers that add up to 1 as far as two digits can."""
    found = label_shares_of(value)
    assert found == (pytest.approx(meant) if isinstance(meant, tuple) else meant)


@pytest.mark.parametrize(
    "value", ["", "even", "balance", "1", "0.5,0.6", "1,0", "0.5,nan", "1.5,-0.5", [1.0], "80,20"]
)
def test_what_cannot_be_said(value):
    """One line with what there is."""
    with pytest.raises(UsageError, match=r"--label-shares.* estimate, or a share for each label"):
        label_shares_of(value)


def test_shares_of_train_rows_are_never_zero():
    """They are those of one row more of each label."""
    found = known_shares("train", np.array([0, 0, 0, 2]), 3)
    np.testing.assert_allclose(found, [4 / 7, 1 / 7, 2 / 7])
    with pytest.raises(UsageError, match=r"0\.7,0\.2,0\.1: 3 shares, and the rows have 2 labels"):
        known_shares(SKEWED, np.array([0]), 2)


def test_batch_calibration_with_shares(store):
    """Log p - log mean p + log K π, and p - mean p + π; even ones are the published form."""
    rows, pi = rows_of(store.split("test"), store.components), np.array(SKEWED)
    logs = log_softmax(rows.full.astype(float), axis=1)
    mean = logsumexp(logs, axis=0) - np.log(90)
    np.testing.assert_allclose(fitted(store, "bc").scores(rows), logs - mean, atol=1e-9)
    told = fitted(store, "bc", SKEWED).scores(rows)
    np.testing.assert_allclose(told, logs - mean + np.log(3 * pi), atol=1e-9)
    p = np.exp(logs)
    told = fitted(store, "bc-prob", SKEWED).scores(rows)
    np.testing.assert_allclose(told, p - p.mean(axis=0) + pi - 1 / 3, atol=1e-9)
    for name in ("bc", "bc-prob"):
        even = fitted(store, name, "balanced").scores(rows)
        np.testing.assert_allclose(even, fitted(store, name).scores(rows), atol=1e-12)


def test_batch_calibration_with_estimated_shares(store):
    """The level is that of train rows, by their labels' margin, and the rows' own."""
    rows, split = rows_of(store.split("test"), store.components), store.split("train")
    for name, said in (("bc", log_softmax), ("bc-prob", softmax)):
        train = said(split.full.astype(float), axis=1)
        others = [np.delete(train, n, axis=0).mean(axis=0) for n in range(30)]
        apart = train - others
        apart -= apart.mean(axis=1, keepdims=True)
        spread = np.sqrt(apart.var(axis=0).sum() / 2)
        margin = np.mean([row[y] for row, y in zip(apart, split.gold, strict=True)]) / spread * 1.5
        above = said(rows.full.astype(float), axis=1) - train.mean(axis=0)
        wanted = above - estimate(above, margin, 30).level
        np.testing.assert_allclose(fitted(store, name, "estimate").scores(rows), wanted, atol=1e-9)


def test_clusters_with_shares(store):
    """Each label's cluster has the share that is said of the label, not the mixture's."""
    rows = rows_of(store.split("test"), store.components)
    own = fitted(store, "procal").scores(rows)
    told = fitted(store, "procal", SKEWED).scores(rows)
    mixture = fit_mixture(log_softmax(rows.full.astype(float), axis=1), 3)
    moved = own - told + np.log(SKEWED)
    np.testing.assert_allclose(moved - moved[:1], 0, atol=1e-9)
    np.testing.assert_allclose(np.sort(moved[0]), np.sort(np.log(mixture.shares[0])), atol=1e-9)
    np.testing.assert_array_equal(fitted(store, "procal", "estimate").scores(rows), own)


def test_known_shares_leave_the_level_to_be_sought(monkeypatch):
    """The level at the maximum of the density of rows with those shares, by another optimiser."""
    monkeypatch.setattr(shares_module, "STEPS", 3000)
    rng, pi, trained = np.random.default_rng(2), np.array(SKEWED), 12
    scores = 2.0 * np.eye(3)[rng.choice(3, 60, p=pi)] + rng.normal(size=(60, 3)) + [0.3, 0, -0.2]
    scores -= scores.mean(axis=1, keepdims=True)
    variance = ((scores - scores.mean(axis=0)) ** 2).sum() / 60 / 2
    step = 1.2 * np.sqrt(variance)
    within = max(variance - step**2 / 3, LEAST_WITHIN * variance)
    basis = np.linalg.svd(np.eye(3) - 1 / 3)[0][:, :2]
    centres = step * (np.eye(3) - 1 / 3)

    def loss(x):
        away = scores[:, None] - basis @ x - centres
        density = norm.pdf(away @ basis, scale=np.sqrt(within)).prod(axis=2)
        return -(TEMPER * np.log(density @ pi).sum() - (x**2).sum() * trained / (2 * within))

    found = minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-9})
    wanted = basis @ found.x - within / step * np.log(3 * pi)
    got = estimate(scores, 1.2, trained, pi)
    np.testing.assert_allclose(got.level, wanted, atol=1e-4)
    np.testing.assert_array_equal(got.shares, pi)


def test_blend_is_told(store):
    """Its levels are those of rows with the known shares; `train` are its train rows'."""
    rows, split = rows_of(store.split("test"), store.components), store.split("train")
    own = fitted(store, "blend")
    raw = np.einsum("ncy,c->ny", rows.parts, own.weights) - own.levels
    counts = np.bincount(split.gold, minlength=3) + 1.0
    for said, pi in ((SKEWED, np.array(SKEWED)), ("balanced", np.full(3, 1 / 3)),
                     ("train", counts / counts.sum()), ("estimate", None)):  # fmt: skip
        level = estimate(raw, float(own.margin), 30, pi).level
        np.testing.assert_allclose(
            fitted(store, "blend", said).scores(rows), raw - level, atol=1e-4
        )
    np.testing.assert_array_equal(fitted(store, "blend", "estimate").scores(rows), own.scores(rows))


@pytest.mark.parametrize("name", TRANSDUCTIVE)
@pytest.mark.parametrize("said", ["train", "balanced", "estimate", (0.2, 0.7, 0.1)])
def test_labels_have_no_order(store, name, said):
    """Exchanged, in the rows and in what is said, they exchange their scores."""
    order = [2, 0, 1]
    back = np.argsort(order)
    turned = replace(store, splits={
        part: replace(
            split, parts=split.parts[:, :, order], full=split.full[:, order], gold=back[split.gold]
        )
        for part, split in store.splits.items()
    })  # fmt: skip
    other = said if isinstance(said, str) else tuple(said[k] for k in order)
    ours = fitted(store, name, said).scores(rows_of(store.split("test"), store.components))
    theirs = fitted(turned, name, other).scores(rows_of(turned.split("test"), store.components))
    assert (ours[:, order].argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.98
    if name != "procal":  # whose starts are drawn
        np.testing.assert_allclose(theirs, ours[:, order], atol=1e-4)


# A mixture of twenty clusters takes seconds.
FEW_AND_MANY = [(name, k) for name in TRANSDUCTIVE for k in (2, 20) if (name, k) != ("procal", 20)]


@pytest.mark.parametrize(("name", "labels"), FEW_AND_MANY)
@pytest.mark.parametrize("said", [None, "train", "balanced", "estimate", "given"])
def test_little_to_go_by(make_store, name, said, labels):
    """One row or none, rows that are one row, one class in the train rows: scores are numbers."""
    store = make_store(3, n_train=6, labels=labels, n_test=8)
    split = store.split("train")
    said = (
        tuple(np.arange(1, labels + 1) / (labels * (labels + 1) / 2)) if said == "given" else said
    )
    for gold in (split.gold, np.zeros(6, np.int64)):
        for parts in (split.parts, np.ones_like(split.parts)):
            train = replace(split, gold=gold, parts=parts, full=parts.sum(1))
            one = fitted(replace(store, splits={**store.splits, "train": train}), name, said, 6)
            rows = rows_of(store.split("test"), store.components)
            for some in ([0], [0, 0, 0], [1, 2, 3]):
                scores = one.scores(Rows(rows.parts[some], rows.full[some], rows.components))
                assert np.isfinite(scores).all() and scores.shape == (len(some), labels)


def test_right_labels_of_train_rows_count_where_they_are_asked_for(store):
    """Shuffled labels leave given and even shares' batch calibration alone, and change the rest."""
    split = store.split("train")
    gold = np.random.default_rng(1).permutation(split.gold)
    shuffled = replace(store, splits={**store.splits, "train": replace(split, gold=gold)})
    rows = rows_of(store.split("test"), store.components)
    for said in (None, "balanced", SKEWED, "train"):
        one, two = (fitted(s, "bc", said).scores(rows) for s in (store, shuffled))
        np.testing.assert_array_equal(one, two)
    one, two = (fitted(s, "bc", "estimate") for s in (store, shuffled))
    assert one.margin > 0.3 > two.margin
    assert not make_methods(["bc"])[0].reads_rows
    assert make_methods(["bc"], None, "estimate")[0].reads_rows


def test_no_rows_to_estimate_from(make_store):
    """Batch calibration asks for some where it is to estimate."""
    store = make_store(1, n_train=0)
    reweight([store], make_methods(["bc"], None, (0.8, 0.2)), (None,))
    with pytest.raises(UsageError, match="no train rows to fit bc on"):
        reweight([store], make_methods(["bc"], None, "estimate"), (None,))


def test_the_file_keeps_what_was_said(store, tmp_path):
    """Arrays, names and numbers come back; files from before it have each method's own default."""
    path = tmp_path / "w.json"
    for said in (None, "train", "balanced", "estimate", SKEWED):
        fits = reweight([store], make_methods(TRANSDUCTIVE, None, said), (20,))
        Weights(fits).write(path, force=True)
        rows = rows_of(store.split("test"), store.components)
        for ours, theirs in zip(Weights.read(path).fits, fits, strict=True):
            assert ours.hyperparameters == theirs.hyperparameters
            kept = ours.hyperparameters["label_shares"]
            own = METHODS[ours.method].own_shares
            assert kept == (own if said is None else said if isinstance(said, str) else [*said])
            np.testing.assert_array_equal(ours.fitted.scores(rows), theirs.fitted.scores(rows))
    fits = reweight([store], make_methods(TRANSDUCTIVE), (20,))
    Weights(fits).write(path, force=True)
    document = json.loads(path.read_text())
    for fit in document["fits"]:
        del fit["hyperparameters"]["label_shares"], fit["parameters"]["shares"]
        if fit["method"].startswith("bc"):
            fit["parameters"] = {}
    path.write_text(json.dumps({**document, "checksum": checksum(document)}))
    for ours, theirs in zip(Weights.read(path).fits, fits, strict=True):
        np.testing.assert_array_equal(ours.fitted.scores(rows), theirs.fitted.scores(rows))
        assert told_of(Ensemble.of_one(ours)) == told_of(Ensemble.of_one(theirs))


def test_weights_are_told_of_other_rows(store):
    """As if they had been fitted so; what a fit cannot know is refused."""
    rows = rows_of(store.split("test"), store.components)
    for name in TRANSDUCTIVE:
        (fit,) = reweight([store], make_methods([name]), (30,))
        for said in (SKEWED, "balanced"):
            told, wanted = retold(fit, said), fitted(store, name, said)
            np.testing.assert_array_equal(told.fitted.scores(rows), wanted.scores(rows))
            assert told.hyperparameters["label_shares"] == (said if said == "balanced" else [*said])
        with pytest.raises(UsageError, match=f"train: the weights of {name} lack that"):
            retold(fit, "train")
        with pytest.raises(UsageError, match="2 shares, and the rows have 3 labels"):
            retold(fit, (0.5, 0.5))
        (fit,) = reweight([store], make_methods([name], None, "train"), (30,))
        assert retold(fit, "train") is fit and retold(fit, None) is fit
        if name in ("bc", "bc-prob"):
            with pytest.raises(UsageError, match="estimate: the weights of bc"):
                retold(fit, "estimate")
        else:
            again = retold(fit, "estimate").fitted.scores(rows)
            np.testing.assert_array_equal(again, fitted(store, name).scores(rows))
    (fit,) = reweight([store], make_methods(["comprw"]), (30,))
    assert retold(fit, SKEWED) is fit


@pytest.mark.parametrize("name", ["full", "bc", "blend"])
def test_rows_come_window_by_window(store, name):
    """Each window is scored with all rows so far, so that the last sees as much as all at once."""
    (fit,) = reweight([store], make_methods([name]), (30,))
    rows, running = rows_of(store.split("test"), store.components), Running(Ensemble.of_one(fit))
    for start, stop in ((0, 1), (1, 20), (20, 90)):
        part = Rows(rows.parts[start:stop], rows.full[start:stop], rows.components)
        so_far = Rows(rows.parts[:stop], rows.full[:stop], rows.components)
        whole = fit.fitted.scores(so_far)[start:]
        whole -= whole.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(running.scores([part]), whole, atol=1e-9)
