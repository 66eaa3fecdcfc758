"""YAML of somebody else's ends in one line that names file and line, at once."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from compread.prompts import load_task, mistakes_in

GOOD = """\
description: yes or no
label: {field: answer, values: [0, 1]}
templates:
  plain:
    text: "{{ question }}?"
    labels: [" no", " yes"]
"""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n + 1}: &a{n + 1} {{<<: [{', '.join([f'*a{n}'] * 9)}]}}\n" for n in range(9)
)
WRONG = {
    "aliases": (BOMB, "line 6: .*over 100,000 entries"),
    "aliases in use": (BOMB + GOOD.replace('[" no", " yes"]', "*i"), "line 6: .*100,000 entries"),
    "merges": (MERGES, "line 6: .*over 100,000 entries"),
    "itself": ("a: &a [*a]\n", "line 1: .*holds itself"),
    "lists": ("a: " + "[" * 3000 + "]" * 3000, "line 1: .*nests too deeply"),
    "mappings": ("{a: " * 3000 + "}" * 3000, "line 1: .*nests too deeply"),
    "digits": (GOOD.replace("yes or no", "1" * 5000), "line 1: .*number of 5,000 digits"),
    "base 60": (GOOD.replace("yes or no", "1" + ":1" * 9999), "line 1: .*number of 19,999 digits"),
    "date": (GOOD.replace("yes or no", "2001-99-99"), "line 1: .*month must be in 1..12.; quote"),
    "surrogate": (GOOD.replace("yes or no", r'"\ud800"'), "line 1: .*half a surrogate pair"),
    "surrogate key": (GOOD.replace("plain", r'"\ud800"'), "line 4: .*half a surrogate pair"),
    "null character": (GOOD.replace("plain", "pl\0ain"), "line 4: .*holds the character 0x0"),
    "object": (
        GOOD.replace("yes or no", "!!python/object/apply:os.system [ls]"),
        "line 1: .*could not determine a constructor",
    ),
    "function": (GOOD.replace("yes or no", "!function utils.x"), "line 1: .*'!function'"),
    "type": (GOOD.replace("yes or no", "!!int x"), "line 1: 'x' cannot be read|line 1: .*int"),
    "empty number": (GOOD.replace("yes or no", "!!int ''"), "line 1: .*'' cannot be read"),
    "empty fraction": (GOOD.replace("yes or no", "!!float ''"), "line 1: .*'' cannot be read"),
    "sign": (GOOD.replace("yes or no", "!!int '-'"), "line 1: .*'-' cannot be read"),
    "time": (GOOD.replace("yes or no", "!!timestamp x"), "line 1: .*'x' cannot be read"),
    "documents": (GOOD + "---\na: b\n", "line 7: .*another document"),
    "alias of nothing": ("a: *b\n", "line 1: .*undefined alias"),
    "large": ("a: " + "x" * 1_000_000, "over 1,000,000 bytes"),
    "shots": (GOOD + "shots: 99999999\n", "line 7: 'shots' is 99999999; expected 1,000,000 at"),
    "template": (
        GOOD.replace("{{ question }}?", "{{ " + "(" * 3000),
        "line 5: 'templates.plain.text' cannot be used: the template is not valid Jinja2: it nests",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_read(text: str, message: str, tmp_path: Path) -> None:
    """Each way to make a reader fail, hang or swell is one short line with the line's number."""
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    found = mistakes_in(file)
    assert found and all("\n" not in line and len(line) < 600 for line in found)
    assert re.search(f"mine.yaml,? .*{message}", found[0])


@pytest.mark.parametrize("kind", ["fifo", "folder", "nothing"])
def test_what_is_no_file(kind: str, tmp_path: Path) -> None:
    """A pipe without a writer, a folder and a name without a file are told at once."""
    file = tmp_path / "mine.yaml"
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    (found,) = mistakes_in(file)
    assert ("cannot read" if kind == "nothing" else "is not a regular file") in found


def test_anchors_and_merges_that_are_of_use(tmp_path: Path) -> None:
    """Words that two templates share can be written once, and merged keys give way to own ones."""
    text = GOOD.replace("  plain:\n", "  plain: &first\n") + "  other:\n    <<: *first\n"
    text += '    text: "{{ question }} (yes or no)?"\n'
    (tmp_path / "mine.yaml").write_text(text)
    task = load_task("mine", tmp_path)
    assert task.template("other").labels == (" no", " yes")
    assert task.template("other").text == "{{ question }} (yes or no)?"


@pytest.mark.parametrize("change", [lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n")])
def test_files_of_other_systems(change: object, tmp_path: Path) -> None:
    """A byte order mark and line ends of another system are no mistake."""
    assert callable(change)
    (tmp_path / "mine.yaml").write_bytes(change(GOOD).encode())
    assert mistakes_in(tmp_path / "mine.yaml") == []
