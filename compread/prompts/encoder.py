"""A tokenizer as compread uses it: its own special tokens in front of a prompt, none after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from compread.errors import PromptError

Ids = list[int]


class Tokenizer(Protocol):
    """What is used of a ``transformers`` tokenizer, fast or not."""

    unk_token_id: Any

    def __call__(self, text: Any, /, **options: Any) -> Mapping[str, Any]:
        """Encode a list of texts."""

    def decode(self, token_ids: Any, /, **options: Any) -> Any:
        """The text of one list of ids."""

    def convert_ids_to_tokens(self, ids: Any, /) -> Any:
        """The tokens as the vocabulary spells them."""


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
            f"the tokenizer encodes {sample[-32:]!r} in another way with its special tokens "
            f"({shown(tokenizer, whole[-4:])}) than without ({shown(tokenizer, bare[-4:])}): "
            "use a tokenizer that only adds them in front"
        )

    def __call__(self, texts: Sequence[str]) -> list[Ids]:
        """Ids with the leading special tokens, without the trailing ones."""
        encoded = _call(self.tokenizer, texts, self.special)
        cut = len(self.after)
        if any(ids[len(ids) - cut :] != self.after for ids in encoded):
            raise PromptError(
                f"the tokenizer ends some prompts in {shown(self.tokenizer, self.after)} and "
                "others not: turn off its trailing special tokens"
            )
        return [ids[: len(ids) - cut] for ids in encoded]


def _call(tokenizer: Tokenizer, texts: Sequence[str], special: bool = True) -> list[Ids]:
    encoded = tokenizer(
        list(texts),
        add_special_tokens=special,
        padding=False,
        truncation=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    return [list(ids) for ids in encoded["input_ids"]]


def shown(tokenizer: Tokenizer, ids: Ids) -> str:
    """The tokens as the vocabulary spells them, for messages."""
    return " ".join(repr(token) for token in tokenizer.convert_ids_to_tokens(ids)) or "nothing"
