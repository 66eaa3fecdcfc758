"""A model and its tokenizer, loaded: a hub id, a folder, a ``.gguf`` file, or one in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from compread.errors import ModelError
from compread.model import facts
from compread.model.blocks import config_value
from compread.model.load.adapters import with_adapter
from compread.model.load.failures import as_model_error, has_vocabulary, no_tokenizer, untrusted
from compread.model.load.fingerprint import fingerprint
from compread.model.load.gguf import begin_as_stated, parsed_once, unpacked
from compread.model.load.kinds import check_kind, no_head
from compread.model.load.quantized import check_storage, is_quantized, quantization
from compread.model.load.request import DTYPES, ModelRequest, choose_device
from compread.model.load.sources import ModelSource, find_source
from compread.model.switches import stretched
from compread.model.trace import CausalLM
from compread.model.weighted import MARK


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode with its tokenizer."""

    request: ModelRequest
    revision: str | None
    """The hub commit that was loaded; None for a local model."""
    model: CausalLM
    tokenizer: Any
    fingerprint: str

    @property
    def model_type(self) -> str:
        """``config.model_type``."""
        return str(self.model.config.model_type)

    @property
    def dtype(self) -> str:
        """The type the model runs in, such as ``float32``."""
        return str(next(self.model.parameters()).dtype).removeprefix("torch.")

    @property
    def rounding(self) -> torch.dtype:
        """The coarsest type that the model's arithmetic rounds to."""
        if is_quantized(self.model):
            # Eight bits and bfloat16 round alike, and one of the two is in every such kernel.
            return torch.bfloat16
        dtype: torch.dtype = next(self.model.parameters()).dtype
        return dtype

    @property
    def context_length(self) -> int | None:
        """Longest prompt in tokens that the model was made for, where its config says."""
        return context_length(self.model.config)


def context_length(config: Any) -> int | None:
    """Longest prompt in tokens that a model was made for, where its config says."""
    text = config.get_text_config()
    value = config_value(text, facts.CONTEXT_LENGTH)
    return int(value * stretched(text)) if isinstance(value, int) and value > 0 else None


def load_model(
    request: ModelRequest,
    begins: Callable[[ModelRequest, Any], object] = lambda request, tokenizer: None,
) -> LoadedModel:
    """Load a model and its tokenizer.

    Args:
        request: what to load.
        begins: called with the request and the tokenizer when the weights are next, which take
            long; what it raises ends the loading.

    Raises:
        ModelError: it does not exist, is gated, lacks a file, or needs a package that is missing.
        UsageError: the device does not exist here.
    """
    device = None if request.device_map else choose_device(request.device)
    source = _source(request)
    with parsed_once(request.name):
        tokenizer, model = _loaded(request, source, device, begins)
    if request.adapter:
        model = with_adapter(
            model, request.adapter, merge=request.merge_adapter, offline=request.offline
        )
    model = model.eval().requires_grad_(False)
    return LoadedModel(request, source.revision, model, tokenizer, fingerprint(model))


def _loaded(
    request: ModelRequest,
    source: ModelSource,
    device: torch.device | None,
    begins: Callable[[ModelRequest, Any], object],
) -> tuple[Any, CausalLM]:
    """The tokenizer and the model without an adapter."""
    config = None if "gguf_file" in source.options else _config(request.name, source)
    if config is not None:
        check_kind(config, request.name, request.trust_remote_code)
        _check_attention(request, config)
    tokenizer = _tokenizer(request.name, source)
    packed = getattr(config, "quantization_config", None) is not None
    begins(request, tokenizer)
    return tokenizer, _weights(request, source, device, packed=packed)


def _weights(
    request: ModelRequest, source: ModelSource, device: torch.device | None, *, packed: bool
) -> CausalLM:
    from transformers import AutoModelForCausalLM

    options, placed = dict(source.options), request.device_map
    if "gguf_file" in options:
        options |= unpacked()
    else:
        options |= quantization(request.quantize, DTYPES.get(request.dtype))
    if request.attention:
        options["attn_implementation"] = request.attention
    with as_model_error(request.name, "model"), _no_code_for_generating():
        # Some quantized models cannot be moved once they are loaded.
        if device is not None and (request.quantize or packed):
            placed = {"": str(device)}
        auto: Any = AutoModelForCausalLM
        model, loaded = auto.from_pretrained(
            source.place,
            dtype=DTYPES.get(request.dtype, "auto"),
            device_map=placed,
            output_loading_info=True,
            **options,
        )
        _check_whole(loaded["missing_keys"], request.name, model.config)
        check_storage(model, request.name)
        if device is not None and not getattr(model, "hf_device_map", None):
            model = model.to(device)
    return model


@contextmanager
def _no_code_for_generating() -> Iterator[None]:
    """Models load without the code that a folder may bring for generating, which nothing needs.

    transformers 4.57 runs that of a local folder whether its code is trusted or not.
    """
    from transformers import GenerationMixin

    mixin: Any = GenerationMixin
    before = mixin.load_custom_generate

    def nothing(*_: Any, **__: Any) -> None:
        raise OSError("there is none")

    mixin.load_custom_generate = nothing
    try:
        yield
    finally:
        mixin.load_custom_generate = before


def _config(name: str, source: ModelSource) -> Any:
    from transformers import AutoConfig

    with as_model_error(name, "config"):
        config = AutoConfig.from_pretrained(source.place, **source.options)
    _check_rotation(config, name)
    return config


def _check_rotation(config: Any, name: str) -> None:
    """Refuse a rotation that is stated where transformers before 5 does not look.

    It would rotate by the type's defaults, and every number would be another model's.
    """
    text = config.get_text_config(decoder=True)
    installed, stated = version("transformers"), getattr(text, facts.ROPE, None) or {}
    own_code = not type(text).__module__.startswith("transformers.")
    if int(installed.partition(".")[0]) >= 5 or own_code:
        return
    taken = {key: getattr(text, key, None) for key in stated} | {"rope_type": "default"}
    if any(taken[key] != value for key, value in stated.items()):
        raise ModelError(
            f"{name} states how it rotates positions in `{facts.ROPE}` of its config.json, which "
            f"transformers {installed} does not read; expected 5 or newer: "
            "pip install -U transformers"
        )


def _check_attention(request: ModelRequest, config: Any) -> None:
    """Refuse a config that names a kernel of the hub, which is code, unless code is trusted."""
    named = str(getattr(config, "_attn_implementation", None))
    if "/" in named and not request.attention and not request.trust_remote_code:
        raise ModelError(untrusted(request.name, f"attention kernel {named!r}"))


def load_tokenizer(request: ModelRequest) -> Any:
    """A model's tokenizer without the model.

    Raises:
        ModelError: it does not exist, is gated, or has no vocabulary.
    """
    return _tokenizer(request.name, _source(request))


def _source(request: ModelRequest) -> ModelSource:
    return find_source(request.name, request.revision, request.offline, request.trust_remote_code)


def _tokenizer(name: str, source: ModelSource) -> Any:
    from transformers import AutoTokenizer

    with as_model_error(name, "tokenizer"), parsed_once(name):
        tokenizer = AutoTokenizer.from_pretrained(source.place, **source.options)
        if "gguf_file" in source.options:
            begin_as_stated(tokenizer, Path(source.place, source.options["gguf_file"]))
    _check_has_vocabulary(tokenizer, name)
    return tokenizer


def load_config(
    name: str,
    revision: str | None = None,
    offline: bool = False,
    trust_remote_code: bool = False,
) -> Any:
    """The config of a model: a hub id, a folder, a ``.gguf`` file, or a bare model type.

    Raises:
        ModelError: there is no such model or type, or its config cannot be read.
    """
    from transformers import CONFIG_MAPPING, AutoConfig

    if name in CONFIG_MAPPING and not Path(name).exists():
        with as_model_error(name, "config"):
            return AutoConfig.for_model(name)
    return _config(name, find_source(name, revision, offline, trust_remote_code))


def load_without_weights(request: ModelRequest) -> tuple[Any, Any]:
    """A model's config and its tokenizer.

    Raises:
        ModelError: as ``load_config`` and ``load_tokenizer``.
    """
    with parsed_once(request.name):
        config = load_config(
            request.name, request.revision, request.offline, request.trust_remote_code
        )
        return config, load_tokenizer(request)


def _check_has_vocabulary(tokenizer: Any, name: str) -> None:
    """Refuse a tokenizer without a vocabulary, as transformers makes one where no file has it.

    Such a one has its special tokens, and at most the bare space beside them.
    """
    added = tokenizer.added_tokens_decoder
    known = {*tokenizer.all_special_ids, *(added if isinstance(added, dict) else ())}
    words = {token for token, id in tokenizer.get_vocab().items() if id not in known} - {"▁"}
    if not words and not has_vocabulary(Path(name).expanduser()):
        raise ModelError(no_tokenizer(name))


def _check_whole(missing: Iterable[str], name: str, config: Any) -> None:
    """Refuse weights that transformers would fill with random numbers."""
    if lacking := sorted(missing):
        if reason := no_head(config, " ".join(lacking)):
            raise ModelError(f"{name} {reason}")
        raise ModelError(
            f"{name} lacks {len(lacking)} of the weights of a causal language model, such as "
            f"{lacking[0]}; expected a complete one: load it again from where it came"
        )


@contextmanager
def given_model(model: Any, tokenizer: Any) -> Iterator[LoadedModel]:
    """A model in memory with its tokenizer, read only; afterwards it is as it was.

    While it is read it is in evaluation mode and its weights want no gradients, as dropout would
    make the sums of no forward, and gradients would keep every activation.

    Args:
        model: a causal language model of ``transformers``, on any device, in any type.
        tokenizer: the tokenizer that its prompts are for.

    Raises:
        ModelError: it is no such model.
    """
    if not isinstance(model, nn.Module) or not hasattr(model, "config"):
        raise ModelError(
            f"a {type(model).__name__} is no model that can be read: expected a causal language "
            "model of transformers, a hub id, a folder or a .gguf file"
        )
    if getattr(model, MARK, False):
        raise ModelError(
            "this model runs with weights on its components, and its store would say that they are "
            "its own; leave the block of compread.reweighted, or load the folder that they were "
            "exported to"
        )
    config: Any = model.config
    name = str(getattr(config, "_name_or_path", "") or config.model_type)
    check_kind(config, name)
    check_storage(model, name)
    modes = {module: module.training for module in model.modules()}
    wanting = [weight for weight in model.parameters() if weight.requires_grad]
    revision = getattr(config, "_commit_hash", None)
    model.eval().requires_grad_(False)
    try:
        yield LoadedModel(ModelRequest(name), revision, model, tokenizer, fingerprint(model))
    finally:
        for module, mode in modes.items():
            module.training = mode
        for weight in wanting:
            weight.requires_grad_(True)
