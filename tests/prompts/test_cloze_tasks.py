"""Built-in tasks whose rows have options of their own, on made rows in each data set's schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_rows import write_json_lines
from own_rows import arc, commonsense_qa, copa, hellaswag, mmlu, openbookqa, piqa

from compread.errors import CompreadError, PromptError, UsageError
from compread.prompts import (
    Chat,
    PromptSet,
    load_task,
    mistakes_in,
    prompt_sets,
    render,
    with_unconditional,
)
from compread.prompts.row_options import row_answers

Row = dict[str, Any]
SHAPES: list[tuple[str, Callable[[int, str], Row], str, tuple[str, ...], int]] = [
    (
        "hellaswag", hellaswag, "Making tea: How test 5. Boil. The man",
        (" goes 5 left.", " stays.", " Ends here. So it is.", " [open falls."), 1,
    ),
    ("piqa", piqa, "Question: to test 5\nAnswer:", (" use 5", " use tape"), 1),
    ("copa", copa, "The test 5 fell therefore", (" it was pushed.", " i laughed."), 1),
    ("openbookqa", openbookqa, "test 5 is", (" a 5", " b 5", " c 5", " d 5"), 1),
    ("arc_easy", arc, "Question: What is test 5?\nAnswer:", (" a 5", " b 5", " c 5", " d 5"), 1),
    ("arc_challenge", arc, "Question: What is test 5?\nAnswer:",
     (" a 5", " b 5", " c 5", " d 5"), 1),
    ("commonsense_qa", commonsense_qa, "Question: Why test 5?\nAnswer:",
     (" a 5", " b 5", " c 5", " d 5", " e 5"), 0),
    ("mmlu:anatomy", mmlu, "Question: Is test 5?\nAnswer:",
     (" a 5", " b 5", " c 5", " d 5"), 1),
]  # fmt: skip


def data_of(folder: Path, task: str, made: Callable[[int, str], Row]) -> Path:
    """A ``--data-dir`` with 60 train rows and 20 test rows of the task."""
    for split, n in (("train", 60), ("test", 20)):
        file = folder / task.replace(":", "/") / f"{split}.jsonl"
        write_json_lines(file, [made(number, split) for number in range(n)])
    return folder


def cloze(folder: Path, task: str, made: Callable[[int, str], Row], **options: Any) -> PromptSet:
    """The task's prompt set by the template ``cloze``."""
    data = data_of(folder, task, made)
    (found,) = prompt_sets(load_task(task), ["cloze"], data_dir=data, **options)
    return found


@pytest.mark.parametrize(("task", "made", "text", "answers", "right"), SHAPES)
def test_a_row_s_own_answers(
    task: str,
    made: Callable[[int, str], Row],
    text: str,
    answers: tuple[str, ...],
    right: int,
    tmp_path: Path,
) -> None:
    """Each row has its options as continuations; the right one is where the data say."""
    found = cloze(tmp_path, task, made)
    assert found.task == task and found.labels == () and found.has_own_answers
    (row,) = [prompt for prompt in found.prompts if prompt.id == "test-5"]
    assert row.text.endswith(f"\n{text}")
    assert (row.answers, row.gold) == (answers, right)
    assert found.shots == load_task(task).shots and len(found.demonstrations) == found.shots


def test_demonstrations_show_the_right_option(tmp_path: Path) -> None:
    """Each stands behind its own text, as a row's answers do."""
    found = cloze(tmp_path, "piqa", piqa)
    pieces = found.prompts[0].pieces
    assert pieces is not None
    numbers = [int(name.removeprefix("train-")) for name in found.demonstrations]
    assert list(pieces.demonstrations) == [
        (f"Question: to train {n}\nAnswer:", " use tape" if n % 2 else f" use {n}") for n in numbers
    ]


def test_rows_without_classes_are_all_drawn(tmp_path: Path) -> None:
    """Where the right option stands plays no part: each test row is used, in hash order."""
    found = cloze(tmp_path, "piqa", lambda n, split: {**piqa(n, split), "label": int(n == 3)})
    tests = [prompt for prompt in found.prompts if prompt.split == "test"]
    assert len(tests) == 20 and sum(prompt.gold for prompt in tests) == 1
    assert [prompt.id for prompt in tests] != sorted(prompt.id for prompt in tests)
    (few,) = prompt_sets(load_task("piqa"), None, [1], shots=2, limit=3, data_dir=tmp_path)
    assert [p.id for p in few.prompts if p.split == "test"] == [p.id for p in tests[:3]]
    assert not {*few.demonstrations} & {*found.demonstrations}


def test_label_words_beside_places(tmp_path: Path) -> None:
    """MMLU's letters are label words in common, right by the place that the row names."""
    data = data_of(tmp_path, "mmlu:anatomy", mmlu)
    (found,) = prompt_sets(load_task("mmlu:anatomy"), ["question-choices"], data_dir=data)
    assert found.labels == (" A", " B", " C", " D") and found.shots == 4
    assert found.file_name == "mmlu-anatomy-question-choices-k4-s0.h5"
    (row,) = [prompt for prompt in found.prompts if prompt.id == "test-6"]
    assert row.gold == 2 and row.answers == ()
    assert row.text.startswith(
        "The following are multiple choice questions (with answers) about anatomy.\n\n"
    )
    assert row.text.endswith("\nIs test 6?\nA. a 6\nB. b 6\nC. c 6\nD. d 6\nAnswer:")


def test_a_subject_in_the_hub_s_layout(tmp_path: Path) -> None:
    """A subject's folder may have the hub's split names."""
    folder = tmp_path / "mmlu" / "anatomy"
    for split in ("validation", "test"):
        write_json_lines(folder / f"{split}.jsonl", [mmlu(n, split) for n in range(12)])
    (found,) = prompt_sets(load_task("mmlu:anatomy"), ["cloze"], data_dir=tmp_path, limit=2)
    assert "Is validation" in found.prompts[0].text


NAMES = [
    ("mmlu", "has 58 subjects: name one, as in mmlu:abstract_algebra"),
    ("mmlu:anatomi", "did you mean 'anatomy'"),
    ("sst2:anatomy", "task 'sst2' has no subjects: leave out ':anatomy'"),
    ("mmlo:anatomy", "did you mean 'mmlu'"),
]


@pytest.mark.parametrize(("name", "message"), NAMES)
def test_names_of_subjects(name: str, message: str) -> None:
    """A subject that is missing, unknown or too much is told."""
    with pytest.raises(PromptError, match=message):
        load_task(name)


BAD: list[tuple[Row, str]] = [
    ({"label": 2}, "row test-7 of task 'piqa': option 2 is right, but the row has only 0 to 1"),
    ({"label": "x"}, "row test-7 of task 'piqa': its 'label.index' 'label' is 'x'; expected"),
    ({"label": -1}, "'label.index' 'label' is -1; expected the right option's place"),
    ({"label": None}, "'label.index' 'label' needs 'label', which is null"),
    ({"sol1": " "}, "row test-7 .*template 'cloze': its answer of option 0 is empty"),
    ({"sol1": None}, r"row test-7 .*template 'cloze': its 'options' .*'sol1', which is null"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_rows_that_cannot_be_used(change: Row, message: str, tmp_path: Path) -> None:
    """The row is named, and what is wrong with its options."""
    with pytest.raises(PromptError, match=message) as caught:
        cloze(
            tmp_path,
            "piqa",
            lambda n, split: {**piqa(n, split), **(change if n == 7 and split == "test" else {})},
        )
    assert "\n" not in str(caught.value)


def test_a_row_with_two_equal_options_is_left_out(tmp_path: Path) -> None:
    """It cannot be chosen in; the run says which, and the others are kept."""
    found = cloze(
        tmp_path,
        "piqa",
        lambda n, split: {**piqa(n, split), **({"sol2": "use 4"} if n == 4 else {})},
    )
    assert "test-4" not in [prompt.id for prompt in found.prompts]
    assert "test-4" in found.protocol["left_out"]


def test_rows_all_with_equal_options(tmp_path: Path) -> None:
    """Where no row can be chosen in, the error says why."""
    with pytest.raises(PromptError, match="every row has two options of the same text, such as"):
        cloze(tmp_path, "piqa", lambda n, split: {**piqa(n, split), "sol2": f"use {n}", "label": 0})


def test_a_row_without_label_has_no_right_ending(tmp_path: Path) -> None:
    """HellaSwag's test split has empty labels, none of which is the first ending."""

    def unlabelled(n: int, split: str) -> Row:
        return {**hellaswag(n, split), **({"label": ""} if (n, split) == (7, "test") else {})}

    with pytest.raises(PromptError, match=r"row test-7 .* is -1; expected the right option's"):
        cloze(tmp_path, "hellaswag", unlabelled)


CHOICES: list[tuple[dict[str, Any], type[CompreadError], str]] = [
    ({"calibration": True}, UsageError, "content-free prompts need label words in common"),
    ({"demo_labels": [0, 1]}, UsageError, "'piqa' has no classes"),
    ({"seeds": [9]}, PromptError, "240 train rows and has 60: the largest seed that works is 1"),
]


@pytest.mark.parametrize(("options", "kind", "message"), CHOICES)
def test_choices_that_need_classes(
    options: dict[str, Any], kind: type[CompreadError], message: str, tmp_path: Path
) -> None:
    """What needs label words or classes in common is refused."""
    with pytest.raises(kind, match=message):
        cloze(tmp_path, "piqa", piqa, **options)


OWN = """\
description: which?
label: {index: right}
templates:
  plain:
    text: "{{ question }}"
    options: answers
    answer: "{{ option }}"
"""
MISTAKES = [
    ("index: right", "index: right +", "line 2: 'label.index' cannot be used: 'right .' is not a "
     "Jinja2 expression: unexpected 'end of template'"),
    ("index: right", "index: 3", "line 2: 'label.index' is 3, not text"),
    ("index: right", "index: right, field: x", "line 2: 'label.field' is not a key here"),
    ("options: answers", "options: answers\n    unconditional: 3", "unconditional' is 3, not text"),
    ("index: right", "indx: right", "'label.indx' is not a key here: did you mean 'index'?"),
    ("options: answers", "option: answers", "plain.option' is not a key here: did you mean 'opti"),
    ("options: answers", "options: '{{ answers }}'", "line 6: 'templates.plain.options' cannot be"),
    ("options: answers", "options: [a, b]", "line 6: 'templates.plain.options' is .*, not text"),
    ("    options: answers\n", "", "line 5: 'templates.plain.options' is missing"),
    ("options: answers", 'labels: [" a", " b"]', "line 6: 'templates.plain.labels' is not a key"),
    ("options: answers", "options: answers\n    labels: [a, b]", "plain.labels' is not a key here"),
    ('answer: "{{ option }}"', 'answer: "{{ opt"', "line 7: 'templates.plain.answer' cannot be"),
    ("description: which?", "description: which?\ndemonstrations: sst2",
     "line 2: 'demonstrations' is 'sst2' of 2 classes, but this task has none"),
    ("description: which?", "description: which?\ndemonstrations: mmlu",
     "line 2: 'demonstrations' is 'mmlu', which has subjects"),
    ("label:", "source: {id: a, splits: {train: a, test: b}, subjects: [a, a/b]}\nlabel:",
     "line 2: 'source.subjects' has a name that is none"),
    ("label:", "source: {id: a, splits: {train: a, test: b}, config: c, subjects: [a, b]}\nlabel:",
     "line 2: 'source.subjects' are configurations, so there is no 'config'"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_mistakes_of_a_file(right: str, wrong: str, message: str, tmp_path: Path) -> None:
    """A task file whose options or subjects cannot be used is told with its line."""
    assert right in OWN
    (tmp_path / "mine.yaml").write_text(OWN)
    assert mistakes_in(tmp_path / "mine.yaml") == []
    (tmp_path / "mine.yaml").write_text(OWN.replace(right, wrong, 1))
    with pytest.raises(PromptError, match=f"mine.yaml.*{message}"):
        load_task("mine", tmp_path)


def test_an_answer_without_its_option_is_odd(tmp_path: Path) -> None:
    """All options would be one text."""
    (tmp_path / "mine.yaml").write_text(OWN.replace("{{ option }}", " {{ question }}"))
    (found,) = mistakes_in(tmp_path / "mine.yaml")
    assert "line 7: 'templates.plain.answer' is one text for all options" in found


def test_a_text_before_options_that_ends_in_a_space(tmp_path: Path) -> None:
    """It is the answer that the space belongs to; there are no label words."""
    (tmp_path / "mine.yaml").write_text(OWN.replace("{{ question }}", "{{ question }} "))
    (found,) = mistakes_in(tmp_path / "mine.yaml")
    assert found.endswith("ends in a space: take it off, and begin the answer with it")


LISTS: list[tuple[Any, str | None]] = [
    (["a", "b"], None),
    ([str(n) for n in range(26)], None),
    ([3, 4.5], None),
    (["a"], "'answers' are 1; expected 2 to 26"),
    ([str(n) for n in range(27)], "'answers' are 27; expected 2 to 26"),
    ("ab", "its 'options' 'answers' is refused: expected a list, got 'ab'"),
    (7, "its 'options' 'answers' is refused: expected a list, got 7"),
]


@pytest.mark.parametrize(("answers", "message"), LISTS)
def test_lists_of_options(answers: Any, message: str | None, tmp_path: Path) -> None:
    """Two to 26 options of a row's own, in number as each row has them."""
    (tmp_path / "mine.yaml").write_text(OWN)
    for split in ("train", "test"):
        rows = [{"question": f"{split} {n}", "answers": ["x", "y"], "right": 1} for n in range(30)]
        rows[3]["answers"] = answers
        write_json_lines(tmp_path / "mine" / f"{split}.jsonl", rows)
    task = load_task("mine", tmp_path)
    if message is not None:
        with pytest.raises(PromptError, match=f"row [a-z]+-3 of task 'mine': .*{message}"):
            prompt_sets(task, data_dir=tmp_path)
        return
    (found,) = prompt_sets(task, data_dir=tmp_path)
    (row,) = [prompt for prompt in found.prompts if prompt.id == "test-3"]
    assert row.answers == tuple(map(str, answers)) and row.gold == 1


class ChatTokenizer:
    """A template that puts a space before the assistant's word, or none."""

    def __init__(self, space: str) -> None:
        self.space = space

    def get_chat_template(self) -> str:
        """Its source."""
        return (
            "{% for m in messages %}<{{ m.role }}>{{ SPACE }}{{ m.content }}\n{% endfor %}"
            "{% if add_generation_prompt %}<assistant>{% endif %}"
        ).replace("{{ SPACE }}", self.space)

    def apply_chat_template(self, turns: Any, tokenize: bool, add_generation_prompt: bool) -> str:
        """The turns as text."""
        from jinja2 import Environment

        made = Environment().from_string(self.get_chat_template())
        return made.render(messages=turns, add_generation_prompt=add_generation_prompt)


@pytest.mark.parametrize("space", ["", " "])
def test_answers_of_a_chat(space: str, tmp_path: Path) -> None:
    """They stand behind the assistant's turn as the chat template would write them."""
    found = cloze(tmp_path, "piqa", piqa)
    worded = Chat(template=True, multiturn=True).apply(found, ChatTokenizer(space))
    (row,) = [prompt for prompt in worded.prompts if prompt.id == "test-5"]
    assert row.answers == (f"{space}use 5", f"{space}use tape")
    assert row.text.endswith(f"<user>{space}Question: to test 5\nAnswer:\n<assistant>")
    assert worded.labels == () and worded.classes == ()


@pytest.mark.parametrize(
    "text",
    [
        "a [b] c",
        "a [b [c] d",
        "a [b [c] d] e",
        "[x] [y",
        "a ] b",
        "a [title] b [substeps] c",
        "[[a]]",
    ],
)
def test_brackets_go_as_in_the_harness(text: str) -> None:
    """From each first ``[`` to the next ``]``, by its own regular expression."""

    def plain(text: str) -> str:
        text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
        return text.replace("  ", " ").strip()

    template = load_task("hellaswag").template("cloze")
    row = {"activity_label": "X", "ctx_a": text, "ctx_b": "it", "endings": [f"{text} 1", text]}
    assert render(template, row) == plain(f"X: {text} It")
    assert row_answers(template, row) == (f" {plain(text + ' 1')}", f" {plain(text)}")


def test_the_unconditional_prompt_of_a_template(tmp_path: Path) -> None:
    """It stands for the template's rows unless another is given."""
    (tmp_path / "mine.yaml").write_text(
        "description: which?\nlabel: {index: right}\ntemplates:\n"
        '  a: {text: "{{ q }}", options: o, unconditional: "Answer:"}\n'
        '  b: {text: "{{ q }}", options: o}\n'
    )
    for split in ("train", "test"):
        rows = [{"q": f"{split}{n}", "o": ["x", "y"], "right": 0} for n in range(30)]
        write_json_lines(tmp_path / "mine" / f"{split}.jsonl", rows)
    sets = prompt_sets(load_task("mine", tmp_path), limit=2, data_dir=tmp_path)
    found = [with_unconditional(one).prompts[-1] for one in sets]
    assert [(one.text, one.split) for one in found] == [
        ("Answer:", "unconditional"), ("", "unconditional"),
    ]  # fmt: skip
    assert [with_unconditional(one, "Q").prompts[-1].text for one in sets] == ["Q", "Q"]
    assert with_unconditional(sets[0], "").prompts[-1].text == ""
    assert with_unconditional(sets[0]).protocol["unconditional"] == "Answer:"
