"""Token ids of a prompt set, checked before a model sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from compread.errors import PromptError, option
from compread.prompts.answer_tokens import AnswerIds, answer_token_ids, without_last_spaces
from compread.prompts.encoder import Encoder, Ids, Tokenizer
from compread.prompts.label_tokens import LongLabelError, label_token_ids
from compread.prompts.sets import Prompt, PromptSet
from compread.prompts.token_warnings import answer_warnings_of, warnings_of
from compread.prompts.unconditional import begun, is_unconditional
from compread.text import listed

# First tokens of some answers, which a model's structure is proved with.
_PROOF_ROWS, _PROOF_IDS = 4, 4
_NAMED = 8


@dataclass(frozen=True)
class TokenizedSet:
    """A prompt set in tokens."""

    ids: tuple[Ids, ...]
    """One list a prompt, in the set's order; the answer is read at the last token."""
    label_ids: tuple[int, ...]
    """[K] the token of each label; where answers are whole texts, some of theirs."""
    warnings: tuple[str, ...]
    """What the tokenizer changes, a sentence each."""
    names: tuple[str, ...] = ()
    """The prompts' ids, in the set's order."""
    answers: tuple[AnswerIds, ...] = ()
    """The tokens of each prompt's answers; empty where labels are one token each."""


def tokenize(
    prompt_set: PromptSet, tokenizer: Tokenizer, max_length: int | None = None
) -> TokenizedSet:
    """Encode every prompt and find the token of every label, or all tokens of every answer.

    Special tokens are the tokenizer's own, except that none is left after the prompt: an EOS there
    would move the answer's position.

    Args:
        prompt_set: the prompts and label words.
        tokenizer: a ``transformers`` tokenizer.
        max_length: the model's context length in tokens; None: unlimited.

    Raises:
        PromptError: a prompt without tokens, of unknown ones alone, or beyond ``max_length``; a
            label that merges with a prompt's end; two labels of the same tokens; a tokenizer that
            drops all spaces.
    """
    prompts = prompt_set.prompts
    if not prompts:
        raise PromptError(f"prompt set {prompt_set.task!r} has no rows")
    given = [prompt for prompt in prompts if not is_unconditional(prompt)]
    _check_not_empty(given, [len(prompt.text) for prompt in given])
    encode = Encoder.of(tokenizer, prompts[0].text, prompt_set.special_tokens)
    # What is known of an answer behind two prompts is its probability, not its logit.
    if prompt_set.has_own_answers or any(map(is_unconditional, prompts)):
        return _with_answers(prompt_set, encode, max_length)
    ids, warnings = _encoded(prompt_set, encode, max_length)
    try:
        label_ids = label_token_ids(prompt_set, ids, encode)
    except LongLabelError:
        return _with_answers(prompt_set, encode, max_length)
    return TokenizedSet(tuple(ids), label_ids, warnings, tuple(prompt.id for prompt in prompts))


def _encoded(
    prompt_set: PromptSet, encode: Encoder, max_length: int | None
) -> tuple[list[Ids], tuple[str, ...]]:
    """The prompts' tokens, and what is odd about them."""
    prompts = prompt_set.prompts
    ids = encode([prompt.text for prompt in prompts])
    # An unconditional prompt may be no more than the tokenizer puts in front of every text.
    bare = [0 if is_unconditional(prompt) else len(encode.before) for prompt in prompts]
    _check_not_empty(prompts, [len(row) - n for row, n in zip(ids, bare, strict=True)])
    _check_lengths(prompts, ids, max_length)
    rows = [n for n, prompt in enumerate(prompts) if not is_unconditional(prompt)]
    seen = replace(prompt_set, prompts=tuple(prompts[n] for n in rows))
    return ids, warnings_of(seen, [ids[n] for n in rows], encode)


def _with_answers(prompt_set: PromptSet, encode: Encoder, max_length: int | None) -> TokenizedSet:
    """A prompt set whose labels are whole answers, of any number of tokens."""
    prompt_set = begun(prompt_set, encode)
    prompts = prompt_set.prompts
    ids, warnings = _encoded(without_last_spaces(prompt_set), encode, max_length)
    answers = answer_token_ids(prompt_set, ids, encode)
    longest = [max(map(len, row)) - 1 for row in answers]
    _check_lengths(prompts, ids, max_length, longest)
    first = dict.fromkeys(tokens[0] for row in answers[:_PROOF_ROWS] for tokens in row)
    texts = [prompt_set.answers(prompt) for prompt in prompts]
    odd = answer_warnings_of(prompts, texts, answers, encode)
    return TokenizedSet(
        ids=tuple(ids),
        label_ids=tuple(first)[:_PROOF_IDS],
        warnings=(*warnings, *odd, *_left_out(prompt_set), _told(prompt_set, answers)),
        names=tuple(prompt.id for prompt in prompts),
        answers=answers,
    )


def _left_out(prompt_set: PromptSet) -> list[str]:
    """Rows of the task that could not be chosen in."""
    names = prompt_set.protocol.get("left_out")
    if not names:
        return []
    rows = "a row is" if len(names) == 1 else f"{len(names)} rows are"
    return [f"{rows} left out, two of whose options are the same text: {listed(names, _NAMED)}"]


def _told(prompt_set: PromptSet, answers: Sequence[AnswerIds]) -> str:
    """What a user must know of answers of several tokens."""
    if not prompt_set.has_own_answers:
        each = [sorted({len(row[k]) for row in answers}) for k in range(len(prompt_set.labels))]
        sizes = (
            f"{label!r} {' or '.join(map(str, of))}"
            for label, of in zip(prompt_set.labels, each, strict=True)
        )
        why = (
            "are read behind a second prompt"
            if each == [[1]] * len(each)
            else (f"are not one token each ({', '.join(sizes)} tokens)")
        )
        return f"label words {why}, so that components are read for their log-probabilities"
    lengths = [len(tokens) for row in answers for tokens in row]
    counts = [len(row) for row in answers]
    few, many = min(counts), max(counts)
    of = f"{few}" if few == many else f"{few} to {many}"
    return (
        f"options differ from row to row, so each row has answers of its own: {of} a row, of "
        f"{min(lengths)} to {max(lengths)} tokens; components are read for log-probabilities"
    )


def _check_not_empty(prompts: Sequence[Prompt], sizes: Iterable[int]) -> None:
    for prompt, size in zip(prompts, sizes, strict=True):
        if size == 0:
            raise PromptError(
                f"the prompt of row {prompt.id!r} ({prompt.split}) has no tokens: "
                f"{prompt.text!r}; drop the row or give it a text"
            )


def _check_lengths(
    prompts: Sequence[Prompt],
    ids: Sequence[Ids],
    max_length: int | None,
    more: Sequence[int] | None = None,
) -> None:
    """Refuse prompts, with so many tokens ``more`` behind each, that no context can hold."""
    if max_length is None:
        return
    for prompt, row, own in zip(prompts, ids, more or [0] * len(ids), strict=True):
        if len(row) + own > max_length:
            answer = " with its longest answer" if own else ""
            raise PromptError(
                f"the prompt of row {prompt.id!r} ({prompt.split}){answer} has {len(row) + own} "
                f"tokens, the model's context has {max_length}: use fewer shots "
                f"({option('num-fewshot')}), drop the row, "
                "or take a model with a longer context"
            )
