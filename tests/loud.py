"""Loud tiny models: random weights under which no ingredient of the sum can be forgotten unseen.

Freshly made models have norm weights of one and biases of zero, so their parts add up even where
the code leaves γ or a bias out. Here every matrix has a standard deviation of 0.3, every norm gain
is uniform in 0.5-1.5 and every bias is random, the unembedding's included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
import transformers
from torch import nn

from compread.extract import Engine
from compread.model import find_anatomy

# On tensors this small, threads only wait for each other.
torch.set_num_threads(1)

V = 61
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
"""Where the tests that run a model run it."""

LABELS = (5, 9, 17)
"""Tokens that stand for label words."""

_SMALL = {"vocab_size": V, "num_hidden_layers": 3, "pad_token_id": 0, "bos_token_id": 1}
_SMALL |= {"eos_token_id": 2, "max_position_embeddings": 64, "intermediate_size": 44}
_HEADS = {"hidden_size": 36, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 8}


@dataclass(frozen=True)
class Family:
    """A config, and where a person who read the modelling file finds the parts.

    Paths are relative to the model (``layers``, ``norm``) or to a layer (the others).
    """

    config: str
    options: Mapping[str, Any]
    layers: str = "model.layers"
    projection: str = "self_attn.o_proj"
    mlp: str = "mlp"
    norm: str = "model.norm"
    post_mixer: str | None = None
    post_mlp: str | None = None
    centred: bool = False
    one_plus: bool = False
    """Whether a norm's gain is 1 + weight."""
    eps: Callable[[Any], float] = field(default=lambda config: config.rms_norm_eps)
    residual: float = 1.0
    logit: float = 1.0
    cap: float | None = None
    exact: bool = False
    """Whether the norm honours float64."""
    head_bias: bool = False

    @property
    def heads(self) -> int:
        """Query heads of a layer."""
        return self.options.get("num_attention_heads") or self.options["n_head"]


def _llama(**changes: Any) -> dict[str, Any]:
    return {**_SMALL, **_HEADS, "attention_bias": True, "mlp_bias": True, **changes}


_LAYER_NORM = dict(
    centred=True, exact=True, mlp="mlp", eps=lambda c: getattr(c, "layer_norm_eps", 1e-5)
)
_NEOX = dict(
    layers="gpt_neox.layers", projection="attention.dense", norm="gpt_neox.final_layer_norm",
    head_bias=True, **_LAYER_NORM,
)  # fmt: skip
_NEOX_OPTIONS = {**_SMALL, "hidden_size": 36, "num_attention_heads": 6}
_NEOX_OPTIONS |= {"tie_word_embeddings": False}
_POST = dict(post_mixer="post_attention_layernorm", post_mlp="post_feedforward_layernorm")

FAMILIES: dict[str, Family] = {
    "llama grouped": Family("LlamaConfig", _llama(tie_word_embeddings=False), head_bias=True),
    "llama tied": Family("LlamaConfig", _llama(tie_word_embeddings=True)),
    "llama multi-query": Family("LlamaConfig", _llama(num_key_value_heads=1)),
    "llama full heads": Family("LlamaConfig", _llama(num_key_value_heads=6, head_dim=6)),
    "gpt2": Family(
        "GPT2Config",
        {"vocab_size": V, "n_layer": 3, "n_embd": 36, "n_head": 6, "n_positions": 64,
         "bos_token_id": 1, "eos_token_id": 2},
        layers="transformer.h", projection="attn.c_proj", norm="transformer.ln_f",
        **{**_LAYER_NORM, "eps": lambda c: c.layer_norm_epsilon},
    ),
    "neox parallel": Family("GPTNeoXConfig", {**_NEOX_OPTIONS, "use_parallel_residual": True},
                            **_NEOX),
    "neox serial": Family("GPTNeoXConfig", {**_NEOX_OPTIONS, "use_parallel_residual": False},
                          **_NEOX),
    "gemma2": Family(
        "Gemma2Config",
        {**_SMALL, **_HEADS, "final_logit_softcapping": 7.0, "query_pre_attn_scalar": 8,
         "sliding_window": 32},
        one_plus=True, cap=7.0, **_POST,
    ),
    "olmo2": Family("Olmo2Config", {**_SMALL, "hidden_size": 36, "num_attention_heads": 6,
                                    "num_key_value_heads": 2}, **_POST),
    "granite": Family(
        "GraniteConfig",
        _llama(residual_multiplier=0.37, logits_scaling=2.3, embedding_multiplier=3.1,
               attention_multiplier=0.4),
        residual=0.37, logit=1 / 2.3,
    ),
    "cohere": Family(
        "CohereConfig",
        {**_SMALL, "hidden_size": 36, "num_attention_heads": 6, "num_key_value_heads": 2,
         "logit_scale": 0.43, "attention_bias": True},
        centred=True, logit=0.43, eps=lambda c: c.layer_norm_eps,
    ),
}  # fmt: skip


def loud_model(
    family: Family | str, dtype: torch.dtype = torch.float64, seed: int = 0, **changes: Any
) -> Any:
    """A loud model of a family, in evaluation mode; ``changes`` go into its config."""
    family = FAMILIES[family] if isinstance(family, str) else family
    config = getattr(transformers, family.config)(**{**family.options, **changes})
    # Half-precision twins of one seed are then the rounded float32 model.
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    if family.head_bias:
        old = model.get_output_embeddings()
        model.set_output_embeddings(nn.Linear(old.in_features, old.out_features, bias=True))
    make_loud(model, family.one_plus, seed)
    return model.to(dtype).eval().requires_grad_(False)


def make_loud(model: nn.Module, one_plus: bool = False, seed: int = 0) -> None:
    """Give every weight and bias a random value that matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.3, generator=generator)
            elif name.endswith("bias"):
                weight.normal_(0, 0.5, generator=generator)
            else:
                low = -0.5 if one_plus else 0.5
                weight.uniform_(low, low + 1, generator=generator)


def some_prompts(*lengths: int, seed: int = 0, vocabulary: int = V) -> list[list[int]]:
    """Random token lists of the lengths given."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, vocabulary, (n,), generator=generator).tolist() for n in lengths]


PROMPTS = some_prompts(9, 4, 13, 1)


def engine_of(model: Any) -> Engine:
    """A model's engine for three labels."""
    return Engine(model, find_anatomy(model), LABELS)


@cache
def loud_engine(name: str, dtype: torch.dtype, device: str = "cpu") -> Engine:
    """The engine of a loud model that no test changes."""
    return engine_of(loud_model(name, dtype).to(device))


def worst_error(engine: Engine) -> float:
    """The largest relative sum error over the prompts."""
    batch = engine.run(PROMPTS)
    return float((batch.sum_error / batch.scale).max())
