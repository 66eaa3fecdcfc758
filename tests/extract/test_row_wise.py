"""A row's numbers are its own, whatever is run beside it and before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import CERTIFIED, QUICK, lacking
from loud import Family, engine_of, loud_model, some_prompts
from tiny_folder import TINY, byte_tokenizer, write_rows
from transformers import AutoConfig

from compread.check import certify, proofs
from compread.check.twin import build_twin
from compread.errors import SumError
from compread.extract import Engine, ExtractOptions, Extractor, engine
from compread.extract.groups import whole_groups
from compread.extract.runner import Runner
from compread.extract.sharing import groups_to_run
from compread.extract.workers import Workers
from compread.model import LoadedModel, ModelRequest, find_anatomy
from compread.model.load.fingerprint import fingerprint
from compread.model.switches import RotationTables, Switches, find_switches
from compread.prompts import PromptSet, read_prompt_file, tokenize
from compread.store import open_store

FACTORS = {"short_factor": [1.0] * 4, "long_factor": [1.0, 4.0, 16.0, 32.0]}
PHI3 = Family(
    "Phi3Config",
    {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
     "num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": 1,
     "pad_token_id": 1, "max_position_embeddings": 2048, "original_max_position_embeddings": 46,
     "rope_scaling": {"type": "longrope", **FACTORS}},
)  # fmt: skip
DYNAMIC = replace(
    TINY,
    options={**TINY.options, "max_position_embeddings": 46,
             "rope_scaling": {"rope_type": "dynamic", "factor": 4.0}},
)  # fmt: skip


def loaded(family: Family) -> LoadedModel:
    """A loud model with the byte tokenizer."""
    model = loud_model(family, torch.float32)
    return LoadedModel(ModelRequest("tiny"), None, model, byte_tokenizer(), fingerprint(model))


def rows_of(folder: Path, lengths: Sequence[int], head: str) -> PromptSet:
    """Prompts of so many tokens each, which begin alike."""
    own = len(byte_tokenizer()(head)["input_ids"])
    letters = "abcdefghijklmnopqrstuvwxyz"
    rows = [
        {"prompt": head + "".join(letters[(i * 7 + j) % 26] for j in range(n - own)),
         "label": " positive", "options": [" negative", " positive"], "id": f"r{i}"}
        for i, n in enumerate(lengths)
    ]  # fmt: skip
    return read_prompt_file(write_rows(folder / "rows.jsonl", rows))


def differences(model: LoadedModel, prompts: PromptSet, store: Path) -> list[float]:
    """How far each stored row is from the row run alone, as a share of the logits' scale."""
    tokens = tokenize(prompts, model.tokenizer)
    alone = Engine(model.model, find_anatomy(model.model), tokens.label_ids)
    found = []
    with open_store(store) as file:
        for ids, parts in zip(tokens.ids, file.split("test").parts, strict=True):
            RotationTables(model.model).reset()
            one = alone.run([ids])
            found.append(float((one.parts[0] - torch.tensor(parts)).abs().max() / one.scale[0]))
    return found


@pytest.mark.parametrize("head", ["Review", "Review: so good a film, and so", "R" * 60], ids=len)
@pytest.mark.parametrize("share", [True, False], ids=["shared", "whole"])
@pytest.mark.parametrize("budget", [1, 64, 4096])
@pytest.mark.parametrize("family", [PHI3, DYNAMIC], ids=["long rope", "dynamic"])
def test_rows_on_both_sides_of_a_switch(
    tmp_path: Path, family: Family, budget: int, share: bool, head: str
) -> None:
    """Each row is that which it is alone, behind a prefix on either side of the switch too."""
    own = len(byte_tokenizer()(head)["input_ids"])
    lengths = [max(41, own - 8) + i % 12 + (own > 46) * 12 for i in range(40)]
    prompts, model = rows_of(tmp_path, lengths, head), loaded(family)
    options = ExtractOptions(batch_tokens=budget, share=share)
    done = Extractor(model).extract(prompts, tmp_path / "run.h5", options)
    assert not done.warnings and done.rows == 40
    assert max(differences(model, prompts, done.path)) < 1e-4


def test_rows_above_a_switch_share_a_prefix_above_it(tmp_path: Path) -> None:
    """A prefix that reaches the rows' stretch is run once; one that does not is run in each row."""
    prompts, model = rows_of(tmp_path, [70 + i % 5 for i in range(20)], "R" * 60), loaded(PHI3)
    done = Extractor(model).extract(prompts, tmp_path / "long.h5", ExtractOptions())
    assert done.tokens_run < done.tokens_whole / 2
    prompts = rows_of(tmp_path, [50 + i % 5 for i in range(20)], "R" * 30)
    done = Extractor(model).extract(prompts, tmp_path / "short.h5", ExtractOptions())
    assert done.tokens_run == done.tokens_whole


# --- what no config names ------------------------------------------------------------------------


def add_to_embeddings(model: Any, what: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Change a model so that something of its batch enters every position."""
    model.get_input_embeddings().register_forward_hook(lambda m, args, out: out + what(args[0]))


def rows_of_many_lengths(folder: Path) -> PromptSet:
    """Forty rows behind a prefix."""
    return rows_of(folder, [41 + i % 12 for i in range(40)], "Review: so good")


def test_a_model_whose_batch_changes_its_rows_runs_each_alone(tmp_path: Path) -> None:
    """The proof on two rows finds out, a warning says so, and all rows are right."""
    prompts, model = rows_of_many_lengths(tmp_path), loaded(TINY)
    add_to_embeddings(model.model, lambda tokens: tokens.float().mean() / 100)
    done = Extractor(model).extract(prompts, tmp_path / "run.h5", ExtractOptions())
    (warning,) = done.warnings
    assert "a row of 52 tokens has other parts in a batch than alone" in warning
    assert "each row is run alone" in warning
    assert max(differences(model, prompts, done.path)) < 1e-4


def test_a_model_that_remembers_earlier_rows_is_not_kept(tmp_path: Path) -> None:
    """What is run before a row changes it, so that no batch size helps."""
    prompts, model = rows_of_many_lengths(tmp_path), loaded(TINY)
    longest = [0]

    def remembered(tokens: torch.Tensor) -> torch.Tensor:
        longest[0] = max(longest[0], tokens.shape[1])
        return torch.tensor(longest[0] / 10)

    add_to_embeddings(model.model, remembered)
    with pytest.raises(SumError, match="with what was run before it") as error:
        Extractor(model).extract(prompts, tmp_path / "run.h5", ExtractOptions())
    assert error.value.exit_code == 3 and not (tmp_path / "run.h5").exists()


# --- the proof of `check` ------------------------------------------------------------------------


def longrope(count: int, **more: Any) -> dict[str, Any]:
    """A LongRoPE of a real model's size."""
    rope = {"type": "longrope", **more}
    rope["short_factor"] = [1 + 0.01 * i for i in range(count)]
    rope["long_factor"] = [1.08 * 1.09**i for i in range(count)]
    return rope


PHI35 = {"hidden_size": 3072, "num_attention_heads": 32, "max_position_embeddings": 131072}
PHI35 |= {"original_max_position_embeddings": 4096, "rope_scaling": longrope(48)}
PHI4 = {**PHI35, "num_attention_heads": 24, "num_key_value_heads": 8, "partial_rotary_factor": 0.75}
MSCALE = {"short_mscale": 1.243, "long_mscale": 1.243, "original_max_position_embeddings": 4096}
IN_ROTATION = {"rope_scaling": longrope(64, factor=8.0, original_max_position_embeddings=4096)}
GROWING = {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}
SWITCHING: dict[str, tuple[str, dict[str, Any]]] = {
    "Phi-3.5": ("phi3", PHI35),
    "Phi-4-mini": ("phi3", PHI4),
    "Phi-4-multimodal": ("phi4_multimodal", PHI4),
    "Phi-3.5-MoE": ("phimoe", {**PHI35, "rope_scaling": longrope(64, **MSCALE)}),
    "Llama, LongRoPE": ("llama", {**IN_ROTATION, "max_position_embeddings": 32768}),
    "Llama, dynamic": ("llama", GROWING),
    "InternLM3, dynamic": ("internlm3", GROWING),
    "GPT-NeoX, dynamic": ("gpt_neox", GROWING),
    "DeepSeek-V3.2": ("deepseek_v32", {}),
    "GLM-5": ("glm_moe_dsa", {}),
    "Hunyuan 4": ("hy_v4", {}),
    "A.X K2": ("axk2", {}),
    "Dots 3": ("dots3_note", {}),
    "Doge": ("doge", {}),
}


@pytest.fixture
def config(request: pytest.FixtureRequest) -> Any:
    """A config that names a switch, if this transformers has its type."""
    kind, options = SWITCHING[request.param]
    if (reason := lacking(kind)) is not None:
        pytest.skip(reason)
    return AutoConfig.for_model(kind, **deepcopy(options))  # a config changes what it is given


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that knows of no switch; the prompts are on both sides of them all the same."""
    real = proofs._prompts

    def seeing(blind: Engine) -> Any:
        blind.switches = find_switches(blind.model.config)
        found = real(blind)
        blind.switches = Switches()
        return found

    monkeypatch.setattr(engine, "find_switches", lambda config: Switches())
    monkeypatch.setattr(proofs, "_prompts", seeing)


@pytest.mark.parametrize("config", SWITCHING, indirect=True)
def test_a_type_with_a_switch_is_certified(config: Any) -> None:
    """The twin has its switches within reach, and rows on both sides of them."""
    certificate = certify(config)
    assert certificate.verdict == "certified", certificate.reason
    marks = find_switches(build_twin(config).config).marks
    assert marks and max(marks) <= 16


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("config", SWITCHING, indirect=True)
def test_a_batch_across_a_switch_is_found(config: Any) -> None:
    """The broken twin: rows of all lengths in one batch."""
    certificate = certify(config)
    assert certificate.verdict == "refused"
    assert certificate.reason.startswith("row alone = in a batch fails at ")


@pytest.mark.parametrize("config", [n for n in SWITCHING if "dynamic" in n], indirect=True)
def test_a_table_that_stays_grown_is_found(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin: a row is rotated as the longest before it was."""
    monkeypatch.setattr(RotationTables, "reset", lambda tables: None)
    assert certify(config).reason.startswith("row alone = in a batch fails at ")


# --- the size of a batch changes nothing ---------------------------------------------------------


class Kept:
    """Keeps rows in memory."""

    def __init__(self, count: int) -> None:
        self.ids = [str(n) for n in range(count)]
        self.parts: list[Any] = [None] * count

    def append(self, rows: Sequence[int], parts: Any, *others: Any) -> None:
        """Keep a batch."""
        for row, own in zip(rows, parts, strict=True):
            self.parts[row] = own

    def discard(self) -> None:
        """Never called where sums hold."""
        raise AssertionError


def parts_of(twin: Engine, ids: list[list[int]], budget: int, share: bool) -> Any:
    """All rows' parts [N, C, K] as a run with this budget of tokens has them."""
    plan = whole_groups(ids, twin.switches)
    groups = groups_to_run(twin, ids, 1e-4)[0] if share else plan
    kept = Kept(len(ids))
    runner = Runner(twin, ids, kept, lambda batch, names: 0.0, Workers())
    runner.run(groups, budget, np.zeros(len(ids), bool), lambda *counts: None)
    return np.stack(kept.parts)


def worst_of_all_budgets(config: Any) -> float:
    """The largest change of any part with the budget, as a share of the largest part."""
    model = build_twin(config)
    twin = Engine(model, find_anatomy(model), (3, 9, 17))
    head, *own = some_prompts(12, 1, 20, 4, 13, 2, 13, 26, vocabulary=96)
    ids = [head[: len(head) - 9 * (i % 2)] + row for i, row in enumerate(own)]
    alone = np.stack([twin.run([row]).parts[0].numpy() for row in ids])
    found = [
        parts_of(twin, ids, *how) for how in ((1, True), (60, True), (60, False), (4096, True))
    ]
    answers = alone.sum(1).argmax(-1)
    assert all((parts.sum(1).argmax(-1) == answers).all() for parts in found)
    return max(float(np.abs(parts - alone).max()) for parts in found) / float(np.abs(alone).max())


@pytest.fixture
def exact() -> Iterator[None]:
    """Constants that a family makes itself are float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("config", SWITCHING, indirect=True)
def test_no_budget_changes_a_row_beside_a_switch(config: Any) -> None:
    """Nor any answer, shared or whole."""
    assert worst_of_all_budgets(config) < 1e-4


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("kind", QUICK)
def test_no_budget_changes_a_row(kind: str) -> None:
    """Nor any answer, in families that differ as much as families do."""
    if (reason := lacking(kind)) is not None:
        pytest.skip(reason)
    assert worst_of_all_budgets(AutoConfig.for_model(kind)) < 1e-4


@pytest.mark.slow
@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("kind", sorted(set(CERTIFIED) - set(QUICK)))
def test_no_budget_changes_a_row_of_any_type(kind: str) -> None:
    """As above, for every certified type."""
    if (reason := lacking(kind)) is not None:
        pytest.skip(reason)
    assert worst_of_all_budgets(AutoConfig.for_model(kind)) < 1e-4


def test_a_pad_counts_as_a_position() -> None:
    """A batch whose pads alone reach beyond the switch would be rotated as a long one."""
    phi = engine_of(loud_model(PHI3, torch.float64))
    short, long = some_prompts(44, 50, vocabulary=320)
    alone, beside = phi.run([short]).parts[0], phi.run([short, long]).parts[0]
    assert float((alone - beside).abs().max()) > 0.1
    assert phi.switches.stretches([44, 50, 46, 47]) == [[0, 2], [1, 3]]
