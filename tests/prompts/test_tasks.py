"""Tasks as data: the built-in files, the user's own, and every mistake in them."""

import re
from pathlib import Path

import pytest

from compread.errors import PromptError
from compread.prompts import load_task, mistakes_in, task_names
from compread.prompts.tasks import default_shots

GOOD = """\
description: yes or no
source: {id: someone/questions, revision: abc, splits: {train: train, test: validation}}
label: {field: answer, values: [false, true]}
templates:
  plain:
    text: "{{ question }}?"
    labels: [" no", " yes"]
  words:
    text: |-
      {{ question }}
      Answer:
    labels: [" No", " Yes"]
    wording: our own
"""


def own_task(folder: Path, text: str) -> Path:
    """A folder with one task file, ``mine.yaml``."""
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", task_names())
def test_built_in_files_are_valid(name: str) -> None:
    """Every built-in task can be read and names its data, classes and wording."""
    task = load_task(name, any_subject=True)
    assert task.name == name and task.description and task.license
    for template in task.templates.values():
        if template.options:
            assert not template.labels and template.answer.startswith((" ", "{% set"))
            continue
        assert len(template.labels) == len(task.label.values) or task.label.index
        # A word follows a space of its own, or the line end that the template ends in.
        assert template.text[-1] == "\n" or not template.text[-1].isspace()
        spaced = [label.startswith(" ") for label in template.labels]
        assert not any(spaced) if template.text[-1] == "\n" else all(spaced)
        assert template.wording


def test_sst2_is_pinned() -> None:
    """SST-2 names its commit, and its test rows are the hub's labelled validation split."""
    source = load_task("sst2").source
    assert source is not None
    assert (source.id, source.config) == ("stanfordnlp/sst2", None)
    assert source.splits == {"train": "train", "test": "validation"}
    assert source.revision is not None and len(source.revision) == 40


def test_demo_task_has_no_hub_source() -> None:
    """The demo's task reads local data only."""
    assert load_task("movie_snippets").source is None


@pytest.mark.parametrize(("n_classes", "shots"), [(2, 4), (3, 3), (4, 4), (5, 5)])
def test_default_shots(n_classes: int, shots: int) -> None:
    """Default demonstrations are four, three for three classes, one a class beyond four."""
    assert default_shots(n_classes) == shots


@pytest.mark.parametrize(("shots", "n_train"), [(0, 24), (4, 20), (24, 0), (30, 0)])
def test_train_rows_are_what_the_shots_leave(shots: int, n_train: int) -> None:
    """Demonstrations and train rows share a budget of 24 labelled examples."""
    assert load_task("sst2").train_rows(shots) == n_train


def test_own_task(tmp_path: Path) -> None:
    """A user's file gives a task with the types and the words that stand in it."""
    task = load_task("mine", own_task(tmp_path, GOOD))
    assert task.label.values == (False, True)
    assert list(task.templates) == ["plain", "words"]
    assert task.template("words").text == "{{ question }}\nAnswer:"
    assert task.template("words").labels == (" No", " Yes")
    assert (task.shots, task.budget) == (4, 24)
    assert "mine" in task_names(tmp_path)


def test_unknown_task_suggests_the_nearest() -> None:
    """A name that is off by a letter is answered with the right one and the list."""
    with pytest.raises(PromptError, match="did you mean 'sst2'") as caught:
        load_task("sst-2")
    assert str(caught.value).endswith(", ".join(task_names()))


def test_unknown_template_suggests_the_nearest() -> None:
    """So is a template's."""
    with pytest.raises(PromptError, match="did you mean 'review-sentiment'"):
        load_task("sst2").template("review_sentiment")


def test_include_path_must_be_a_folder(tmp_path: Path) -> None:
    """A path that is no folder is named."""
    with pytest.raises(PromptError, match="nowhere is not a folder"):
        load_task("sst2", tmp_path / "nowhere")


MISTAKES = [
    (
        "description: yes or no",
        "descripton: yes or no",
        "line 1: 'descripton' is not a key here: did ",
    ),
    ("description: yes or no\n", "", "line 1: 'description' is missing"),
    ("description: yes or no", "description: 3", "line 1: 'description' is 3, not text"),
    ("label: {field: answer, values: [false, true]}\n", "", "line 1: 'label' is missing"),
    (GOOD, "task: mine\ndataset_path: a/b\n", "line 1: 'task' is not a key here"),
    (", splits: {train: train, test: validation}", "", "line 2: 'source.splits' is missing"),
    ("field: answer, ", "", "line 3: 'label.field' is missing"),
    ("field: answer", "field: ~", "line 3: 'label.field' is missing"),
    ("[false, true]", "false", "line 3: 'label.values' is False, not a list of numbers or texts"),
    (
        "[false, true]",
        "[false]",
        "line 3: 'label.values' is .False.; it must hold two or more",
    ),
    ("[false, true]", "[1, 1]", "line 3: 'label.values' is .1, 1.; it must hold two or more"),
    ("test: validation", "tset: validation", "line 2: 'source.splits.tset' is not a key"),
    ("{{ question }}?", "{{ question }?", "line 6: 'templates.plain.text' cannot be used.*line 1"),
    (
        '[" no", " yes"]',
        "[no, yes]",
        "line 7: 'templates.plain.labels' is .False, True., not a list",
    ),
    ('[" no", " yes"]', '[" no"]', "line 7: 'templates.plain.labels' is"),
    ('[" no", " yes"]', '[" a", " b", " c"]', "line 7: .* has 3 words for 2 label values"),
    ('    labels: [" no", " yes"]\n', "", "line 6: 'templates.plain.labels' is missing"),
    ("  words:", "  plain:", "line 8: not valid YAML: 'plain' is written twice"),
    ("label: {", "label: [", "line 3: not valid YAML"),
    (GOOD, "- a list\n", "holds list, not a mapping"),
    (GOOD, "", "holds NoneType, not a mapping"),
    (
        "label: {field: answer, values: [false, true]}",
        "label: 3",
        "line 3: 'label' is 3, not a mapping",
    ),
    ("templates:", "shots: -1\ntemplates:", "line 4: 'shots' is -1, not a whole number"),
    ("templates:", "shots: many\ntemplates:", "line 4: 'shots' is 'many', not a whole number"),
    ("templates:", "budget: 2.5\ntemplates:", "line 4: 'budget' is 2.5, not a whole number"),
    ("templates:", "where: a ==\ntemplates:", "line 4: 'where' cannot be used: 'a ==' is not a J"),
    ("templates:", "instruction: '{{ a'\ntemplates:", "line 4: 'instruction' cannot be used"),
    ("templates:", "fields: {a: 3}\ntemplates:", "line 4: 'fields.a' is 3, not text; put it in q"),
    ("templates:", "demonstrations: mine\ntemplates:", "line 4: .* names this very task; leave it"),
    ("templates:", "demonstrations: sst\ntemplates:", "line 4: .* did you mean 'sst2'"),
    ("templates:", "demonstrations: yelp_polarity\ntemplates:", "line 4: .* borrows its own: name"),
    ("templates:", "demonstrations: mnli\ntemplates:", "line 4: .* 'mnli' of 3 classes, but"),
    (
        "    wording: our own",
        "    contrast_of: plane",
        "line 13: .*words.contrast_of' is 'plane', not",
    ),
    ('[" no", " yes"]', '{"no": [" no"]}', "line 7: .* has 1 classes for 2 label values"),
    ('[" no", " yes"]', '{"no": [" no"], "yes": " yes"}', "line 7: .*yes' is ' yes', not a list"),
    ('[" no", " yes"]', '{"no": [" a"], "yes": [" a"]}', "line 7: .* has ' a', which 'no' has"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_mistakes_name_file_and_line(right: str, wrong: str, message: str, tmp_path: Path) -> None:
    """Each kind of mistake is told with the file and the line it stands on."""
    assert right in GOOD
    folder = own_task(tmp_path, GOOD.replace(right, wrong, 1))
    with pytest.raises(PromptError, match=f"mine.yaml.*{message}") as caught:
        load_task("mine", folder)
    assert "\n" not in str(caught.value)


def test_classes_are_called_as_they_are_written(tmp_path: Path) -> None:
    """A bare ``no`` in YAML is False, but a class of that name is ``no``."""
    text = GOOD.replace('[" no", " yes"]', '{no: [" no", " never"], yes: [" yes"]}')
    words = load_task("mine", own_task(tmp_path, text)).template("plain").verbalizer
    assert words.classes == ("no", "yes") and words.columns == (" no", " never", " yes")


ODD = [
    ("{{ question }}?", "{question}? {{ x }}", "line 6: .*text' has {question}, .* {{ question }}"),
    ("{{ question }}?", "what?", "line 6: 'templates.plain.text' reads no field of the row"),
    (
        '{{ question }}?"',
        '{{ question }}? "',
        "line 6: 'templates.plain.text' ends in a space: take",
    ),
    ('" no", " yes"', '"no", " yes"', "line 7: .* has 'no' right behind the text: write ' no'"),
    ('" no", " yes"', '" no ", " yes"', "line 7: .* has ' no ': take the space off its end"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), ODD)
def test_what_reads_well_but_gives_other_tokens(
    right: str, wrong: str, message: str, tmp_path: Path
) -> None:
    """A file that loads, and whose words cannot follow its text, is told by validate alone."""
    assert right in GOOD and mistakes_in(own_task(tmp_path, GOOD) / "mine.yaml") == []
    folder = own_task(tmp_path, GOOD.replace(right, wrong, 1))
    assert load_task("mine", folder).templates
    (found,) = mistakes_in(folder / "mine.yaml")
    assert re.search(f"mine.yaml, {message}", found)


def test_braces_that_are_meant(tmp_path: Path) -> None:
    """Braces that Jinja2 writes, and those of code around no name, are no mistake."""
    text = GOOD.replace("{{ question }}?", "{{ '{x}' }} {1} { a, b } {# {c} #}{{ question }}?")
    assert mistakes_in(own_task(tmp_path, text) / "mine.yaml") == []


def test_every_mistake_is_told(tmp_path: Path) -> None:
    """Mistakes of one file are told together, each with its own line."""
    text = GOOD.replace("description", "descripton").replace("[false, true]", "[0, 0]")
    text = text.replace("templates:", "shots: -1\ntemplates:").replace('" no", ', "")
    found = mistakes_in(own_task(tmp_path, text) / "mine.yaml")
    lines = [int(message.split("line ")[1].split(":")[0]) for message in found]
    assert lines[:3] == [1, 1, 3] and 4 in lines
    assert len(found) == len(set(found))


def test_file_that_is_not_text(tmp_path: Path) -> None:
    """A file that is not UTF-8 is named."""
    (tmp_path / "mine.yaml").write_bytes(b"description: \xff\xfe")
    with pytest.raises(PromptError, match=r"mine.yaml is not UTF-8"):
        load_task("mine", tmp_path)
