"""Token ids and label tokens, on small tokenizers with the traps of real ones."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

from compread.errors import PromptError
from compread.prompts import Prompt, PromptSet, load_task, tokenize
from compread.prompts.audit import label_tokens_of

TEXTS = ("Review: a fine film\nSentiment:", "Review: dull , and a  mess\nSentiment:")
LABELS = (" negative", " positive")
PIECES = Regex(r" ?[A-Za-z]+|\s|[^\sA-Za-z]")


def prompts(texts: Sequence[str] = TEXTS, labels: Sequence[str] = LABELS) -> PromptSet:
    """A prompt set of those texts."""
    rows = tuple(Prompt(text, 0, "test", f"test-{n}") for n, text in enumerate(texts))
    return PromptSet("made", tuple(labels), rows)


def wrap(core: Tokenizer, **specials: str) -> PreTrainedTokenizerFast:
    """The core as ``transformers`` gives it to compread."""
    return PreTrainedTokenizerFast(tokenizer_object=core, **specials)


def word_level(
    texts: Sequence[str] = TEXTS,
    labels: Sequence[str] = LABELS,
    normalizer: Any = None,
    split: Any = PIECES,
    form: str = "$A",
) -> PreTrainedTokenizerFast:
    """One token a word with the space before it; ``form`` places the special tokens."""
    core = Tokenizer(models.WordLevel({}, unk_token="<unk>"))
    if normalizer is not None:
        core.normalizer = normalizer
    core.pre_tokenizer = pre_tokenizers.Split(split, "isolated")
    core.decoder = decoders.Fuse()
    trainer = trainers.WordLevelTrainer(special_tokens=["<unk>", "<s>", "</s>"])
    core.train_from_iterator([text + label for text in texts for label in labels], trainer)
    ids = [(token, core.token_to_id(token)) for token in ("<s>", "</s>")]
    core.post_processor = processors.TemplateProcessing(single=form, special_tokens=ids)
    return wrap(core, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def byte_level() -> PreTrainedTokenizerFast:
    """Byte-level BPE as in GPT-2, trained on the texts until each word is one token."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    core.train_from_iterator([text + label for text in TEXTS for label in LABELS] * 5, trainer)
    return wrap(core)


class SlowTokenizer(PreTrainedTokenizer):  # type: ignore[misc]
    """A tokenizer in Python alone: a token a character, and one for each label."""

    def __init__(self, **options: Any) -> None:
        self.pieces = [*LABELS, *(chr(n) for n in range(128))]
        super().__init__(**options)

    @property
    def vocab_size(self) -> int:
        """Number of pieces."""
        return len(self.pieces)

    def get_vocab(self) -> dict[str, int]:
        """Each piece with its id."""
        return {piece: n for n, piece in enumerate(self.pieces)}

    def _tokenize(self, text: str, **_: Any) -> list[str]:
        for label in LABELS:
            if text.endswith(label):
                return [*text[: -len(label)], label]
        return list(text)

    def _convert_token_to_id(self, token: str) -> int:
        return self.get_vocab()[token]

    def _convert_id_to_token(self, index: int) -> str:
        return self.pieces[index]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The pieces one after the other."""
        return "".join(tokens)


def test_ids_are_the_tokenizer_s_own() -> None:
    """Ids are what the tokenizer gives for each text alone, and for each label alone."""
    tokenizer = byte_level()
    made = tokenize(prompts(), tokenizer)
    assert made.ids == tuple(tokenizer(text)["input_ids"] for text in TEXTS)
    assert made.label_ids == tuple(tokenizer(label)["input_ids"][0] for label in LABELS)
    assert tokenizer.convert_ids_to_tokens(made.label_ids) == ["Ġnegative", "Ġpositive"]
    assert made.warnings == ()


def test_slow_tokenizer() -> None:
    """A tokenizer without a fast backend works the same."""
    made = tokenize(prompts(), SlowTokenizer())
    assert made.label_ids == (0, 1)
    assert [len(ids) for ids in made.ids] == [len(text) for text in TEXTS]


def test_column_order_is_the_labels() -> None:
    """Label ids stand in the order of the label words."""
    tokenizer = byte_level()
    there = tokenize(prompts(), tokenizer).label_ids
    back = tokenize(prompts(labels=LABELS[::-1]), tokenizer).label_ids
    assert back == there[::-1]


def test_bos_stays() -> None:
    """A BOS that the tokenizer adds stands once, in front."""
    tokenizer = word_level(form="<s> $A")
    plain, made = tokenize(prompts(), word_level()), tokenize(prompts(), tokenizer)
    bos = tokenizer.bos_token_id
    assert made.ids == tuple([bos, *ids] for ids in plain.ids)
    assert (made.label_ids, made.warnings) == (plain.label_ids, ())


def test_eos_is_dropped() -> None:
    """An EOS that the tokenizer appends is dropped, since the label must come next, and told."""
    tokenizer = word_level(form="<s> $A </s>")
    made = tokenize(prompts(), tokenizer)
    assert made.ids == tokenize(prompts(), word_level(form="<s> $A")).ids
    assert len(made.warnings) == 1 and "ends every text in '</s>'; dropped" in made.warnings[0]


def test_second_bos_is_told() -> None:
    """A prompt that brings its own BOS gets a warning."""
    texts = [f"<s>{text}" for text in TEXTS]
    made = tokenize(prompts(texts), word_level(form="<s> $A"))
    assert made.ids[0][0] == made.ids[0][1]
    assert any("adds it once more" in warning for warning in made.warnings)


def test_special_tokens_that_change_the_text() -> None:
    """A tokenizer whose special tokens stand inside the text is refused."""

    class Odd(SlowTokenizer):
        def build_inputs_with_special_tokens(self, ids: list[int], _: Any = None) -> list[int]:
            return [*ids[:3], 7, *ids[3:]]

    with pytest.raises(PromptError, match="in another way with its special tokens"):
        tokenize(prompts(), Odd())


def spaces_apart() -> PreTrainedTokenizerFast:
    """As a SentencePiece model that has "negative" but not "▁negative"."""
    normalizer = normalizers.Replace(" ", "▁")
    tokenizer = word_level(normalizer=normalizer, split=Regex(r"▁|\n|[A-Za-z]+|[^▁\sA-Za-z]"))
    tokenizer.backend_tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse()]
    )
    return tokenizer


def merging() -> PreTrainedTokenizerFast:
    """BPE that merges the prompt's colon with the label's space."""
    alphabet = sorted({char for text in (*TEXTS, *LABELS) for char in text})
    vocabulary = {piece: n for n, piece in enumerate([*alphabet, ": "])}
    core = Tokenizer(models.BPE(vocabulary, [(":", " ")]))
    core.decoder = decoders.Fuse()
    return wrap(core)


@pytest.mark.parametrize(
    ("tokenizer", "labels", "message"),
    [
        (merging(), LABELS, "label ' negative' merges with the end of .*':' becomes ': ' 'n' 'e'"),
        (word_level(), (" negative", " unseen"), "label ' unseen' is unknown .*'<unk>'"),
        (
            word_level(labels=(" yes", " no"), normalizer=normalizers.Lowercase()),
            (" yes", " Yes"),
            "labels ' yes' and ' Yes' are the same token ' yes'",
        ),
        (word_level(normalizer=normalizers.Strip()), (" negative", "  "), "label '  ' is 0 tokens"),
    ],
)
def test_labels_that_are_no_tokens_of_their_own(
    tokenizer: PreTrainedTokenizerFast, labels: tuple[str, str], message: str
) -> None:
    """A label that is unknown, another one or the prompt's too is named with the way out."""
    with pytest.raises(PromptError, match=f"{message}.*choose") as caught:
        tokenize(prompts(labels=labels), tokenizer)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tokenizer", "labels", "sizes"),
    [
        (spaces_apart(), LABELS, "' negative' 2, ' positive' 2"),
        (byte_level(), (" n\u00e9gatif", " positive"), "' n\u00e9gatif' [0-9]+, ' positive' 1"),
        (byte_level(), (" negative", " positively"), "' negative' 1, ' positively' [0-9]"),
    ],
)
def test_labels_of_several_tokens(
    tokenizer: PreTrainedTokenizerFast, labels: tuple[str, str], sizes: str
) -> None:
    """All labels are whole answers then, the same ones of every row, and it is said."""
    made = tokenize(prompts(labels=labels), tokenizer)
    assert re.search(rf"label words are not one token each \({sizes} tokens\)", made.warnings[-1])
    for ids, answers in zip(made.ids, made.answers, strict=True):
        for label, tokens in zip(labels, answers, strict=True):
            assert tokenizer.decode([*ids, *tokens]).endswith(f":{label}")


def test_a_long_label_beside_a_bad_one_is_no_mistake() -> None:
    """What is told is the label that no text can be chosen by, not one that has several tokens."""
    with pytest.raises(PromptError, match=r"^label '  ' is 0 tokens") as caught:
        stripping = byte_level()
        stripping.backend_tokenizer.normalizer = normalizers.Strip()
        tokenize(prompts(labels=(" positively", "  ")), stripping)
    assert "positively" not in str(caught.value)


def test_the_tokens_of_a_task_s_label_words() -> None:
    """They are told of each template; words that merge with its end are a line of text."""
    task = load_task("sst2")
    tokens, mistakes = label_tokens_of(task, byte_level())
    assert set(tokens) == set(task.templates) and not mistakes
    spelled = {word: byte_level().decode(ids) for word, ids in tokens["said"].items()}
    assert spelled == {word: word for word in (" sad", " happy")}
    assert all(len(ids) > 1 for ids in tokens["said"].values())
    assert {len(ids) for ids in tokens["review-sentiment"].values()} == {1}
    alphabet = sorted({*map(chr, range(32, 127)), "\n"})
    core = Tokenizer(models.BPE({c: n for n, c in enumerate([*alphabet, ": "])}, [(":", " ")]))
    _, mistakes = label_tokens_of(task, wrap(core))
    (line,) = mistakes
    assert line.startswith("template 'review-sentiment': label ' negative' merges with the end of")


@pytest.mark.parametrize("place", [0, 5, 10])
def test_every_ending_is_tried(place: int) -> None:
    """A label that fails after one prompt alone is found, wherever that prompt stands."""
    labels = ("negative", "positive")
    texts = [f"a fine film {n}\n" for n in range(10)]
    tokenizer = word_level([*texts, "a "], labels)
    assert tokenize(prompts(texts, labels), tokenizer).label_ids
    texts.insert(place, "a fine film ")
    with pytest.raises(PromptError, match=f"merges .* 'test-{place}', where ' ' becomes ' neg"):
        tokenize(prompts(texts, labels), tokenizer)


def test_label_with_two_tokens_by_ending() -> None:
    """A label that is one token everywhere, but not the same one, is each row's own."""

    class Fickle(SlowTokenizer):
        def _tokenize(self, text: str, **options: Any) -> list[str]:
            tokens = super()._tokenize(text, **options)
            return [*tokens[:-1], "N"] if text.endswith("! negative") else tokens

    made = tokenize(prompts(["a fine film?", "a fine film!"]), Fickle())
    (one, _), (other, _) = made.answers
    assert len(one) == len(other) == 1 and one != other


@pytest.mark.parametrize(
    ("text", "tokenizer"),
    [("", byte_level()), ("   ", word_level(normalizer=normalizers.Strip(), form="<s> $A </s>"))],
)
@pytest.mark.parametrize("place", [0, 1])
def test_empty_prompts(text: str, tokenizer: PreTrainedTokenizerFast, place: int) -> None:
    """A prompt without a token of its own is named, wherever it stands."""
    texts = [text, TEXTS[0]] if place == 0 else [TEXTS[0], text]
    with pytest.raises(PromptError, match=f"row 'test-{place}' .test. has no tokens"):
        tokenize(prompts(texts), tokenizer)


def test_no_rows() -> None:
    """A set without a row is an error."""
    with pytest.raises(PromptError, match="'made' has no rows"):
        tokenize(prompts([]), byte_level())


def test_prompts_beyond_the_context() -> None:
    """A prompt one token too long is an error with the ways out; at the limit it is fine."""
    longest = max(len(ids) for ids in tokenize(prompts(), byte_level()).ids)
    assert tokenize(prompts(), byte_level(), longest).ids
    with pytest.raises(
        PromptError, match=rf"'test-1' .* has {longest} tokens, .* {longest - 1}: use"
    ):
        tokenize(prompts(), byte_level(), longest - 1)


def dropping_spaces(decoder: Any, *, spaces: bool = True) -> PreTrainedTokenizerFast:
    """A rebuilt tokenizer that throws every space away."""
    tokenizer = word_level(split=Regex(r"[A-Za-z]|\n|[^\sA-Za-z]"))
    core = tokenizer.backend_tokenizer
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "removed"),
            pre_tokenizers.Split(Regex("negative|positive|."), "isolated"),
        ]
    )
    letters = (chr(n) for n in range(33, 127))
    vocabulary = ["<unk>", "negative", "positive", "\n", *(["▁"] if spaces else []), *letters]
    core.model = models.WordLevel(
        {piece: n for n, piece in enumerate(vocabulary)}, unk_token="<unk>"
    )
    core.post_processor = processors.Sequence([])
    if decoder is not None:
        core.decoder = decoder
    return wrap(core)


@pytest.mark.parametrize("decoder", [decoders.Fuse(), decoders.WordPiece()])
def test_lost_spaces(decoder: Any) -> None:
    """A tokenizer that drops every space is refused, even if its decoder puts spaces back."""
    with pytest.raises(PromptError, match="drops every space"):
        tokenize(prompts(), dropping_spaces(decoder))


def test_lower_case_is_told() -> None:
    """A tokenizer that lower-cases works, with one warning for all prompts."""
    made = tokenize(prompts(), word_level(normalizer=normalizers.Lowercase()))
    assert made.warnings == ("the tokenizer changes upper and lower case",)


def test_other_losses_are_told() -> None:
    """What else does not come back is shown from where it differs."""
    made = tokenize(prompts(), word_level(normalizer=normalizers.Replace("\n", " ")))
    assert len(made.warnings) == 2
    assert r"prompt 'test-0' back: '\nSentiment:' comes back as ' Sentiment:'" in made.warnings[0]


def test_added_leading_space_is_no_loss() -> None:
    """A space that the tokenizer puts in front by design is not told."""
    made = tokenize(prompts(), word_level(normalizer=normalizers.Prepend(" ")))
    assert made.warnings == ()
