"""Each method against a second implementation of its formula."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from compread.errors import UsageError
from compread.reweight.method import Fitted, Method
from compread.reweight.methods.calib import LabelFactors
from compread.reweight.methods.comprw import ComponentWeights
from compread.reweight.registry import METHODS, make_methods, title_of
from compread.reweight.rows import rows_of, training_of
from compread.reweight.solvers.convex import choose_penalty, solve
from compread.reweight.solvers.descent import Recipe, descend_each


@pytest.fixture
def data(make_store):
    """Training rows and test rows of a store with three labels."""
    store = make_store(labels=3)
    training = training_of(store.split("train"), store.components, None, "s")
    return training, rows_of(store.split("test"), store.components)


def fit(name, training):
    """The method of this name, fitted."""
    (method,) = make_methods([name], "official")
    (fitted,) = method.fit([training])
    return fitted


def test_the_full_model_is_its_own_logits(data):
    """`full` gives the logits that the model itself returned."""
    training, rows = data
    np.testing.assert_array_equal(fit("full", training).scores(rows), rows.full)


def test_comprw_is_a_weighted_sum_of_heads_mixers_and_mlps(data):
    """Its scores are Σ w_j g_j; the embedding and the biases neither count nor are trained."""
    training, rows = data
    fitted = fit("comprw", training)
    kinds = [component.kind for component in rows.components]
    counted = [j for j, kind in enumerate(kinds) if kind not in ("embed", "bias")]
    assert len(counted) == len(kinds) - 2
    assert np.delete(fitted.weights, counted).tolist() == [0, 0]
    parts = training.rows.parts[:, counted].astype(float)
    (end,) = descend_each([parts], [training.gold], Recipe())
    np.testing.assert_array_equal(fitted.weights[counted], end.weights)
    by_hand = sum(fitted.weights[j] * rows.parts[:, j].astype(float) for j in counted)
    np.testing.assert_allclose(fitted.scores(rows), by_hand, atol=1e-12)


def test_comprw_weights_are_between_zero_and_one(data):
    """A component is turned down or off, never up or round."""
    weights = fit("comprw", data[0]).weights
    assert weights.min() >= 0 and weights.max() <= 1 and weights.std() > 0


def test_the_papers_recipe_is_gradient_descent_on_the_sum(data):
    """Recipe `paper`: summed cross-entropy + 0.1‖w‖₁ on unclipped weights, steps of 0.05."""
    training, _ = data
    counted = np.array([c.kind not in ("embed", "bias") for c in training.rows.components])
    g, gold = training.rows.parts[:, counted].astype(float), training.gold
    (method,) = make_methods(["comprw"], "paper")
    (fitted,) = method.fit([training])
    w, best, left = np.ones(counted.sum()), np.inf, 3
    for epoch in range(2000):
        scores = np.einsum("njk,j->nk", g, w)
        p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        loss = -np.log(p[np.arange(len(gold)), gold]).sum()
        w = w - 0.05 * (np.einsum("njk,nk->j", g, p - np.eye(3)[gold]) + 0.1 * np.sign(w))
        after = np.einsum("njk,j->nk", g, w).argmax(1)
        if epoch % 100 == 0 and (after == gold).all():
            break
        left, best = left - (loss >= best), min(best, loss)
        if not left:
            break
    assert fitted.epochs == epoch
    np.testing.assert_allclose(fitted.weights[counted], w, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("recipe", "signed"), [("convex", False), ("signed", True)])
def test_the_convex_recipes_are_the_optimum_at_the_chosen_penalty(data, recipe, signed):
    """Their weights are those of the solver, on the components that carry one."""
    training, _ = data
    counted = np.array([c.kind not in ("embed", "bias") for c in training.rows.components])
    parts = training.rows.parts[:, counted].astype(float)
    (method,) = make_methods(["comprw"], recipe)
    (fitted,) = method.fit([training])
    penalty = choose_penalty(parts, training.gold, signed)
    wanted = solve(parts, training.gold, penalty, signed).weights
    np.testing.assert_allclose(fitted.weights[counted], wanted, atol=1e-12)
    assert (fitted.weights[~counted] == 0).all()


def test_calib_plus_scales_label_probabilities(data):
    """Its scores are v times the softmax of the model's logits."""
    from scipy.special import softmax

    training, rows = data
    fitted = fit("calib+", training)
    by_hand = fitted.factors * softmax(rows.full.astype(float), axis=1)
    np.testing.assert_allclose(fitted.scores(rows), by_hand, rtol=1e-12)


def test_components_that_favour_a_label_always_lose_weight(data):
    """The component that always says the same label ends below those that know the answer."""
    weights = fit("comprw", data[0]).weights
    assert weights[5] < min(weights[2], weights[8])


def test_equal_scores_go_to_the_first_label(make_store):
    """With all weights at zero every row is given the first label."""
    store = make_store(labels=3)
    rows = rows_of(store.split("test"), store.components)
    nothing = ComponentWeights(None, np.zeros(len(store.components)))
    assert (nothing.scores(rows).argmax(1) == 0).all()
    assert (LabelFactors(None, np.zeros(3)).scores(rows).argmax(1) == 0).all()


@pytest.mark.parametrize("name", METHODS)
def test_constant_components_are_fitted(name, make_store):
    """Components that say the same on every row give finite scores."""
    store = make_store()
    split = store.split("train")
    split.parts[:] = split.parts[:1]
    split.full[:] = split.full[:1]
    more = store.split("calibration"), store.label_gram("train")
    training = training_of(split, store.components, None, "s", *more)
    assert np.isfinite(fit(name, training).scores(training.rows)).all()


def test_methods_are_made_in_the_order_given_and_once():
    """A name given twice is one method."""
    made = make_methods(["comprw", "full", "comprw"], "official")
    assert [method.name for method in made] == ["comprw", "full"]
    assert [method.recipe for method in made] == ["official", None]


@pytest.mark.parametrize(
    ("names", "recipe", "message"),
    [
        (["comrw"], "official", "--methods 'comrw': did you mean 'comprw'?"),
        (["zzz"], "official", "there is full, calib+, bc, "),
        ([], "official", "names no method"),
        (["full"], "offical", "--recipe 'offical': did you mean 'official'?"),
    ],
)
def test_an_unknown_method_or_recipe_is_named(names, recipe, message):
    """The message has the value and what there is."""
    with pytest.raises(UsageError) as error:
        make_methods(names, recipe)
    assert message in str(error.value)


@dataclass(frozen=True)
class Shift(Method):
    """A method that has recipes of its own."""

    recipe: str = "plain"

    name: ClassVar[str] = "shift"
    about: ClassVar[str] = "shifts"
    fitted: ClassVar[type[Fitted]] = ComponentWeights
    recipes: ClassVar[tuple[str, ...]] = ("plain", "mild")

    def fit(self, training):
        """Not asked for here."""
        raise NotImplementedError


def test_any_method_may_have_recipes(monkeypatch):
    """They are the method's own: ``shift:mild``; another method's recipe leaves it its default."""
    monkeypatch.setitem(METHODS, "shift", Shift)
    made = make_methods(["shift", "shift:mild", "comprw", "full"])
    assert [method.title for method in made] == ["shift", "shift:mild", "comprw", "full"]
    assert [method.title for method in make_methods(["shift", "comprw"], "paper")] == [
        "shift", "comprw:paper",
    ]  # fmt: skip
    assert [method.title for method in make_methods(["shift", "comprw"], "mild")] == [
        "shift:mild", "comprw",
    ]  # fmt: skip
    assert title_of("shift", "mild") == "shift:mild" and title_of("shift", "plain") == "shift"
    for names, message in (
        (["shift:mid"], "--methods 'shift:mid': did you mean 'mild'? There is plain, mild"),
        (["shift:convex"], "--methods 'shift:convex': there is plain, mild"),
        (["full:mild"], "--methods 'full:mild': full has no recipes"),
    ):
        with pytest.raises(UsageError) as error:
            make_methods(names)
        assert message in str(error.value)


OPTIONS = {
    "calib+": {"learning_rate": 0.05, "summed": False, "l1": 0.0, "clip": False, "epochs": 5000,
               "check_every": 100, "check_after_step": False, "patience": 3, "first_best": 100.0},
    "comprw": {"learning_rate": 0.05, "summed": False, "l1": 0.01, "clip": True, "epochs": 2000,
               "check_every": 100, "check_after_step": True, "patience": 3, "first_best": 100.0},
    "comprw:paper": {"learning_rate": 0.05, "summed": True, "l1": 0.1, "clip": False,
                     "epochs": 2000, "check_every": 100, "check_after_step": True, "patience": 3,
                     "first_best": 1e9},
    "comprw:convex": {"l1": [0.3, 0.1, 0.03, 0.01, 0.003], "folds": 5},
    "bc": {"label_shares": "balanced"},
    "bc-prob": {"label_shares": "balanced"},
    "procal": {"starts": 100, "steps": 100, "ridge": 1e-3, "label_shares": "estimate"},
    "linc": {"learning_rate": 5e-3, "epochs": 15},
    "affine": {"penalty": 0.01},
    "vote": {"k": 10},
    "unibias": {"bias": [0.1, 0.2, 0.3, 0.4, 0.5], "sum": [0.02, 0.05, 0.1, 0.15, 0.2],
                "cv": [0.1, 0.15, 0.2, 0.25]},
    "tr": {"share": 0.1},
    "tl": {"share": 0.1},
    "blend": {"ridge": 1.0, "loudness": 1.5, "least_learned": 1 / 3,
              "turned_down": "official", "temper": 0.1, "concentration": 5.0, "even_odds": 5.0,
              "label_shares": "estimate"},
    "blend-row": {"ridge": 1.0, "loudness": 1.5, "least_learned": 1 / 3,
                  "turned_down": "official"},
}  # fmt: skip


@pytest.mark.parametrize("name", [*METHODS, "comprw:paper", "comprw:convex"])
def test_the_options_are_those_that_are_published(name):
    """What a weights file says a method was fitted with; all other methods have no option."""
    (method,) = make_methods([name], "official")
    assert method.hyperparameters() == OPTIONS.get(name, {})
