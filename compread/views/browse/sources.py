"""What can be looked at: single runs, and the runs of a template or a task as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compread.store.gather import setting_names, setting_of
from compread.store.schema import RunInfo
from compread.text import model_name, printable
from compread.views.tables import Column, Row

RUNS = (
    Column("entry", justify="left"),
    Column("runs"),
    Column("shots", drop=1),
    Column("date", justify="left", drop=2),
    Column("model", justify="left", shorten="start"),
)
"""The columns of the list of sources."""


@dataclass(frozen=True, eq=False)
class Source:
    """Some runs that are looked at as one."""

    name: str
    paths: tuple[Path, ...]
    infos: tuple[RunInfo, ...]

    @property
    def is_one(self) -> bool:
        """Whether it is a single run."""
        return len(self.paths) == 1


def sources(paths: Sequence[Path], infos: Sequence[RunInfo]) -> list[Source]:
    """Every task, below it every template, below that every run; what is of one run once.

    What no mean may hide, the model, the shots and the choice of demonstrations, sets tasks apart.
    """
    settings = setting_names(infos)
    tasks: dict[object, list[int]] = {}
    for i, info in enumerate(infos):
        tasks.setdefault((info.task, *setting_of(info)), []).append(i)
    found: list[Source] = []

    def add(name: str, of: Sequence[int]) -> None:
        name += f", {settings[of[0]]}" if settings[of[0]] else ""
        where = tuple(paths[i] for i in of)
        found.append(Source(printable(name), where, tuple(infos[i] for i in of)))

    for of in tasks.values():
        task = infos[of[0]].task
        templates: dict[str | None, list[int]] = {}
        for i in of:
            templates.setdefault(infos[i].template, []).append(i)
        if len(templates) > 1:
            add(f"{task}, mean of {len(of)} runs", of)
        for template, within in templates.items():
            if len(within) > 1:
                add(f"{task} {template or ''}".strip() + f", mean of {len(within)} runs", within)
            for i in within:
                add(run_name(infos[i]), [i])
    return found


def run_name(info: RunInfo) -> str:
    """A run in few words: task, template, seed, checkpoint."""
    seed = "" if info.seed is None else f"s{info.seed}"
    checkpoint = f"@{info.checkpoint}" if info.checkpoint else ""
    return printable(" ".join(filter(None, (info.task, info.template, seed, checkpoint))))


def run_rows(found: Sequence[Source]) -> list[Row]:
    """A row a source, single runs set in."""
    return [
        {
            "number": number,
            "entry": f"{'  ' if source.is_one else ''}{source.name}",
            "runs": len(source.paths),
            "shots": source.infos[0].shots,
            "date": max(info.date[:10] for info in source.infos),
            "model": ", ".join(dict.fromkeys(model_name(info.model) for info in source.infos)),
        }
        for number, source in enumerate(found)
    ]
