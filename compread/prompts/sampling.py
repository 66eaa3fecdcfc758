"""Which rows become demonstrations, train rows and test rows (paper, sections 2.3 and 2.4).

Every order is a sort by SHA-256 of a salt and the row number, so that a seed means the same rows
on every machine and with every version of Python; no random generator is used.

The train rows of each class stand in one such order, cut into blocks. Seed s draws from block s
alone: first its demonstrations, then its train rows. Both are therefore disjoint between seeds
and from each other. A block has room for the task's whole budget of labelled examples, so fewer
train rows are a prefix of more, and seeds keep their demonstrations when the budget is cut.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from compread.errors import PromptError, UsageError
from compread.prompts.json_lines import as_id
from compread.prompts.local_files import Half, Row
from compread.prompts.row_options import check_right, fields_read, right_option, row_answers
from compread.prompts.tasks import Task, Template
from compread.prompts.templates import fields_named, fulfils, render, row_of_task, told_of

TEST_ROWS = 2000
"""Test rows by default, or all there are (paper, section 3)."""

Queues = Sequence[Sequence[int]]
"""[K] row numbers of each class, in drawing order."""


@dataclass(frozen=True)
class Labelled:
    """Row numbers of one seed's labelled examples."""

    demonstrations: tuple[int, ...]
    train: tuple[int, ...]


def hash_order(salt: str, numbers: Iterable[int]) -> list[int]:
    """The numbers in the order of SHA-256 of ``salt:number``."""
    return sorted(numbers, key=lambda number: sha256(f"{salt}:{number}".encode()).digest())


def class_queues(
    classes: Sequence[int] | Mapping[int, int], n_classes: int, salt: str, kept: Iterable[int]
) -> Queues:
    """The ``kept`` rows apart by class, each class in hash order.

    Args:
        classes: class of each row, by its number.
        n_classes: how many there are.
        salt: name of the order; the task's name and the split.
        kept: row numbers that may be drawn.
    """
    members: list[list[int]] = [[] for _ in range(n_classes)]
    for number in kept:
        members[classes[number]].append(number)
    return tuple(tuple(hash_order(salt, numbers)) for numbers in members)


def balanced_order(queues: Queues, salt: str) -> Iterator[int]:
    """One row of every class in turn: every prefix is as balanced as can be.

    The classes' order within a round is drawn anew for each round, so that an odd prefix favours
    no class.
    """
    for turn in range(max(map(len, queues))):
        for column in hash_order(f"{salt}:{turn}", range(len(queues))):
            if turn < len(queues[column]):
                yield queues[column][turn]


def draw_labelled(
    queues: Queues,
    salt: str,
    *,
    seed: int,
    shots: int,
    n_train: int,
    budget: int,
    demo_labels: Sequence[int] | None = None,
) -> Labelled:
    """Demonstrations and train rows of one seed.

    Where K does not divide ``shots`` or ``n_train``, class counts differ by one. The last two
    demonstrations have different labels wherever there are two.

    Args:
        queues: [K] train rows of each class.
        salt: the task's name.
        seed: which block of rows.
        shots: demonstrations.
        n_train: train rows after them.
        budget: labelled examples that every block has room for.
        demo_labels: the class of each demonstration in prompt order; None: balanced.

    Raises:
        UsageError: a negative number.
        PromptError: too few rows for that block; the message says what would work.
    """
    if min(seed, shots, n_train) < 0:
        raise UsageError(f"seed {seed}, {shots} shots, {n_train} train rows: none may be negative")
    n_classes = len(queues)
    most = -(-shots // n_classes)  # of each class, rounded up
    if demo_labels is not None:
        most = max([demo_labels.count(k) for k in range(n_classes)])
    used = most - (-n_train // n_classes)
    size = max(used, -(-budget // n_classes))
    fewest = min(map(len, queues))
    if seed * size + used > fewest:
        raise PromptError(_too_few(salt, seed, shots, n_train, size, used, fewest, n_classes))
    block = [queue[seed * size : seed * size + used] for queue in queues]
    column = {number: k for k, numbers in enumerate(block) for number in numbers}
    salt = f"{salt}:seed {seed}"
    if demo_labels is None:
        shown = list(itertools.islice(balanced_order(block, f"{salt}:demonstrations"), shots))
    else:
        fresh = [iter(numbers) for numbers in block]
        shown = [next(fresh[label]) for label in demo_labels]
    rest = [[number for number in numbers if number not in shown] for numbers in block]
    train = itertools.islice(balanced_order(rest, f"{salt}:train"), n_train)
    if demo_labels is None:
        shown = list(_last_two_differ(shown, column, f"{salt}:order"))
    return Labelled(tuple(shown), tuple(train))


def draw_test(queues: Queues, salt: str, limit: int | None = None) -> tuple[int, ...]:
    """The balanced test rows: the same for every seed and template.

    With ``limit`` None class counts are equal and at most ``TEST_ROWS`` rows are drawn; any other
    limit takes the first rows of the same order, counts differing by one at most.

    Raises:
        UsageError: a limit below one.
        PromptError: a class without a row.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"a limit of {limit} test rows leaves nothing: give 1 or more")
    fewest = min(map(len, queues))
    if not fewest:
        raise PromptError(
            f"task {salt!r} has test rows per class {[*map(len, queues)]}: "
            "every class needs one at least that is not among the train rows"
        )
    wanted = TEST_ROWS // len(queues) * len(queues) if limit is None else limit
    equal = [queue[:fewest] for queue in queues]
    return tuple(itertools.islice(balanced_order(equal, f"{salt}:test"), wanted))


def _last_two_differ(shown: list[int], column: dict[int, int], salt: str) -> tuple[int, ...]:
    """Reshuffle until the last two labels differ, against recency bias (paper, A.1).

    Ends: two or more rows in balanced order are of two classes at least, or there is only one.
    """
    orders = (tuple(hash_order(f"{salt}:{attempt}", shown)) for attempt in itertools.count())
    alike = len({column[number] for number in shown}) < 2
    return next(o for o in orders if alike or column[o[-1]] != column[o[-2]])


def _too_few(
    task: str, seed: int, shots: int, n_train: int, size: int, used: int, fewest: int, classes: int
) -> str:
    of, has = ("of each class, and its rarest has", " of each") if classes > 1 else ("and has", "")
    needed = f"{seed * size + used} train rows {of} {fewest}"
    if fewest >= used:
        way = f"the largest seed that works is {(fewest - used) // size}"
    else:
        way = f"even seed 0 has room for {fewest}{has}, shots and train rows together"
    return (
        f"seed {seed} of task {task!r} with {shots} shots and {n_train} train rows needs "
        f"{needed}: {way}"
    )


@dataclass(frozen=True)
class Pool:
    """The rows of one split, and those of each class in drawing order."""

    task: str
    """The task that the rows are of."""
    split: str
    rows: Sequence[Row]
    ids: Sequence[str]
    """What each row is called."""
    classes: Mapping[int, int]
    """Class of each row that may be drawn, by the row's number; without classes, the place of its
    right option."""
    queues: Queues

    def id(self, number: int) -> str:
        """The id of a row, by its number in the split."""
        return self.ids[number]

    def where(self, number: int) -> str:
        """A row as messages name it."""
        return row_of_task(self.ids[number], self.task)

    def text(self, template: Template, number: int) -> str:
        """A row's input.

        Raises:
            PromptError: the row cannot be rendered.
        """
        with told_of(self.where(number)):
            return render(template, self.rows[number])

    def answers(self, template: Template, number: int) -> tuple[str, ...]:
        """What a row chooses from: its own options, or the template's words, one a class.

        Raises:
            PromptError: the options cannot be made, or the right one is not among them.
        """
        with told_of(self.where(number)):
            found = row_answers(template, self.rows[number])
            check_right(self.classes[number], found)
            return found


@dataclass(frozen=True)
class Pools:
    """Both splits of a task, without rows that repeat, or test rows that are also train rows."""

    train: Pool
    test: Pool


def make_pools(task: Task, rows_train: Sequence[Row], rows_test: Sequence[Row]) -> Pools:
    """Sort a task's rows by class; done once for all templates and seeds.

    ``rows_train`` are the lender's where the task has one. Rows that the task's ``where`` rules out
    are left aside.

    Rows are the same if they agree in every field that the task's templates read. A row that stood
    before is left out, and so is a test row that is anywhere in the train file: the test rows are
    then the same for each seed, and no text counts twice.

    Raises:
        PromptError: a label that is not one of the task's values.
    """
    source = task.lender or task
    fields = sorted(set().union(*map(fields_read, task.templates.values())))
    train, test = _Named.of(source, "train", rows_train), _Named.of(task, "test", rows_test)
    known = _distinct(train.rows, fields, train.usable())
    found = _distinct(test.rows, fields, test.usable())
    unseen = [number for content, number in found.items() if content not in known]
    return Pools(train.pool(list(known.values())), test.pool(unseen))


@dataclass(frozen=True)
class _Named:
    """The rows of a split, with what they are called in messages and stores."""

    task: Task
    split: str
    rows: Sequence[Row]
    """With the names that the task's templates use."""
    ids: Sequence[str]

    @classmethod
    def of(cls, task: Task, split: str, rows: Sequence[Row]) -> _Named:
        """Of the rows as they were loaded.

        Raises:
            PromptError: a row lacks a field that goes by another name.
        """
        if isinstance(rows, Half):
            ids = [str(place) for place in rows.places]
        else:
            ids = [f"{split}-{number}" for number in range(len(rows))]
        if task.id:  # a row that is left out may lack it
            ids = [str(row.get(task.id, place)) for row, place in zip(rows, ids, strict=True)]
        named = cls(task, split, rows, ids)
        if not task.fields:
            return named
        for name in task.fields.values():
            for number, row in enumerate(rows):
                if name not in row:
                    where = named.where(number)
                    raise PromptError(f"{where} has no {name!r}; {fields_named(row)}")
        renamed = [{**row, **{to: row[of] for to, of in task.fields.items()}} for row in rows]
        return replace(named, rows=renamed)

    def where(self, number: int) -> str:
        """A row as messages name it."""
        return row_of_task(self.ids[number], self.task.name)

    def usable(self) -> list[int]:
        """Numbers of the rows that the task's ``where`` lets through."""
        found = []
        for number, row in enumerate(self.rows):
            try:
                if fulfils(self.task.where, row):
                    found.append(number)
            except PromptError as error:
                raise PromptError(f"{self.where(number)}: its 'where' {error}") from error
        return found

    def pool(self, kept: Sequence[int]) -> Pool:
        """The pool of the rows that are kept.

        Raises:
            PromptError: a label that is none of the task's, an id that is missing or stands twice.
        """
        task = self.task
        if task.id:
            for number in kept:
                as_id(self.rows[number].get(task.id), self.where(number), task.id)
        twice = [name for name, n in Counter(self.ids[number] for number in kept).items() if n > 1]
        if twice:
            raise PromptError(
                f"task {task.name!r} has several {self.split} rows with the id {twice[0]!r} (its "
                f"field {task.id!r}); name a field that differs in every row"
            )
        classes = {n: _class(task, self.where(n), self.rows[n]) for n in kept}
        queued = dict.fromkeys(kept, 0) if task.label.index else classes
        queues = class_queues(queued, task.label.n_classes, f"{task.name}:{self.split}", kept)
        return Pool(task.name, self.split, self.rows, self.ids, classes, queues)


def _class(task: Task, where: str, row: Row) -> int:
    field, values = task.label.field, task.label.values
    if task.label.index:
        with told_of(where):
            return right_option(task.label, row)
    if field not in row:
        raise PromptError(f"{where} has no {field!r}; {fields_named(row)}")
    known = ", ".join(map(repr, values))
    if row[field] is None or row[field] != row[field]:  # an empty cell can be "not a number"
        raise PromptError(f"{where} has a null {field!r}; drop it, or give one of {known}")
    if row[field] not in values:
        raise PromptError(f"{where} has {field!r} {row[field]!r:.60}, not one of {known}")
    return values.index(row[field])


def _distinct(
    rows: Sequence[Row], fields: Sequence[str], kept: Sequence[int]
) -> dict[tuple[str, ...], int]:
    """The number of the first row of each content."""
    first: dict[tuple[str, ...], int] = {}
    for number in kept:
        first.setdefault(_content(rows[number], fields), number)
    return first


def _content(row: Row, fields: Sequence[str]) -> tuple[str, ...]:
    values = (row.get(field) for field in fields)
    return tuple(v.strip() if isinstance(v, str) else repr(v) for v in values)
