"""What one store holds: the run, its labels, and the arrays of its splits.

These are the types that every later stage works on. The HDF5 layout that carries them is in
``compread.store.layout``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, get_type_hints

import numpy as np
import numpy.typing as npt

from compread.array_types import Float32
from compread.errors import StoreError
from compread.options import DEFAULT_NORMALIZATION, SPLITS, UNCONDITIONAL
from compread.store.answers import NO_TOKEN, POSITIONS
from compread.store.typed import typed
from compread.text import with_class

FORMAT = "compread"
FORMAT_VERSION = 5
"""The newest that is read; a store is written in the oldest that can hold it."""
CALIBRATION = "calibration"
"""The split of content-free prompts, without right labels (``gold`` is 0); often without rows."""
ALL_SPLITS = (*SPLITS, CALIBRATION, UNCONDITIONAL)
"""In the order that row numbers count in."""

PROTOCOL: dict[str, Any] = {
    "demo_labels": tuple[int, ...] | None,
    "prompt_selection": str,
    "embedder": str | None,
    "n_train": int | None,
    "limit": int | None,
    "instruction": str | None,
    "fields": dict[str, str],
    "options": str,
    "answer": str,
    "shown": tuple[tuple[str, str], ...] | None,
    "contrast_of": str | None,
    "system_instruction": str | None,
    "chat_template": str | None,
    "fewshot_as_multiturn": bool,
    "target_delimiter": str | None,
    "calibration_prompts": bool,
    "unconditional": str | None,
    "keep_text": bool,
}
"""The entries of ``RunInfo.protocol`` that a later stage reads, and their types."""


@dataclass(frozen=True)
class Labels:
    """The label words in column order, the one token and the class each stands for (length K).

    Where answers are whole texts, ``token_id`` is -1 throughout, and the words are the positions
    ``A``, ``B``, ... if each row has answers of its own. Several words may stand for one class;
    where each is its own, the class's name is the word.
    """

    word: tuple[str, ...]
    token_id: tuple[int, ...]
    class_name: tuple[str, ...] = ()
    """[K] empty when made: each word is its own class."""

    def __post_init__(self) -> None:
        if not self.class_name:
            object.__setattr__(self, "class_name", self.word)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their first columns."""
        return tuple(dict.fromkeys(self.class_name))

    @property
    def are_positions(self) -> bool:
        """Whether columns are places among a row's own answers, and no label in common."""
        k = len(self.word)
        return self.word == POSITIONS[:k] and set(self.token_id) == {NO_TOKEN}

    @property
    def names(self) -> tuple[str, ...]:
        """[K] the words without outer spaces.

        Words that only their spaces tell apart, or that are nothing but space, keep them.
        """
        names = tuple(word.strip() for word in self.word)
        return names if len(set(names)) == len(names) and all(names) else self.word

    @property
    def class_names(self) -> tuple[str, ...]:
        """[K] the class of each label; a word that is a class of its own has its name for one."""
        of = zip(self.names, self.word, self.class_name, strict=True)
        return tuple(name if word == own else own for name, word, own in of)

    @property
    def titles(self) -> tuple[str, ...]:
        """[K] the names as tables and figures have them, with their classes: ``good (pos)``."""
        return tuple(map(with_class, self.names, self.class_names))

    @property
    def quoted(self) -> tuple[str, ...]:
        """[K] the titles with the words in quotes: ``“good” (pos)``."""
        quoted = (f"“{name}”" for name in self.names)
        return tuple(map(with_class, quoted, self.class_names))


@dataclass(frozen=True)
class RunInfo:
    """Where a store's numbers come from; written as one JSON object.

    The fields up to ``batch_tokens`` are the run's identity: a stopped run goes on only under the
    same identity. The rest is filled in when the run ends and may differ between two equal runs.
    """

    model: str
    """Hub id, folder or ``.gguf`` file, as given."""
    model_type: str
    """``config.model_type`` of the model."""
    revision: str | None
    """Hub commit that was loaded; None for a local model."""
    fingerprint: str
    """Hash of the model's type and a sample of every weight."""
    dtype: str
    """Data type the model ran in, such as ``float32``."""
    task: str
    """Task name, or the stem of the prompt file."""
    template: str | None
    """Template id, or None for a prompt file."""
    template_text: str | None
    demonstrations: tuple[str, ...]
    """Ids of the demonstrations in prompt order; empty for a prompt file."""
    seed: int | None
    shots: int | None
    prompt_set: str
    """Hash over every row's prompt, gold label, id and split, and the labels."""
    shared_prefix: bool
    """Whether the tokens that all prompts share were run once."""
    prefix_tokens: int
    """How many leading tokens all prompts share (0 with ``shared_prefix`` off)."""
    soft_cap: float | None
    """The model's final soft-cap; parts sum to the logit before it."""
    tolerance: float
    """Largest allowed sum error as a share of the logits' scale."""
    batch_tokens: int
    """Token budget of a batch."""
    protocol: dict[str, Any] = field(default_factory=dict)
    """How the prompts were made (``PromptSet.protocol``); ``prompt_set`` identifies them."""
    checkpoint: str | None = None
    """The revision as the user named it, such as ``step1000``; ``revision`` identifies it."""
    adapter: str | None = None
    """The adapter on top of the model, as given; ``fingerprint`` identifies it."""
    trust_remote_code: bool = False
    """Whether code that came with the model was allowed to run."""
    label_gram: tuple[tuple[float, ...], ...] = ()
    """[K, K] inner products of the labels' unembeddings, times the square of the logit scale, so
    that the write v with label logits g has the squared length gᵀ G⁻¹ g within their span. Empty
    where rows have answers, and products, of their own, and in a store older than that."""
    worst_sum_error: float = 0.0
    """Largest sum error of any row, in logits."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of compread, torch and transformers."""
    date: str = ""
    """When the run ended, ISO 8601 in UTC."""
    command: str = ""
    """The command line that made the store."""
    sample_prompt: str = ""
    """The first row's prompt, for people."""
    normalize: str = DEFAULT_NORMALIZATION
    """How answers of different lengths are made alike in what was read of the store
    (``compread.options.NORMALIZATIONS``); its file has them as they are."""

    _NOT_IDENTITY = (
        "protocol",
        "checkpoint",
        "adapter",
        "label_gram",
        "worst_sum_error",
        "versions",
        "date",
        "command",
        "normalize",
    )

    @property
    def wording(self) -> str:
        """What tells the prompts of the same rows apart: the template, or the prompt file."""
        return self.task if self.template is None else self.template

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def identity(self) -> dict[str, Any]:
        """The fields that two halves of one run must share."""
        return {k: v for k, v in self.to_dict().items() if k not in self._NOT_IDENTITY}

    @classmethod
    def from_dict(cls, values: Any) -> RunInfo:
        """The inverse of ``to_dict``; unknown keys are ignored, a missing one is an error.

        Raises:
            StoreError: a field of the run is missing, or of another type.
        """
        values = typed(values, dict[str, Any], "run")
        hints = _run_hints()
        kept = {k: typed(v, hints[k], f"run.{k}") for k, v in values.items() if k in hints}
        for name, value in kept.get("protocol", {}).items():
            typed(value, PROTOCOL.get(name, Any), f"run.protocol.{name}")
        try:
            return cls(**kept)
        except TypeError as error:
            raise StoreError(f"the store's `run` attribute lacks a field: {error}") from error


@cache
def _run_hints() -> dict[str, Any]:
    """The type hint of each field of ``RunInfo``."""
    hints = get_type_hints(RunInfo)
    return {f.name: hints[f.name] for f in fields(RunInfo)}


@dataclass(frozen=True)
class Split:
    """One split's arrays, rows in prompt order."""

    parts: Float32
    """[N, C, K] contribution of each component to each label logit, before any soft-cap."""
    full: Float32
    """[N, K] what the model itself returned for the label tokens."""
    gold: npt.NDArray[np.int64]
    """[N] column of the right label (of the right class's first word; 0 in ``calibration``)."""
    id: tuple[str, ...]
    sum_error: Float32
    """[N] largest |Σ parts - the model's logit before its soft-cap| over the labels, in logits."""
    label_mass: Float32
    """[N] probability that the model's full softmax puts on the label tokens."""
    prompt_hash: tuple[str, ...]
    own_answers: bool = False
    """Whether rows have answers of their own: a column is a position then, no label in common, and
    NaN where a row has no such answer."""

    def __len__(self) -> int:
        return len(self.gold)
