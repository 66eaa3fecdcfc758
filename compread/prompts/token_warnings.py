"""What a tokenizer does to prompts that the user must know before a number is trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from compread.errors import PromptError
from compread.prompts.encoder import Encoder, Ids, Tokenizer, shown, special_tokens
from compread.prompts.sets import Prompt, PromptSet
from compread.text import listed

ROUND_TRIPS = 4
"""Prompts that are decoded again."""
EXCERPT = 32
"""Characters of a prompt in a message."""
_AROUND = 12
"""Characters on both sides of one that is looked for among the tokens."""
_NAMED = 8
"""Characters that a message names."""
_SPACES = (" ", "▁", "Ġ")
"""How vocabularies spell a space."""


def warnings_of(prompt_set: PromptSet, ids: Sequence[Ids], encode: Encoder) -> tuple[str, ...]:
    """All of them, a sentence each.

    Args:
        prompt_set: the prompts.
        ids: their tokens.
        encode: what made them.

    Raises:
        PromptError: a prompt is all unknown tokens, or the tokenizer drops the spaces that its
            vocabulary has.
    """
    prompts = prompt_set.prompts
    found = [
        *_around(encode, ids),
        *_unknown(prompts, ids, encode),
        *_dropped(prompts, encode),
        *_controls(prompt_set, ids, encode),
        *_round_trip(prompts[:ROUND_TRIPS], ids, encode),
    ]
    return tuple(dict.fromkeys(found))


def answer_warnings_of(
    prompts: Sequence[Prompt],
    texts: Sequence[Sequence[str]],
    answers: Sequence[Sequence[Sequence[int]]],
    encode: Encoder,
) -> tuple[str, ...]:
    """What is odd about answers' tokens, a sentence each; unknown ones are refused.

    Args:
        prompts: the rows.
        texts: [N][K] each one's answers.
        answers: [N][K] their tokens.
        encode: what made them.
    """
    joined = [replace(p, text="\n".join(own)) for p, own in zip(prompts, texts, strict=True)]
    found = [
        *_controls_in_answers(prompts, texts, answers, encode),
        *_dropped(joined, encode, " in an answer"),
        *_answers_back(prompts[:ROUND_TRIPS], texts, answers, encode),
    ]
    return tuple(dict.fromkeys(found))


def _controls_in_answers(
    prompts: Sequence[Prompt],
    texts: Sequence[Sequence[str]],
    answers: Sequence[Sequence[Sequence[int]]],
    encode: Encoder,
) -> Iterable[str]:
    """Special tokens that answers spell."""
    controls = special_tokens(encode.tokenizer)
    names = {id: name for name, id in controls.items()}
    found: dict[str, list[str]] = {}
    for prompt, own, tokens in zip(prompts, texts, answers, strict=True):
        pairs = [(text, id) for text, ids in zip(own, tokens, strict=True) for id in {*ids}]
        for token in sorted({names[id] for text, id in pairs if names.get(id, "\0") in text}):
            found.setdefault(token, []).append(prompt.id)
    for token, rows in found.items():
        yield (
            f"{len(rows)} of {len(prompts)} rows have {token!r} in an answer, such as row "
            f"{rows[0]!r}, and the tokenizer makes it the control token {controls[token]}, which "
            "the model does not read as text: take it out of the data, or spell it otherwise"
        )


def _answers_back(
    prompts: Sequence[Prompt],
    texts: Sequence[Sequence[str]],
    answers: Sequence[Sequence[Sequence[int]]],
    encode: Encoder,
) -> Iterable[str]:
    """Compare the answers' tokens, as text, with the answers; spaces are the prompts' matter."""
    for prompt, own, tokens in zip(prompts, texts, answers, strict=False):
        for text, ids in zip(own, tokens, strict=True):
            back = encode.tokenizer.decode(
                list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
            said, given = ("".join(one.split()) for one in (back, text))
            if said == given:
                continue
            if said.lower() == given.lower():
                yield "the tokenizer changes upper and lower case"
            else:
                yield (
                    f"the tokenizer does not give an answer of row {prompt.id!r} back: "
                    f"{text[:EXCERPT]!r} comes back as {back[:EXCERPT]!r}"
                )
            return


def _around(encode: Encoder, ids: Sequence[Ids]) -> Iterable[str]:
    """What the tokenizer itself puts in front of a text and behind it."""
    if encode.after:
        yield (
            f"the tokenizer ends every text in {shown(encode.tokenizer, encode.after)}; "
            "dropped, so that the label follows the prompt"
        )
    size = len(encode.before)
    if size and any(row[size : 2 * size] == encode.before for row in ids):
        yield (
            f"some prompts begin with {shown(encode.tokenizer, encode.before)} themselves, and "
            "the tokenizer adds it once more; take it out of the prompts"
        )
    begin = getattr(encode.tokenizer, "bos_token_id", None)
    if encode.special and _asks_for_bos(encode.tokenizer) and begin not in encode.before:
        has = "it has none" if begin is None else "it puts none there"
        yield (
            "the tokenizer's files ask for a beginning-of-text token in front of every text "
            f"(add_bos_token), and {has}: prompts begin with their first word"
        )


def _asks_for_bos(tokenizer: Tokenizer) -> bool:
    saved = getattr(tokenizer, "init_kwargs", {})
    return bool(getattr(tokenizer, "add_bos_token", None) or saved.get("add_bos_token"))


def _unknown(prompts: Sequence[Prompt], ids: Sequence[Ids], encode: Encoder) -> Iterable[str]:
    """How much of the prompts the vocabulary does not have."""
    token = encode.tokenizer.unk_token_id
    if token is None:
        return
    name = shown(encode.tokenizer, [token])
    spelled = str(encode.tokenizer.convert_ids_to_tokens([token])[0])
    own = [len(row) - len(encode.before) for row in ids]
    # In some vocabularies one token is both the unknown one and one that texts may spell.
    counts = [
        max(0, row[len(encode.before) :].count(token) - prompt.text.count(spelled))
        for prompt, row in zip(prompts, ids, strict=True)
    ]
    share = f"{sum(counts) / max(1, sum(own)):.1%} of the prompts' tokens"
    for prompt, count, size in zip(prompts, counts, own, strict=True):
        if count and count == size:
            raise PromptError(
                f"the prompt of row {prompt.id!r} ({prompt.split}) is all unknown to the "
                f"tokenizer: each of its {size} tokens is {name}, as are {share}; use prompts in "
                "the words of this vocabulary, or another model"
            )
    rows = [prompt.id for prompt, count in zip(prompts, counts, strict=True) if count]
    if rows:
        yield (
            f"{share} are unknown to the tokenizer, in {len(rows)} of {len(prompts)} rows, such as "
            f"{rows[0]!r}: the model sees them all as {name}"
        )


def _dropped(prompts: Sequence[Prompt], encode: Encoder, where: str = "") -> Iterable[str]:
    """Characters without which the tokens would be the same; ``where`` they stand in a row.

    Some vocabularies have neither a token for them nor one for what is unknown.
    """
    windows: dict[str, tuple[str, str]] = {}
    for prompt in prompts:
        for char in {*prompt.text} - windows.keys():
            at = prompt.text.index(char)
            before = prompt.text[max(0, at - _AROUND) : at]
            after = prompt.text[at + 1 : at + 1 + _AROUND]
            windows[char] = (before + char + after, before + after)
    # What is done to spaces has a sentence of its own.
    seen = {char: pair for char, pair in windows.items() if not char.isspace() and pair[1].strip()}
    try:
        whole = encode([pair[0] for pair in seen.values()])
        without = encode([pair[1] for pair in seen.values()])
    except PromptError:  # half a word at a window's end, in a vocabulary of whole ones
        return
    unknown = encode.tokenizer.unk_token_id
    same = zip(seen, whole, without, strict=True)
    dropped = sorted(char for char, a, b in same if a == b and unknown not in a)
    rows = [prompt.id for prompt in prompts if not {*dropped}.isdisjoint(prompt.text)]
    if rows:
        yield (
            f"{len(rows)} of {len(prompts)} rows, such as {rows[0]!r}, have characters{where} for "
            f"which the tokenizer makes no token, so that the model never sees them: "
            f"{listed(list(map(repr, dropped)), _NAMED)}"
        )


def _controls(prompt_set: PromptSet, ids: Sequence[Ids], encode: Encoder) -> Iterable[str]:
    """Special tokens that stand in the rows' own texts, where they are data no longer.

    Those of a template or of a chat's turns are meant.
    """
    prompts = prompt_set.prompts
    controls = special_tokens(encode.tokenizer)
    names = {id: name for name, id in controls.items()}
    # Only those that came out: some vocabularies have thousands.
    spelled = [
        _count(prompt.text, [names[id] for id in {*row[len(encode.before) :]} & names.keys()])
        for prompt, row in zip(prompts, ids, strict=True)
    ]
    # Of whole prompts it is not known what is data: what every one of them has is not.
    everywhere = spelled[0].copy()
    for counts in spelled:
        everywhere &= counts
    found: dict[str, list[str]] = {}
    for prompt, counts in zip(prompts, spelled, strict=True):
        for token in _of_data(prompt, counts, everywhere, prompt_set.template_text or ""):
            found.setdefault(token, []).append(prompt.id)
    for token, rows in found.items():
        yield (
            f"{len(rows)} of {len(prompts)} rows have {token!r} in their own text, such as row "
            f"{rows[0]!r}, and the tokenizer makes it the control token {controls[token]}, which "
            "the model does not read as text: take it out of the data, or spell it otherwise"
        )


def _of_data(
    prompt: Prompt, counts: Counter[str], everywhere: Counter[str], template: str
) -> list[str]:
    """The control tokens that neither the template wrote nor the chat template."""
    if prompt.pieces is None:
        return [token for token in counts if counts[token] > everywhere[token]]
    texts = [*(text for text, _ in prompt.pieces.demonstrations), prompt.pieces.input]
    return [
        token
        for token in counts
        if any(text.count(token) > template.count(token) for text in texts)
    ]


def _count(text: str, controls: Iterable[str]) -> Counter[str]:
    return Counter({token: n for token in controls if (n := text.count(token))})


def _round_trip(prompts: Sequence[Prompt], ids: Sequence[Ids], encode: Encoder) -> Iterable[str]:
    """Compare decode(encode(prompt)) with the prompt.

    Some rebuilt tokenizers drop every space. A decoder that joins tokens with spaces would hide
    that, so the prompt is also encoded without its spaces.
    """
    for prompt, row in zip(prompts, ids, strict=False):
        text = prompt.text
        back = encode.tokenizer.decode(
            row[len(encode.before) :],
            skip_special_tokens=False,
            clean_up_tokenization_spaces=False,
        )
        bare = text.replace(" ", "")
        if " " in text.strip() and (back.lower() == bare.lower() or _is_same(encode, bare, row)):
            if _knows_spaces(encode.tokenizer):
                raise PromptError(
                    f"the tokenizer drops every space: {text[-EXCERPT:]!r} comes back as "
                    f"{back[-EXCERPT:]!r}; repair its files or use another release of transformers"
                )
            yield "the tokenizer does not see spaces: its vocabulary has none"
            continue
        if back.removeprefix(" ") in (text, text.removeprefix(" ")):
            continue
        if back.lower().removeprefix(" ") == text.lower().removeprefix(" "):
            yield "the tokenizer changes upper and lower case"
            continue
        at = next((n for n, (a, b) in enumerate(zip(text, back, strict=False)) if a != b), 0)
        yield (
            f"the tokenizer does not give prompt {prompt.id!r} back: "
            f"{text[at : at + EXCERPT]!r} comes back as {back[at : at + EXCERPT]!r}"
        )


def _is_same(encode: Encoder, text: str, ids: Ids) -> bool:
    """Whether a text has these tokens; one that cannot be encoded has not."""
    try:
        return encode([text])[0] == ids
    except PromptError:
        return False


def _knows_spaces(tokenizer: Tokenizer) -> bool:
    return any(space in token for token in tokenizer.get_vocab() for space in _SPACES)
