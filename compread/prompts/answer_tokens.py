"""The tokens of answers that are whole texts, each behind its own prompt.

As lm-evaluation-harness splits them: spaces at a prompt's end belong to the answer, and an answer's
tokens are what encode(prompt + answer) has beyond encode(prompt). An answer whose beginning merges
with the prompt's end has no tokens of its own, so it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from compread.errors import PromptError
from compread.prompts.encoder import Encoder, Ids, shown
from compread.prompts.sets import Prompt, PromptSet

AnswerIds = tuple[tuple[int, ...], ...]
"""[K] the tokens of each answer of a row."""
_SHOWN, _TOKENS = 200, 16
"""Characters of an answer, and tokens of it, that a message quotes."""


def without_last_spaces(prompt_set: PromptSet) -> PromptSet:
    """The prompts without the spaces at their ends, which belong to their answers."""
    prompts = (replace(prompt, text=prompt.text.rstrip()) for prompt in prompt_set.prompts)
    return replace(prompt_set, prompts=tuple(prompts))


def answer_token_ids(
    prompt_set: PromptSet, ids: Sequence[Ids], encode: Encoder
) -> tuple[AnswerIds, ...]:
    """The tokens of every row's answers.

    Args:
        prompt_set: the prompts and their answers.
        ids: the prompts' tokens, without their last spaces.
        encode: what made them.

    Raises:
        PromptError: an answer that merges with the end of its prompt, has no tokens or unknown
            ones, or two answers of a row with the same tokens.
    """
    texts = [
        prompt.text + answer
        for prompt in prompt_set.prompts
        for answer in prompt_set.answers(prompt)
    ]
    whole = iter(encode(texts))
    return tuple(
        _answers_of(prompt, prompt_set.answers(prompt), own, encode, whole)
        for prompt, own in zip(prompt_set.prompts, ids, strict=True)
    )


def _answers_of(
    prompt: Prompt, answers: Sequence[str], own: Ids, encode: Encoder, whole: Iterator[Ids]
) -> AnswerIds:
    owner: dict[tuple[int, ...], str] = {}
    for answer in answers:
        tokens = tuple(_tokens(prompt, answer, own, next(whole), encode))
        if tokens in owner:
            raise PromptError(
                f"answers {owner[tokens]!r:.{_SHOWN}} and {answer!r:.{_SHOWN}} of row "
                f"{prompt.id!r} are the same tokens {shown(encode.tokenizer, tokens[:_TOKENS])}: "
                "choose texts that differ for this model"
            )
        owner[tokens] = answer
    return tuple(owner)


def _tokens(prompt: Prompt, answer: str, own: Ids, whole: Ids, encode: Encoder) -> Ids:
    """What an answer adds to the tokens of its prompt."""
    where, tokenizer = f"answer {answer!r:.{_SHOWN}} of row {prompt.id!r}", encode.tokenizer
    if whole[: len(own)] != own:
        same = next(
            (n for n, (a, b) in enumerate(zip(own, whole, strict=False)) if a != b), len(whole)
        )
        raise PromptError(
            f"{where} merges with the end of its prompt, where {shown(tokenizer, own[same:])} "
            f"becomes {shown(tokenizer, whole[same : same + len(own)])}: begin it with a space, or "
            "end the prompt otherwise"
        )
    more = whole[len(own) :]
    if not more:
        raise PromptError(f"{where} has no tokens for this model: give it a text that has")
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in more:
        raise PromptError(
            f"{where} holds what the tokenizer does not know ({shown(tokenizer, more)}): use words "
            "of its vocabulary"
        )
    return more
