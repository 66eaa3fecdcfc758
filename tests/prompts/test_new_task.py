"""A task file for a user's own rows: what is written runs, and says what the rows are."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from compread.errors import PromptError, UsageError
from compread.prompts import load_task, mistakes_in, new_task, prompt_sets
from compread.prompts.new_task import class_name

Rows = list[dict[str, Any]]


def opinions(n: int = 60, labels: tuple[Any, ...] = ("neg", "pos"), **more: Any) -> Rows:
    """Rows of one text each, the labels in turn."""
    return [
        {"id": i, "text": f"opinion {i}", "label": labels[i % len(labels)], **more}
        for i in range(n)
    ]


def write(file: Path, rows: Rows) -> Path:
    """The rows as a CSV, JSON Lines or parquet file, by the name."""
    if file.suffix == ".parquet":
        import datasets

        datasets.Dataset.from_list(rows).to_parquet(str(file))
    elif file.suffix == ".csv":
        with file.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def made(tmp_path: Path, rows: Rows, texts: tuple[str, ...] = ("text",), label: str = "label"):
    """The task of a JSON Lines file, written beside it and read again."""
    file = write(tmp_path / "rows.jsonl", rows)
    new = new_task("mine", file, texts, label, tmp_path)
    (tmp_path / "mine.yaml").write_text(new.text, encoding="utf-8")
    assert mistakes_in(tmp_path / "mine.yaml") == []
    return new, load_task("mine", tmp_path)


@pytest.mark.parametrize("name", ["opinions.csv", "opinions.jsonl", "opinions.parquet"])
def test_the_file_is_the_task(tmp_path: Path, name: str) -> None:
    """What is written reads as the task that was made, and its two templates give prompts."""
    new = new_task("mine", write(tmp_path / name, opinions()), ["text"], "label", tmp_path)
    (tmp_path / "mine.yaml").write_text(new.text, encoding="utf-8")
    task = load_task("mine", tmp_path)
    assert task == new.task and mistakes_in(tmp_path / "mine.yaml") == []
    assert (new.rows, new.unused, dict(new.counts)) == (60, 0, {"neg": 30, "pos": 30})
    plain, question = prompt_sets(task)
    assert sum(new.test.values()) >= len([p for p in plain.prompts if p.split == "test"]) > 20
    assert plain.labels == (" neg", " pos") and plain.classes == ("neg", "pos")
    assert plain.prompts[0].text.count("\nLabel: ") == 4
    assert question.prompts[0].text.endswith("\nWhich is it: neg or pos?\nAnswer:")


def test_the_lines_to_edit_are_those(tmp_path: Path) -> None:
    """Each line that is named holds what it is named for."""
    new, _ = made(tmp_path, opinions())
    lines = new.text.splitlines()
    found = {what: [lines[n - 1].split()[0] for n in at] for what, at in new.edits.items()}
    assert found == {
        "the description": ["description:"],
        "the texts": ["text:"] * 2,
        "the label words": ['"neg":', '"pos":'] * 2,
    }


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ((0, 1), ("0", "1")),
        ((True, False), ("false", "true")),
        ((1.0, 0.0), ("0", "1")),
        (("yes", "no", "on"), ("no", "on", "yes")),
        (("a: b", "#c", "d'e\"f", "{{ g }}"), ("#c", "a: b", "d'e\"f", "{{ g }}")),
        (("naïve", "\u2028x", "\x07y"), ("\x07y", "naïve", "\u2028x")),
    ],
)
def test_values_of_every_kind(
    tmp_path: Path, values: tuple[Any, ...], names: tuple[str, ...]
) -> None:
    """Numbers, truth values and any text are classes by their name, in order, as they stand."""
    new, task = made(tmp_path, opinions(40 * len(values), values))
    assert task == new.task and task.templates["plain"].verbalizer.classes == names
    assert [class_name(value) for value in task.label.values] == list(names)
    assert len(prompt_sets(task, limit=4)) == 2


def test_columns_that_jinja_has_no_name_for(tmp_path: Path) -> None:
    """They, and names of its own, get another name in the templates."""
    rows = [
        {"the text": f"t{i}", "loop": f"l{i}", "not": "n", "größe": i, "a{{b": "c", "la bel": i % 2}
        for i in range(60)
    ]
    rows[3]["la bel"] = rows[5]["the text"] = None
    texts = ("the text", "loop", "not", "größe", "a{{b")
    new, task = made(tmp_path, rows, texts, "la bel")
    assert new.unused == 2 and new.counts == {"0": 30, "1": 28}
    prompt = prompt_sets(task, limit=1)[0].prompts[-1].pieces
    number = prompt.input.splitlines()[0].removeprefix("The text: t")
    assert prompt.input == (
        f"The text: t{number}\nLoop: l{number}\nNot: n\nGröße: {number}\nA b: c\nLa bel:"
    )


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_rows_with_gaps_are_left_out(tmp_path: Path, empty: Any) -> None:
    """A row without a text or a label is told of, and no prompt is made of it."""
    rows = opinions(60)
    rows[4]["text"], rows[7]["label"] = empty, empty
    new, task = made(tmp_path, rows)
    assert (new.rows, new.unused) == (60, 2)
    texts = {p.pieces.input for one in prompt_sets(task, limit=50) for p in one.prompts}
    assert texts and not [text for text in texts if "opinion 7\n" in text]
    assert made(tmp_path, opinions(60))[1].where == ""


def test_few_rows_lower_the_budget(tmp_path: Path) -> None:
    """Shots and labelled rows are no more than the rarest class has in the train half."""
    new, task = made(tmp_path, opinions(24))
    rarest = min(new.train.values())
    assert 1 < rarest < 12 and task.budget == 2 * rarest and task.shots == 4
    shown = prompt_sets(task)[0].prompts
    assert len([p for p in shown if p.split == "train"]) == task.budget - task.shots


@pytest.mark.parametrize(
    ("place", "told"), [("rows.csv", "rows.csv"), ("data/rows.csv", "../data/rows.csv")]
)
def test_the_path_is_as_the_task_file_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, told: str
) -> None:
    """A relative path is turned to be seen from the task's folder; an absolute one stays."""
    monkeypatch.chdir(tmp_path)
    file, folder = Path(place), Path("." if place == told else "tasks")
    file.parent.mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)
    write(file, opinions())
    new = new_task("mine", file, ["text"], "label", folder)
    assert new.task.source.id == told and new.task.source.file.is_file()
    if folder != Path():
        assert new_task("m", file.absolute(), ["text"], "label", folder).task.source.id == str(
            file.absolute()
        )


@pytest.mark.parametrize(
    ("texts", "label", "error", "message"),
    [
        (["txt"], "label", PromptError, "no column 'txt' in .*did you mean 'text'.*id, text"),
        (["text"], "lable", PromptError, "no column 'lable'.*did you mean 'label'"),
        (["text"], "id", PromptError, "'id' has 40 values in 40 rows.*name another column"),
        (["text"], "one", PromptError, "'one' has 'x' alone; expected two classes or more"),
        (["text"], "score", PromptError, "'score' is 0.5 in row 0; expected texts, whole numbers"),
        (["text"], "mixed", PromptError, "has both numbers and truth values"),
        (["text"], "twins", PromptError, "'twins' has both 'a' and 'a ', which a prompt cannot"),
        (["text"], "rare", PromptError, "too few rows of 'z': of each class, one or more"),
        (["list"], "label", PromptError, r"row 0 has \['x'\] for 'list'; a text column has texts"),
        (["text", "text"], "label", UsageError, "one text column or more, each once"),
        (["text"], "text", UsageError, "another column for the label"),
        ([], "label", UsageError, "the text columns are none"),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_used(
    tmp_path: Path, texts: list[str], label: str, error: type[Exception], message: str
) -> None:
    """Each is refused in one line that says what was found."""
    rows = opinions(40, one="x", score=0.5, list=["x"])
    for i, row in enumerate(rows):
        row |= {"mixed": (1, True)[i % 2], "twins": ("a", "a ", "b")[i % 3]}
        row |= {"rare": "xyz"[2 if i == 7 else i % 2]}
    with pytest.raises(error, match=message) as told:
        new_task("mine", write(tmp_path / "rows.jsonl", rows), texts, label)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["a/b", "", "nul"])
def test_a_name_that_is_no_file(tmp_path: Path, name: str) -> None:
    """The task's name becomes that of files."""
    with pytest.raises(PromptError, match="task's name"):
        new_task(name, write(tmp_path / "rows.jsonl", opinions()), ["text"], "label")


@pytest.mark.parametrize("ids", ["", "id"])
def test_rows_are_called_as_in_the_file(tmp_path: Path, ids: str) -> None:
    """A prompt's id leads back to its row: by the place in the file, or by a column."""
    rows = [{**row, "id": f"r{900 - n}"} for n, row in enumerate(opinions())]
    file = write(tmp_path / "rows.jsonl", rows)
    new = new_task("mine", file, ["text"], "label", tmp_path, ids)
    (tmp_path / "mine.yaml").write_text(new.text, encoding="utf-8")
    task = load_task("mine", tmp_path)
    assert task == new.task and task.id == ids
    by_id = {row["id"] if ids else str(place): row["text"] for place, row in enumerate(rows)}
    plain, _ = prompt_sets(task)
    assert plain.prompts and len({prompt.split for prompt in plain.prompts}) == 2
    for prompt in plain.prompts:
        assert prompt.pieces is not None
        assert prompt.text.rsplit("Text: ", 1)[1].split("\n")[0] == by_id[prompt.id]
    assert all(name in by_id for name in plain.demonstrations)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: {"id": "same"}, "several test rows with the id 'same'|several train rows"),
        (lambda n: {"id": None}, "id must be a string or a whole number, got None"),
        (lambda n: {"id": 1.5}, "id must be a string or a whole number, got 1.5"),
    ],
)
def test_ids_that_are_none(tmp_path: Path, change: Any, message: str) -> None:
    """Ids that are missing or stand twice are told, with the row and the field."""
    rows = [{**row, **change(n)} for n, row in enumerate(opinions())]
    with pytest.raises(PromptError, match=message):
        new_task("mine", write(tmp_path / "rows.jsonl", rows), ["text"], "label", tmp_path, "id")
    with pytest.raises(PromptError, match=r"there is no column .idd. .* did you mean .id."):
        new_task("mine", tmp_path / "rows.jsonl", ["text"], "label", tmp_path, "idd")


def test_a_row_that_is_left_out_needs_no_id(tmp_path: Path) -> None:
    """Only rows that are used must have an id."""
    rows = [*opinions(), {"id": None, "text": None, "label": "neg"}, {"text": " ", "label": "pos"}]
    file = write(tmp_path / "rows.jsonl", rows)
    assert new_task("mine", file, ["text"], "label", tmp_path, "id").unused == 2
