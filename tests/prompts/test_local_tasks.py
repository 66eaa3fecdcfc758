"""Tasks without a hub source: the documented local layout, on rows made here."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_rows import made_row, write_data, write_json_lines

from compread.errors import PromptError
from compread.prompts import PromptSet, load_rows, load_task, prompt_sets

STORY = "Beginning: test text 0. Middle 1: a. Middle 2: b. Ending: c."


@pytest.mark.parametrize(
    ("template", "ending"),
    [
        ("as-given", f"Input: {STORY}\nOutput:\n"),
        ("lines", STORY.replace(" Middle", "\nMiddle").replace(" End", "\nEnd") + "\nAnswer:\n"),
        (
            "bars",
            "BEGINNING - test text 0. || MIDDLE 1 - a. || MIDDLE 2 - b. || ENDING - c.\nANSWER:\n",
        ),
    ],
)
@pytest.mark.parametrize(("task", "definition"), [("task069", "Which"), ("task070", "Which not,")])
def test_opposite_instructions(
    task: str, definition: str, template: str, ending: str, tmp_path: Path
) -> None:
    """The instruction that comes with the rows stands in front of the demonstrations, once."""
    data = write_data(tmp_path, task, n_train=200, n_test=20)
    (made,) = prompt_sets(load_task(task), [template], data_dir=data)
    row = row_of(made, "test-0")
    assert row.startswith(f"{definition} test?\n\n") and row.count("Which") == 1
    assert row.endswith(f"\n{ending}")
    assert made.labels == ("1", "2")
    shown = row.removesuffix(ending).partition("\n\n")[2]
    numbers = [int(name.removeprefix("train-")) for name in made.demonstrations]
    right = [str(made_row(task, "train", n)["output"]) for n in numbers]
    key = ending.splitlines()[-1]
    assert [part[0] for part in shown.split(f"{key}\n")[1:]] == right


def test_opposite_tasks_ask_of_the_same_rows(tmp_path: Path) -> None:
    """Both give the same stories to the same demonstrations' places; only the question differs."""
    data = write_data(tmp_path, "task069", "task070", n_train=200, n_test=20)
    one, other = (
        prompt_sets(load_task(task), ["as-given"], data_dir=data)[0]
        for task in ("task069", "task070")
    )
    assert row_of(one, "test-3").startswith("Which test?\n\nInput: ")
    assert row_of(other, "test-3").startswith("Which not, test?\n\nInput: ")


@pytest.mark.parametrize("template", ["yes-maybe-no", "true-false-neither"])
def test_mednli_after_mnli(template: str, tmp_path: Path) -> None:
    """MedNLI's own file is read as it is; demonstrations and words are MNLI's."""
    data = write_data(tmp_path, "mednli", n_train=300, n_test=12)
    (mnli,) = prompt_sets(load_task("mnli"), [template], data_dir=data)
    (made,) = prompt_sets(load_task("mednli"), [template], data_dir=data)
    assert made.labels == mnli.labels and made.demonstrations == mnli.demonstrations
    tests = [prompt for prompt in made.prompts if prompt.split == "test"]
    assert len(tests) == 12
    for prompt in tests:
        row = made_row("mednli", "test", int(prompt.id.removeprefix("test-")))
        assert f"{row['sentence1']}\nQuestion: {row['sentence2']} " in prompt.text
        assert ("entailment", "neutral", "contradiction")[prompt.gold] == row["gold_label"]


def test_mednli_says_where_to_apply(tmp_path: Path) -> None:
    """Without its credentialed data, the message says where they are and where they go."""
    with pytest.raises(PromptError) as caught:
        load_rows(load_task("mednli"), "test")
    said = str(caught.value)
    assert "https://physionet.org/content/mednli/" in said
    assert "--data-dir DIR with DIR/mednli/test.jsonl" in said and "train" not in said


@pytest.mark.parametrize("task", ["task069", "task070", "boolq_contrast"])
def test_other_local_tasks_say_where_their_data_are(task: str) -> None:
    """So do the others."""
    with pytest.raises(PromptError, match=rf"DIR/{task}/.*https://github.com/"):
        load_rows(load_task(task), "test")


def test_a_renamed_field_that_is_missing(tmp_path: Path) -> None:
    """A row without a field that the task renames is told with what it has."""
    data = write_data(tmp_path, "mednli", n_train=300)
    write_json_lines(data / "mednli" / "test.jsonl", [{"sentence1": "x", "gold_label": "neutral"}])
    with pytest.raises(PromptError, match="test-0 of task 'mednli' has no 'sentence2'; the row"):
        prompt_sets(load_task("mednli"), data_dir=data)


def row_of(made: PromptSet, id: str) -> str:
    """The text of one row."""
    return next(prompt.text for prompt in made.prompts if prompt.id == id)
