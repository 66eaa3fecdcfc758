"""What must hold of the prompt sets of every task, template and seed, whatever the data.

On rows made here, and with ``-m slow`` on the labelled data in ``$COMPREAD_TEST_DATA``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from made_rows import LENDERS, TEN, VALUES, write_data

from compread.errors import UsageError
from compread.prompts import Prompt, PromptSet, load_task, prompt_sets

SEEDS = range(5)
DATA = os.environ.get("COMPREAD_TEST_DATA")
NEW = ("task069", "task070", "mednli")


def templates_of(task: str) -> list[str]:
    """Every template of a task, contrasts too."""
    return load_task(task).chosen_templates(["all", "contrast"])


CASES = [(task, template) for task in (*TEN, *NEW) for template in templates_of(task)]


def faults(sets: Sequence[PromptSet], n_classes: int) -> list[str]:
    """What is wrong with the seeds of one task and template; nothing, where all is well."""
    wrong: list[str] = []
    shown = [row for one in sets for row in one.demonstrations]
    if len(set(shown)) < len(shown):
        wrong.append("a demonstration is in two seeds")
    if len({texts(one, "test") for one in sets}) > 1:
        wrong.append("test rows differ between seeds")
    for one in sets:
        wrong += faults_of_one(one, n_classes)
    return wrong


def faults_of_one(one: PromptSet, n_classes: int) -> list[str]:
    """What is wrong within one prompt set."""
    wrong = []
    split = {name: [p for p in one.prompts if p.split == name] for name in ("train", "test")}
    train, test = (inputs(rows) for rows in split.values())
    pieces = [p.pieces for p in one.prompts if p.pieces]
    demonstrations = [text for text, _ in pieces[0].demonstrations]
    words = [word for _, word in pieces[0].demonstrations]
    if len(set(demonstrations)) < len(demonstrations):
        wrong.append("a demonstration is shown twice")
    if set(train) & set(test):
        wrong.append("a train row is a test row")
    if set(demonstrations) & (set(train) | set(test)):
        wrong.append("a demonstration is a train or test row")
    if set(one.demonstrations) & {p.id for p in split["train"]}:
        wrong.append("a demonstration's id is a train row's")
    if len(words) > 1 and words[-1] == words[-2]:
        wrong.append("the last two labels are equal")
    if {p.demonstrations for p in pieces} != {pieces[0].demonstrations}:
        wrong.append("rows show different demonstrations")
    golds = [words, [p.gold for p in split["train"]], [p.gold for p in split["test"]]]
    for name, values in zip(("demonstrations", "train", "test"), golds, strict=True):
        counts = Counter(values).values()
        if len(counts) != n_classes or max(counts) - min(counts) > (len(values) % n_classes > 0):
            wrong.append(f"{name} are not balanced")
    shots = 3 if n_classes == 3 else 4
    if (one.shots, len(words), len(train)) != (shots, shots, 24 - shots):
        wrong.append("not the paper's numbers")
    return wrong


def inputs(rows: Sequence[Prompt]) -> list[str]:
    """Each row's own input."""
    return [row.pieces.input for row in rows if row.pieces]


def texts(one: PromptSet, split: str) -> tuple[str, ...]:
    """The inputs of one split, in order."""
    return tuple(inputs([row for row in one.prompts if row.split == split]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up rows of all tasks."""
    return write_data(tmp_path_factory.mktemp("data"), *TEN, *NEW)


@pytest.mark.parametrize(("task", "template"), CASES)
def test_made_rows(task: str, template: str, made: Path) -> None:
    """Every task and template follows the protocol for seeds 0 to 4."""
    sets = prompt_sets(load_task(task), [template], SEEDS, data_dir=made)
    assert faults(sets, len(VALUES[task])) == []
    assert len(sets) == 5 and all(len(texts(one, "test")) >= 128 for one in sets)


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="COMPREAD_TEST_DATA does not name a data folder")
@pytest.mark.parametrize(("task", "template"), [case for case in CASES if case[0] in TEN])
def test_real_rows(task: str, template: str) -> None:
    """The same on the real rows of ten tasks, whose test rows may come back in the train file."""
    sets = prompt_sets(load_task(task), [template], SEEDS, data_dir=Path(DATA or ""))
    assert faults(sets, len(VALUES[task])) == []


def test_borrowed_demonstrations_are_the_lender_s(made: Path) -> None:
    """A task out of distribution shows, seed by seed, what the task shows that lends."""
    for task, lender in LENDERS.items():
        ids = load_task(lender).chosen_templates(None)
        for theirs, own in zip(
            prompt_sets(load_task(lender), ids, SEEDS, data_dir=made),
            prompt_sets(load_task(task), ids, SEEDS, data_dir=made),
            strict=True,
        ):
            assert own.demonstrations == theirs.demonstrations
            assert texts(own, "train") == texts(theirs, "train") != ()


def test_a_fault_is_seen(made: Path) -> None:
    """The check itself sees a row in both splits, an unbalanced split and two equal seeds."""
    good = prompt_sets(load_task("sst2"), ["said"], (0, 1), data_dir=made)
    first = good[0]
    twice = replace(first.prompts[0], split="test")
    leaking = replace(first, prompts=(*first.prompts, twice, twice))
    assert faults(good, 2) == []
    assert {"a train row is a test row", "test are not balanced"} <= set(faults([leaking], 2))
    assert faults([first, first], 2) == ["a demonstration is in two seeds"]
    turned = [
        replace(p, pieces=replace(p.pieces, demonstrations=backwards(p)))
        for p in first.prompts
        if p.pieces
    ]
    assert faults([replace(first, prompts=tuple(turned))], 2) == ["the last two labels are equal"]


def backwards(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """The row's demonstrations, sorted by label."""
    assert prompt.pieces
    return tuple(sorted(prompt.pieces.demonstrations, key=lambda shown: shown[1]))


@pytest.mark.parametrize("label", [-1, 2])
def test_a_demonstrations_label_is_a_class(tmp_path: Path, label: int) -> None:
    """Another number is refused with the classes that there are."""
    data = write_data(tmp_path, "sst2", n_train=100, n_test=20)
    with pytest.raises(UsageError, match=rf"demo label {label}: the classes of 'sst2' are 0 to 1$"):
        prompt_sets(load_task("sst2"), data_dir=data, demo_labels=[0, label])
