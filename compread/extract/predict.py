"""New rows of a task through the model, window after window: their contributions, in order.

What a prompt set's extraction does, without a store: the shared prefix is proved and run once a
window, rows are sorted into batches, each batch's sums are checked, and the window comes back in
the order it was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from compread.array_types import Float32
from compread.components import Component
from compread.errors import PromptError
from compread.extract.answer_engine import AnswerEngine
from compread.extract.engine import Engine
from compread.extract.groups import Group, plan_groups, whole_groups
from compread.extract.loop import Extractor
from compread.extract.memory import token_budget
from compread.extract.runner import Runner
from compread.extract.sharing import ReferenceRun, groups_to_run
from compread.prompts import PromptSet, TokenizedSet, tokenize
from compread.store import NO_TOKEN, RowAnswers
from compread.store.answers import absent_columns, without_absent

LAST_WINDOW = 1024
"""Rows of a window at most."""
T = TypeVar("T")


@dataclass(frozen=True)
class Window:
    """The contributions of a window's rows, in the rows' order."""

    parts: Float32
    """[N, C, K]."""
    full: Float32
    """[N, K] the model's own label logits."""
    warnings: tuple[str, ...]
    """What the user must know, in the first window that tells it."""
    answers: tuple[RowAnswers, ...] = ()
    """[N] each row's own answers; its numbers are NaN for those beyond. Empty: labels in common."""


class Predictor:
    """A loaded model and the label words of a fit."""

    def __init__(self, extractor: Extractor, label_ids: Sequence[int]) -> None:
        """Get ready.

        Args:
            extractor: the model.
            label_ids: [K] the token of each label word, as the fit has them.
        """
        self._extractor = extractor
        self._label_ids = tuple(label_ids)
        # Answers of a row's own have no tokens yet; ids of any will do for the axis.
        known = (0,) if set(label_ids) == {NO_TOKEN} else self._label_ids
        self._engine = Engine(extractor.loaded.model, extractor.anatomy, known)
        self._budget: int | None = None
        self._shares: bool | None = None  # None: no prefix has been tried yet

    @property
    def components(self) -> tuple[Component, ...]:
        """[C] the component axis."""
        return tuple(self._engine.decomposer.components)

    def windows(self, prompt_sets: Iterable[PromptSet]) -> Iterator[Window]:
        """Each prompt set's contributions.

        Raises:
            PromptError: a prompt cannot be turned into tokens, or a label word has another token
                than the fit's.
            SumError: a row's parts do not add up.
            ResumableError: a row does not fit into the device's memory.
        """
        said: set[str] = set()
        for prompt_set in prompt_sets:
            window = self._window(prompt_set)
            new = tuple(w for w in window.warnings if w not in said)
            said.update(new)
            yield replace(window, warnings=new)

    def _window(self, prompt_set: PromptSet) -> Window:
        loaded = self._extractor.loaded
        tokens = tokenize(prompt_set, loaded.tokenizer, loaded.context_length)
        check_labels(prompt_set, tokens, self._label_ids)
        if tokens.answers:
            return self._window_of_answers(prompt_set, tokens)
        extractor = self._extractor
        seen = extractor.sum_check.prove(self._engine, tokens)
        groups, warnings = self._groups(tokens.ids, seen)
        if self._budget is None:
            self._budget = token_budget(loaded.model)
        parts, full = self._run(self._engine, tokens, tokens.ids, groups, self._budget)
        return Window(parts, full, (*tokens.warnings, *warnings))

    def _window_of_answers(self, prompt_set: PromptSet, tokens: TokenizedSet) -> Window:
        """Rows that each have answers of their own, each window proved on some of its rows."""
        extractor = self._extractor
        engine = extractor.engine_for(tokens)
        assert isinstance(engine, AnswerEngine)
        rows, groups, warnings = extractor.answer_plan(engine, tokens, share=True)
        budget = token_budget(extractor.loaded.model)
        parts, full = self._run(engine, tokens, rows, groups, budget)
        answers = tuple(
            RowAnswers(prompt_set.answers(prompt), tuple(map(len, own)))
            for prompt, own in zip(prompt_set.prompts, tokens.answers, strict=True)
        )
        absent = absent_columns(answers, full.shape[1])
        parts, full = (without_absent(n, v, absent) for n, v in (("parts", parts), ("full", full)))
        return Window(parts, full, (*tokens.warnings, *warnings), answers)

    def _run(
        self,
        engine: Engine,
        tokens: TokenizedSet,
        rows: Sequence[Sequence[int]],
        groups: Sequence[Group],
        budget: int,
    ) -> tuple[Float32, Float32]:
        """Parts [N, C, K] and the model's own numbers [N, K] of the rows, in order."""
        kept, sum_check = _Memory(tokens.names), self._extractor.sum_check
        workers = self._extractor.workers
        runner = Runner(engine, rows, kept, sum_check, workers, row_wise=sum_check.row_wise)
        none = np.zeros(len(rows), dtype=bool)
        runner.run(groups, budget, none, lambda done, total, run: None)
        return kept.in_order()

    def _groups(
        self, ids: Sequence[Sequence[int]], seen: Sequence[ReferenceRun]
    ) -> tuple[list[Group], tuple[str, ...]]:
        """The window's groups; the model's prefix is proved in the first window that has one."""
        sum_check, switches = self._extractor.sum_check, self._engine.switches
        if sum_check.row_wise:
            return whole_groups(ids, switches), sum_check.warnings
        planned = plan_groups(ids, switches)
        if not any(group.prefix for group in planned):
            return planned, ()
        if self._shares is None:
            found, warnings = groups_to_run(self._engine, ids, sum_check.tolerance, seen)
            self._shares = any(group.prefix for group in found)
            return found, warnings
        return (planned if self._shares else whole_groups(ids, switches)), ()


def check_labels(prompt_set: PromptSet, tokens: TokenizedSet, label_ids: Sequence[int]) -> None:
    """Refuse label words that are other tokens than the fit's.

    Raises:
        PromptError: they are.
    """
    if not prompt_set.labels and set(label_ids) == {NO_TOKEN}:
        return
    if tokens.answers or NO_TOKEN in label_ids:
        raise PromptError(
            f"label words {list(prompt_set.labels)} are not one token each for the model, or were "
            "not for the one the weights were fitted on; expected words of one token"
        )
    if tokens.label_ids != tuple(label_ids):
        raise PromptError(
            f"label words {list(prompt_set.labels)} are the tokens {list(tokens.label_ids)} here, "
            f"the weights have {list(label_ids)}; take the tokenizer that the weights' model had, "
            "or fit them again"
        )


class _Memory:
    """Keeps a window's rows."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = ids
        self._rows: dict[int, tuple[Float32, Float32]] = {}

    def append(
        self,
        rows: Sequence[int],
        parts: Float32,
        full: Float32,
        sum_error: Float32,
        label_mass: Float32,
    ) -> None:
        self._rows.update(zip(rows, zip(parts, full, strict=True), strict=True))

    def discard(self) -> None:
        self._rows.clear()

    def in_order(self) -> tuple[Float32, Float32]:
        rows = [self._rows[n] for n in range(len(self.ids))]
        return np.stack([parts for parts, _ in rows]), np.stack([full for _, full in rows])


def windows_of(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Rows to run together: ``size`` at first, then twice as many each time, up to ``LAST_WINDOW``.

    Raises:
        PromptError: what ``rows`` raised of a row that is wrong; those before it come first.
    """
    window: list[T] = []
    try:
        for row in rows:
            window.append(row)
            if len(window) == size:
                yield window
                window, size = [], min(2 * size, LAST_WINDOW)
    except PromptError:
        if window:
            yield window
        raise
    if window:
        yield window
