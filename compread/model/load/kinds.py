"""Whether a config is that of a causal language model, and if not, what it is of."""

from __future__ import annotations

from typing import Any

from compread.errors import ModelError

_OTHER_HEADS = {
    "SequenceClassification": "a classifier of whole texts",
    "TokenClassification": "a classifier of tokens",
    "QuestionAnswering": "a model that marks answers in a text",
    "MultipleChoice": "a model that scores choices",
    "RewardModel": "a reward model",
}
_INPUTS = {
    "pixel_values": "a vision model",
    "input_features": "a speech model",
    "input_values": "a speech model",
}
_EXPECTED = "expected a causal language model, which predicts the next token of a text"


def check_kind(config: Any, name: str, trust_remote_code: bool = False) -> None:
    """Refuse a model that predicts no next token.

    Raises:
        ModelError: what it is instead.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING as causal
    from transformers import MODEL_FOR_MASKED_LM_MAPPING as masked

    own = getattr(config, "auto_map", None)
    if trust_remote_code and isinstance(own, dict) and "AutoModelForCausalLM" in own:
        return
    architecture = _architecture(config)
    said = f"{name} is a `{config.model_type}` model"
    for ending, words in _OTHER_HEADS.items():
        if ending in architecture:
            raise ModelError(
                f"{said}, {words} ({architecture}) without a language model's head; {_EXPECTED}"
            )
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"{said}, an encoder-decoder, whose decoder also reads what its encoder makes of the "
            f"prompt; {_EXPECTED}"
        )
    if type(config) in masked and not getattr(config, "is_decoder", False):
        raise ModelError(f"{said}, an encoder, which sees later tokens too; {_EXPECTED}")
    if type(config) not in causal:
        raise ModelError(f"{said}, {_without_text(config)}; {_EXPECTED}")


def no_head(config: Any, lacking: str) -> str | None:
    """Why a language model's head is lacking, where that is what is lacking."""
    architecture = _architecture(config)
    if architecture.endswith("Model") and ("head" in lacking or "embed_out" in lacking):
        return (
            f"is saved as {architecture}, without a language model's head (an embedding model is); "
            f"{_EXPECTED}"
        )
    return None


def _architecture(config: Any) -> str:
    """The class that the weights were saved from; empty where the config names none."""
    named = getattr(config, "architectures", None)
    first = named[0] if isinstance(named, list | tuple) and named else None
    return first if isinstance(first, str) else ""


def _without_text(config: Any) -> str:
    """What a type is that transformers has no causal language model for."""
    from transformers import MODEL_MAPPING

    if getattr(config, "vision_config", None) is not None:
        return "which reads images beside text, and has no class of its own for text alone"
    if type(config) in MODEL_MAPPING:
        found = MODEL_MAPPING[type(config)]
        made: Any = found[0] if isinstance(found, tuple | list) else found
        return _INPUTS.get(str(made.main_input_name), "no language model")
    return "no language model"
