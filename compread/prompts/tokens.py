"""Token ids of a prompt set, checked before a model sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from compread.errors import PromptError, option
from compread.prompts.encoder import Encoder, Ids, Tokenizer
from compread.prompts.label_tokens import label_token_ids
from compread.prompts.sets import Prompt, PromptSet
from compread.prompts.token_warnings import warnings_of


@dataclass(frozen=True)
class TokenizedSet:
    """A prompt set in tokens."""

    ids: tuple[Ids, ...]
    """One list a prompt, in the set's order; the answer is read at the last token."""
    label_ids: tuple[int, ...]
    """[K] the token of each label."""
    warnings: tuple[str, ...]
    """What the tokenizer changes, a sentence each."""
    names: tuple[str, ...] = ()
    """The prompts' ids, in the set's order."""


def tokenize(
    prompt_set: PromptSet, tokenizer: Tokenizer, max_length: int | None = None
) -> TokenizedSet:
    """Encode every prompt and find the token of every label.

    Special tokens are the tokenizer's own, except that none is left after the prompt: an EOS there
    would move the answer's position.

    Args:
        prompt_set: the prompts and label words.
        tokenizer: a ``transformers`` tokenizer.
        max_length: the model's context length in tokens; None: unlimited.

    Raises:
        PromptError: a prompt without tokens, of unknown ones alone, or beyond ``max_length``; a
            label that is not one token after every prompt; two labels with one token; a tokenizer
            that drops all spaces.
    """
    prompts = prompt_set.prompts
    if not prompts:
        raise PromptError(f"prompt set {prompt_set.task!r} has no rows")
    _check_not_empty(prompts, [len(prompt.text) for prompt in prompts])
    encode = Encoder.of(tokenizer, prompts[0].text, prompt_set.special_tokens)
    ids = encode([prompt.text for prompt in prompts])
    _check_not_empty(prompts, [len(row) - len(encode.before) for row in ids])
    _check_lengths(prompts, ids, max_length)
    warnings = warnings_of(prompt_set, ids, encode)
    label_ids = label_token_ids(prompt_set, ids, encode)
    names = tuple(prompt.id for prompt in prompts)
    return TokenizedSet(tuple(ids), label_ids, warnings, names)


def _check_not_empty(prompts: Sequence[Prompt], sizes: Iterable[int]) -> None:
    for prompt, size in zip(prompts, sizes, strict=True):
        if size == 0:
            raise PromptError(
                f"the prompt of row {prompt.id!r} ({prompt.split}) has no tokens: "
                f"{prompt.text!r}; drop the row or give it a text"
            )


def _check_lengths(prompts: Sequence[Prompt], ids: Sequence[Ids], max_length: int | None) -> None:
    if max_length is None:
        return
    for prompt, row in zip(prompts, ids, strict=True):
        if len(row) > max_length:
            raise PromptError(
                f"the prompt of row {prompt.id!r} ({prompt.split}) has {len(row)} tokens, the "
                f"model's context has {max_length}: use fewer shots "
                f"({option('num-fewshot')}), drop the row, "
                "or take a model with a longer context"
            )
