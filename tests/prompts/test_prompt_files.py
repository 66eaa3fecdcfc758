"""Prompt sets in JSON Lines: what is read, and the line of each mistake."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compread.errors import PromptError
from compread.prompts import Prompt, prompts_of_rows, read_prompt_file

OPTIONS = [" negative", " positive"]


def row(**changes: object) -> dict[str, object]:
    """A good row with some keys changed, or left out where they are None."""
    good = {"prompt": "Review: fine\nSentiment:", "label": " positive", "options": OPTIONS}
    return {key: value for key, value in (good | changes).items() if value is not None}


def write(folder: Path, *rows: object) -> Path:
    """A file of rows; a string is written as it stands."""
    file = folder / "mine.jsonl"
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in rows]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_rows_and_defaults(tmp_path: Path) -> None:
    """Split and id have defaults, other keys are ignored, train rows go first."""
    file = write(
        tmp_path,
        row(label=" negative", note="mine"),
        row(split="train", id="a", prompt="x\u2028y"),
        "",
        row(id=7),
        row(split="train"),
    )
    made = read_prompt_file(file)
    assert (made.task, made.labels) == ("mine", (" negative", " positive"))
    assert (made.template, made.seed, made.shots, made.demonstrations) == (None, None, None, ())
    text = "Review: fine\nSentiment:"
    assert made.prompts == (
        Prompt("x\u2028y", 1, "train", "a"),
        Prompt(text, 1, "train", "3"),
        Prompt(text, 0, "test", "0"),
        Prompt(text, 1, "test", "7"),
    )


def test_labels_for_the_whole_file(tmp_path: Path) -> None:
    """Options may be given once for rows that have none, and their order is the columns'."""
    file = write(tmp_path, row(options=None), row(options=None, label=" negative"))
    made = read_prompt_file(file, [" positive", " negative"])
    assert made.labels == (" positive", " negative")
    assert [prompt.gold for prompt in made.prompts] == [0, 1]


def test_options_of_each_rows_own(tmp_path: Path) -> None:
    """Where options differ in words, number or order, each row keeps its own."""
    shown = [OPTIONS, OPTIONS[::-1], [" a long answer", " b", " c"]]
    rows = [row(options=options, label=options[-1]) for options in shown]
    made = read_prompt_file(write(tmp_path, *rows))
    assert (made.labels, made.classes, made.has_own_answers) == ((), (), True)
    assert [list(made.answers(prompt)) for prompt in made.prompts] == shown
    assert [prompt.gold for prompt in made.prompts] == [1, 1, 2]


def test_a_label_by_its_number(tmp_path: Path) -> None:
    """The right option's number does as well as its text, for options in common too."""
    own = [row(label=1), row(label=0, options=[" x", " y", " z"])]
    assert [p.gold for p in read_prompt_file(write(tmp_path, *own)).prompts] == [1, 0]
    of_classes = row(label=1, options=[[" bad", " dull"], [" good"]])
    assert read_prompt_file(write(tmp_path, of_classes)).prompts[0].gold == 2


def test_options_of_its_own_are_part_of_the_prompt_sets_hash(tmp_path: Path) -> None:
    """Another wrong answer is another prompt set; options in common hash as before."""
    made = [
        read_prompt_file(write(tmp_path, row(), row(label=1, options=[wrong, " positive"])))
        for wrong in (" a", " b")
    ]
    assert made[0].hash != made[1].hash
    assert read_prompt_file(write(tmp_path, row())).hash == "8a96232bbcbd9c28"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash reads standard input."""
    data = json.dumps(row()).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert read_prompt_file("-").task == "stdin"


def test_one_id_in_both_splits(tmp_path: Path) -> None:
    """An id need be unique only within its split."""
    assert len(read_prompt_file(write(tmp_path, row(id=1), row(id=1, split="train"))).prompts) == 2


MISTAKES: list[tuple[list[object], int, str]] = [
    ([row(), '{"prompt": '], 2, "not valid JSON"),
    ([row(), "[" * 100_000], 2, "not valid JSON"),
    ([row(), "", "7"], 3, "'7' is not a JSON object"),
    ([row(prompt=None, promt="x")], 1, "'prompt' is missing; the row has .*; rename 'promt', if"),
    ([row(options=None, option=["a", "b"])], 1, "give --labels; rename 'option', if that is meant"),
    ([row(), row(prompt="")], 2, "'prompt' is ''"),
    ([row(prompt=["x"])], 1, r"'prompt' is \['x'\]"),
    ([row(label=None, lable="x")], 1, "'label' is missing"),
    ([row(label=True)], 1, "'label' is True; expected the right option's text, or its number"),
    ([row(label=1.0)], 1, "'label' is 1.0; expected .* or its number from 0 to 1"),
    ([row(options=["x" * 9999, 3])], 1, ".{,300}$"),
    ([row(label=2)], 1, "label 2 is no option's number; expected 0 to 1"),
    ([row(label=-1)], 1, "label -1 is no option's number"),
    ([row(label="positive")], 1, "label 'positive' is not among the options .*mind the space"),
    (
        [row(label=" x", options=[[" bad", " dull"], " good"])],
        1,
        r"among the options \[\[' bad', ' dull'\], ' good'\]",
    ),
    ([row(options=None)], 1, "'options' is missing; add it to every row, or give --labels"),
    ([row(), row(options=None)], 2, "'options' is missing"),
    ([row(), row(options=[[" positive", " good"], " bad"])], 2, "several words for one class"),
    ([row(), row(label=3, options=list(map(str, range(27))))], 2, "27 options; .* 26 of its own"),
    ([row(), row(options=["", " positive"])], 2, "is not a list of words"),
    ([row(options=[" positive"])], 1, "has one word; two or more"),
    ([row(options=OPTIONS + OPTIONS[:1])], 1, "has a word twice"),
    ([row(options=" positive")], 1, "is not a list of words"),
    ([row(options=[" positive", 3])], 1, "is not a list of words"),
    ([row(options=[" positive", "\0"])], 1, "null character"),
    ([row(split="dev")], 1, "split 'dev' is neither"),
    ([row(split=["test"])], 1, "is neither"),
    ([row(id=3), row(id="3")], 2, "id '3' stands twice in split 'test'"),
    ([row(id=1), row()], 2, "id '1' stands twice"),
    ([row(id=True)], 1, "id must be a string or a whole number, got True"),
    ([row(id="a\0")], 1, "null character"),
    ([row(), '{"prompt": "\\ud800", "label": "x"}'], 2, "half a surrogate pair"),
]


@pytest.mark.parametrize(("rows", "line", "message"), MISTAKES)
def test_mistakes_name_the_line(
    rows: list[object], line: int, message: str, tmp_path: Path
) -> None:
    """Each kind of mistake is told in one line, with the file and the line it stands on."""
    with pytest.raises(PromptError, match=f"mine.jsonl, line {line}: .*{message}") as caught:
        read_prompt_file(write(tmp_path, *rows))
    assert "\n" not in str(caught.value)


def test_no_rows_are_no_prompts() -> None:
    """Neither a list of none nor a mapping in its place makes a set."""
    with pytest.raises(PromptError, match="there are no prompts: give one row or more"):
        prompts_of_rows([])
    with pytest.raises(PromptError, match=r"prompts\[0\] is 'prompt': expected a mapping"):
        prompts_of_rows({"prompt": "p", "label": 0})  # type: ignore[arg-type]  # one row alone


def test_options_from_python() -> None:
    """A numpy number is a label; half a surrogate pair is told, as it is in a prompt."""
    good = {"prompt": "a", "label": np.int64(1), "options": OPTIONS}
    (prompt,) = prompts_of_rows([good]).prompts
    assert prompt.gold == 1 and type(prompt.gold) is int
    with pytest.raises(PromptError, match=r"prompts\[0\]: 'options' has half a surrogate pair"):
        prompts_of_rows([{**good, "options": [" \ud800", " y"]}])


def test_valid_surrogate_pair(tmp_path: Path) -> None:
    r"""A whole pair is one character."""
    text = '{"prompt": "\\ud83d\\ude00", "label": " a", "options": [" a", " b"]}'
    assert read_prompt_file(write(tmp_path, text)).prompts[0].text == "\U0001f600"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([" positive", " bad"], "line 1: options .* differ from .* --labels has"),
        ([" positive"], "^--labels .* two or more"),
        ([" positive", " positive"], "^--labels .* twice"),
    ],
)
def test_labels_that_do_not_fit(labels: list[str], message: str, tmp_path: Path) -> None:
    """Labels given for the file are checked, and must be those of rows that have their own."""
    with pytest.raises(PromptError, match=message):
        read_prompt_file(write(tmp_path, row()), labels)


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_empty_file(content: bytes, tmp_path: Path) -> None:
    """A file without a row is an error, with or without labels."""
    (tmp_path / "empty.jsonl").write_bytes(content)
    for labels in (None, OPTIONS):
        with pytest.raises(PromptError, match=r"empty.jsonl has no rows"):
            read_prompt_file(tmp_path / "empty.jsonl", labels)


def test_unreadable(tmp_path: Path) -> None:
    """A missing file, a folder and a file that is not UTF-8 are named."""
    with pytest.raises(PromptError, match=r"cannot read .*nothing.jsonl: No such file"):
        read_prompt_file(tmp_path / "nothing.jsonl")
    with pytest.raises(PromptError, match=r"cannot read .*directory"):
        read_prompt_file(tmp_path)
    (tmp_path / "latin.jsonl").write_bytes(b'{"prompt": "a"}\n{"prompt": "\xe9"}')
    with pytest.raises(PromptError, match=r"latin.jsonl, line 2: not UTF-8"):
        read_prompt_file(tmp_path / "latin.jsonl")


def test_arrays_are_lists() -> None:
    """Rows of a table have numpy's arrays where a file has lists, in options as in classes."""
    own = [
        {"prompt": f"p{n}", "label": np.int64(1), "options": np.array([" a", f" b{n}"], dtype=kind)}
        for n, kind in enumerate((object, str))
    ]
    made = prompts_of_rows(own)
    assert [prompt.answers for prompt in made.prompts] == [(" a", " b0"), (" a", " b1")]
    pooled = np.empty(2, object)
    pooled[:] = [np.array([" a", " b"]), np.array([" c"])]
    made = prompts_of_rows([{"prompt": "p", "label": " c", "options": pooled}])
    assert (made.labels, made.classes) == ((" a", " b", " c"), (" a", " a", " c"))
    with pytest.raises(PromptError, match="is not a list of words"):
        prompts_of_rows([{"prompt": "p", "label": 0, "options": np.array([1.0, 2.0])}])


def test_the_unconditional_prompt_of_a_file(tmp_path: Path) -> None:
    """Rows that have one have the same; without one there is none of their own."""
    said = write(tmp_path, row(unconditional="Answer:"), row(id="2"))
    assert read_prompt_file(said).unconditional == "Answer:"
    assert read_prompt_file(write(tmp_path, row())).unconditional == ""
    two = write(tmp_path, row(unconditional="A"), row(id="2", unconditional="B"))
    with pytest.raises(PromptError, match="line 2: 'unconditional' is 'B', and 'A' in a row bef"):
        read_prompt_file(two)
    with pytest.raises(PromptError, match="'unconditional' is 3, not a text"):
        read_prompt_file(write(tmp_path, row(unconditional=3)))
