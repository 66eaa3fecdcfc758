"""What one store is made from: a prompt set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Pieces:
    """What a prompt is put together from."""

    instruction: str
    demonstrations: tuple[tuple[str, str], ...]
    """Input and label word of each."""
    input: str

    @property
    def text(self) -> str:
        """The whole as plain text, up to the label."""
        before = f"{self.instruction}\n\n" if self.instruction else ""
        shown = "".join(f"{text}{label}\n" for text, label in self.demonstrations)
        return f"{before}{shown}{self.input}"


@dataclass(frozen=True)
class Prompt:
    """One row: the text up to the label, the column of the right label, its split and its id.

    Where a row has ``answers`` of its own, these are its labels.
    """

    text: str
    gold: int
    split: str
    id: str
    pieces: Pieces | None = field(default=None, compare=False, repr=False)
    """What the text was put together from; None: it was given whole."""
    answers: tuple[str, ...] = ()
    """The exact continuations that this row alone chooses from."""

    @property
    def own_text(self) -> str:
        """The row's own input, without instruction and demonstrations; what was given whole."""
        return self.text if self.pieces is None else self.pieces.input

    @property
    def hash(self) -> str:
        """SHA-256 of the text, the first 16 hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class PromptSet:
    """The rows of one run and where they come from.

    ``prompts`` holds the train rows first, then the test rows, then those of the split
    ``calibration`` (content-free, ``gold`` 0), each in the order that budgets count in: the first n
    train rows are what a budget of n labels may use. ``labels`` are the exact continuations in
    column order, leading space included; several of them may stand for one class, and a row's
    ``gold`` is then the column of the right class's first word. Where rows have answers of their
    own, ``labels`` is empty.
    """

    task: str
    labels: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    template: str | None = None
    template_text: str | None = None
    demonstrations: tuple[str, ...] = ()
    seed: int | None = None
    shots: int | None = None
    classes: tuple[str, ...] = ()
    """[K] class of each label; empty: each label is a class of its own."""
    protocol: Mapping[str, Any] = field(default_factory=dict)
    """How the prompts were made, for the record: values that JSON can hold."""
    variant: str = ""
    """What the store's name says of choices other than the paper's, such as ``-nearest``."""
    special_tokens: bool = True
    """Whether the tokenizer adds its special tokens; chat templates write theirs into the text."""
    unconditional: str = ""
    """The prompt that says nothing of a row, where these have one of their own."""

    @property
    def has_own_answers(self) -> bool:
        """Whether each row chooses from answers of its own."""
        return not self.labels

    @property
    def keeps_text(self) -> bool:
        """Whether its store keeps each row's own text."""
        return bool(self.protocol.get("keep_text"))

    def with_text_kept(self) -> PromptSet:
        """The prompt set, whose store is to keep each row's own text."""
        return replace(self, protocol={**self.protocol, "keep_text": True})

    def answers(self, prompt: Prompt) -> tuple[str, ...]:
        """What a row chooses from."""
        return prompt.answers or self.labels

    @property
    def hash(self) -> str:
        """SHA-256 over the labels and every row, the first 16 hexadecimal digits."""
        rows = [
            [p.text, p.gold, p.split, p.id, *([p.answers] if p.answers else [])]
            for p in self.prompts
        ]
        pooled = [self.classes] if self.classes not in ((), self.labels) else []
        text = json.dumps([self.labels, rows, *pooled], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def file_name(self) -> str:
        """Name of this run's store in a folder of stores: ``TASK-TEMPLATE-kSHOTS-sSEED.h5``.

        Choices other than the paper's stand before the ending. A prompt set from a file has neither
        template, shots nor seed: ``TASK.h5``. A subject stands behind its task: ``mmlu-anatomy``.
        """
        task = self.task.replace(":", "-")
        named = task if self.template is None else f"{task}-{self.template}"
        run = "" if self.seed is None else f"-k{self.shots}-s{self.seed}"
        return f"{named}{run}{self.variant}.h5"


def work(prompt_set: PromptSet) -> int:
    """Characters that a run has to read, those that all its prompts begin with once.

    Tokens would say the same, but those of the last run are not known when the first begins.
    """
    texts = [prompt.text for prompt in prompt_set.prompts]
    first, last = min(texts, default=""), max(texts, default="")
    # What the first and the last in order begin with, all between them do too.
    pairs = enumerate(zip(first, last, strict=False))
    shared = next((i for i, (a, b) in pairs if a != b), len(first))
    return shared + sum(len(text) - shared for text in texts)
