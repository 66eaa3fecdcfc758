"""``tasks``: list, show, fetch, validate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from tiny_folder import save_tiny

from compread.cli import main
from compread.errors import PromptError
from compread.prompts import load_task, prompt_sets, task_names

Out = pytest.CaptureFixture[str]
MINE = """\
description: is it so?
source: {id: HUB, splits: {train: train, test: validation}}
label: {field: answer, values: [false, true]}
templates:
  plain:
    text: "{{ question }}?\\nAnswer:"
    labels: {"no": [" No", " nope"], "yes": [" Yes"]}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a task of the user's, ``mine``, whose data are a folder in hub layout."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    rows = [{"question": f"is it {n}", "answer": n % 2 == 1} for n in range(60)]
    for name, part in (("train", rows[:40]), ("validation", rows[40:])):
        file = tmp_path / "hub" / "data" / f"{name}-00000-of-00001.parquet"
        datasets.Dataset.from_list(part).to_parquet(str(file))
    folder = tmp_path / "my_tasks"
    folder.mkdir()
    (folder / "mine.yaml").write_text(MINE.replace("HUB", str(tmp_path / "hub")))
    return folder


def test_the_list_has_every_task(capsys: Out) -> None:
    """Without a subcommand the tasks are listed: a row a template, in exact JSON."""
    assert main(["tasks", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert sorted({row["task"] for row in rows}) == list(task_names())
    (row,) = [r for r in rows if (r["task"], r["template"]) == ("qqp", "same-thing-contrast")]
    assert (row["labels"], row["contrast_of"]) == ([[" No"], [" Yes"]], "same-thing")
    assert (row["source"], row["config"], len(row["revision"])) == ("nyu-mll/glue", "qqp", 40)
    assert all(row["wording"] and row["license"] for row in rows)


@pytest.mark.parametrize("width", [80, 120])
def test_the_list_fits_the_terminal(width: int, capsys: Out, monkeypatch: Any) -> None:
    """The table fits, and shortens neither a task's nor a template's name."""
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["tasks", "list"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    for name in task_names():
        assert name in out and all(id in out for id in load_task(name, any_subject=True).templates)


def test_a_task_of_ones_own_is_listed(mine: Path, capsys: Out) -> None:
    """Several words of a class are told apart from several classes."""
    assert main(["tasks", "list", "--include-path", str(mine), "--format", "md"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "| mine" in line)
    assert "No\\|nope/Yes" in line or "No|nope/Yes" in line


def test_show_prints_what_the_model_reads(mine: Path, capsys: Out) -> None:
    """One prompt per template, as extract would make it."""
    command = ["tasks", "show", "mine", "--include-path", str(mine)]
    (made,) = prompt_sets(load_task("mine", mine), limit=1)
    prompt = made.prompts[-1]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.startswith("--- mine plain (' No', ' nope', ' Yes'), row test-")
    assert f"\n{prompt.text}\n--- right label: {made.labels[prompt.gold]!r}\n" in out
    assert main([*command, "--format", "json", "--num-fewshot", "0"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["prompt"].count("?\nAnswer:") == 1 and row["id"] == prompt.id


def test_fetch_then_offline(mine: Path, capsys: Out) -> None:
    """Fetch says what it loaded; show then needs no network."""
    assert main(["tasks", "fetch", "mine", "--include-path", str(mine), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(r["split"], r["rows"]) for r in rows] == [("train", 40), ("test", 20)]
    assert main(["tasks", "show", "mine", "--include-path", str(mine), "--offline"]) == 0


def test_fetch_of_local_data_says_where_they_are(capsys: Out) -> None:
    """A task that is not on the hub is no error: the note says how to come by its data."""
    assert main(["tasks", "fetch", "task069"]) == 0
    assert "https://github.com/allenai/natural-instructions" in capsys.readouterr().err


def test_show_of_credentialed_data_says_where_to_apply(capsys: Out) -> None:
    """MedNLI without its data says where to apply, before MNLI is looked for."""
    assert main(["tasks", "show", "mednli"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "https://physionet.org/content/mednli/" in err


def test_validate(mine: Path, capsys: Out) -> None:
    """A good file is valid; each mistake of a bad one has its line, and the status is 1."""
    file = mine / "mine.yaml"
    assert main(["tasks", "validate", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: valid\n"
    text = file.read_text().replace("description", "descripton").replace("{{ question }}", "{{ }}")
    (mine / "bad.yaml").write_text(text.replace("[false, true]}", "[false, true]}\nshots: -1"))
    assert main(["tasks", "validate", str(mine / "bad.yaml"), str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    starts = [line.split("'")[0] for line in lines]
    assert starts == [f"{mine / 'bad.yaml'}, line {n}: " for n in (1, 1, 7, 4)] + [f"{file}: valid"]
    assert "did you mean 'description'" in lines[0] and "is missing" in lines[1]


FOREIGN = """\
task: mmlu_anatomy
dataset_path: cais/mmlu
doc_to_text: "{{question}}"
process_docs: !function utils.process
"""


@pytest.mark.parametrize("command", [["list"], ["fetch", "all"]])
def test_files_of_another_tool_beside_a_task(
    command: list[str], mine: Path, capsys: Out, monkeypatch: Any
) -> None:
    """A folder's task can be used although other files there are none: one line names them."""
    monkeypatch.setattr("compread.prompts.load_tasks.BUILT_IN", mine)
    (mine / "eval.yaml").write_text(FOREIGN)
    (mine / "none.yaml").write_text(FOREIGN.partition("process")[0])
    args = ["tasks", command[0], *command[1:], "--include-path", str(mine), "--format", "json"]
    assert main(args) == 0
    out, err = capsys.readouterr()
    assert {row["task"] for row in json.loads(out)} == {"mine"}
    assert "warning: eval, none: left out" in err and err.count("warning") == 1


def test_a_folder_of_thousands_of_foreign_files(mine: Path, capsys: Out, monkeypatch: Any) -> None:
    """The folder is listed once, however many files it holds, and a line names a few of them."""
    listings = []
    folder_files = Path.glob
    for n in range(30):
        (mine / f"foreign{n:02}.yaml").write_text("task: x\n")
    monkeypatch.setattr(
        Path, "glob", lambda folder, of: listings.append(folder) or folder_files(folder, of)
    )
    assert main(["tasks", "--include-path", str(mine), "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert "mine" in {row["task"] for row in json.loads(out)}
    assert listings.count(mine) == 1
    assert "foreign00, foreign01" in err and "foreign09 and 20 more: left out" in err
    assert "foreign10" not in err


def test_validate_says_what_a_foreign_file_lacks(mine: Path, capsys: Out) -> None:
    """A file without label, description and templates is told line by line."""
    (mine / "eval.yaml").write_text(FOREIGN.partition("process")[0])
    assert main(["tasks", "validate", str(mine / "eval.yaml")]) == 1
    out = capsys.readouterr().out
    for key in ("description", "label", "templates"):
        assert f"eval.yaml, line 1: '{key}' is missing" in out


def test_validate_with_a_tokenizer(mine: Path, tmp_path: Path, capsys: Out) -> None:
    """The tokens of each label word are told, one or several, without weights."""
    folder = save_tiny(tmp_path / "tiny")
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    good = MINE.replace('{"no": [" No", " nope"], "yes": [" Yes"]}', '[" negative", " positive"]')
    (mine / "good.yaml").write_text(good)
    long = good.replace('" neg', '" ungood", " neg').replace("true", "2,true")
    (mine / "long.yaml").write_text(long)
    files = [str(mine / name) for name in ("good.yaml", "long.yaml")]
    args = ["tasks", "validate", *files, "--model", str(folder)]
    assert main([*args, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["verdict"] for row in rows] == ["valid", "valid"]
    one, several = (row["tokens"]["plain"] for row in rows)
    assert list(one) == [" negative", " positive"] and all(len(ids) == 1 for ids in one.values())
    assert {word: len(ids) for word, ids in several.items()} == {
        " ungood": 7, " negative": 1, " positive": 1,
    }  # fmt: skip
    assert main(args) == 0
    out = capsys.readouterr().out
    each = " ".join(map(str, several[" ungood"]))
    assert f"  plain: ' ungood' = {each} (7 tokens), ' negative' = " in out


OWN = """\
description: which one?
label: {index: right}
templates:
  plain:
    text: "{{ question }}?"
    options: answers
"""


def test_options_of_each_row_s_own(mine: Path, tmp_path: Path, capsys: Out) -> None:
    """They are shown with a prompt; the list and validate have no words to tell."""
    (mine / "own.yaml").write_text(OWN)
    for split in ("train", "test"):
        file = tmp_path / "data" / "own" / f"{split}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"question": f"{split} {n}", "answers": [n, "x"], "right": 0} for n in range(30)]
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    data = ["--data-dir", str(tmp_path / "data"), "--include-path", str(mine)]
    assert main(["tasks", "show", "own", *data]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    number = first.rpartition("-")[2]
    assert first == f"--- own plain (' {number}', ' x'), row test-{number}"
    assert main(["tasks", "list", *data[2:]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("row's own" in line for line in lines if line.lstrip().startswith("own"))
    model = ["--model", str(save_tiny(tmp_path / "tiny"))]
    assert main(["tasks", "validate", str(mine / "own.yaml"), *model]) == 0
    assert "  plain: options of each row\n" in capsys.readouterr().out


def test_show_needs_no_train_rows(mine: Path, tmp_path: Path, capsys: Out) -> None:
    """Demonstrations suffice, and a test row that cannot be chosen in gives way to the next."""
    (mine / "own.yaml").write_text(OWN)
    (tmp_path / "data" / "own").mkdir(parents=True)
    rows = [{"question": f"is it {n}", "answers": [n, "x"], "right": 0} for n in range(9)]
    data = ["--data-dir", str(tmp_path / "data"), "--include-path", str(mine)]
    seen = set()
    for twin in (None, *range(5, 9)):
        own = [{**row, "answers": ["x", "x"]} if n == twin else row for n, row in enumerate(rows)]
        for split, part in (("train", own[:5]), ("test", own[5:])):
            file = tmp_path / "data" / "own" / f"{split}.jsonl"
            file.write_text("".join(f"{json.dumps(row)}\n" for row in part))
        assert main(["tasks", "show", "own", *data, "--format", "json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert row["id"].startswith("test-") and row["labels"][0] != row["labels"][1]
        seen.add(row["id"])
    assert len(seen) == 2  # the first, and the one behind it


def test_subjects_are_listed_and_fetched_by_name(capsys: Out) -> None:
    """The list says how a subject is named, and so does fetch."""
    assert main(["tasks", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    (subjects,) = {tuple(row["subjects"]) for row in rows if row["task"] == "mmlu"}
    assert len(subjects) == 58 and {"anatomy", "all"} <= {*subjects}
    assert main(["tasks", "fetch", "mmlu"]) == 1
    assert "name one, as in mmlu:abstract_algebra" in capsys.readouterr().err


def test_new_goes_on_to_extract(
    tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What new writes is valid, is shown and run by its name in its folder, by its path anywhere.

    It prints the path, says the classes with their counts and what to edit, and replaces no file.
    """
    monkeypatch.chdir(tmp_path)
    lines = [f"r{n},opinion {n},{('neg', 'pos')[n % 2]}" for n in range(60)]
    Path("opinions.csv").write_text("\n".join(["id,text,label", *lines]))
    command = ["tasks", "new", "mine", "--from", "opinions.csv", "--text", "text"]
    command += ["--label", "label", "--id", "id"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert out == "mine.yaml\n" and "60 rows; 2 classes: neg 30, pos 30\n" in err
    assert "edit the label words: mine.yaml, lines 14, 15, 19, 20\n" in err
    assert main(["tasks", "validate", "mine.yaml"]) == 0
    assert main(["tasks", "show", "mine", "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert [row["labels"] for row in shown] == [[" neg", " pos"]] * 2
    model = save_tiny(tmp_path / "tiny")
    extract = ["extract", "--model", str(model), "--n-train", "2", "--limit", "4", "--quiet"]
    assert main([*extract, "--tasks", "mine", "-o", "a.h5"]) == 0
    capsys.readouterr()
    assert main(["predictions", "a.h5", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(
        f"{row['row']},opinion {row['row'][1:]},{row['gold_class']}" in lines for row in found
    )
    edited = Path("mine.yaml").read_text().replace('" pos"', '" positive"')
    Path("mine.yaml").write_text(edited)
    assert main(command) == 1 and Path("mine.yaml").read_text() == edited
    assert "mine.yaml exists" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    monkeypatch.chdir("other")
    assert main(["tasks", "show", "mine"]) == 1
    assert "no task 'mine'" in capsys.readouterr().err
    assert main(["tasks", "show", "../mine.yaml"]) == 0
    assert "(' neg', ' positive')" in capsys.readouterr().out
    assert main(["tasks", "show", "../none.yaml"]) == 1
    assert "there is no task's file ../none.yaml" in capsys.readouterr().err


def test_a_built_in_task_goes_before_a_file_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stray sst2.yaml changes nothing; its path means it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sst2.yaml").write_text(OWN)
    assert load_task("sst2").label.field == "label"
    assert load_task("./sst2.yaml").label.index == "right"
    (tmp_path / "own.yaml").write_text(OWN)
    assert load_task("own").label.index == "right"
    with pytest.raises(PromptError, match="did you mean 'own'"):
        load_task("onw")
