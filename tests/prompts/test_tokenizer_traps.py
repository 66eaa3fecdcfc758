"""A label after five kinds of small tokenizers: read rightly, or refused with the reason."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models
from tokenizers_made import byte_level, sentence_piece
from transformers import PreTrainedTokenizerFast

from compread.errors import PromptError
from compread.prompts import Prompt, PromptSet, audit, preflight, tokenize

TEXTS = ["Review: a fine film\nSentiment:", "Review: dull, a mess\nSentiment:"]
SPACED = (" negative", " positive")


def prompts(labels: tuple[str, ...] = SPACED, end: str = "") -> PromptSet:
    """Two rows."""
    rows = tuple(Prompt(text + end, n, "test", f"test-{n}") for n, text in enumerate(TEXTS))
    return PromptSet("made", labels, rows)


def corpus(*labels: str) -> list[str]:
    """What a tokenizer is trained on."""
    return [text + label for text in TEXTS for label in labels]


def test_sentence_piece_keeps_the_space_with_the_word() -> None:
    """The label's token is ``▁negative``, and not the ``▁`` that is put in front of a lone word."""
    tokenizer = sentence_piece("▁negative", "▁positive", "negative", "positive")
    made = tokenize(prompts(), tokenizer)
    assert tokenizer.convert_ids_to_tokens(made.label_ids) == ["▁negative", "▁positive"]
    assert made.warnings == ()


def test_sentence_piece_that_splits_the_space_off() -> None:
    """One that has ``negative`` but not ``▁negative`` reads two tokens, and says so."""
    tokenizer = sentence_piece("negative", "positive")
    made = tokenize(prompts(), tokenizer)
    words = [tokenizer.convert_ids_to_tokens(answer) for answer in made.answers[0]]
    assert words == [["▁", "negative"], ["▁", "positive"]]
    assert made.warnings[-1].startswith(
        "label words are not one token each (' negative' 2, ' positive' 2 tokens)"
    )


def test_byte_level_with_and_without_the_space() -> None:
    """The word with its space and the word without are two tokens; each is taken as it is given."""
    tokenizer = byte_level(corpus(" negative", " positive", "\nnegative", "\npositive"))
    spaced = tokenize(prompts(), tokenizer).label_ids
    bare = tokenize(prompts(("negative", "positive"), "\n"), tokenizer).label_ids
    assert tokenizer.convert_ids_to_tokens(spaced) == ["Ġnegative", "Ġpositive"]
    assert tokenizer.convert_ids_to_tokens(bare) == ["negative", "positive"]
    with pytest.raises(PromptError, match=r"merges with .* and end no prompt in a space"):
        tokenize(prompts(("negative", "positive"), end=" "), tokenizer)


def test_one_that_merges_across_the_prompt_s_end() -> None:
    """A prompt's last token that changes when the label follows is refused, before and after."""
    alphabet = sorted({char for text in (*TEXTS, *SPACED) for char in text})
    vocabulary = {piece: n for n, piece in enumerate([*alphabet, ": "])}
    core = Tokenizer(models.BPE(vocabulary, [(":", " ")]))
    core.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    for check in (tokenize, preflight):
        with pytest.raises(PromptError, match=r"merges with the end of prompt .*':' becomes ': '"):
            check(prompts(), tokenizer)


def test_one_that_adds_bos() -> None:
    """BOS stands once in front; the label's token is read without it."""
    plain, adding = byte_level(corpus(*SPACED)), byte_level(corpus(*SPACED), bos=True)
    made = tokenize(prompts(), adding)
    assert all(row[0] == adding.bos_token_id and row.count(row[0]) == 1 for row in made.ids)
    assert made.label_ids == tokenize(prompts(), plain).label_ids


def test_audit_says_all_of_it() -> None:
    """The prompt, its last five tokens, the labels' tokens, the BOS and the right label."""
    tokenizer = byte_level(corpus(*SPACED), bos=True)
    lines = audit(prompts(), tokenizer, n=2)
    ids = tokenize(prompts(), tokenizer)
    last = tokenizer.convert_ids_to_tokens(ids.ids[1][-5:])
    assert f"--- last tokens: {' '.join(map(repr, last))}" in lines
    assert lines[:2] == [f"--- made test row test-0, {len(ids.ids[0])} tokens", TEXTS[0]]
    assert "--- right label: ' positive'" in lines
    negative, positive = ids.label_ids
    words = f"' negative' = 'Ġnegative' ({negative}), ' positive' = 'Ġpositive' ({positive})"
    assert f"--- labels: {words}" in lines
    assert "--- every prompt begins with: '<s>'" in lines


def test_audit_tells_a_second_bos() -> None:
    """So is a BOS of the prompt's own."""
    rows = tuple(Prompt(f"<s>{text}", 0, "test", text) for text in TEXTS)
    lines = audit(PromptSet("made", SPACED, rows), byte_level(corpus(*SPACED), bos=True))
    assert any("warning" in line and "adds it once more" in line for line in lines)


def test_preflight_tries_the_longest() -> None:
    """A grid's prompt beyond the context is found although it stands in the middle."""
    texts = [TEXTS[0]] * 9 + [TEXTS[0] * 9] + [TEXTS[0]] * 9
    rows = tuple(Prompt(text, 0, "test", f"r{n}") for n, text in enumerate(texts))
    tokenizer = byte_level(corpus(*SPACED))
    with pytest.raises(PromptError, match=r"row 'r9' .*context has 50: use fewer shots"):
        preflight(PromptSet("made", SPACED, rows), tokenizer, 50)
