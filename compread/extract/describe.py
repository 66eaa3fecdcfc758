"""What a store says of the run that made it, and the axes of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from compread.extract.answer_engine import AnswerEngine
from compread.extract.engine import Engine
from compread.model.load.loading import LoadedModel
from compread.prompts import AnswerIds, PromptSet, TokenizedSet
from compread.store import (
    ALL_SPLITS,
    NO_TOKEN,
    POSITIONS,
    Axes,
    Labels,
    RowAnswers,
    RunInfo,
    SplitRows,
)
from compread.version import __version__


def describe(loaded: LoadedModel, prompt_set: PromptSet, **facts: Any) -> RunInfo:
    """The run as it begins; ``facts`` are the fields that only the extraction knows."""
    return RunInfo(
        model=loaded.request.name,
        model_type=loaded.model_type,
        revision=loaded.revision,
        adapter=loaded.request.adapter,
        trust_remote_code=loaded.request.trust_remote_code,
        fingerprint=loaded.fingerprint,
        dtype=loaded.dtype,
        task=prompt_set.task,
        template=prompt_set.template,
        template_text=prompt_set.template_text,
        demonstrations=prompt_set.demonstrations,
        seed=prompt_set.seed,
        shots=prompt_set.shots,
        prompt_set=prompt_set.hash,
        protocol=dict(prompt_set.protocol),
        sample_prompt=prompt_set.prompts[0].text,
        **facts,
    )


def ending(worst_sum_error: float, command: str) -> dict[str, Any]:
    """The fields that are filled in when the run ends."""
    versions = {
        "compread": __version__,
        "torch": str(torch.__version__),
        "transformers": version("transformers"),
    }
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {
        "worst_sum_error": worst_sum_error,
        "versions": versions,
        "date": date,
        "command": command,
    }


def axes_of(prompt_set: PromptSet, tokens: TokenizedSet, engine: Engine) -> Axes:
    """The store's axes; rows with whole answers have their positions for labels."""
    components, labels = engine.decomposer.components, prompt_set.labels
    ids = tokens.label_ids
    if isinstance(engine, AnswerEngine):
        components, labels = engine.answers.components, labels or POSITIONS[: engine.most]
        ids = (NO_TOKEN,) * len(labels)
    return Axes(
        components,
        Labels(labels, ids, prompt_set.classes),
        {split: split_rows(prompt_set, split, tokens.answers) for split in ALL_SPLITS},
    )


def split_rows(prompt_set: PromptSet, split: str, answers: Sequence[AnswerIds] = ()) -> SplitRows:
    """The rows of one split, without what the model says about them.

    Args:
        prompt_set: the prompts.
        split: which of them.
        answers: the tokens of each prompt's answers, where these are whole texts.
    """
    rows = [prompt for prompt in prompt_set.prompts if prompt.split == split]
    own = [
        RowAnswers(prompt_set.answers(prompt), tuple(map(len, tokens)))
        for prompt, tokens in zip(prompt_set.prompts, answers, strict=False)
        if prompt.split == split
    ]
    return SplitRows(
        answers=tuple(own),
        gold=np.array([prompt.gold for prompt in rows], dtype=np.int64),
        id=tuple(prompt.id for prompt in rows),
        prompt_hash=tuple(prompt.hash for prompt in rows),
        text=tuple(prompt.own_text for prompt in rows) if prompt_set.keeps_text else (),
    )
