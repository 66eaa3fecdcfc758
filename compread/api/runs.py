"""``compread.open``: the runs that stores hold, as arrays with named axes.

    run = compread.open("stores/sst2-review-k4-s0.h5")
    run.parts                                   # [N, C, K] float32
    run["L14H2"]                                # one component's logits, [N, K]
    runs = compread.open("stores/")             # a sequence: runs[0], len(runs), for run in runs

One type stands for one run and for several, as a text does for one character: what ``open`` gives
need not be told apart before it is used. pandas and xarray are imported where they are asked for,
and are no dependencies.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, overload

from compread.analysis.runs import read_runs
from compread.api.component_logits import ComponentLogits
from compread.api.frames import dataset, long_frame
from compread.api.results import ComponentResult, result_of
from compread.api.stored import StoredRun
from compread.array_types import Float32, Ints
from compread.components import KINDS, Component
from compread.errors import UsageError, told_in_python
from compread.options import DEFAULT_NORMALIZATION, DEFAULT_POOL, DEFAULT_SPLIT
from compread.store import Labels, RunInfo, store_paths
from compread.views.html import to_html
from compread.views.tables import Column, Table

StorePath: TypeAlias = "str | os.PathLike[str]"
"""A store, a folder of stores, or a glob."""


class Runs(Sequence["Runs"]):
    """The runs of one store or of several, each a ``Runs`` of its own.

    Of one run there are arrays; of several they are asked for one by one, as in ``runs[0].parts``.
    Numbers are read from the store when they are first asked for, and kept.
    """

    def __init__(self, stored: Sequence[StoredRun]) -> None:
        """Runs that are known already; ``compread.open`` finds them."""
        self._stored = tuple(stored)

    # --- a sequence
    def __len__(self) -> int:
        return len(self._stored)

    def __iter__(self) -> Iterator[Runs]:
        return (Runs([one]) for one in self._stored)

    @overload
    def __getitem__(self, key: int | slice) -> Runs: ...

    @overload
    def __getitem__(self, key: str) -> ComponentLogits: ...

    @told_in_python
    def __getitem__(self, key: int | slice | str) -> Runs | ComponentLogits:
        """``runs[0]`` and ``runs[1:]`` are runs, ``run["L14H2"]`` a component's logits.

        Raises:
            UsageError: no such component, or several runs are asked for one.
        """
        if isinstance(key, str):
            return self.component(key)
        return Runs(self._stored[key] if isinstance(key, slice) else [self._stored[key]])

    def __contains__(self, item: object) -> bool:
        """Whether a component of this name, or this run, is there."""
        if isinstance(item, str):
            return any(c.name == item for one in self._stored for c in one.components)
        return isinstance(item, Runs) and set(item._stored) <= set(self._stored)

    # --- what there is
    @property
    def paths(self) -> tuple[Path, ...]:
        """The stores."""
        return tuple(one.path for one in self._stored)

    @property
    def split(self) -> str:
        """``train`` or ``test``: which rows these are."""
        return self._stored[0].split

    @property
    def pool(self) -> str | None:
        """How several label words of one class are one label; None: they are not."""
        return self._stored[0].pool

    @property
    def normalize(self) -> str:
        """How answers of different lengths are made alike."""
        return self._stored[0].normalize

    @property
    def info(self) -> RunInfo:
        """Where the numbers come from: model, task, template, demonstrations and the like."""
        return self._one.info

    @property
    def components(self) -> tuple[Component, ...]:
        """The component axis (length C)."""
        return self._one.components

    @property
    def labels(self) -> Labels:
        """The labels (length K): exact texts and tokens."""
        return self._one.labels

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The names along each axis: ``row``, ``component`` and ``label``.

        Labels are without the space that most begin with; ``label_texts`` has them exactly.
        """
        one = self._one
        names = tuple(component.name for component in one.components)
        return {"row": one.ids, "component": names, "label": one.labels.names}

    @property
    def label_texts(self) -> tuple[str, ...]:
        """[K] the exact text of each label's word; of several that are one class, ``a|b``."""
        return self._one.texts

    @property
    def answers(self) -> tuple[tuple[str, ...], ...]:
        """[N] the answers of each row, where rows have their own; empty where labels are shared."""
        return tuple(of.text for of in self._one.answers)

    @property
    @told_in_python
    def texts(self) -> tuple[str, ...]:
        """[N] each row's own text; empty where the store keeps none (``extract(keep_text=True)``).

        It is the row without instruction and demonstrations where a task's template made the
        prompt, else the whole prompt.
        """
        return self._one.row_texts

    # --- the numbers
    @property
    @told_in_python
    def parts(self) -> Float32:
        """[N, C, K] the contribution of each component to each label's logit."""
        return self._one.data.parts

    @property
    @told_in_python
    def full(self) -> Float32:
        """[N, K] the model's own logits."""
        return self._one.data.full

    @property
    @told_in_python
    def gold(self) -> Ints:
        """[N] the right label's number."""
        return self._one.data.gold

    @property
    @told_in_python
    def label_mass(self) -> Float32:
        """[N] the probability that the model puts on the label words together."""
        return self._one.data.label_mass

    @property
    @told_in_python
    def predictions(self) -> Ints:
        """[N, C] the label number that each component alone predicts, the first among equals."""
        return self._one.predictions

    def component(self, name: str) -> ComponentLogits:
        """One component's logits; ``run["L14H2"]`` is the same.

        Raises:
            UsageError: the model has no component of that name.
        """
        one = self._one
        j = one.position(name)
        return ComponentLogits(name, one.ids, one.labels.names, one.data.parts[:, j])

    # --- in other forms
    @told_in_python
    def statistics(self) -> ComponentResult:
        """A row a component in axis order, ``embed`` and ``bias`` too, and the full model last.

        Of several runs the means, as ``compread.rank`` has them.
        """
        from compread.analysis.ranking import rank

        runs = read_runs(
            self.paths, self.split, self.pool or DEFAULT_POOL, normalize=self.normalize
        )
        *rows, full = rank(runs, kinds=KINDS).rows()
        order = {component.name: j for j, component in enumerate(runs[0].components)}
        rows.sort(key=lambda row: order[row["component"]])
        return result_of(ComponentResult, [*rows, full])

    @told_in_python
    def to_pandas(self) -> Any:
        """A long DataFrame: a row for each store, example, component and label.

        Raises:
            UsageError: pandas is not installed.
        """
        return long_frame(self._stored)

    @told_in_python
    def to_xarray(self) -> Any:
        """A Dataset of ``parts``, ``full``, ``gold`` and ``predictions``, its axes named.

        Raises:
            UsageError: xarray is not installed, or these are several runs.
        """
        return dataset(self._one)

    def __repr__(self) -> str:
        if len(self) != 1:
            tasks = ", ".join(dict.fromkeys(one.info.task for one in self._stored))
            return f"<compread runs: {len(self)} stores of {tasks}>"
        row = self._stored[0].row()
        at = f" {row['template']} seed {row['seed']}" if row["template"] else ""
        return (
            f"<compread run: {row['task']}{at}, {row['rows']} {self.split} rows, "
            f"{row['components']} components, labels {row['labels']}, {row['model']}>"
        )

    def _repr_html_(self) -> str:
        """A small table, a line a run, for notebooks."""
        rows = [one.row() for one in self._stored[:_SHOWN]]
        columns = [Column(key, justify="left") for key in rows[0]] if rows else []
        more = len(self) - len(rows)
        return to_html([Table(columns, [rows], note=f"and {more} more" if more else "")])

    @property
    @told_in_python
    def _one(self) -> StoredRun:
        """The run, where there is one."""
        if len(self._stored) != 1:
            raise UsageError(
                f"these are {len(self)} runs, which have no arrays in common: take one, as in "
                "runs[0], or go through them"
            )
        return self._stored[0]


Stores: TypeAlias = "StorePath | Runs | Iterable[StorePath | Runs]"
"""What the functions are given: runs, or what ``open`` makes runs of."""
_SHOWN = 20


@told_in_python
def open(
    stores: Stores,
    split: str = DEFAULT_SPLIT,
    pool: str | None = DEFAULT_POOL,
    normalize: str = DEFAULT_NORMALIZATION,
) -> Runs:
    """Open stores: what each says of its run is read, the numbers when they are asked for.

    Args:
        stores: a store, a folder of stores, a glob such as ``"stores/sst2-*.h5"``, or several of
            these.
        split: ``train`` or ``test`` rows.
        pool: how the label words of one class become one label (``logsumexp``, ``max``, ``mean`` or
            ``first``); None: each word is a label.
        normalize: what makes answers of different lengths alike (``none``, ``tokens``, ``bytes``,
            ``characters`` or ``pmi``).

    Raises:
        UsageError: a store has no rows in the split.
        StoreError: there is no store, or one is missing, unfinished, damaged or foreign.
    """
    found = store_paths(names_of(stores))
    return Runs([StoredRun.read(path, split, pool, normalize) for path in found])


def names_of(stores: Stores) -> list[str]:
    """The files and folders that are meant, globs opened, as the commands take them."""
    if isinstance(stores, Runs):
        return [_plain(path) for path in stores.paths]
    if isinstance(stores, (str, os.PathLike)):
        name = os.fspath(stores)
        if glob.has_magic(name) and not Path(name).exists():
            found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207  # may be absolute
            return list(map(_plain, found)) or [name]
        return [_plain(name)]
    return [name for one in stores for name in names_of(one)]


def _plain(path: StorePath) -> str:
    """A path as a command takes it, where a lone hyphen is standard input."""
    name = os.fspath(path)
    return "./-" if name == "-" else name
