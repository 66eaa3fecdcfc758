"""Multiple-choice tasks of an installed lm-evaluation-harness, asked as it asks them.

Documents, prompts, choices, demonstrations and their seed are the library's own: a row's text and
answers are the context and the continuations of its requests. The library is imported only when
such a task is asked for. Its tasks are programs, those of an ``--include-path`` too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from compread.errors import PromptError, UsageError, option
from compread.prompts.build import without_twins
from compread.prompts.local_files import reason
from compread.prompts.names import check_name
from compread.prompts.row_options import MOST_ANSWERS, check_right
from compread.prompts.sampling import TEST_ROWS, hash_order
from compread.prompts.sets import Prompt, PromptSet
from compread.prompts.sources import errors_alone_logged, offline_datasets
from compread.text import nearest

PREFIX = "lm_eval:"
"""What stands before the name of a task of the library."""
SEED = 1234
"""The library's own seed of demonstrations."""
BUDGET = 24
"""Labelled examples in all by default, demonstrations included."""
_OLDEST = "0.4.12"
_INSTALL = "pip install 'compread[lm-eval]'"

Doc = Mapping[str, Any]


def is_lm_eval(name: str) -> bool:
    """Whether a task's name is one of the library's."""
    return name.startswith(PREFIX)


def lm_eval_sets(
    name: str,
    seeds: Sequence[int] | None = None,
    *,
    shots: int | None = None,
    n_train: int | None = None,
    limit: int | None = None,
    include_path: Path | None = None,
    offline: bool = False,
) -> list[PromptSet]:
    """The prompt sets of a task, or of all tasks of a group or tag, one for each seed.

    Test rows are the first documents of the split that the library evaluates, in its order and with
    the demonstrations that it draws for each. Train rows are documents of its few-shot split, which
    are not among the demonstrations of one another.

    Args:
        name: ``lm_eval:`` and a name of the library's, or of a YAML file in its format.
        seeds: of the demonstrations; None: the library's own, ``SEED``.
        shots: demonstrations; None: the task's own number.
        n_train: train rows; None: up to 24 less the demonstrations, as the few-shot split allows.
        limit: test rows at most; None: 2,000.
        include_path: a folder with YAML files in the library's format.
        offline: use local files and caches only.

    Raises:
        PromptError: the library is missing or too old, there is no such task, its data cannot be
            loaded, it is not multiple-choice, or a document cannot be used.
        UsageError: a negative number, or no test row wanted.
    """
    for what, number, least in (
        ("shots", shots, 0),
        ("train rows", n_train, 0),
        ("test rows", limit, 1),
    ):
        if number is not None and number < least:
            raise UsageError(f"{name}: {number} {what}; expected {least} or more")
    with errors_alone_logged("lm_eval"), offline_datasets(offline):
        tasks = _loaded(name.removeprefix(PREFIX), include_path)
        made = [_Harness.of(own, task) for own, task in tasks.items()]
        return [
            one.prompt_set(seed, shots, n_train, TEST_ROWS if limit is None else limit)
            for one in made
            for seed in dict.fromkeys((SEED,) if seeds is None else seeds)
        ]


def refuse_choices(name: str, given: Mapping[str, Any]) -> None:
    """Refuse options, by their names, that a task of the library has no use for.

    Raises:
        UsageError: one is given.
    """
    told = [option(key) for key, value in given.items() if value]
    if told:
        raise UsageError(
            f"{name}: its prompts and data are lm-evaluation-harness's own; leave out "
            f"{', '.join(told)}"
        )


@dataclass(frozen=True)
class _Harness:
    """One task of the library."""

    name: str
    task: Any

    @classmethod
    def of(cls, name: str, task: Any) -> _Harness:
        """Take a task whose rows are choices among continuations of one text.

        Raises:
            PromptError: it is another kind of task.
        """
        if task.OUTPUT_TYPE != "multiple_choice":
            raise PromptError(
                f"task {name!r} of lm-evaluation-harness has the output type "
                f"{task.OUTPUT_TYPE!r}; expected one of output type 'multiple_choice'"
            )
        if getattr(task, "multiple_input", 0):
            raise PromptError(
                f"task {name!r} of lm-evaluation-harness has a text for each choice and one "
                "continuation, as WinoGrande has; expected one text and several continuations"
            )
        if getattr(task, "MULTIMODAL", False):
            raise PromptError(
                f"task {name!r} of lm-evaluation-harness has images or sounds; expected text alone"
            )
        check_name(name, "name of the task")
        return cls(name, task)

    def prompt_set(
        self, seed: int, shots: int | None, n_train: int | None, limit: int
    ) -> PromptSet:
        """The rows with the demonstrations of one seed."""
        shots = (self.task.config.num_fewshot or 0) if shots is None else shots
        try:
            pool = list(self.task.fewshot_docs() or [])
        except Exception as error:  # as in ``_told``
            raise PromptError(f"{PREFIX}{self.name}: {reason(error)}") from error
        n_train = self._train_rows(pool, shots, n_train)
        self.task.set_fewshot_seed(seed)
        docs = self.task.doc_iterator(limit=limit)
        tests = [self._prompt(doc, shots, "test", number) for number, doc in docs]
        train = self._train(pool, shots, n_train, seed)
        rows, left_out = without_twins([*train, *tests])
        common = {prompt.answers for prompt in rows}
        labels = rows[0].answers if len(common) == 1 else ()
        if labels:
            rows = [Prompt(row.text, row.gold, row.split, row.id) for row in rows]
        return PromptSet(
            task=PREFIX + self.name,
            labels=labels,
            prompts=tuple(rows),
            seed=seed,
            shots=shots,
            protocol={
                "lm_eval": version("lm-eval"),
                "lm_eval_task_version": str(self.task.VERSION),
                "data": [self.task.DATASET_PATH, self.task.DATASET_NAME],
                "n_train": n_train,
                "limit": limit,
                "left_out": left_out,
                "target_delimiter": self.task.config.target_delimiter,
            },
        )

    def _train_rows(self, pool: Sequence[Doc], shots: int, n_train: int | None) -> int:
        """How many train rows there are, the first ``shots`` documents being no train rows."""
        room = 0 if self._tests_its_examples else max(0, len(pool) - shots)
        if n_train is not None and n_train > room:
            why = (
                "its demonstrations are of the split that it is tested on"
                if self._tests_its_examples
                else f"its few-shot split has {len(pool)} documents, and {shots} are kept to show"
            )
            raise PromptError(
                f"{PREFIX}{self.name} has room for {room} train rows, not {n_train}: {why}; give "
                f"{option('n-train', room)}"
            )
        return min(max(0, BUDGET - shots), room) if n_train is None else n_train

    @property
    def _tests_its_examples(self) -> bool:
        """Whether demonstrations come from the very split whose rows are tested."""
        config = self.task.config
        few = config.fewshot_config
        if few is not None and few.split is None and few.samples is not None:
            return False
        shown = (few.split if few else None) or config.training_split or config.validation_split
        tested = config.test_split or config.validation_split
        return shown is None or bool(shown == tested)

    def _train(self, pool: Sequence[Doc], shots: int, n_train: int, seed: int) -> list[Prompt]:
        """Train rows, whose demonstrations are drawn from the documents that are none."""
        if not n_train:
            return []
        places = range(shots, len(pool))
        chosen = hash_order(f"{self.name}:seed {seed}:train", places)[:n_train]
        rest = [doc for place, doc in enumerate(pool) if place not in {*chosen}]
        sampler = self.task.sampler
        try:
            sampler.replace_df(rest)
            self.task.set_fewshot_seed(seed)
            return [self._prompt(pool[place], shots, "train", place) for place in chosen]
        finally:
            sampler.replace_df(list(pool))

    def _prompt(self, doc: Doc, shots: int, split: str, number: int) -> Prompt:
        """One document as the library would ask it."""
        with self._told(f"{split}-{number}"):
            choices = self.task.doc_to_choice(doc)
            text = self.task.fewshot_context(
                doc, num_fewshot=shots, gen_prefix=self.task.doc_to_prefix(doc)
            )
            asked = self.task.construct_requests(doc=doc, ctx=text, metadata=(self.name, number, 1))
            answers = tuple(str(one.args[1]) for one in asked[: len(choices)])
            right = _right(self.task.doc_to_target(doc), choices)
            if not 2 <= len(answers) <= MOST_ANSWERS:
                raise PromptError(f"{len(answers)} choices; expected 2 to {MOST_ANSWERS}")
            if not all(answer.strip() for answer in answers):
                raise PromptError(f"an empty one among the choices {choices}")
            check_right(right, answers)
            return Prompt(text, right, split, f"{split}-{number}", answers=answers)

    @contextmanager
    def _told(self, row: str) -> Iterator[None]:
        """Say in an error which document it is of."""
        where = f"row {row} of {PREFIX}{self.name}"
        try:
            yield
        except PromptError as error:
            raise PromptError(f"{where}: {error}") from error
        except Exception as error:  # a task is a program of somebody else's
            raise PromptError(f"{where}: {reason(error)}") from error


def _right(target: Any, choices: Sequence[str]) -> int:
    """The place of the right choice, as the library reads ``doc_to_target``."""
    if isinstance(target, int) and target >= 0:
        return int(target)
    if isinstance(target, str) and target in choices:
        return list(choices).index(target)
    several = "several right choices" if isinstance(target, list) else "no right choice"
    raise PromptError(f"{several} ({target!r:.60} of {list(choices)!r:.200}); expected one")


def _loaded(name: str, include_path: Path | None) -> dict[str, Any]:
    """The library's tasks of that name, by their own names; a file's go before built-in ones."""
    manager = _manager(include_path) if include_path else _built_in()
    known = list(manager.all_tasks)
    if include_path and name not in known:
        manager = _built_in()
        known += manager.all_tasks
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean {PREFIX}{near}? " if near else ""
        raise PromptError(
            f"there is no task {name!r} of lm-evaluation-harness: {hint}lm-eval ls tasks lists them"
        )
    try:
        return dict(manager.load(name)["tasks"])
    except Exception as error:  # a task is a program of somebody else's, and loads data
        raise PromptError(f"lm-evaluation-harness cannot load {name!r}: {reason(error)}") from error


@cache
def _built_in() -> Any:
    """What knows the library's own tasks, of which it has thousands to read."""
    return _manager(None)


def _manager(include_path: Path | None) -> Any:
    """What knows the tasks of a folder, or the library's own."""
    if include_path is not None and not include_path.is_dir():
        raise PromptError(f"{include_path} is not a folder: give the folder that holds TASK.yaml")
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise PromptError(
            f"tasks of lm-evaluation-harness need that library ({error}): {_INSTALL}"
        ) from error
    if not hasattr(TaskManager, "load"):
        raise PromptError(
            f"lm-eval {_installed()} is too old, {_OLDEST} or newer is expected: {_INSTALL}"
        )
    if include_path is None:
        return TaskManager()
    return TaskManager(include_path=str(include_path), include_defaults=False)


def _installed() -> str:
    try:
        return version("lm-eval")
    except PackageNotFoundError:
        return "here"
