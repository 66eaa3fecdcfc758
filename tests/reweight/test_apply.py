"""Weights of one run on the rows of another."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from compread.errors import UsageError
from compread.reweight.apply import apply, normalization_of, pooling_of
from compread.reweight.fit import reweight
from compread.reweight.registry import make_methods
from compread.reweight.rows import rows_of


@pytest.mark.parametrize(
    ("changed", "same"),
    [({}, True), ({"demonstrations": ("d9",)}, False), ({"seed": 7}, False),
     ({"template": "other"}, False), ({"prompt_set": "0" * 16}, True)],
)  # fmt: skip
def test_levels_are_the_prompts_own(make_store, changed, same):
    """Behind the same words the train rows' levels hold; behind others they are left out."""
    store, other = make_store(seed=1, n_train=30), make_store(seed=2)
    other = replace(other, run=replace(store.run, **changed))
    (fit,) = reweight([store], make_methods(["blend"], "official"), (30,))
    (done,) = apply([fit], [other])
    split = other.split("test")
    fitted = fit.fitted if same else fit.fitted.elsewhere()
    scores = fitted.scores(rows_of(split, other.components))
    assert done.test.accuracy == np.mean(scores.argmax(axis=1) == split.gold)
    unlike = (fit.fitted.elsewhere() if same else fit.fitted).scores(
        rows_of(split, other.components)
    )
    assert not np.allclose(scores, unlike)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [(pooling_of, "--pool max and first;"), (normalization_of, "--normalize bytes and tokens;")],
)
def test_fits_of_several_ways_are_refused(chosen, said):
    """Two poolings, or two normalizations, are both named, with what to do."""
    ways = [("max", "bytes"), ("first", "tokens")]
    fits = [SimpleNamespace(pooled_by=p, run=SimpleNamespace(normalize=n)) for p, n in ways]
    with pytest.raises(UsageError, match=re.escape(f"fitted with {said} choose fits of one")):
        chosen(fits, None)
