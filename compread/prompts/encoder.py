"""A tokenizer as compread uses it: its own special tokens in front of a prompt, none after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from compread.errors import PromptError
from compread.text import one_line

Ids = list[int]
_EXCERPT = 32


class Tokenizer(Protocol):
    """What is used of a ``transformers`` tokenizer, fast or not."""

    unk_token_id: Any

    def __call__(self, text: Any, /, **options: Any) -> Mapping[str, Any]:
        """Encode a list of texts."""

    def decode(self, token_ids: Any, /, **options: Any) -> Any:
        """The text of one list of ids."""

    def convert_ids_to_tokens(self, ids: Any, /) -> Any:
        """The tokens as the vocabulary spells them."""

    def get_vocab(self) -> Mapping[str, int]:
        """The id of each token."""


@dataclass(frozen=True)
class Encoder:
    """A tokenizer with the special tokens it puts before a text, and none after it."""

    tokenizer: Tokenizer
    before: Ids
    after: Ids
    special: bool = True
    """Whether the tokenizer adds its special tokens at all."""

    @classmethod
    def of(cls, tokenizer: Tokenizer, sample: str, special: bool = True) -> Encoder:
        """Find the special tokens by encoding a sample with and without them.

        Args:
            tokenizer: the tokenizer.
            sample: a text.
            special: False: texts bring their special tokens, none is added.

        Raises:
            PromptError: the sample's own tokens are not in one piece between them.
        """
        if not special:
            return cls(tokenizer, [], [], special=False)
        bare = _call(tokenizer, [sample], special=False)[0]
        whole = _call(tokenizer, [sample])[0]
        if not bare:
            return cls(tokenizer, whole, [])
        for start in range(len(whole) - len(bare) + 1):
            end = start + len(bare)
            if whole[start:end] == bare:
                return cls(tokenizer, whole[:start], whole[end:])
        raise PromptError(
            f"the tokenizer encodes {sample[-_EXCERPT:]!r} in another way with its special tokens "
            f"({shown(tokenizer, whole[-4:])}) than without ({shown(tokenizer, bare[-4:])}): "
            "use a tokenizer that only adds them in front"
        )

    def __call__(self, texts: Sequence[str]) -> list[Ids]:
        """Ids with the leading special tokens, without the trailing ones."""
        if not texts:  # tokenizers fail on none
            return []
        encoded = _call(self.tokenizer, texts, self.special)
        cut = len(self.after)
        if any(ids[len(ids) - cut :] != self.after for ids in encoded):
            raise PromptError(
                f"the tokenizer ends some prompts in {shown(self.tokenizer, self.after)} and "
                "others not: turn off its trailing special tokens"
            )
        return [ids[: len(ids) - cut] for ids in encoded]


def _call(tokenizer: Tokenizer, texts: Sequence[str], special: bool = True) -> list[Ids]:
    try:
        encoded = tokenizer(
            list(texts),
            add_special_tokens=special,
            padding=False,
            truncation=False,
            return_attention_mask=False,
            verbose=False,
        )
    except Exception as error:  # tokenizers raise Exception itself, as for a word they lack
        if len(texts) > 1:
            for text in texts:
                _call(tokenizer, [text], special)  # raises for the one that is to blame
        raise PromptError(
            f"the tokenizer cannot encode {texts[0][-_EXCERPT:]!r} ({one_line(error)}); a "
            "vocabulary without a token for unknown words must have every word of the prompts"
        ) from error
    return [list(ids) for ids in encoded["input_ids"]]


def shown(tokenizer: Tokenizer, ids: Iterable[int]) -> str:
    """The tokens as the vocabulary spells them, for messages."""
    return " ".join(shown_each(tokenizer, ids)) or "nothing"


def shown_each(tokenizer: Tokenizer, ids: Iterable[int]) -> list[str]:
    """Each token in quotes as the vocabulary spells it.

    An unembedding is often padded with rows beyond the vocabulary, which stand for no token.
    """
    names = ((id, _name(tokenizer, id)) for id in ids)
    return [f"unused row {id} of the unembedding" if n is None else repr(n) for id, n in names]


def _name(tokenizer: Tokenizer, id: int) -> str | None:
    try:
        name = tokenizer.convert_ids_to_tokens([id])[0]
    except (LookupError, ValueError, OverflowError):  # instead of None, in some tokenizers
        return None
    return None if name is None else str(name)


def special_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """The tokenizer's control tokens as texts spell them, with their ids."""
    ids = set(getattr(tokenizer, "all_special_ids", ()))
    added = getattr(tokenizer, "added_tokens_decoder", None)
    if isinstance(added, Mapping):  # a method, in some tokenizers
        ids |= {id for id, token in added.items() if getattr(token, "special", False)}
    names = {_name(tokenizer, id): id for id in sorted(ids)}
    return {name: id for name, id in names.items() if name}
