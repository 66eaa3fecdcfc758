"""What a run will take, from its prompts' tokens and the model's config: ``extract --dry-run``.

No weight is loaded: the model is built on the ``meta`` device, where tensors have shapes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compread.extract.answer_rows import reads_of, rows_of, side_by_side
from compread.extract.batches import most_rows
from compread.extract.groups import Group, plan_groups, whole_groups
from compread.extract.memory import bytes_per_token, resident_memory, token_budget
from compread.model.load.request import ModelRequest, choose_device
from compread.model.load.skeleton import expected_components, footprint
from compread.model.matrices import forward_flops
from compread.model.switches import find_switches
from compread.model.trace import CausalLM
from compread.prompts import PromptSet, TokenizedSet

# float32 with its bytes shuffled and deflated: the exponents shrink, the mantissas do not.
_COMPRESSED = 0.86
# A row's hash and id; HDF5's own headers with the description of the run.
_TEXT_BYTES, _FILE_BYTES = 12, 10_500
# An answer's two counts, packed, and its padding; an inner product of two, whose mantissa fills it.
_COUNT_BYTES, _GRAM_BYTES = 8, 7


@dataclass(frozen=True)
class Forecast:
    """What one run, or all runs of a grid together, will take."""

    run: str
    rows: int
    tokens: int
    """Tokens of the whole prompts."""
    tokens_run: int
    """Tokens that are run, shared prefixes once each."""
    flops: float
    """Floating-point operations of the model's matrix products."""
    store_bytes: int
    memory: int
    """Bytes at most while it runs, the model included; of a grid, the largest."""


class Forecaster:
    """Forecasts runs of one model."""

    def __init__(self, request: ModelRequest, config: Any) -> None:
        """Build the model that is asked for, and that the config describes, without its weights.

        Raises:
            ModelError: the config is not that of a causal language model, or nothing is known of
                how its weights are packed or of its adapter.
            UsageError: the device does not exist here.
        """
        found = footprint(request, config)
        self.model: CausalLM = found.model
        self._device = choose_device("auto" if request.device_map else request.device)
        self._resident = found.tensors
        if self._device.type != "cuda":
            self._resident += resident_memory()
        if self._device.type == "cpu":
            self._resident += found.replaced
        self._components = expected_components(config)

    def run(self, prompt_set: PromptSet, tokens: TokenizedSet, *, share: bool = True) -> Forecast:
        """Forecast one run."""
        rows = len(tokens.ids)
        plan = plan_groups if share else whole_groups
        groups = plan(tokens.ids, find_switches(self.model.config))
        ids: Sequence[Sequence[int]] = tokens.ids
        if tokens.answers:
            ids = side_by_side(tokens) if share else rows_of(tokens)
        run = sum(
            len(group.prefix) + sum(len(ids[n][len(group.prefix) :]) for n in group.rows)
            for group in groups
        )
        # Columns without an answer pack to next to nothing.
        columns = sum(map(len, tokens.answers)) or rows * len(prompt_set.labels)
        components = self._components + bool(tokens.answers)
        numbers = (columns * (components + 1) + rows * 2) * 4
        return Forecast(
            run=prompt_set.file_name,
            rows=rows,
            tokens=sum(map(len, rows_of(tokens) if tokens.answers else tokens.ids)),
            tokens_run=run,
            flops=forward_flops(self.model, run, sum(map(reads_of, ids))),
            store_bytes=int(numbers * _COMPRESSED)
            + rows * _TEXT_BYTES
            + _FILE_BYTES
            + (_answer_bytes(prompt_set) if tokens.answers else 0),
            memory=self._memory(groups),
        )

    def _memory(self, groups: Sequence[Group]) -> int:
        config = self.model.config.get_text_config()
        budget = token_budget(self.model, self._device)
        prefix = max(len(group.prefix) for group in groups)
        rows = min(most_rows(config.vocab_size, self._device), budget // 8)
        logits = 2 * 4 * rows * config.vocab_size
        held = prefix * 4 * 2 * int(getattr(config, "hidden_size", 0)) * config.num_hidden_layers
        working = budget * bytes_per_token(self.model) + logits + held
        return int(self._resident + working)


def _answer_bytes(prompt_set: PromptSet) -> int:
    """What answers, their counts and inner products take, packed: text to a half."""
    rows = [prompt_set.answers(prompt) for prompt in prompt_set.prompts]
    texts = [text for answers in rows for text in answers]
    pairs = sum(len(answers) ** 2 for answers in set(rows))
    own = sum(len(text.encode()) for text in texts) // 2 + len(texts) * _COUNT_BYTES
    return own + pairs * _GRAM_BYTES


def total(forecasts: Sequence[Forecast]) -> Forecast:
    """A grid's runs together: they share one model and its memory."""
    return Forecast(
        run="all",
        rows=sum(f.rows for f in forecasts),
        tokens=sum(f.tokens for f in forecasts),
        tokens_run=sum(f.tokens_run for f in forecasts),
        flops=sum(f.flops for f in forecasts),
        store_bytes=sum(f.store_bytes for f in forecasts),
        memory=max(f.memory for f in forecasts),
    )
