"""Each baseline against a second implementation, written from its formula row by row."""

import itertools
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment, minimize
from scipy.special import softmax
from scipy.stats import multivariate_normal

from compread.components import LayerShape, component_axis
from compread.errors import UsageError
from compread.reweight.methods.prototypical import RIDGE, Mixture, fit_mixture
from compread.reweight.registry import METHODS, make_methods
from compread.reweight.rows import Rows, Training, rows_of, training_of


@pytest.fixture(params=[2, 3])
def data(request, make_store):
    """Train rows, the rows to predict, and which components carry a weight."""
    store = make_store(seed=3, labels=request.param)
    training = training_of(
        store.split("train"),
        store.components,
        None,
        "s.h5",
        store.split("calibration"),
        store.label_gram("train"),
    )
    counted = [j for j, c in enumerate(store.components) if c.kind not in ("embed", "bias")]
    return training, rows_of(store.split("test"), store.components), counted


def scores(name, training, rows):
    """The scores of a method of the registry."""
    (method,) = make_methods([name], "official")
    (fitted,) = method.fit([training])
    return fitted.scores(rows)


def same_but_for_a_constant(ours, wanted):
    """Scores that a softmax cannot tell apart."""
    ours, wanted = (s - s.mean(axis=1, keepdims=True) for s in (ours, np.asarray(wanted)))
    np.testing.assert_allclose(ours, wanted, atol=1e-9)


@pytest.mark.parametrize("name", ["bc", "bc-prob", "bc-train", "bc-prob-train"])
def test_batch_calibration(data, name):
    """Each p over its mean (log form), or less its mean, over test rows or over train rows."""
    training, rows, _ = data
    p = [softmax(row.astype(float)) for row in rows.full]
    base = [softmax(row.astype(float)) for row in training.rows.full] if "train" in name else p
    mean = sum(base) / len(base)
    wanted = [row - mean if "prob" in name else np.log(row / mean) for row in p]
    np.testing.assert_allclose(scores(name, training, rows), wanted, atol=1e-12)


@pytest.mark.parametrize(("name", "prefix"), [("cc", "content-free"), ("dc", "domain")])
def test_calibration_by_content_free_prompts(data, name, prefix):
    """The product with diag(p_cf)^-1, as a logarithm; each method has its own prompts."""
    training, rows, _ = data
    chosen = [i for i, row in enumerate(training.content_free_id) if row.startswith(prefix)]
    assert len(chosen) == {"cc": 3, "dc": 4}[name]
    p_cf = np.mean([softmax(training.content_free.full[i].astype(float)) for i in chosen], axis=0)
    wanted = np.log([
        np.linalg.inv(np.diag(p_cf / p_cf.sum())) @ softmax(row.astype(float)) for row in rows.full
    ])  # fmt: skip
    same_but_for_a_constant(scores(name, training, rows), wanted)


@pytest.mark.parametrize("name", ["cc", "dc"])
def test_without_content_free_prompts_their_methods_are_refused(make_store, name):
    """The message names the store and the option of extract."""
    store = make_store()
    training = training_of(store.split("train"), store.components, None, "s.h5")
    with pytest.raises(UsageError, match=r"s\.h5 has no .* --calibration-prompts"):
        scores(name, training, training.rows)


def test_linc(data):
    """Stochastic gradient descent on softmax(W p + b), by central differences of its loss."""
    training, rows, _ = data
    p_cf = np.mean([softmax(r.astype(float)) for r in training.content_free.full[:3]], axis=0)
    k = len(p_cf)
    v = np.r_[np.diag(1 / p_cf).ravel(), np.zeros(k)]

    def loss(v, p, y):
        return -np.log(softmax(v[: k * k].reshape(k, k) @ p + v[k * k :])[y])

    for _ in range(15):
        for row, y in zip(training.rows.full.astype(float), training.gold, strict=True):
            p, steps = softmax(row), 1e-5 * np.eye(len(v))
            v = v - 5e-3 * np.array([(loss(v + d, p, y) - loss(v - d, p, y)) / 2e-5 for d in steps])
    wanted = [v[: k * k].reshape(k, k) @ softmax(r.astype(float)) + v[k * k :] for r in rows.full]
    np.testing.assert_allclose(scores("linc", training, rows), wanted, atol=1e-7)


def test_affine(data):
    """No general solver finds a better factor and shift a label."""
    training, rows, _ = data
    k = rows.full.shape[1]

    def apply(v, logits):
        logits = logits.astype(float)
        return (logits - logits.mean()) * v[:k] + v[k:]

    def loss(v):
        pairs = zip(training.rows.full, training.gold, strict=True)
        right = [np.log(softmax(apply(v, row))[y]) for row, y in pairs]
        return -np.mean(right) + 0.01 * (((v[:k] - 1) ** 2).sum() + (v[k:] ** 2).sum())

    best = minimize(loss, np.ones(2 * k), method="SLSQP", options={"ftol": 1e-15})
    wanted = [apply(best.x, row) for row in rows.full]
    np.testing.assert_allclose(scores("affine", training, rows), wanted, atol=1e-4)


def ranked(training, counted):
    """Components by train accuracy, then by the mean margin over the best other label."""

    def key(j):
        hits, margins = 0, []
        for g, y in zip(training.rows.parts[:, j].astype(float), training.gold, strict=True):
            hits += int(np.argmax(g)) == y
            margins.append(g[y] - max(np.delete(g, y)))
        return -hits, -np.mean(margins)

    return sorted(counted, key=key)


def test_best_one(data):
    """The contribution of the component that is best on the train rows."""
    training, rows, counted = data
    best = ranked(training, counted)[0]
    assert best in (2, 8)  # made to know the answer
    np.testing.assert_allclose(scores("best-one", training, rows), rows.parts[:, best], atol=1e-6)


def test_vote(data, monkeypatch):
    """Three voters: the label with the most votes, then with the most probability."""
    training, rows, counted = data
    monkeypatch.setattr(METHODS["vote"], "make", classmethod(lambda cls, recipe: cls(k=3)))
    got = scores("vote", training, rows)
    for n, row in enumerate(rows.parts.astype(float)):
        voters = [row[j] for j in ranked(training, counted)[:3]]
        votes = [sum(int(np.argmax(v)) == y for v in voters) for y in range(row.shape[1])]
        trust = np.mean([softmax(v) for v in voters], axis=0)
        best = max(range(len(votes)), key=lambda y: (votes[y], trust[y]))
        assert int(got[n].argmax()) == best
        np.testing.assert_array_equal(np.floor(got[n]), votes)


def test_nearest_centroid(data):
    """Minus the squared distance to each label's mean row of label-centred contributions."""
    training, rows, counted = data

    def point(row):
        row = row[counted].astype(float)
        return (row - row.mean(axis=1, keepdims=True)).ravel()

    train = np.array([point(row) for row in training.rows.parts])
    wanted = [
        [
            -((point(row) - train[training.gold == y].mean(axis=0)) ** 2).sum()
            for y in range(rows.full.shape[1])
        ]
        for row in rows.parts
    ]
    same_but_for_a_constant(scores("centroid", training, rows), wanted)


def test_a_label_without_train_rows_has_no_centroid(data):
    """It is never predicted."""
    training, rows, _ = data
    training.gold[:] = 0
    assert (scores("centroid", training, rows).argmax(axis=1) == 0).all()


@pytest.mark.parametrize("name", ["tr", "tl"])
def test_heads_by_their_scores(data, name):
    """The sum of the tenth of the heads, here one, whose score is the largest."""
    training, rows, _ = data
    heads = [j for j, c in enumerate(rows.components) if c.kind == "head"]

    def score(j, grams):
        values = []
        for n, y in enumerate(training.gold):
            g = training.rows.parts[n, j].astype(float)
            norm = g @ np.linalg.solve(grams[n], g)
            wrong = [g[y] - x for k, x in enumerate(g) if k != y]
            values.append(norm if name == "tr" else np.mean(wrong) / norm)
        return np.mean(values)

    gram = training.label_gram
    order = sorted(heads, key=lambda j: score(j, gram))
    alike = np.broadcast_to(np.eye(gram.shape[1]), gram.shape)  # orthogonal and of one length
    assert order != sorted(heads, key=lambda j: score(j, alike))
    np.testing.assert_allclose(scores(name, training, rows), rows.parts[:, order[-1]], atol=1e-6)


@pytest.mark.parametrize("name", ["tr", "tl"])
def test_heads_are_not_scored_without_unembeddings(data, name):
    """A store that is older than them is named, with what to do."""
    with pytest.raises(
        UsageError, match=r"--methods t[rl]: s.h5 is older than the inner .* its labels' .* --force"
    ):
        scores(name, replace(data[0], label_gram=None), data[1])


def test_words_with_one_unembedding(data):
    """Lengths in the span are those of the words that differ."""
    training, _, _ = data
    k = training.rows.full.shape[1]
    twice = np.r_[0:k, 0]
    parts = training.rows.parts[:, :, twice]
    full, gram = training.rows.full[:, twice], training.label_gram[:, twice][:, :, twice]
    doubled = replace(training, rows=Rows(parts, full, training.rows.components), label_gram=gram)
    method = METHODS["tr"].make("official")
    for one, two in zip(method.fit([training]), method.fit([doubled]), strict=True):
        np.testing.assert_array_equal(one.weights, two.weights)
    np.testing.assert_allclose(method._lengths(doubled), method._lengths(training), rtol=1e-6)


def test_unibias(data):
    """The thresholds of the grid that leave the least label bias, measured head by head."""
    training, rows, _ = data
    parts, axis = training.rows.parts.astype(float), rows.components

    def label_bias(out):
        kept = [j for j in range(len(axis)) if j not in out]
        p = np.mean([softmax(row[kept].sum(axis=0)) for row in parts], axis=0)
        return sum(abs(x - 1 / len(p)) for x in p)

    def biased(j, bias, share, cv):
        mean, spread = parts[:, j].mean(axis=0), parts[:, j].std(axis=0)
        before = [i for i, c in enumerate(axis) if c.kind != "bias" and c.layer <= axis[j].layer]
        hidden = np.abs(parts[:, before].sum(axis=1).mean(axis=0)).sum()
        share_of = np.abs(mean) / np.abs(mean).sum()
        return (
            np.abs(mean).sum() > max(0.2, share * hidden)
            and np.mean(np.abs((mean - mean.mean()) / mean.mean())) > bias
            and (share_of * spread / np.abs(mean)).sum() < cv
        )

    heads = [j for j, c in enumerate(axis) if c.kind == "head" and c.layer > 1]
    grid = itertools.product(
        (0.1, 0.2, 0.3, 0.4, 0.5), (0.02, 0.05, 0.1, 0.15, 0.2), (0.1, 0.15, 0.2, 0.25)
    )
    outs = [(), *([j for j in heads if biased(j, *cell)] for cell in grid)]
    best = min(outs, key=label_bias)
    wanted = rows.parts.astype(float).sum(axis=1) - rows.parts[:, list(best)].sum(axis=1)
    np.testing.assert_allclose(scores("unibias", training, rows), wanted, atol=1e-5)


def test_unibias_leaves_out_a_head_that_says_one_thing(make_store):
    """A late head with a constant push is dropped; the early one like it is not."""
    store = make_store(seed=1, labels=2)
    train = store.split("train")
    for j in (2, 7):
        train.parts[:, j] = [4.0, -1.0]
    training = training_of(train, store.components, None, "s.h5")
    (method,) = make_methods(["unibias"], "official")
    (fitted,) = method.fit([training])
    assert (fitted.weights[7], fitted.weights[2]) == (0, 1)


@pytest.mark.parametrize(
    ("border", "value", "head", "spread"),
    [
        ("LEAST", 0.25, (0.25, 0.0), 0.0),  # says 0.25 about the labels
        ("BIAS", (0.5,), (3.0, 1.0), 0.0),  # 1 away from its mean of 2 on average
        ("CV", (0.25,), (3.0, 1.0), 0.5),  # spreads by 1 in all, of 4
        ("SUM", (0.75,), (3.0, 0.0), 0.0),  # 3 of 4 in all
    ],
)
def test_a_head_on_a_border_of_unibias_stays(make_store, monkeypatch, border, value, head, spread):
    """Beyond each threshold is biased, at it is not: a little further on, the head is dropped."""
    store = make_store(n_train=20)
    for name, wide in (("LEAST", 0.0), ("BIAS", (0.1,)), ("SUM", (0.01,)), ("CV", (9.0,))):
        monkeypatch.setattr(import_module("compread.reweight.methods.unibias"), name, wide)
    monkeypatch.setattr(import_module("compread.reweight.methods.unibias"), border, value)
    (method,) = make_methods(["unibias"], "official")
    for further in (0.0, 0.01):
        train = store.split("train")
        train.parts[:] = 0
        train.parts[:, 1, 0] = 1.0  # an early head, which is never dropped
        train.parts[::2, 7], train.parts[1::2, 7] = np.add(head, spread), np.subtract(head, spread)
        train.parts[:, 7, 0] += further
        (fitted,) = method.fit([training_of(train, store.components, None, "s.h5")])
        assert fitted.weights[7] == (0.0 if further else 1.0)
        assert fitted.weights[np.arange(len(fitted.weights)) != 7].all()


@pytest.mark.parametrize("name", ["tr", "tl"])
@pytest.mark.parametrize(("heads", "chosen"), [(4, 1), (14, 1), (17, 2), (24, 2), (26, 3)])
def test_a_tenth_of_the_heads_is_rounded(make_store, name, heads, chosen):
    """To the nearest number of heads, one at the least."""
    store, rng = make_store(), np.random.default_rng(0)
    axis = component_axis([LayerShape(heads)])
    parts = rng.normal(size=(20, len(axis), 2)).astype(np.float32)
    rows = Rows(parts, parts.sum(axis=1), axis)
    training = Training(rows, store.split("train").gold, ("",) * 20)
    training = replace(training, label_gram=np.broadcast_to(np.eye(2), (20, 2, 2)))
    (method,) = make_methods([name], "official")
    assert method.fit([training])[0].weights.sum() == chosen


def test_unibias_measures_heads_of_the_upper_half_against_what_came_before():
    """A head in the middle layer stays whatever it says; the bias is no part of the running sum."""
    axis = component_axis([LayerShape(1)] * 3)
    names = [c.name for c in axis]
    (method,) = make_methods(["unibias"], "official")
    for said, weight in ((10.0, 0.0), (0.0, 1.0)):
        parts = np.zeros((6, len(axis), 2), np.float32)
        parts[:, names.index("L1H0"), 0] = parts[:, names.index("L2H0"), 0] = 1.0
        # Beside an embedding of 200 the head says less than 2 %; a bias as large is not beside it.
        parts[:, names.index("bias" if said else "embed")] = [100.0, 100.0]
        rows = Rows(parts, parts.sum(axis=1), axis)
        (fitted,) = method.fit([Training(rows, np.zeros(6, int), ("",) * 6)])
        assert fitted.weights[names.index("L2H0")] == weight
        assert fitted.weights[names.index("L1H0")] == 1.0


def test_a_short_direction_of_the_unembeddings_counts():
    """A length of a hundredth is no rounding: the head that writes along it has the largest TR."""
    axis = component_axis([LayerShape(2)])
    parts = np.zeros((4, len(axis), 2), np.float32)
    parts[:, 1, 0], parts[:, 2, 1] = 1.0, 0.1  # lengths 1 and 100 times 0.1, squared
    gram = np.broadcast_to(np.diag([1.0, 1e-4]), (4, 2, 2))
    rows = Rows(parts, parts.sum(axis=1), axis)
    (method,) = make_methods(["tr"], "official")
    (fitted,) = method.fit([Training(rows, np.zeros(4, int), ("",) * 4, label_gram=gram)])
    assert fitted.weights[1:3].tolist() == [0.0, 1.0]


def test_of_two_labels_the_one_without_train_rows_is_not_predicted(make_store):
    """Though it comes first, and the other's score is the lowest there is."""
    store = make_store()
    store.split("train").gold[:] = 1
    training = training_of(store.split("train"), store.components, None, "s.h5")
    far = Rows(-training.rows.parts, training.rows.full, store.components)
    found = scores("centroid", training, far)
    assert (found.argmax(axis=1) == 1).all()


def test_a_mixture_is_that_of_its_formula():
    """Log of share times density, by scipy's normal distribution."""
    rng = np.random.default_rng(0)
    x, means = rng.normal(size=(7, 3)), rng.normal(size=(2, 3))
    spread = np.array([np.cov(rng.normal(size=(3, 9))) for _ in range(2)])
    got = Mixture(np.array([[0.3, 0.7]]), means[None], spread[None]).log_joint(x)[0]
    for k, share in enumerate((0.3, 0.7)):
        wanted = np.log(share) + multivariate_normal(means[k], spread[k]).logpdf(x)
        np.testing.assert_allclose(got[:, k], wanted, atol=1e-12)


def test_no_step_of_expectation_maximisation_improves_the_fit():
    """The fit is a fixed point of the textbook step, written out for each cluster."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(0, 0.3, (40, 2)), rng.normal(3, 0.3, (20, 2))])
    mixture = fit_mixture(x, 2)
    joint = np.exp(mixture.log_joint(x)[0])
    own = joint / joint.sum(axis=1, keepdims=True)
    for k in range(2):
        mass = own[:, k].sum()
        mean = (own[:, k, None] * x).sum(axis=0) / mass
        away = x - mean
        spread = sum(o * np.outer(d, d) for o, d in zip(own[:, k], away, strict=True)) / mass
        np.testing.assert_allclose(mixture.shares[0, k], mass / 60, atol=1e-6)
        np.testing.assert_allclose(mixture.means[0, k], mean, atol=1e-6)
        np.testing.assert_allclose(mixture.covariances[0, k], spread + RIDGE * np.eye(2), atol=1e-6)
    assert sorted(np.round(mixture.shares[0] * 60)) == [20, 40]


def test_prototypes_find_labels_behind_a_shift(make_store):
    """Clusters are matched with labels though the model says the first label almost always."""
    store = make_store(labels=3)
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 3, 90)
    logits = 4 * np.eye(3)[gold] + rng.normal(0, 0.3, (90, 3)) + [5, 0, 0]
    assert (logits.argmax(axis=1) == gold).mean() < 0.5
    rows = Rows(np.zeros((90, 12, 3), np.float32), logits.astype(np.float32), store.components)
    training = training_of(store.split("train"), store.components, None, "s.h5")
    got = scores("procal", training, rows)
    assert (got.argmax(axis=1) == gold).mean() > 0.95
    logs = np.log(softmax(logits, axis=1))
    own = np.array([logs[got.argmax(axis=1) == k].mean(axis=0) for k in range(3)])
    assert list(linear_sum_assignment(-own)[1]) == [0, 1, 2]
