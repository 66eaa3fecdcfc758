"""Which runs the options of ``extract`` ask for, before a model is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_folder import review_rows, write_rows

from compread.cli.extract_grid import (
    LONGEST_NAME,
    Checkpoint,
    PromptChoices,
    checkpoints,
    number_list,
    targets,
)
from compread.errors import TargetError, UsageError


@pytest.mark.parametrize(
    "choice",
    [
        {"shots": 0}, {"n_train": 0}, {"limit": 0}, {"templates": ""}, {"data_dir": Path()},
        {"demo_labels": ""}, {"nearest": True, "embedder": "e"}, {"include_path": Path()},
        {"seeds": ""}, {"calibration": True},
    ],
    ids=str,
)  # fmt: skip
def test_finished_prompts_take_no_choice_of_a_task(choice: dict[str, Any]) -> None:
    """Each alone is refused, whatever its value."""
    with pytest.raises(UsageError, match="leave out what makes prompts of --tasks"):
        PromptChoices(prompts="nowhere.jsonl", **choice).prompt_sets()


def test_several_processes_cannot_read_one_stream(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of a file each reads its own."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    file = write_rows(tmp_path / "reviews.jsonl", review_rows(2))
    assert len(PromptChoices(prompts=str(file)).prompt_sets()) == 1
    with pytest.raises(UsageError, match="cannot all read standard input"):
        PromptChoices(prompts="-").prompt_sets()


def test_checkpoints_are_those_asked_for(tmp_path: Path) -> None:
    """One without a name of its own; of a folder its subfolders, of the hub its revisions."""
    (tmp_path / "s1").mkdir()
    assert checkpoints("org/m", "main", None) == [Checkpoint("org/m", "main")]
    assert checkpoints("org/m", None, "s2, s1,s2") == [
        Checkpoint("org/m", "s2", "s2"), Checkpoint("org/m", "s1", "s1"),
    ]  # fmt: skip
    assert checkpoints(str(tmp_path), None, "s1") == [Checkpoint(str(tmp_path / "s1"), None, "s1")]


@pytest.mark.parametrize(
    ("model", "revision", "revisions", "words"),
    [
        ("org/m", "main", "s1", "give one of them"),
        ("org/m", None, ",", "--revisions is empty"),
        ("m.gguf", None, "s1", "is a single file"),
        (".", None, "nowhere", "has no such subfolder"),
    ],
)
def test_checkpoints_that_cannot_be(
    model: str, revision: str | None, revisions: str, words: str
) -> None:
    """Each is told before anything is loaded."""
    with pytest.raises(UsageError, match=words):
        checkpoints(model, revision, revisions)


def test_each_run_has_a_file_of_its_own(tmp_path: Path) -> None:
    """One run may be given its path; several stand in a folder, each with its checkpoint."""
    one, two = Checkpoint("m", None), [Checkpoint("m", None, name) for name in ("s1", "a/b c")]
    assert targets(tmp_path / "x.h5", ["a.h5"], [one]) == [[tmp_path / "x.h5"]]
    assert targets(tmp_path, ["a.h5"], [one]) == [[tmp_path / "a.h5"]]
    assert targets(tmp_path, ["a.h5", "b.h5"], two) == [
        [tmp_path / "a-s1.h5", tmp_path / "b-s1.h5"],
        [tmp_path / "a-a_b_c.h5", tmp_path / "b-a_b_c.h5"],
    ]
    for names, points in ((["a.h5", "b.h5"], [one]), (["a.h5"], two)):
        with pytest.raises(UsageError, match="is one store, but these options ask for 2 runs"):
            targets(tmp_path / "x.h5", names, points)
    (tmp_path / "file").touch()
    with pytest.raises(TargetError, match="is a file; give a"):
        targets(tmp_path / "file", ["a.h5"], [one])


@pytest.mark.parametrize("letter", ["a", "é"])
def test_a_name_is_as_long_as_a_file_system_takes(tmp_path: Path, letter: str) -> None:
    """Counted in bytes; one more is refused before the run."""
    size = len(letter.encode())
    name = letter * ((LONGEST_NAME - 3) // size) + ".h5"
    assert targets(tmp_path, [name], [Checkpoint("m", None)])[0][0].name == name
    with pytest.raises(UsageError, match=f"has {len(name.encode()) + 2} bytes"):
        targets(tmp_path, [f"bb{name}"], [Checkpoint("m", None)])


@pytest.mark.parametrize(
    ("text", "numbers"), [(None, None), ("0,0,1", [0, 0, 1]), (" 2 ,1", [2, 1])]
)
def test_numbers_keep_their_order_and_repeats(text: str | None, numbers: list[int] | None) -> None:
    """Unlike ranges."""
    assert number_list("--demo-labels", text) == numbers


@pytest.mark.parametrize("text", ["", ",", "a", "0,-1", "1.5"])
def test_what_is_no_list_of_numbers_is_refused(text: str) -> None:
    """With what was given."""
    with pytest.raises(UsageError, match=f"--demo-labels {text}: expected numbers"):
        number_list("--demo-labels", text)
