"""What runs leave of themselves beside their stores: the folder's list, and lines in a log file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from compread.errors import CompreadError, TargetError, option
from compread.extract.outcome import Extraction, Progress
from compread.prompts import PromptSet, work
from compread.store import Asked, RunList
from compread.text import one_line, printable, spoken


def asked_run(prompt_set: PromptSet, model: str, checkpoint: str | None) -> Asked:
    """What the list says of one run."""
    return Asked(
        len(prompt_set.prompts),
        float(work(prompt_set)),
        {
            "model": model, "checkpoint": checkpoint, "task": prompt_set.task,
            "template": prompt_set.template, "shots": prompt_set.shots, "seed": prompt_set.seed,
        },
    )  # fmt: skip


class RunRecord:
    """Adds to the list and the log what happens to the runs of one call."""

    def __init__(self, folder: Path | None, log: Path | None, tell: Callable[[str], None]) -> None:
        """Get ready for runs whose stores go to ``folder``.

        Args:
            folder: None: there is no list.
            log: a file to add lines to; None: there is none.
            tell: takes a line of text where what happened later cannot be written; once.

        Raises:
            TargetError: the log cannot be written.
        """
        self._list = None if folder is None else RunList(folder)
        self._log, self._tell, self._troubled = log, tell, False
        if log is not None:
            _add_line(log, "")

    def ask(self, runs: Mapping[str, Asked]) -> None:
        """The runs are asked for, by their stores' names.

        Raises:
            TargetError: the list cannot be written.
            StoreError: what stands in its place is none.
        """
        if self._list is not None:
            self._list.ask(runs)

    def began(self, target: Path, kept: int, total: int, place: str = "") -> None:
        """A run begins, some of its rows being there; ``place`` is such as ``run 2 of 12``."""
        before = f", {kept:,} of them kept from before" if kept else ""
        self._write(
            f"{_named(target, place)}: begins, {total:,} rows{before}",
            lambda of: of.began(target.name, kept),
        )

    def noted(self, target: Path, progress: Progress, place: str = "") -> Progress:
        """Progress that also says when the run begins: at its first call, with the rows kept."""
        begun = False

        def noted(done: int, total: int, tokens: int) -> None:
            nonlocal begun
            if not begun:
                begun = True
                self.began(target, done, total, place)
            progress(done, total, tokens)

        return noted

    def ended(self, done: Extraction, place: str = "", left: float | None = None) -> None:
        """A run's store is finished; all runs take ``left`` seconds more."""
        if not done.rows:
            self._write(f"{_named(done.path, place)}: done before, {done.kept:,} rows", None)
            return
        rest = f", {spoken(left)} left" if left else ""
        self._write(
            f"{_named(done.path, place)}: done, {done.rows:,} rows in {spoken(done.seconds)}, "
            f"worst sum error {done.worst_error:.1e}{rest}",
            lambda of: of.ended(done.path.name, done.rows + done.kept, done.seconds),
        )

    def failed(self, target: Path, error: CompreadError) -> None:
        """A run is not made."""
        reason = one_line(error, 1000)
        # The error may be of the run before, whose store is made meanwhile.
        if target.name in reason:
            self._write(f"{target}: not made: {reason}", lambda of: of.failed(target.name, reason))

    def _write(self, line: str, event: Callable[[RunList], None] | None) -> None:
        """What cannot be written costs no run."""
        try:
            if self._list is not None and event is not None:
                event(self._list)
            if self._log is not None:
                _add_line(self._log, f"{datetime.now():%Y-%m-%d %H:%M:%S} {printable(line)}\n")
        except CompreadError as error:
            if not self._troubled:
                self._troubled = True
                self._tell(str(error))


def _named(target: Path, place: str) -> str:
    return f"{place}, {target}" if place else str(target)


def _add_line(log: Path, line: str) -> None:
    try:
        with log.open("a", encoding="utf-8") as file:
            file.write(line)
    except OSError as error:
        raise TargetError(
            f"{log}: the log cannot be written ({error.strerror or one_line(error)}); give "
            f"another {option('log')}"
        ) from error
