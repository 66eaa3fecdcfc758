"""Answers in tokens, split from their prompts as lm-evaluation-harness splits them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tokenizers_made import byte_level, sentence_piece

from compread.errors import PromptError
from compread.prompts import Prompt, PromptSet, tokenize

ROWS = (
    ("The bell rang, so\nAnswer:", (" everyone", " everyone left", " it was not heard at all")),
    ("A: ", ("yes", "no, thanks")),
    ("質問: 東京は 答え:", ("日本", "日本の首都です", "フランス")),
    ("Where?\n\n", ("\tin the yard", "at home", " at home")),
)
TEXTS = [text + answer for text, answers in ROWS for answer in answers]


def made(rows: Sequence[tuple[str, Sequence[str]]] = ROWS) -> PromptSet:
    """A prompt set whose rows have those answers."""
    prompts = [
        Prompt(text, 0, "test", f"r{n}", answers=tuple(answers))
        for n, (text, answers) in enumerate(rows)
    ]
    return PromptSet("made", (), tuple(prompts))


def split_as_lm_eval(tokenizer: Any, context: str, continuation: str) -> tuple[list[int], Any]:
    """What lm-eval's ``_encode_pair`` does for a causal model, with its special tokens."""
    n_spaces = len(context) - len(context.rstrip())
    if n_spaces > 0:
        continuation = context[-n_spaces:] + continuation
        context = context[:-n_spaces]
    whole, before = (
        list(tokenizer(text)["input_ids"]) for text in (context + continuation, context)
    )
    return before, tuple(whole[len(before) :])


@pytest.mark.parametrize("bos", [False, True])
def test_tokens_are_those_of_lm_eval(bos: bool) -> None:
    """Prompts that end in spaces, answers of one token and of many, in several languages."""
    tokenizer = byte_level(TEXTS, bos=bos)
    found = tokenize(made(), tokenizer)
    for (text, answers), ids, own in zip(ROWS, found.ids, found.answers, strict=True):
        for answer, tokens in zip(answers, own, strict=True):
            assert (ids, tokens) == split_as_lm_eval(tokenizer, text, answer)
    assert {len(tokens) for row in found.answers for tokens in row} > {1, 2}
    assert set(found.label_ids) <= {tokens[0] for row in found.answers for tokens in row}
    assert any("each row has answers of its own: 2 to 3 a row" in w for w in found.warnings)


BAD = [
    (
        [("It is 2", ("3", " a pair"))],
        ["It is 23"] * 9,
        "answer '3' of row 'r0' merges with the end",
    ),
    ([("", (" a", " b"))], [], "row 'r0' .* has no tokens"),
    ([(" \n ", (" a", " b"))], [], "row 'r0' .* has no tokens"),
]


@pytest.mark.parametrize(("rows", "texts", "message"), BAD)
def test_answers_that_cannot_be_told_from_their_prompt(
    rows: Any, texts: list[str], message: str
) -> None:
    """A token across the seam is neither's, and a prompt needs a token to read at."""
    tokenizer = byte_level([*TEXTS, *texts])
    if texts:  # it must really merge
        ids = [tokenizer(text)["input_ids"] for text in ("It is 2", "It is 23")]
        assert ids[1][: len(ids[0])] != ids[0]
    with pytest.raises(PromptError, match=message):
        tokenize(made(rows), tokenizer)


def test_answers_that_are_one_to_the_model() -> None:
    """Two texts that the tokenizer takes for one cannot be chosen between."""
    tokenizer = sentence_piece("▁yes", "▁no")
    tokenizer.backend_tokenizer.normalizer = __import__("tokenizers").normalizers.Lowercase()
    rows = [("is it?", (" yes", " Yes"))]
    with pytest.raises(PromptError, match="answers ' yes' and ' Yes' of row 'r0' are the same"):
        tokenize(made(rows), tokenizer)


def test_an_answer_of_unknown_tokens() -> None:
    """What a vocabulary lacks is named with its row."""
    with pytest.raises(PromptError, match="answer ' ✂' of row 'r0' holds what the tokenizer"):
        tokenize(made([("is it?", (" yes", " ✂"))]), sentence_piece("▁yes"))


def test_the_longest_answer_must_fit_the_context() -> None:
    """Its last token is not run, so it need not."""
    tokenizer = byte_level(TEXTS)
    found = tokenize(made(ROWS[:1]), tokenizer)
    size = len(found.ids[0]) + max(map(len, found.answers[0])) - 1
    tokenize(made(ROWS[:1]), tokenizer, size)
    with pytest.raises(PromptError, match=f"with its longest answer has {size} tokens"):
        tokenize(made(ROWS[:1]), tokenizer, size - 1)
