"""Small tokenizers with the traps of real ones, trained on the texts of a test."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

CHAT = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{{ gap }}{% endif %}"
)
"""A chat template that writes BOS itself."""


def sentence_piece(*words: str) -> PreTrainedTokenizerFast:
    """A Unigram model as SentencePiece makes it: ``▁`` for spaces, one more put in front.

    It has those words as pieces, and every character.
    """
    letters = [("\n", -10.0), ("▁", -10.0), *((chr(n), -10.0) for n in range(33, 127))]
    pieces = [("<unk>", 0.0), *letters, *((word, -1.0) for word in words)]
    core = Tokenizer(models.Unigram(pieces, unk_id=0))
    core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    core.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="first")
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")


def byte_level(
    texts: Sequence[str], *, bos: bool = False, chat: str | None = None
) -> PreTrainedTokenizerFast:
    """Byte-level BPE; with ``bos`` it adds ``<s>``, and ``chat`` is its chat template."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(list(texts) * 5, trainer)
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", core.token_to_id("<s>"))]
        )
    made = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")
    made.chat_template = chat
    return made
