"""The verdict on a model family, proved on a tiny loud twin in float64 (``compread check``)."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from compread.check.proofs import prove
from compread.check.twin import build_twin
from compread.errors import ModelError
from compread.extract.engine import Engine
from compread.extract.structure import Proof
from compread.model import facts
from compread.model.find import find_anatomy
from compread.model.trace import CausalLM
from compread.text import one_line

_LABELS = (3, 9, 17)


@dataclass(frozen=True)
class Certificate:
    """The verdict on one family: ``certified``, ``refused`` or ``not applicable``."""

    model_type: str
    verdict: str
    reason: str = ""
    proofs: tuple[Proof, ...] = ()
    layers: int | None = None
    """Layers of the twin."""
    components: int | None = None
    """C of the twin."""
    died: bool = False
    """Whether the check itself crashed or had to be ended."""

    @property
    def worst_error(self) -> float | None:
        """The largest error of the proofs that are needed; None where none was made."""
        errors = (proof.error for proof in self.proofs if proof.needed or proof.holds)
        return max((error for error in errors if error is not None), default=None)

    @property
    def certified(self) -> bool:
        """Whether every identity was tested and held."""
        return self.verdict == "certified"


def certify(config: Any, adapter: Any = None, trust_remote_code: bool = False) -> Certificate:
    """Build the twin of the model that a config describes and prove the identities on it.

    With the config of a ``peft`` adapter the twin has one of the same kind.
    """
    kind = str(config.get_text_config(decoder=True).model_type)
    if getattr(config, "is_encoder_decoder", False):
        return Certificate(kind, "not applicable", "encoder-decoder")
    if reason := facts.REFUSED.get(config.model_type, facts.REFUSED.get(kind)):
        return Certificate(kind, "refused", reason)
    try:
        with _float64_by_default():
            twin = build_twin(config, adapter=adapter, trust_remote_code=trust_remote_code)
            return _certify_twin(kind, twin)
    except ModelError as error:
        return Certificate(kind, "refused", str(error))
    except Exception as error:  # a family's own code may fail in any way on a model this small
        what = f"{type(error).__name__}: {one_line(error)}"
        if (ours := _our_frame(error)) is None:
            return Certificate(kind, "refused", f"its own code fails on the twin: {what}")
        reason = f"the check itself fails, in {ours}: {what}; this says nothing of the family"
        return Certificate(kind, "refused", f"{reason}: please report it", died=True)


def _certify_twin(kind: str, model: CausalLM) -> Certificate:
    if not is_causal(model):
        return Certificate(kind, "not applicable", "encoder-only: later tokens are seen")
    engine = Engine(model, find_anatomy(model), _LABELS)
    proofs = prove(engine)
    size = len(engine.decomposer.folds), len(engine.decomposer.components)
    failed = [proof for proof in proofs if proof.needed and not proof.holds]
    if failed:
        worst = failed[0]
        at = f" at {worst.where}" if worst.where else ""
        reason = f"{worst.name} fails{at}: off by {worst.error:.1e}, {worst.bound:.0e} allowed"
        return Certificate(kind, "refused", reason, proofs, *size)
    return Certificate(kind, "certified", "", proofs, *size)


def _our_frame(error: Exception) -> str | None:
    """Where in this package an exception arose; None where a model's own code was further in.

    What is further in still, torch and Python's own library, does what either asked of it.
    """
    inside: str | None = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        package = module.partition(".")[0]
        if package == "compread":
            inside = f"{module.replace('.', '/')}.py, line {line}"
        elif package not in {"torch", *sys.stdlib_module_names}:
            inside = None
    return inside


@contextmanager
def _float64_by_default() -> Iterator[None]:
    """Some families make constants of the default type and add them to the model's own."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def is_causal(model: CausalLM) -> bool:
    """Whether a later token leaves an earlier position's logits alone."""
    # Far from the special tokens, some of which are masked out.
    tokens = torch.arange(20, 27)[None]
    other = tokens.clone()
    other[0, -1] = 50
    with torch.inference_mode():
        first, second = (model(input_ids=t, use_cache=False).logits[0, 2] for t in (tokens, other))
    return bool(torch.allclose(first, second, rtol=1e-6, atol=1e-9 * float(first.abs().max())))
