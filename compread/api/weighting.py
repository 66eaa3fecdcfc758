"""``compread.reweighted``: a loaded model that runs with fitted weights. It needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from compread.api.python_words import told_in_python
from compread.api.weights import AnyWeights, weights_of
from compread.components import Component
from compread.reweight.apply import check_model
from compread.reweight.select import model_weights


@contextmanager
def reweighted(model: Any, weights: AnyWeights, *, method: str | None = None) -> Iterator[None]:
    """Run a loaded model with fitted weights on its heads, mixers and MLPs, for a ``with`` block.

        with compread.reweighted(model, "weights.json"):
            model.generate(...)

    The same as ``compread reweight --export-model`` saves, by hooks: it also works where a weight
    cannot be multiplied into one matrix, as with a mixture of experts or with packed weights. The
    model is afterwards as it was. Biases of the output projections and the embedding keep weight 1.
    ``compread.extract`` refuses the model meanwhile, as the store would be told to be its own.

    Args:
        model: a causal language model of ``transformers``: the one that the weights are of.
        weights: a weights file, or what ``reweight`` gave; of several fits of a method the mean.
        method: whose weights; None: CompRW's where there are some, else Blend's, at a
            mean size of 1.

    Raises:
        StoreError: the weights are of another model, or of its weights in another type.
        UsageError: there are no weights of such a method, or of several.
        ModelError: the model cannot be read, or a norm behind its blocks would undo a weight.
    """
    chosen = _chosen(model, weights, method)
    from compread.model.weighted import weighted

    with weighted(model, chosen):
        yield


@told_in_python
def _chosen(model: Any, weights: AnyWeights, method: str | None) -> Mapping[Component, float]:
    """The weights, which must be of this model."""
    from compread.model.load.fingerprint import fingerprint

    fits = weights_of(weights).fits
    found = model_weights(fits, method)
    fit = next(one for one in fits if one.title == found.title)
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
    check_model(fit, fingerprint(model), f"the model given is in {dtype}")
    return found.by_component()
