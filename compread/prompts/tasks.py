"""Tasks as data: where rows come from, classes and their words or options, and templates.

A task is one YAML file, built in (``compread/prompts/tasks/NAME.yaml``) or the user's own; its
keys are those of ``task_files.read_task_file``. Nothing about a single task is in code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from compread.errors import PromptError
from compread.text import did_you_mean, listed

_SHOWN = 60
"""Names that a message lists."""


@dataclass(frozen=True)
class Verbalizer:
    """The classes in order and, for each, its words; the first is the one demonstrations show.

    Columns run class by class: ``Verbalizer(("a", "b"), ((" x", " y"), (" z",)))`` has the columns
    `` x``, `` y`` and `` z``, and the class ``b`` has column 2.
    """

    classes: tuple[str, ...]
    """Name of each class; with one word a class, that word."""
    words: tuple[tuple[str, ...], ...]
    """For each class its exact continuations, leading space included."""

    @classmethod
    def of_words(cls, words: Sequence[str]) -> Verbalizer:
        """One word a class, which is also the class's name."""
        return cls(tuple(words), tuple((word,) for word in words))

    @property
    def first(self) -> tuple[str, ...]:
        """The first word of each class."""
        return tuple(words[0] for words in self.words)

    @property
    def columns(self) -> tuple[str, ...]:
        """[K] the words in column order."""
        return tuple(word for words in self.words for word in words)

    @property
    def column_classes(self) -> tuple[str, ...]:
        """[K] the class of each column."""
        return tuple(
            name for name, words in zip(self.classes, self.words, strict=True) for _ in words
        )

    def column(self, number: int) -> int:
        """The column of the first word of class ``number``."""
        return sum(map(len, self.words[:number]))


@dataclass(frozen=True)
class Template:
    """A wording of the task: how a row becomes a prompt, and the word of each class."""

    id: str
    text: str
    """Jinja2 source of the input over the row's fields; it ends right before the label."""
    verbalizer: Verbalizer
    """The words of each class; none where each row has options of its own."""
    wording: str = ""
    """Where the wording comes from."""
    contrast_of: str | None = None
    """The template that this one is a small edit of (paper, section 4 and Table 9)."""
    options: str = ""
    """Jinja2 expression: the list of a row's own options; empty: all rows have the words."""
    answer: str = ""
    """Jinja2 source of an ``option`` as it stands behind the text."""
    unconditional: str = ""
    """The prompt that says nothing of a row (``prompts.unconditional``), for this wording; empty:
    none of its own."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The first word of each class, as the demonstrations show it."""
        return self.verbalizer.first


@dataclass(frozen=True)
class Source:
    """A data set on the Hugging Face hub, a local folder laid out as one, or a single file."""

    id: str
    """Hub id or folder; of a single file, its path as the task has it."""
    splits: Mapping[str, str]
    """The data set's name of our ``train`` (unless another task lends it) and ``test`` split."""
    config: str | None = None
    revision: str | None = None
    """Pinned commit, or None for the newest."""
    subjects: tuple[str, ...] = ()
    """Configurations of which one is named behind the task's name, as in ``mmlu:anatomy``."""
    file: Path | None = None
    """The single file, whose rows are train and test rows by halves."""


@dataclass(frozen=True)
class Label:
    """How a row says which answer is right."""

    field: str = ""
    """The field whose value is the class."""
    values: tuple[int | str | bool, ...] = ()
    """Its values in class order."""
    index: str = ""
    """Jinja2 expression: the place of the right option among the row's own, from 0. There are no
    classes then, and rows are drawn without regard to where the right option stands."""

    @property
    def n_classes(self) -> int:
        """Classes that draws are balanced between."""
        return len(self.values) or 1


@dataclass(frozen=True)
class Task:
    """One task: K classes, or a choice among options of each row's own."""

    name: str
    description: str
    source: Source | None
    """None: the rows come from ``--data-dir`` alone."""
    label: Label
    templates: Mapping[str, Template]
    shots: int
    """Demonstrations in a prompt by default."""
    budget: int = 24
    """Labelled examples in all, demonstrations included (the paper's K, section 5.1)."""
    license: str = ""
    lender: Task | None = None
    """The task whose train rows are this one's demonstrations and train rows, as in the paper's
    out-of-distribution runs; this task's rows are all test rows."""
    id: str = ""
    """The field whose value is a row's id; empty: its place in its split, or in its single file."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Further names of a row's fields: name in the templates -> name in the row."""
    instruction: str = ""
    """Jinja2 source of what stands before the demonstrations, with a blank line after it."""
    where: str = ""
    """Jinja2 expression that a row must fulfil to be used; empty: all rows are."""
    access: str = ""
    """How to come by data that are not on the hub."""

    @property
    def folder(self) -> str:
        """Where ``--data-dir`` has the task's rows; those of a subject in a folder below."""
        return self.name.replace(":", "/")

    def of_subject(self, subject: str) -> Task:
        """The task on one of its subjects.

        Raises:
            PromptError: it has no subjects, or no such one.
        """
        subjects = self.source.subjects if self.source else ()
        if not subjects or self.source is None:
            raise PromptError(f"task {self.name!r} has no subjects: leave out {':' + subject!r}")
        if subject not in subjects:
            raise PromptError(no_such(f"subject {subject!r} of {self.name!r}", subject, subjects))
        source = replace(self.source, config=subject, subjects=())
        return replace(self, name=f"{self.name}:{subject}", source=source)

    def template(self, template_id: str) -> Template:
        """The template of that id.

        Raises:
            PromptError: the task has no such template.
        """
        if template_id not in self.templates:
            what = f"template {template_id!r} of task {self.name!r}"
            raise PromptError(no_such(what, template_id, self.templates))
        return self.templates[template_id]

    def chosen_templates(self, wanted: Sequence[str] | None) -> list[str]:
        """The template ids that a list of ids and groups means, each once.

        The group ``all`` is every template that is not a contrast, ``contrast`` the others; None
        or no id at all is ``all``.

        Raises:
            PromptError: the task has no such template.
        """
        ids: list[str] = []
        for name in wanted or ["all"]:
            if name in self.templates or name not in ("all", "contrast"):
                ids.append(self.template(name).id)
            else:
                of = name == "contrast"
                ids += [t.id for t in self.templates.values() if bool(t.contrast_of) == of]
        return list(dict.fromkeys(ids))

    def train_rows(self, shots: int) -> int:
        """Train rows by default: what ``shots`` demonstrations leave of the budget."""
        return max(0, self.budget - shots)


def default_shots(n_classes: int) -> int:
    """The most balanced demonstrations up to four, one a class at least (paper, section 3).

    ``[default_shots(k) for k in (2, 3, 4, 5)]`` is ``[4, 3, 4, 5]``.
    """
    return max(4 // n_classes, 1) * n_classes


def no_such(what: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not among those ``known``, with the nearest of them."""
    known = list(known)
    hint = did_you_mean(name, known)
    return f"there is no {what}: {hint}known are {listed(known, _SHOWN)}"
