"""A family is certified where every identity holds on its twin, and refused in words where not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from families import CERTIFIED, QUICK, lacking
from reference import Intervention, Places, ProjectedJoin, WeightedJoin
from torch import nn
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, GPT2Config

from compread.check import causal_types, certify, certify_all, twin_sizes
from compread.check.certify import is_causal
from compread.check.proofs import prove
from compread.check.sweep import certify_type
from compread.check.twin import build_twin, make_loud, shrink
from compread.extract import Engine, structure
from compread.extract.structure import Proof
from compread.model import facts, find_anatomy
from compread.model.anatomy import Anatomy, Computed, Layer, Mix, StreamTransform, Write
from compread.model.norms import FrozenNorm
from compread.model.switches import Switches, rope_settings

LABELS = (3, 9, 17)
PROMPT = [21, 34, 5, 50, 61, 12, 44]
DECLINED = {
    "bart": ("not applicable", "encoder-decoder"),
    "bert": ("not applicable", "encoder-only: later tokens are seen"),
    "qwen4_exp": ("refused", "hyper-connections scale every feature of every stream anew"),
    "hrm_text": ("refused", "its layers are run several times in one forward"),
    "modernbert-decoder": ("refused", "through a nonlinear layer"),
    "reformer": ("refused", "reversible layers keep two residual streams"),
    "gemma4_assistant": ("refused", "it drafts for another model"),
}


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Constants that a family makes itself are float64, and small tensors are not shared out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _is_here(request: pytest.FixtureRequest) -> None:
    """Skip a type that an older transformers does not have, or not in a form that can be read."""
    spec = getattr(request.node, "callspec", None)
    kind = spec.params.get("kind") if spec else None
    if kind in CERTIFIED and (reason := lacking(kind)):
        pytest.skip(reason)


def twin_engine(kind: str) -> Engine:
    """The engine of a type's twin."""
    model = build_twin(AutoConfig.for_model(kind))
    return Engine(model, find_anatomy(model), LABELS)


def failing(engine: Engine) -> set[str]:
    """The names of the identities that fail by far."""
    return {p.name for p in prove(engine) if p.needed and not (p.error or 0) <= 1e4 * p.bound}


@pytest.mark.parametrize("kind", QUICK)
def test_a_type_is_certified(kind: str) -> None:
    """Every identity is tested and holds within what the type's norms allow."""
    certificate = certify(AutoConfig.for_model(kind))
    assert certificate.verdict == "certified", certificate.reason
    assert len(certificate.proofs) == 10
    assert certificate.worst_error is not None and certificate.worst_error < 1e-6


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_plain_family_shares_its_prefix(kind: str) -> None:
    """The proof of sharing runs rows behind the prefix, and they are what they are alone."""
    found = {proof.name: proof for proof in certify(AutoConfig.for_model(kind)).proofs}
    shared = found["shared prefix = whole"]
    assert shared.holds and shared.error


def test_rows_lie_on_both_sides_of_a_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    """At it and behind it, also behind prefixes that end before it and behind it."""
    engine = twin_engine("llama")
    monkeypatch.setattr(engine, "switches", Switches(at=(20,)))
    lengths: list[int] = []
    prefixes: list[int] = []
    record, share = engine.record, engine.share

    def seen(rows: Any, *arguments: Any, **options: Any) -> Any:
        lengths.extend(map(len, rows))
        return record(rows, *arguments, **options)

    def shared(prefix: Any) -> Any:
        prefixes.append(len(prefix))
        return share(prefix)

    monkeypatch.setattr(engine, "record", seen)
    monkeypatch.setattr(engine, "share", shared)
    assert not [proof for proof in prove(engine) if not proof.holds]
    assert {20, 21, 24} <= set(lengths) and {10, 21} <= set(prefixes)


def test_a_norm_behind_the_heads_may_shift() -> None:
    """Each head is proved with its share of a LayerNorm behind the block, and the shift beside."""
    model = build_twin(AutoConfig.for_model("gemma2"))
    for layer in model.model.layers:
        layer.post_attention_layernorm = nn.LayerNorm(model.config.hidden_size)
    make_loud(model)
    model.requires_grad_(False)
    engine = Engine(model, find_anatomy(model), LABELS)
    assert not [proof for proof in prove(engine) if proof.needed and not proof.holds]


def test_a_factor_for_each_rotation_that_is_left() -> None:
    """LongRoPE's lists are as long as half the part of the twin's heads that is rotated."""
    sizes = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 2}
    for share in (0.5, 1.0):
        config = transformers.Phi3Config(
            **sizes,
            partial_rotary_factor=share,
            rope_scaling={"type": "longrope"}
            | {name: [1.0] * int(16 * share) for name in ("short_factor", "long_factor")},
        )
        small = shrink(config)
        width = small.hidden_size // small.num_attention_heads
        for factors in rope_settings(small.to_dict()):
            assert len(factors["short_factor"]) == len(factors["long_factor"]) == width * share / 2


def test_causality_is_looked_for_without_a_cache() -> None:
    """A model that cannot keep one is not refused for that."""

    class NoCache(nn.Module):
        def forward(self, input_ids: torch.Tensor, use_cache: bool = True) -> Any:
            if use_cache:
                raise ValueError("no cache here")
            return SimpleNamespace(logits=input_ids[..., None].double().cumsum(1))

    assert is_causal(NoCache())


@pytest.mark.parametrize("kind", DECLINED)
def test_the_others_are_declined_in_words(kind: str) -> None:
    """What is no sum of parts, or no decoder, is named as such."""
    if kind not in CONFIG_MAPPING:
        pytest.skip(f"transformers {transformers.__version__} has no {kind}")
    certificate = certify_type(kind)
    verdict, words = DECLINED[kind]
    assert certificate.verdict == verdict and words in certificate.reason


@pytest.mark.parametrize(
    ("kind", "layers"),
    {
        "afmoe": ["head mlp"],
        "qwen2_moe": ["head mlp"],
        "recurrent_gemma": ["mixer mlp", "head mlp"],
        "nemotron_h": ["mixer", "mlp", "head"],
        "minimax": ["mixer mlp", "head mlp"],
        "falcon_h1": ["head mixer mlp"],
    }.items(),
)
def test_kinds_are_told_by_the_block_not_by_the_family_s_name(kind: str, layers: list[str]) -> None:
    """A family called moe or recurrent has attention all the same."""
    anatomy = twin_engine(kind).decomposer.anatomy
    found = {" ".join(write.kind for write in layer.writes) for layer in anatomy.layers}
    assert found == set(layers)


# --- an independent reference -------------------------------------------------------------------


def places(model: Any, anatomy: Anatomy) -> Places:
    """Where the reference has to intervene."""
    writes = [write for layer in anatomy.layers for write in layer.writes]
    norms = [write.norm for write in writes if write.kind == "head"]
    norms += [change.norm for layer in anatomy.layers for change in layer.transforms]
    norms.append(anatomy.final_norm)
    return Places(
        writes=tuple(write.module if write.kind == "head" else write.source for write in writes),
        norms=tuple(norm for norm in norms if norm is not None),
        unembedding=anatomy.unembedding,
        scale=anatomy.logit_scale,
        **mixing(model),
    )


def mixing(model: Any) -> dict[str, Any]:
    """Where several residual streams are mixed and joined, as one who read the code finds them."""
    kind = model.config.model_type
    if kind in ("deepseek_v4", "hy_v4"):
        layers = model.model.layers
        mixers = [m for layer in layers for m in (layer.attn_hc, layer.ffn_hc)]
        grouped = {
            layer.self_attn.o_b_proj: layer.self_attn.o_a_proj
            for layer in layers
            if kind == "deepseek_v4"
        }
        join = WeightedJoin(model.model.hc_head)
        return {"mixing": tuple(mixers), "join": join, "grouped": grouped}
    if kind == "gemma3n_text":
        layers, projections = model.model.layers, model.model.altup_unembed_projections
        mixers = [
            m
            for layer in layers
            for m in (layer.altup.prediction_coefs, layer.altup.correction_coefs)
        ]
        return {"mixing": tuple(mixers), "join": ProjectedJoin(layers[-1], projections)}
    return {}


def interventions(layer: Layer) -> Iterator[tuple[tuple[str, int], set[nn.Module], slice | None]]:
    """Each head and each whole block of a layer: which, where, which columns."""
    first = 0
    for write in layer.writes:
        if write.kind == "head":
            width = write.width // write.heads
            for head in range(write.heads):
                columns = slice(head * width, (head + 1) * width)
                yield ("head", first + head), {write.module}, columns
            first += write.heads
    for kind in ("mixer", "mlp"):
        sources = {write.source for write in layer.writes if write.kind == kind}
        if sources:
            yield (kind, -1), sources, None


def reference_error(kind: str) -> float:
    """The worst difference from the reference, as a share of the largest part."""
    engine = twin_engine(kind)
    parts = engine.run([PROMPT]).parts[0]
    reference = Intervention(engine.model, places(engine.model, engine.decomposer.anatomy), PROMPT)
    axis = {(c.layer, c.kind, c.head): i for i, c in enumerate(engine.decomposer.components)}
    worst = 0.0
    for index, layer in enumerate(engine.decomposer.anatomy.layers):
        for (name, head), modules, columns in interventions(layer):
            lost = reference.lost_without(modules, columns)[list(LABELS)]
            part = parts[axis[index, name, head]]
            worst = max(worst, float((lost - part).abs().max() / parts.abs().max()))
    return worst


@pytest.mark.parametrize("kind", QUICK)
def test_parts_are_what_is_lost_without_them(kind: str) -> None:
    """Taking a head or block out, all else frozen, lowers the logits by exactly its part."""
    assert reference_error(kind) < 1e-6


@pytest.mark.parametrize(("kind", "heads"), [("laguna", [4, 8, 2]), ("diffllama", [2, 2, 2])])
def test_heads_that_no_kernel_shows_are_those_of_the_config(
    monkeypatch: pytest.MonkeyPatch, kind: str, heads: list[int]
) -> None:
    """As many as are seen where one shows them."""
    blocks = import_module("compread.model.blocks")
    monkeypatch.setattr(blocks, "_seen_heads", lambda *_: None)
    model = build_twin(AutoConfig.for_model(kind))
    assert [layer.shape.heads for layer in find_anatomy(model).layers] == heads


@pytest.mark.parametrize(
    ("kind", "heads"),
    [("laguna", [4, 8, 2]), ("diffllama", [2, 2, 2])],
    ids=["laguna", "diffllama"],
)
def test_heads_are_those_of_the_attention(kind: str, heads: list[int]) -> None:
    """Laguna has a number of heads for each layer; DiffLlama's are pairs under one norm."""
    engine = twin_engine(kind)
    axis = {(c.layer, c.kind, c.head): i for i, c in enumerate(engine.decomposer.components)}
    parts = engine.run([PROMPT]).parts[0]
    reference = Intervention(engine.model, places(engine.model, engine.decomposer.anatomy), PROMPT)
    for index, (layer, count) in enumerate(zip(engine.model.model.layers, heads, strict=True)):
        projection = layer.self_attn.o_proj
        width = projection.in_features // count
        assert width == layer.self_attn.head_dim * (2 if kind == "diffllama" else 1)
        assert (index, "head", count) not in axis
        for head in range(count):
            columns = slice(head * width, (head + 1) * width)
            lost = reference.lost_without({projection}, columns)[list(LABELS)]
            torch.testing.assert_close(parts[axis[index, "head", head]], lost, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(set(CERTIFIED) - set(QUICK)))
def test_parts_of_every_type_are_what_is_lost_without_them(kind: str) -> None:
    """As above, for every certified type."""
    assert reference_error(kind) < 1e-6


@pytest.mark.slow
def test_the_sweep_certifies_what_it_did() -> None:
    """No type falls out of the certified ones, none dies, and each other one has its reason."""
    found = certify_all(causal_types(), jobs=2)
    assert {c.model_type for c in found if c.certified} >= set(CERTIFIED)
    assert not [c.model_type for c in found if c.died]
    assert all(c.reason for c in found if not c.certified)


def test_a_check_that_hangs_is_ended() -> None:
    """A type whose process outlives its time is refused and marked, and the next one is checked."""
    first, second = certify_all(["gpt2", "bart"], jobs=1, seconds=0.0)
    assert (first.model_type, first.verdict, first.died) == ("gpt2", "refused", True)
    assert "did not end within 0 s" in first.reason
    assert second.model_type == "bart"


# --- broken twins: each forgets one fact and is found out ----------------------------------------


def refold(engine: Engine, change: Callable[[Any], Any]) -> Engine:
    """The same model with the steps of its layers changed; None leaves a step out."""
    anatomy = engine.decomposer.anatomy
    layers = tuple(
        replace(layer, steps=tuple(new for s in layer.steps if (new := change(s)) is not None))
        for layer in anatomy.layers
    )
    return Engine(engine.model, replace(anatomy, layers=layers), LABELS)


def without(kind: type, **fields: Any) -> Callable[[Any], Any]:
    """A change of every step of one kind."""
    return lambda step: replace(step, **fields) if isinstance(step, kind) else step


BROKEN = {
    "post-norm left out": ("gemma2", without(Write, norm=None)),
    "residual multiplier left out": ("granite", without(Write, scale=1.0)),
    "multiplier of attention left out": ("falcon_h1", without(Write, scale=1.0)),
    "norm of the stream left out": ("minimax", lambda s: s if isinstance(s, Write) else None),
    "scale of the stream left out": ("doge", without(StreamTransform, factor=1.0)),
    "halving of the stream left out": ("rwkv", without(StreamTransform, factor=1.0)),
    "late bias left out": ("gpt_neox_japanese", without(StreamTransform, shift=None)),
}


@pytest.mark.parametrize(("kind", "change"), BROKEN.values(), ids=BROKEN)
def test_a_forgotten_step_is_found(kind: str, change: Callable[[Any], Any]) -> None:
    """A family read without one of its facts does not add up, by far."""
    engine = twin_engine(kind)
    assert not failing(engine)
    assert {"writes = residual", "parts = logits"} & failing(refold(engine, change))


@pytest.mark.parametrize(("kind", "times"), [("laguna", 2), ("diffllama", 2), ("gpt2", 2)])
def test_a_wrong_cut_into_heads_is_found(kind: str, times: int) -> None:
    """Twice or half as many heads add up all the same; the attention's own are others."""
    engine = twin_engine(kind)
    for change in (lambda n: n * times, lambda n: n // times):
        wrong = refold(
            engine, lambda s, c=change: replace(s, heads=c(s.heads)) if isinstance(s, Write) else s
        )
        assert failing(wrong) == {"heads = attention's"}


EVENLY = Computed((), lambda s: torch.ones(s.embedding.shape[:2], dtype=s.dtype))
"""A write that every stream takes whole."""


def no_mixing(step: Any) -> Any:
    """Streams that are not mixed."""

    def one(activations: Any) -> torch.Tensor:
        count = activations.embedding.shape[1]
        return torch.eye(count, dtype=activations.dtype).expand(len(activations.answer), -1, -1)

    return Mix(Computed((), one)) if isinstance(step, Mix) else step


@pytest.mark.parametrize("kind", ["gemma3n_text", "deepseek_v4"])
@pytest.mark.parametrize(
    "change", [no_mixing, without(Write, into=EVENLY)], ids=["mixing", "weights"]
)
def test_forgotten_mixing_of_streams_is_found(kind: str, change: Callable[[Any], Any]) -> None:
    """Several streams read without their matrices, or without the writes' weights."""
    if (reason := lacking(kind)) is not None:
        pytest.skip(reason)
    engine = twin_engine(kind)
    assert not failing(engine)
    assert "writes = residual" in failing(refold(engine, change))


NARROW = {"vocab_size": 96, "num_hidden_layers": 2, "intermediate_size": 64}
NARROW |= {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
WIDTHS: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "Gemma-2 2B": (
        "gemma2",
        {"hidden_size": 2304, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256},
        8, 256,
    ),
    "Qwen3 0.6B": (
        "qwen3",
        {"hidden_size": 1024, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128},
        16, 128,
    ),
    "SmolLM2 135M": (
        "llama",
        {"hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3},
        9, 64,
    ),
    "Mistral Nemo, a quarter": (
        "mistral",
        {"hidden_size": 1280, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 128},
        8, 128,
    ),
    "Qwen2 0.5B": (
        "qwen2",
        {"hidden_size": 896, "num_attention_heads": 14, "num_key_value_heads": 2},
        14, 64,
    ),
    "Gemma-4 E2B, shared keys and values": (
        "gemma4_text",
        {"hidden_size": 1536, "num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 256,
         "num_kv_shared_layers": 1, "hidden_size_per_layer_input": 16,
         "vocab_size_per_layer_input": 96, "num_hidden_layers": 2,
         "layer_types": ["full_attention", "full_attention"], "global_head_dim": 256},
        8, 256,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "sizes", "heads", "width"), WIDTHS.values(), ids=WIDTHS)
def test_two_layers_as_wide_as_the_real_ones(
    kind: str, sizes: dict[str, Any], heads: int, width: int
) -> None:
    """Head widths that are not D/H, odd groups, keys and values that layers share."""
    if kind not in CONFIG_MAPPING:
        pytest.skip(f"this transformers has no {kind}")
    config = AutoConfig.for_model(kind, **{**NARROW, **sizes})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    make_loud(model)
    model.to(torch.float64).eval().requires_grad_(False)
    engine = Engine(model, find_anatomy(model), LABELS)
    assert not [proof for proof in prove(engine) if proof.needed and not proof.holds]
    found = {(w.heads, w.width // w.heads) for x in engine.decomposer.anatomy.layers
             for w in x.writes if w.kind == "head"}  # fmt: skip
    assert found == {(heads, width)}


def test_an_ignored_soft_cap_is_found() -> None:
    """The sum is what the model returned only behind the cap."""
    engine = twin_engine("gemma2")
    engine.decomposer.anatomy = replace(engine.decomposer.anatomy, soft_cap=None)
    assert "capped sum = output" in failing(engine)


def test_a_bias_counted_per_head_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each head's part is that of its write alone; a bias in all of them is not."""
    engine = twin_engine("gpt2")
    (fold, *_), *_ = engine.decomposer.folds
    real = type(fold).columns

    def columns(self: Any, activations: Any) -> Any:
        own = real(self, activations)
        return own if self.bias is None else own + self.bias

    monkeypatch.setattr(type(fold), "columns", columns)
    assert {"parts = logits", "each head = its write"} <= failing(engine)


def test_a_forgotten_gain_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin is loud: a norm read without its gain is missed."""
    real = FrozenNorm.pull_back
    monkeypatch.setattr(
        FrozenNorm, "pull_back", lambda n, d: real(replace(n, gain=n.gain * 0 + 1), d)
    )
    assert "parts = logits" in failing(twin_engine("llama"))


def test_a_residual_added_output_taken_for_the_write_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """BLOOM's blocks return the stream with the write added; read as writes they are too much."""
    named = (("head", ("self_attention.dense",)), ("mlp", ("mlp",)))
    monkeypatch.setitem(facts.STEPS, "bloom", named)
    certificate = certify(AutoConfig.for_model("bloom"))
    assert certificate.verdict == "refused"
    assert "do not explain what it writes to the residual stream" in certificate.reason


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (
            (("hyper", ("attn_hc",)), ("head", ("self_attn",)), ("norm", ("input_layernorm",))),
            "layer 0 changes its residual streams by more than mixes and writes",
        ),
        (
            (("head", ("self_attn",)), ("hyper", ("ffn_hc",)), ("mlp", ("mlp",))),
            "in layer 0 it is not known which of the residual streams a block writes to",
        ),
    ],
    ids=["stream normalised", "write without weights"],
)
def test_several_streams_read_as_one_are_refused(
    steps: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mixes and weighted writes are all that is known of layers with several streams."""
    if why := lacking("deepseek_v4"):
        pytest.skip(why)
    monkeypatch.setitem(facts.STEPS, "deepseek_v4", steps)
    certificate = certify(AutoConfig.for_model("deepseek_v4"))
    assert certificate.verdict == "refused"
    assert reason in certificate.reason and "fails on the twin" not in certificate.reason


def test_an_in_place_addition_that_is_not_copied_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Falcon adds attention into the MLP's output: a record that is no copy shows both."""
    real = torch.Tensor.to

    def to(self: Any, *args: Any, **options: Any) -> Any:
        options.pop("copy", None)
        return real(self, *args, **options)

    config = AutoConfig.for_model("falcon")
    config.new_decoder_architecture = False
    config.parallel_attn = True
    assert certify(config).certified
    monkeypatch.setattr(torch.Tensor, "to", to)
    certificate = certify(config)
    assert certificate.verdict == "refused"


def test_a_fault_of_the_check_is_not_the_family_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the file of this package, says nothing of the family and ends --all with 3."""
    monkeypatch.setattr(structure, "bias_of", None)
    certificate = certify(AutoConfig.for_model("llama"))
    assert (certificate.verdict, certificate.died) == ("refused", True)
    words = (
        r"the check itself fails, in compread/extract/structure\.py, line \d+: TypeError: .*says"
    )
    assert re.match(words, certificate.reason)


def test_what_the_facts_lack_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family under other names, and a twin that cannot be, name the file that wants a line."""
    with monkeypatch.context() as changed:
        changed.setattr(facts, "BLOCK_NAMES", (("head", ("blend",)), ("mlp", ("cook",))))
        reason = certify(AutoConfig.for_model("llama")).reason
    assert "STEPS of compread/model/facts.py has no line for `llama`" in reason
    with monkeypatch.context() as changed:
        changed.setattr(facts, "BLOCK_NAMES", (("head", ("self_attn",)), ("mlp", ("cook",))))
        reason = certify(AutoConfig.for_model("llama")).reason
    assert "as STEPS of compread/model/facts.py has no line for `llama`" in reason
    with monkeypatch.context() as changed:
        changed.setitem(facts.STEPS, "bloom", (("head", ("self_attention.dense",)),))
        reason = certify(AutoConfig.for_model("bloom")).reason
    assert "read by its line in STEPS of compread/model/facts.py" in reason
    with monkeypatch.context() as changed:
        changed.setitem(twin_sizes.TWIN_SIZES, "llama", {"hidden_size": -48})
        reason = certify(AutoConfig.for_model("llama")).reason
    assert "no tiny twin of `llama` can be built" in reason
    assert "expected sizes that it takes in compread/check/twin_sizes.py" in reason


def test_a_family_of_ones_own_that_fails_is_refused_in_words() -> None:
    """A config that its own code cannot run ends in one line."""
    certificate = certify(GPT2Config(activation_function="none such"))
    assert certificate.verdict == "refused" and "none such" in certificate.reason


@pytest.mark.parametrize(
    ("error", "needed", "state"),
    [
        (1e-12, True, "holds"),
        (1e-3, True, "fails"),
        (float("nan"), True, "fails"),
        (1e-3, False, "not shared"),
        (None, False, "not shared"),
    ],
)
def test_the_state_of_a_proof(error: float | None, needed: bool, state: str) -> None:
    """A NaN fails; a prefix that cannot be shared is no fault of the family."""
    assert Proof("any", error, 1e-9, needed=needed).state == state
