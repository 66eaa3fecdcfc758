"""Names that become file names: one rule, at every place they come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compread.errors import PromptError, UsageError
from compread.prompts import load_task, mistakes_in, read_prompt_file
from compread.prompts.names import check_name, name_fault, one_file

BAD = {
    "../../../evil": "begins with|'/' in it",
    "a/b": "'/' in it",
    "a\\b": "in it",
    "a\0b": r"\\x00' in it",
    "a\nb": r"\\n' in it",
    "a\x1b[2J": r"\\x1b' in it",
    "a\u202eb": r"\\u202e' in it",
    "a\u200bb": r"\\u200b' in it",
    "a\ud800b": r"\\ud800' in it",
    "a:b": "':' in it",
    "a*b": "in it",
    "": "begins with ''",
    ".hidden": "begins with '.'",
    "..": "begins with '.'",
    "-o": "begins with '-'",
    " a": "begins with ' '",
    "a.": "ends in '.'",
    "a ": "ends in ' '",
    "x" * 81: "81 bytes",
    "é" * 41: "82 bytes",
    "con": "Windows",
    "NUL.txt": "Windows",
    "e\u0301a": "accents",
}
GOOD = [
    "plain",
    "a-b_c.d",
    "A 1",
    "_x",
    "données",
    "日本語",
    "हिन्दी",
    "x" * 80,
    "a,b (2)",
    "console",
]
TASK = """\
description: yes or no
label: {field: answer, values: [0, 1]}
templates:
  %s:
    text: "{{ question }}?"
    labels: [" no", " yes"]
"""


@pytest.mark.parametrize(("name", "why"), BAD.items(), ids=map(ascii, BAD))
def test_names_that_are_refused(name: str, why: str, tmp_path: Path) -> None:
    """What a path, a shell or a file system reads as its own is refused as a template's id."""
    with pytest.raises(PromptError, match=f"the id .*cannot be part of a file name: .*{why}") as e:
        check_name(name, "id")
    assert "expected at most 80 bytes" in str(e.value) and "\n" not in str(e.value)
    (tmp_path / "mine.yaml").write_text(TASK % json.dumps(name))
    with pytest.raises(PromptError, match=r"mine.yaml, line 4: .*") as caught:
        load_task("mine", tmp_path)
    assert "\n" not in str(caught.value)
    assert mistakes_in(tmp_path / "mine.yaml")


@pytest.mark.parametrize("name", GOOD)
def test_names_that_are_taken(name: str, tmp_path: Path) -> None:
    """Letters and digits of any script, spaces and a few signs are taken."""
    assert name_fault(name) is None
    (tmp_path / f"{name}.yaml").write_text(TASK % json.dumps(name))
    assert list(load_task(name, tmp_path).templates) == [name]


@pytest.mark.parametrize("stem", ["-x", "a\tb", "a:b", "nul"])
def test_stems_of_files(stem: str, tmp_path: Path) -> None:
    """The name of a task's file and of a prompts' file keeps the same rule."""
    (tmp_path / f"{stem}.yaml").write_text(TASK % "plain")
    with pytest.raises(PromptError, match=r"task's name .*rename the file"):
        load_task(stem, tmp_path)
    row = {"prompt": "x", "label": " a", "options": [" a", " b"]}
    (tmp_path / f"{stem}.jsonl").write_text(json.dumps(row))
    with pytest.raises(PromptError, match=r"name of the prompts' file .*cannot be part of a file"):
        read_prompt_file(tmp_path / f"{stem}.jsonl")


@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (["a", "b", "A"], ("a", "A")),
        (["ﬁ", "fi"], ("ﬁ", "fi")),
        (["straße", "STRASSE"], ("straße", "STRASSE")),
        (["a", "b"], None),
    ],
)
def test_two_names_of_one_file(names: list[str], pair: tuple[str, str] | None) -> None:
    """Names that are equal on some file systems are found."""
    assert one_file(names) == pair


def test_templates_that_differ_by_case(tmp_path: Path) -> None:
    """Two templates of one task that some systems would store in one file are a mistake."""
    text = TASK % "plain" + (TASK % "Plain").partition("templates:\n")[2]
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(PromptError, match=r"line 7: .*'plain' on some systems; choose another id"):
        load_task("mine", tmp_path)


@pytest.mark.parametrize(
    ("names", "labels", "message"),
    [
        (["a-b-c-k4-s0.h5", "a-b-c-k4-s0.h5"], [None], "two of these runs are one file"),
        (["a.h5", "A.h5"], [None], "two of these runs are one file"),
        (["a.h5"], ["x/y", "x_y"], "two of these runs are one file"),
        (["a.h5"], ["x" * 240], "has 245 bytes, over 230"),
    ],
)
def test_runs_of_one_name(
    names: list[str], labels: list[str | None], message: str, tmp_path: Path
) -> None:
    """Runs whose stores would be one file are told before a model is loaded."""
    from compread.cli.extract_grid import Checkpoint, targets

    points = [Checkpoint("m", None, label) for label in labels]
    with pytest.raises(UsageError, match=message):
        targets(tmp_path, names, points)
    assert len(targets(tmp_path, ["a.h5", "b.h5"], [Checkpoint("m", None, "x/y")])[0]) == 2
