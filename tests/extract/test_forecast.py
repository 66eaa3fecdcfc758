"""A forecast from the config alone says what the run then reports."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import torch
import transformers
from loud import FAMILIES, engine_of, loud_model
from test_loop import SMALL, extractor
from tiny_folder import byte_tokenizer, review_rows, write_rows
from torch.utils.flop_counter import FlopCounterMode

from compread.errors import ModelError
from compread.extract.forecast import Forecaster, total
from compread.model import ModelRequest
from compread.model.load.skeleton import build_skeleton, dtype_to_load, expected_components
from compread.model.matrices import forward_flops
from compread.prompts import PromptSet, read_prompt_file, tokenize


@pytest.fixture
def prompts(tmp_path: Path) -> PromptSet:
    """Rows enough that the store is more than its header."""
    return read_prompt_file(write_rows(tmp_path / "reviews.jsonl", review_rows(400, n_train=6)))


def forecaster() -> Forecaster:
    """Of the tiny model, from its config."""
    request = ModelRequest("tiny", dtype="float32", device="cpu")
    return Forecaster(request, extractor().loaded.model.config)


@pytest.mark.parametrize("share", [True, False])
def test_the_run_takes_what_was_forecast(tmp_path: Path, prompts: PromptSet, share: bool) -> None:
    """Rows, tokens and operations are equal, store and memory within ten percent."""
    tokens = tokenize(prompts, byte_tokenizer())
    said = forecaster().run(prompts, tokens, share=share)
    options = replace(SMALL, share=share, batch_tokens=None)
    done = extractor().extract(prompts, tmp_path / "run.h5", options)
    assert (said.rows, said.tokens, said.tokens_run) == (
        done.rows,
        done.tokens_whole,
        done.tokens_run,
    )
    assert said.flops == done.flops
    assert said.store_bytes == pytest.approx(done.store_bytes, rel=0.1)
    assert said.memory == pytest.approx(done.memory, rel=0.1)


def test_weights_that_others_stand_in_for_count(
    monkeypatch: pytest.MonkeyPatch, prompts: PromptSet
) -> None:
    """On a CPU they stay in memory beside what they were packed or merged into."""
    tokens, module = tokenize(prompts, byte_tokenizer()), import_module("compread.extract.forecast")
    monkeypatch.setattr(module, "resident_memory", lambda: 0)
    plain = forecaster().run(prompts, tokens).memory
    real = module.footprint
    monkeypatch.setattr(module, "footprint", lambda *given: replace(real(*given), replaced=10**9))
    assert forecaster().run(prompts, tokens).memory == plain + 10**9


def test_memory_has_logits_and_a_shared_beginning(
    monkeypatch: pytest.MonkeyPatch, prompts: PromptSet
) -> None:
    """Two copies of each row's logits, and keys and values of the beginning at each layer."""
    tokens, module = tokenize(prompts, byte_tokenizer()), import_module("compread.extract.forecast")
    monkeypatch.setattr(module, "resident_memory", lambda: 0)
    config = forecaster().model.config
    whole, shared = (forecaster().run(prompts, tokens, share=share) for share in (False, True))
    per_token = 2 * 4 * config.hidden_size * config.num_hidden_layers
    beginning, rest = divmod(shared.memory - whole.memory, per_token)
    assert 20 < beginning < max(map(len, tokens.ids)) and rest == 0
    found = []
    for rows in (3, 5):
        monkeypatch.setattr(module, "most_rows", lambda *given, rows=rows: rows)
        found.append(forecaster().run(prompts, tokens).memory)
    assert found[1] - found[0] == 2 * 2 * 4 * config.vocab_size


def test_a_grid_shares_one_model(prompts: PromptSet) -> None:
    """Of several runs everything is added up but the memory."""
    one = forecaster().run(prompts, tokenize(prompts, byte_tokenizer()))
    both = total([one, one])
    assert (both.rows, both.flops, both.memory) == (2 * one.rows, 2 * one.flops, one.memory)


@pytest.mark.parametrize("name", FAMILIES)
def test_operations_are_those_that_torch_counts(name: str) -> None:
    """Equal to torch's own count of a forward, less the products of attention's scores."""
    model = loud_model(name, attn_implementation="eager")
    tokens = torch.randint(3, 60, (1, 7))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=tokens)
    counts = counter.get_flop_counts()["Global"]
    products = sum(n for operation, n in counts.items() if "bmm" not in str(operation))
    assert forward_flops(model, 7, 7) == products


def test_a_token_meets_the_experts_that_are_chosen() -> None:
    """Of four experts two are chosen: half of their weights are met."""
    sizes = {"vocab_size": 61, "hidden_size": 32, "intermediate_size": 16, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}

    def flops(chosen: int) -> float:
        config = transformers.MixtralConfig(
            **sizes, **heads, num_local_experts=4, num_experts_per_tok=chosen
        )
        return forward_flops(build_skeleton(config, torch.float32), 1, 0)

    an_expert = 2 * 3 * 32 * 16  # multiply and add; gate, up and down
    assert flops(2) - flops(1) == flops(4) - flops(3) == 2 * an_expert


@pytest.mark.parametrize("name", FAMILIES)
def test_components_are_counted_from_the_config(name: str) -> None:
    """As many as the anatomy finds on the model."""
    model = loud_model(name)
    assert expected_components(model.config) == len(engine_of(model).decomposer.components)


def test_no_weight_is_made() -> None:
    """The skeleton of a model of any size takes no memory."""
    config = transformers.LlamaConfig()  # seven billion weights
    skeleton = build_skeleton(config, torch.bfloat16)
    assert {weight.device.type for weight in skeleton.parameters()} == {"meta"}
    assert expected_components(config) == 2 + 32 * 33
    assert forward_flops(skeleton, 1, 0) == pytest.approx(2 * 6.5e9, rel=0.01)


def test_what_is_no_language_model_is_refused() -> None:
    """An encoder's config is one line."""
    with pytest.raises(ModelError, match="model type `vit` cannot be built"):
        build_skeleton(transformers.ViTConfig(), torch.float32)


def test_the_type_of_the_weights() -> None:
    """The one asked for, else the one that they were saved in, else float32."""
    config = transformers.LlamaConfig()
    assert dtype_to_load("auto", config) is torch.float32
    config.dtype = "bfloat16"
    assert dtype_to_load("auto", config) is torch.bfloat16
    assert dtype_to_load("float16", config) is torch.float16
