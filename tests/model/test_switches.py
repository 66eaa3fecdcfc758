"""Where a config says that long prompts are computed otherwise than short ones."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
import torch
from families import lacking
from transformers import AutoConfig, AutoModelForCausalLM

from compread.model.switches import RotationTables, Switches, find_switches, stretched

LONG = {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [1.0, 4.0, 16.0, 32.0]}
HEADS = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
DYNAMIC = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4}
PLAIN = {"rope_type": "default", "rope_theta": 1e4}
PHI = {**HEADS, "max_position_embeddings": 2048, "original_max_position_embeddings": 46}
PHI |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}

CASES: dict[str, tuple[str, dict[str, Any], Switches]] = {
    "no rotation": ("gpt2", {}, Switches()),
    "one table": ("llama", {}, Switches()),
    "its own entry": ("phi3", {**PHI, "rope_scaling": LONG}, Switches((46,))),
    "named but not used": ("phi3", PHI, Switches()),
    "grows": (
        "llama",
        {"max_position_embeddings": 512, "rope_scaling": DYNAMIC},
        Switches((), 512),
    ),
    "sparse attention": ("deepseek_v32", {"index_topk": 64}, Switches((), 64)),
    "keys of several tokens": ("deepseek_v4", {"index_topk": 64}, Switches((), 256)),
    "best keys": ("doge", {"keep_window_size": 100}, Switches((), 100)),
}


@pytest.mark.parametrize(("kind", "options", "expected"), CASES.values(), ids=CASES)
def test_what_a_config_names(kind: str, options: dict[str, Any], expected: Switches) -> None:
    """The lengths of LongRoPE, of dynamic NTK and of sparse attention; nothing where none is."""
    if (reason := lacking(kind)) is not None:
        pytest.skip(reason)
    assert find_switches(AutoConfig.for_model(kind, **options)) == expected


class Config:
    """A config that sets a rotation for each kind of layer, or one of a release of its own."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def get_text_config(self, decoder: bool = False) -> Config:
        """The config itself."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """All entries."""
        return dict(vars(self))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"rope_parameters": {"full": DYNAMIC, "local": PLAIN, "none": None}}, Switches((), 64)),
        (
            {"rope_parameters": {"full": {**LONG, "original_max_position_embeddings": 8}},
             "original_max_position_embeddings": 9},
            Switches((8, 9)),
        ),
        ({"rope_parameters": {**LONG, "original_max_position_embeddings": 8}}, Switches((8,))),
        ({"rope_scaling": {**LONG, "original_max_position_embeddings": 8}}, Switches((8, 64))),
        ({"rope_scaling": {"type": "su", "short_factor": [1.0]}}, Switches((64,))),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, Switches()),
    ],
    ids=["by kind of layer", "two lengths", "in the rotation", "in an old one", "an old name",
         "another scaling"],
)  # fmt: skip
def test_other_ways_to_say_it(values: dict[str, Any], expected: Switches) -> None:
    """Rotations by kind of layer and under older names; where two lengths are stated, both."""
    assert find_switches(Config(max_position_embeddings=64, **values)) == expected


NEAR = {"max_position_embeddings": 16, "original_max_position_embeddings": 8}
TINY = {**HEADS, "vocab_size": 61, "intermediate_size": 20, "num_hidden_layers": 2}
WIDE = {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4, "factor": 2.0}
STATED = {**WIDE, "original_max_position_embeddings": 8}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("phi3", {**PHI, **NEAR, "rope_scaling": LONG}),
        ("phimoe", {**NEAR, "rope_scaling": {**STATED, "short_mscale": 1.0, "long_mscale": 1.5}}),
        ("llama", {"max_position_embeddings": 16, "rope_scaling": STATED}),
        ("llama", {"max_position_embeddings": 16, "rope_scaling": WIDE}),
        ("llama", {**NEAR, "rope_scaling": STATED}),
    ],
    ids=["config", "both, Phi", "rotation", "neither", "both"],
)
def test_no_model_switches_elsewhere(kind: str, options: dict[str, Any]) -> None:
    """Of all lengths, at which one more token behind changes what is computed in front."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**TINY, **deepcopy(options)})
    model = AutoModelForCausalLM.from_config(config).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0, 0.5)
    tokens = torch.arange(3, 23)[None]
    with torch.inference_mode():
        front = [model(input_ids=tokens[:, :n]).logits[0, 3] for n in range(4, 21)]
    steps = enumerate(pairwise(front), 4)
    changed = {n for n, (a, b) in steps if float((a - b).abs().max()) > 1e-3}
    assert changed and changed <= set(find_switches(model.config).marks)


def test_stretches() -> None:
    """A length is in the stretch that begins after the last switch before it."""
    switches = Switches((10, 20), beyond=30)
    starts = {n: switches.start(n) for n in (1, 10, 11, 20, 21, 30, 31, 32)}
    assert starts == {1: 1, 10: 1, 11: 11, 20: 11, 21: 21, 30: 21, 31: 31, 32: 32}
    assert switches.stretches([31, 5, 11, 32, 10, 31]) == [[1, 4], [2], [0, 5], [3]]
    assert switches.marks == (10, 20, 30)
    assert Switches().stretches([7, 3]) == [[0, 1]] and Switches().stretches([]) == []


def test_dynamic_scaling_reaches_further_than_the_stated_length() -> None:
    """By its factor; what other rotations reach is stated already."""
    config = AutoConfig.for_model("llama", max_position_embeddings=64, rope_scaling=DYNAMIC)
    assert stretched(config) == 4.0
    assert stretched(AutoConfig.for_model("phi3", **PHI, rope_scaling=LONG)) == 1.0
    assert stretched(AutoConfig.for_model("gpt2")) == 1.0


@pytest.mark.parametrize("short", [9, 16, 20])
def test_a_table_that_has_grown_is_put_back(short: int) -> None:
    """A prompt has the logits that it has in a fresh model, whatever longer one was run before."""
    options = {**HEADS, "vocab_size": 61, "intermediate_size": 20, "num_hidden_layers": 2}
    options |= {"max_position_embeddings": 16, "rope_scaling": DYNAMIC}
    options |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **options)).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0, 0.5)
    tokens = torch.arange(3, 43)[None]
    with torch.inference_mode():
        fresh = model(input_ids=tokens[:, :short]).logits
        model(input_ids=tokens)
        stale = model(input_ids=tokens[:, :short]).logits
        RotationTables(model).reset()
        assert torch.equal(model(input_ids=tokens[:, :short]).logits, fresh)
    # Of the library's own accord it is put back for prompts below the model's length only.
    assert torch.equal(stale, fresh) == (short < 16)
