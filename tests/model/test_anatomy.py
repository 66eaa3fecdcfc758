"""The parts are found on the model itself, and a model that they do not explain is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from loud import FAMILIES, loud_model
from torch import Tensor, nn
from transformers import AttentionInterface, BertConfig, BertLMHeadModel, BertModel

from compread.errors import ModelError
from compread.model import find_anatomy
from compread.model.anatomy import StreamTransform
from compread.model.streams import STREAM_VERBS


@pytest.mark.parametrize("name", FAMILIES)
def test_the_modules_are_those_of_the_modelling_file(name: str) -> None:
    """Projection, MLP, post-norms, final norm and unembedding are the modules a reader finds."""
    family = FAMILIES[name]
    model = loud_model(family)
    anatomy = find_anatomy(model)
    blocks = list(model.get_submodule(family.layers))
    assert [layer.block for layer in anatomy.layers] == blocks
    for layer, block in zip(anatomy.layers, blocks, strict=True):
        mixer, mlp = layer.writes
        assert (mixer.kind, mlp.kind) == ("head", "mlp")
        assert mixer.module is block.get_submodule(family.projection)
        assert mlp.module is block.get_submodule(family.mlp)
        for write, path in ((mixer, family.post_mixer), (mlp, family.post_mlp)):
            assert write.norm is (block.get_submodule(path) if path else None)
            assert write.scale == family.residual
    assert anatomy.final_norm is model.get_submodule(family.norm)
    assert anatomy.unembedding is model.get_output_embeddings()


@pytest.mark.parametrize("name", FAMILIES)
def test_sizes_and_constants(name: str) -> None:
    """Heads, head width, residual width, logit multiplier and soft-cap are the config's."""
    family = FAMILIES[name]
    model = loud_model(family)
    anatomy = find_anatomy(model)
    width = getattr(model.config, "head_dim", None) or 36 // family.heads
    mixers = [layer.writes[0] for layer in anatomy.layers]
    assert {(w.heads, w.width) for w in mixers} == {(family.heads, family.heads * width)}
    assert {layer.shape.heads for layer in anatomy.layers} == {family.heads}
    assert anatomy.width == 36
    assert anatomy.logit_scale == pytest.approx(family.logit)
    assert anatomy.soft_cap == family.cap


def test_cap_is_the_model_s_last_step() -> None:
    """Logits are squeezed below the cap, or left alone without one."""
    logits = torch.tensor([-100.0, 0.5, 100.0])
    capped = find_anatomy(loud_model("gemma2")).cap(logits)
    assert torch.allclose(capped, 7 * torch.tanh(logits / 7))
    assert find_anatomy(loud_model("gpt2")).cap(logits) is logits


# --- refusals ---------------------------------------------------------------------------------


class Block(nn.Module):
    """A Llama layer under a user's own names and habits."""

    def __init__(
        self, layer: Any, names: tuple[str, str] = ("self_attn", "mlp"), times: float = 1.0
    ) -> None:
        super().__init__()
        self.names, self.times = names, times
        self.before_mixer, self.before_mlp = layer.input_layernorm, layer.post_attention_layernorm
        self.add_module(names[0], layer.self_attn)
        self.add_module(names[1], layer.mlp)

    def forward(self, hidden_states: Tensor, **kwargs: Any) -> Tensor:
        """The usual block, its attention added ``times`` times."""
        mixer, mlp = (self.get_submodule(name) for name in self.names)
        mixed = mixer(hidden_states=self.before_mixer(hidden_states), **kwargs)[0]
        hidden_states = hidden_states + self.times * mixed
        return hidden_states + mlp(self.before_mlp(hidden_states))


def with_block(*args: Any, **kwargs: Any) -> Callable[[Any], None]:
    """A change that puts a ``Block`` in the place of layer 1."""

    def change(model: Any) -> None:
        model.model.layers[1] = Block(model.model.layers[1], *args, **kwargs)

    return change


class Doubled(nn.Module):
    """A mixer that does something after its projection."""

    def __init__(self, mixer: Any) -> None:
        super().__init__()
        self.inner, self.layer_idx = mixer, mixer.layer_idx

    def forward(self, **kwargs: Any) -> tuple[Tensor, None]:
        """Twice the mixer."""
        return 2 * self.inner(**kwargs)[0], None


def doubled_mixer(model: Any) -> None:
    """Layer 1's attention returns twice its projection's output."""
    layer = model.model.layers[1]
    layer.self_attn = Doubled(layer.self_attn)


def own_vector(model: Any) -> None:
    """Layer 1 multiplies the stream by a vector of its own."""
    layer = model.model.layers[1]
    layer.gain = torch.nn.Parameter(torch.full((1,), 1.5))
    layer.register_forward_hook(lambda module, args, output: output * module.gain)


def shift_before_the_head(model: Any) -> None:
    """Something stands between the final norm and the unembedding."""
    model.lm_head.register_forward_pre_hook(lambda module, args: (2 * args[0] + 1,))


def config(**changes: Any) -> Callable[[Any], None]:
    """A change of the config that the modules do not follow."""
    return lambda model: [setattr(model.config, *item) for item in changes.items()]


def seven_heads_behind_a_kernel(model: Any) -> None:
    """The config says seven heads, and attention is computed where nobody sees how many."""

    def kernel(
        module: Any, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, None]:
        return query.transpose(1, 2).contiguous(), None

    AttentionInterface.register("kernel", kernel)
    model.set_attn_implementation("kernel")
    model.config.num_attention_heads = 7


REFUSALS = {
    "seven heads": (
        seven_heads_behind_a_kernel,
        "reads 48 values, which 7 heads cannot share .*HEAD_COUNT of compread/model/facts.py",
    ),
    "nine layers": (config(num_hidden_layers=9), "no list of 9 layers found"),
    "unknown mixer": (
        with_block(("blend", "mlp")),
        r"layer 1's blocks do not explain .*it has: .*blend",
    ),
    "unknown MLP": (
        with_block(("self_attn", "cook")),
        r"layer 1's blocks do not explain .*it has: .*cook",
    ),
    "unknown both": (with_block(("blend", "cook")), r"no block under a known name .it has: .*cook"),
    "attention twice": (with_block(times=2.0), r"layer 1's blocks do not explain"),
    "a little more": (with_block(times=1.001), r"layer 1's blocks do not explain"),
    "own vector": (own_vector, r"it has: self_attn, mlp, .*layernorm, gain; read by the usual"),
    "scaled mixer": (
        doubled_mixer,
        r"found in layer 1's Doubled .it has: inner; .*facts.py has no line for `llama`",
    ),
    "after the norm": (shift_before_the_head, "no single norm found"),
    "residual scale": (config(residual_multiplier=0.5), "layer 0's blocks do not"),
    "logit scale": (config(logit_scale=0.5), "returned logits .*LOGIT_MULTIPLIER, .*facts.py"),
    "soft-cap": (config(final_logit_softcapping=2.0), "does not explain the returned logits"),
}


@pytest.mark.parametrize(("change", "words"), REFUSALS.values(), ids=REFUSALS)
def test_a_model_that_is_not_understood_is_refused(
    change: Callable[[Any], None], words: str
) -> None:
    """One line names the model type, what is wrong, and that the model is refused."""
    model = loud_model("llama tied")
    change(model)
    with pytest.raises(ModelError, match=words) as refusal:
        find_anatomy(model)
    text = str(refusal.value)
    assert text.startswith("model type `llama` (LlamaForCausalLM)") and "\n" not in text


def test_a_block_under_known_names_is_accepted() -> None:
    """The refusals above are not for the block's being foreign."""
    model = loud_model("llama tied")
    with_block()(model)
    assert len(find_anatomy(model).layers) == 3


def test_the_attention_knows_its_heads_better_than_the_config() -> None:
    """A number of heads that is seen is taken, whatever the config says."""
    model = loud_model("llama tied")
    model.config.num_attention_heads = 3
    assert [layer.shape.heads for layer in find_anatomy(model).layers] == [6, 6, 6]


def test_an_encoder_is_refused() -> None:
    """A model without an unembedding predicts no token."""
    sizes = dict(vocab_size=31, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    with pytest.raises(ModelError, match=r"`bert` .* has no unembedding .*next token"):
        find_anatomy(BertModel(BertConfig(**sizes, intermediate_size=8)))


@pytest.mark.parametrize("inner", [20, 24])
def test_a_decoder_with_its_norms_behind_the_sum_is_refused(inner: int) -> None:
    """BERT as a decoder is one line, whether or not its widths would add up."""
    sizes = dict(vocab_size=31, hidden_size=24, num_hidden_layers=2, num_attention_heads=4)
    model = BertLMHeadModel(BertConfig(**sizes, intermediate_size=inner, is_decoder=True)).eval()
    with pytest.raises(ModelError, match=r"`bert` .*layer 0.*the model is refused") as refusal:
        find_anatomy(model)
    assert "\n" not in str(refusal.value)


def test_writes_that_a_depth_weighs_have_the_same_share() -> None:
    """Of N of them each stands in the last stream by the square root of 1/N."""
    stream = torch.zeros(3)
    writes = torch.eye(3)
    for n, write in enumerate(writes, 1):
        (before,), fields = STREAM_VERBS["depth"](n)
        assert isinstance(before, StreamTransform)
        stream = stream * before.factor + fields["scale"] * write
    torch.testing.assert_close(stream, torch.full((3,), 3**-0.5))
