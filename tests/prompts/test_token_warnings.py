"""What a tokenizer does to prompts is said: control tokens in data, unknown words, no BOS."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tiny_folder import byte_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import Fuse
from transformers import PreTrainedTokenizerFast

from compread.errors import PromptError
from compread.prompts import Prompt, PromptSet, audit, tokenize
from compread.prompts.chat import Chat
from compread.prompts.encoder import shown, shown_each
from compread.prompts.sets import Pieces

LABELS = (" negative", " positive")
END = "\nSentiment:"
LOWER = byte_tokenizer(lower=True)
CHAT = (
    "{% for m in messages %}<s>[{{ m['role'] }}] {{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<s>[assistant]{% endif %}"
)


def whole(*texts: str) -> PromptSet:
    """A prompt file's set: what of a text is data is not known."""
    rows = tuple(Prompt(text, 0, "test", f"r{n}") for n, text in enumerate(texts))
    return PromptSet("made", LABELS, rows)


def templated(template: str, *sentences: str, shot: str = "a film") -> PromptSet:
    """A task's set: each row is a template's rendering behind one demonstration."""

    def row(n: int, sentence: str) -> Prompt:
        first, own = template.replace("{{s}}", shot), template.replace("{{s}}", sentence)
        pieces = Pieces("", ((first, " positive"),), own)
        return Prompt(pieces.text, 0, "test", f"r{n}", pieces)

    rows = tuple(row(n, sentence) for n, sentence in enumerate(sentences))
    return PromptSet("made", LABELS, rows, template="t", template_text=template)


PLAIN, MARKED = "Review: {{s}}" + END, "</s>Review: {{s}}" + END
DATA: dict[str, tuple[PromptSet, list[str]]] = {
    "one row of a file": (
        whole("a" + END, "a </s> gem" + END, "b" + END), ["1 of 3 rows have '</s>'.*'r1'.* 1,"],
    ),
    "two tokens": (
        whole("a" + END, "<s> a </s> gem" + END), ["1 of 2 .*'<s>'.* 0,", "1 of 2 .*'</s>'.* 1,"],
    ),
    "one more than the others": (
        whole("</s>a" + END, "</s>b</s>" + END), ["1 of 2 rows have '</s>'.*'r1'"],
    ),
    "every row alike": (whole("</s>a" + END, "</s>b" + END), []),
    "none": (whole("a" + END, "b < s > /s" + END), []),
    "a task's row": (templated(PLAIN, "a", "</s>"), ["1 of 2 rows have '</s>'.*'r1'"]),
    "every row of a task": (templated(PLAIN, "</s>", "</s>"), ["2 of 2 rows have '</s>'"]),
    "a demonstration": (templated(PLAIN, "a", "b", shot="</s>"), ["2 of 2 rows have '</s>'"]),
    "the template": (templated(MARKED, "a", "b"), []),
    "the template and a row": (templated(MARKED, "a", "b </s>"), ["1 of 2 rows have '</s>'"]),
}  # fmt: skip


def said(found: Sequence[str]) -> list[str]:
    """The warnings about control tokens."""
    return [one for one in found if "control token" in one]


@pytest.mark.parametrize(("prompts", "words"), DATA.values(), ids=DATA)
def test_control_tokens_in_data(prompts: PromptSet, words: list[str]) -> None:
    """Those that the rows' own texts spell are told with their rows and ids; no others are."""
    found = said(tokenize(prompts, byte_tokenizer()).warnings)
    assert len(found) == len(words)
    for one, pattern in zip(sorted(found, reverse="<s>" in str(words)), words, strict=True):
        assert re.search(pattern, one)


def test_control_tokens_in_answers() -> None:
    """An option of a row's own that spells one is told of with its row; plain text is not."""
    choices = [(" a", " b"), (" </s> a", " b </s>"), (" < s > /s", " c")]
    rows = tuple(
        Prompt("a film" + END, 0, "test", f"r{n}", answers=own) for n, own in enumerate(choices)
    )
    prompts = PromptSet("made", (), rows)
    (one,) = said(tokenize(prompts, byte_tokenizer()).warnings)
    assert re.search("1 of 3 rows have '</s>' in an answer.*'r1'.* control token 1,", one)


def test_characters_that_vanish_from_answers() -> None:
    """What no token stands for in an option of a row's own is told, and what does not come back."""
    choices = [("x", "y")] * 5 + [("a café", "b"), ("c", "naïve café")]
    rows = tuple(Prompt("a film", 0, "test", f"r{n}", answers=own) for n, own in enumerate(choices))
    found = tokenize(PromptSet("made", (), rows), without_unknown()).warnings
    (told,) = [w for w in found if "makes no token" in w]
    assert re.search(r"2 of 7 rows, such as 'r5', have .* in an answer for .*: 'é', 'ï'$", told)
    rows = (Prompt("a film", 0, "test", "r0", answers=("a café", "b")),)
    found = tokenize(PromptSet("made", (), rows), without_unknown()).warnings
    assert "does not give an answer of row 'r0' back: 'a café' comes back as" in str(found)
    lower = tokenize(PromptSet("made", (), (replace(rows[0], answers=("A B", "c")),)), LOWER)
    assert "the tokenizer changes upper and lower case" in lower.warnings


@pytest.mark.parametrize(
    "answers", [(" good", " a  film\nof 日本 ☃"), (" the  end.", " not , the end"), ("x", "y")]
)
def test_answers_that_come_back_are_no_news(answers: tuple[str, str]) -> None:
    """Nothing is said of answers whose tokens are their text, spaces aside."""
    rows = (Prompt("a film" + END, 0, "test", "r0", answers=answers),)
    (told,) = tokenize(PromptSet("made", (), rows), byte_tokenizer()).warnings
    assert told.startswith("options differ from row to row")


@pytest.mark.parametrize(("sentence", "count"), [("b", 0), ("b </s>", 1), ("b <s>", 1)])
def test_a_chat_template_s_tokens_are_meant(sentence: str, count: int) -> None:
    """Behind a chat template only what a row brings counts."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT
    prompts = Chat(template=True, multiturn=True).apply(templated(PLAIN, "a", sentence), tokenizer)
    assert prompts.prompts[0].text.count("<s>") == 4
    assert len(said(tokenize(prompts, tokenizer).warnings)) == count


def test_a_vocabulary_that_reads_them_as_text_is_not_blamed() -> None:
    """Where the ids hold no control token there is nothing to tell."""
    tokenizer = byte_tokenizer()
    tokenizer.split_special_tokens = True
    prompts = whole("a" + END, "</s>" + END)
    assert 1 not in tokenizer("</s>")["input_ids"]
    assert said(tokenize(prompts, tokenizer).warnings) == []


def test_audit_looks_at_every_row() -> None:
    """A row that is not shown is told of all the same."""
    prompts = whole("a" + END, "b" + END, "c </s>" + END)
    lines = audit(prompts, byte_tokenizer(), n=1)
    assert any("warning: 1 of 3 rows have '</s>'" in line for line in lines)
    assert sum("--- made test row" in line for line in lines) == 1


def words(*known: str, unk: str | None = "?") -> PreTrainedTokenizerFast:
    """A vocabulary of whole words, split at blanks; without ``unk`` it fails for others."""
    listed = [*([unk] if unk else []), *known]
    core = Tokenizer(
        models.WordLevel(
            {word: n for n, word in enumerate(listed)}, **({"unk_token": unk} if unk else {})
        )
    )
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=core, **({"unk_token": unk} if unk else {}))


CHESS = PromptSet(
    "chess",
    ("white", "black"),
    tuple(
        Prompt(text, 0, "test", f"g{n}")
        for n, text in enumerate(("e4 e5 ", "d4 Nf6 c4 ", "e4 h5 "))
    ),
)


def test_words_that_the_vocabulary_lacks_are_told_with_their_share() -> None:
    """Two of seven tokens in two rows are unknown."""
    known = words("e4", "e5", "d4", "Nf6", "white", "black")
    (found,) = [w for w in tokenize(CHESS, known).warnings if "unknown" in w]
    assert found.startswith("28.6% of the prompts' tokens are unknown to the tokenizer, in 2 of 3")
    assert "such as 'g1'" in found and found.endswith("as '?'")


def test_a_prompt_of_unknown_words_alone_is_refused() -> None:
    """The message names the row and how much is unknown in all."""
    with pytest.raises(PromptError, match=r"row 'g1' .* is all unknown .*57.1% of the prompts"):
        tokenize(CHESS, words("e4", "e5", "white", "black"))


def test_a_vocabulary_without_a_token_for_unknown_words() -> None:
    """It has none to count; where it cannot go on, the prompt that it fails on is quoted."""
    every = words("e4", "e5", "d4", "Nf6", "c4", "h5", "white", "black", unk=None)
    assert tokenize(CHESS, every).ids == ([0, 1], [2, 3, 4], [0, 5])
    with pytest.raises(PromptError, match=r"cannot encode 'e4 h5 ' .*every word"):
        tokenize(CHESS, words("e4", "e5", "d4", "Nf6", "c4", "white", "black", unk=None))


def test_a_vocabulary_of_letters_without_spaces() -> None:
    """Where no token has a space, that spaces are not seen is told and no fault."""
    letters = {letter: n for n, letter in enumerate("?ACGTyn:")}
    core = Tokenizer(models.WordLevel(letters, unk_token="?"))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("", "isolated")]
    )
    core.decoder = Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="?")
    rows = tuple(Prompt(text, 0, "test", text) for text in ("ACG T:", "GATTACA:"))
    made = tokenize(PromptSet("dna", ("y", "n"), rows), tokenizer)
    assert made.label_ids == (5, 6) and made.ids[0] == [1, 2, 3, 4, 7]
    assert made.warnings == ("the tokenizer does not see spaces: its vocabulary has none",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bos_token": None}, "it has none: prompts begin with their first word"),
        ({}, "it puts none there"),
    ],
    ids=["no token", "not put"],
)
def test_a_bos_that_is_asked_for_and_missing(changes: dict[str, None], words: str) -> None:
    """``add_bos_token`` without a BOS, or without an effect, is told."""
    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.post_processor = None
    tokenizer.init_kwargs["add_bos_token"] = True
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    prompts = whole("a" + END)
    assert sum(words in one for one in tokenize(prompts, tokenizer).warnings) == 1
    # A chat template writes its own.
    chat = replace(prompts, special_tokens=False)
    assert not any("add_bos_token" in one for one in tokenize(chat, tokenizer).warnings)


def test_a_bos_that_is_put_is_no_news() -> None:
    """Where the token stands in front nothing is said."""
    tokenizer = byte_tokenizer()
    tokenizer.init_kwargs["add_bos_token"] = True
    assert tokenize(whole("a" + END), tokenizer).warnings == ()


def test_rows_beyond_the_vocabulary_are_unused() -> None:
    """A padded unembedding has rows that stand for no token."""
    tokenizer = byte_tokenizer()
    assert shown(tokenizer, [1, 5000]) == "'</s>' unused row 5000 of the unembedding"
    assert shown_each(tokenizer, []) == [] and shown(tokenizer, []) == "nothing"


def without_unknown() -> PreTrainedTokenizerFast:
    """A BPE of ASCII letters with no token for what is unknown."""
    letters = {chr(n): n - 32 for n in range(32, 127)} | {"▁": 95, "\n": 96}
    backend = Tokenizer(models.BPE(vocab=letters, merges=[]))
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def test_characters_that_vanish() -> None:
    """What has no token in the fifth row or later is told, with how many rows have it."""
    texts = [f"row {n}: a film" for n in range(7)]
    made = replace(whole(*texts, "a café", "naïve café"), labels=("x", "y"))
    told = [w for w in tokenize(made, without_unknown()).warnings if "makes no token" in w]
    assert len(told) == 1
    assert re.search(r"2 of 9 rows, such as 'r7', .*: 'é', 'ï'$", told[0])


@pytest.mark.parametrize("text", ["a film", "café naïve ☃ 日本", "a  b\t\nc", "ee\u0301e"])
def test_nothing_vanishes_from_bytes(text: str) -> None:
    """A tokenizer of bytes drops nothing."""
    warnings = tokenize(whole(text + END), byte_tokenizer()).warnings
    assert not [w for w in warnings if "makes no token" in w]
