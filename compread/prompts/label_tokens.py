"""The one token of each label.

A label's logit is read at the prompt's last token, so the label must be exactly the next token:
encode(prompt + label) must be encode(prompt) and one token more. That is tried on prompts with
every distinct ending, since tokens merge across the seam. Character offsets are never used: some
tokenizers leave them empty.
"""

from __future__ import annotations

from collections.abc import Sequence

from compread.errors import PromptError
from compread.prompts.encoder import Encoder, Ids, Tokenizer, shown
from compread.prompts.sets import Prompt, PromptSet

ENDING = 32
"""Characters at a prompt's end that decide how a label joins it."""

_ADVICE = "choose words that this model has, with their leading space, and end no prompt in a space"


class LongLabelError(PromptError):
    """Labels that are several tokens after some prompts, or one that changes, and nothing worse."""


def label_token_ids(prompt_set: PromptSet, ids: Sequence[Ids], encode: Encoder) -> tuple[int, ...]:
    """The token of each label, tried on one prompt for each distinct ending.

    Of the prompts with one ending the shortest stands for all.

    Args:
        prompt_set: the prompts and label words.
        ids: the prompts' tokens.
        encode: what made them.

    Raises:
        LongLabelError: labels that are not one token after every prompt, and nothing worse.
        PromptError: labels that are unknown, or merge with a prompt's end, all of them told, or two
            that are the same token.
    """
    prompts = prompt_set.prompts
    shortest: dict[str, int] = {}
    for n in sorted(range(len(prompts)), key=lambda n: len(ids[n])):
        shortest.setdefault(prompts[n].text[-ENDING:], n)
    rows = [(prompts[n], ids[n]) for n in shortest.values()]
    found: list[int] = []
    mistakes: list[PromptError] = []
    for label in prompt_set.labels:
        try:
            found.append(_token(label, rows, encode))
        except PromptError as error:
            mistakes.append(error)
    worse = [error for error in mistakes if not isinstance(error, LongLabelError)]
    if worse:
        raise PromptError(f"{'; '.join(map(str, worse))}: {_ADVICE}")
    if mistakes:
        raise LongLabelError("; ".join(map(str, mistakes)))
    _check_distinct(prompt_set.labels, found, encode.tokenizer)
    return tuple(found)


def _token(label: str, rows: Sequence[tuple[Prompt, Ids]], encode: Encoder) -> int:
    """The one token of a label behind every prompt."""
    joined = encode([prompt.text + label for prompt, _ in rows])
    tokens = {
        _next_token(prompt, label, ids, whole, encode.tokenizer): prompt.id
        for (prompt, ids), whole in zip(rows, joined, strict=True)
    }
    if len(tokens) > 1:
        each = ", ".join(
            f"{shown(encode.tokenizer, [token])} after row {row!r}" for token, row in tokens.items()
        )
        raise LongLabelError(f"label {label!r} is not one token throughout: {each}")
    return next(iter(tokens))


def _next_token(prompt: Prompt, label: str, ids: Ids, joined: Ids, tokenizer: Tokenizer) -> int:
    more = joined[len(ids) :]
    if joined[: len(ids)] != ids:
        same = next((n for n, (a, b) in enumerate(zip(ids, joined, strict=False)) if a != b), 0)
        raise PromptError(
            f"label {label!r} merges with the end of prompt {prompt.id!r}, where "
            f"{shown(tokenizer, ids[same:])} becomes {shown(tokenizer, joined[same:])}"
        )
    if len(more) != 1:
        raise (LongLabelError if more else PromptError)(
            f"label {label!r} is {len(more)} tokens after prompt {prompt.id!r} "
            f"({shown(tokenizer, more)}), not one"
        )
    if more[0] == tokenizer.unk_token_id:
        raise PromptError(f"label {label!r} is unknown to the tokenizer ({shown(tokenizer, more)})")
    return more[0]


def _check_distinct(labels: Sequence[str], found: Sequence[int], tokenizer: Tokenizer) -> None:
    owner: dict[int, str] = {}
    for label, token in zip(labels, found, strict=True):
        if token in owner:
            raise PromptError(
                f"labels {owner[token]!r} and {label!r} are the same token "
                f"{shown(tokenizer, [token])}: choose words that differ in their token"
            )
        owner[token] = label
