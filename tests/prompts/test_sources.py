"""Rows come in the same whichever way, and each way that fails names the next step."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import datasets
import pytest

from compread.errors import PromptError
from compread.prompts import Task, load_rows, load_task, prompt_sets
from compread.prompts.sources import Row
from compread.prompts.tasks import Source

ROWS: list[Row] = [
    {"sentence": "null", "label": 0},
    {"sentence": 'a line\u2028break, "quoted"', "label": 1},
    {"sentence": "NA", "label": 0},
]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache and the network out of the tests."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def write(folder: Path, name: str) -> Path:
    """The rows as one file of the kind that the name says."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    if file.suffix == ".jsonl":
        lines = [json.dumps(row, ensure_ascii=False) for row in ROWS]
        file.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    else:
        table = datasets.Dataset.from_list(ROWS)
        (table.to_parquet if file.suffix == ".parquet" else table.to_csv)(str(file))
    return file


def hub_task(source: str, revision: str | None = None) -> Task:
    """SST-2 with its rows at another id, or in a folder."""
    splits = {"train": "train", "test": "validation"}
    return replace(load_task("sst2"), source=Source(source, splits, revision=revision))


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv"])
def test_local_files(suffix: str, tmp_path: Path) -> None:
    """JSON Lines, parquet and CSV give equal rows, words such as "null" and "NA" included."""
    write(tmp_path / "sst2", f"train.{suffix}")
    assert load_rows(load_task("sst2"), "train", tmp_path) == ROWS


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_folder_in_hub_layout(suffix: str, tmp_path: Path) -> None:
    """A data set is read through ``datasets``, our test split from the one the task names."""
    write(tmp_path / "hub" / "data", f"train-00000-of-00001.{suffix}")
    write(tmp_path / "hub" / "data", f"validation-00000-of-00001.{suffix}")
    task = hub_task(str(tmp_path / "hub"))
    assert load_rows(task, "train") == load_rows(task, "test") == ROWS


def fill_cache(tmp_path: Path, commit: str) -> None:
    """What a download of ``someone/reviews`` at a commit leaves in the cache."""
    write(tmp_path / "hub" / "data", "train-00000-of-00001.parquet")
    table = datasets.load_dataset(str(tmp_path / "hub"), split="train")
    built = Path(table.cache_files[0]["filename"]).parent
    target = tmp_path / "cache" / "someone___reviews" / "default" / "0.0.0" / commit
    target.mkdir(parents=True)
    for file in built.iterdir():
        (target / file.name.replace("hub-", "reviews-")).write_bytes(file.read_bytes())
    info = json.loads((target / "dataset_info.json").read_text())
    info |= {"dataset_name": "reviews", "config_name": "default"}
    (target / "dataset_info.json").write_text(json.dumps(info))


def test_offline_from_the_cache(tmp_path: Path) -> None:
    """Without a network the pinned commit is read from the cache."""
    fill_cache(tmp_path, "a" * 40)
    assert load_rows(hub_task("someone/reviews", "a" * 40), "train", offline=True) == ROWS


def test_another_commit_in_the_cache(tmp_path: Path) -> None:
    """The cache's rows of another commit are refused; ``datasets`` alone would take them."""
    fill_cache(tmp_path, "a" * 40)
    with pytest.raises(PromptError, match=r"commit a+ of .*not the pinned b+: load it once"):
        load_rows(hub_task("someone/reviews", "b" * 40), "train", offline=True)


def test_offline_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline holds for the one call."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    with pytest.raises(PromptError, match="--offline"):
        load_rows(hub_task("someone/nothing"), "train", offline=True)
    assert datasets.config.HF_HUB_OFFLINE is False


@pytest.mark.parametrize("source", ["someone/nothing", "/no/such/folder"])
def test_data_set_that_cannot_be_had(source: str) -> None:
    """No network, no such data set: one line that names both ways out."""
    with pytest.raises(
        PromptError, match=r"--data-dir DIR with DIR/sst2/train.jsonl.*--offline"
    ) as e:
        load_rows(hub_task(source), "train")
    assert source in str(e.value) and "\n" not in str(e.value)


def test_the_hubs_client_may_log_again(tmp_path: Path) -> None:
    """What it says is kept back while rows are read, and no longer."""
    before = logging.getLogger("huggingface_hub").level
    with pytest.raises(PromptError):
        load_rows(hub_task(str(tmp_path / "nowhere")), "train")
    assert logging.getLogger("huggingface_hub").level == before != logging.ERROR


def test_split_that_the_data_set_lacks(tmp_path: Path) -> None:
    """A split that is not there is an error, too."""
    write(tmp_path / "hub", "train.jsonl")
    with pytest.raises(PromptError, match=r"cannot load data set .*validation"):
        load_rows(hub_task(str(tmp_path / "hub")), "test")


def test_task_without_a_source() -> None:
    """A task of local data says which files it wants."""
    with pytest.raises(PromptError, match=r"--data-dir DIR with DIR/movie_snippets/train.jsonl"):
        load_rows(load_task("movie_snippets"), "train")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "sst2 has no train.jsonl, train.parquet, train.csv or train-00000-of-.*has nothing"),
        ({"train.jsonl": b"{}", "train.csv": b"a"}, "has train.jsonl and train.csv: keep one"),
        ({"train.jsonl": b'{"a": 1}\n{"a": \n'}, "train.jsonl, line 2: not valid JSON"),
        (
            {"train.jsonl": b'{"a": 1}\n\n[1]\n'},
            r"train.jsonl, line 3: '\[1\]' is not a JSON object",
        ),
        ({"train.jsonl": b'{"a": "\xff"}'}, "train.jsonl, line 1: not UTF-8"),
        ({"train.jsonl": b'{"a": "\\ud800"}'}, "train.jsonl, line 1: half a surrogate pair"),
        ({"train.jsonl": b"\n"}, "train.jsonl has no rows"),
        ({"train.parquet": b"not parquet"}, "cannot read .*train.parquet: "),
    ],
)
def test_bad_files(files: dict[str, bytes], message: str, tmp_path: Path) -> None:
    """A missing, doubled or broken file is named, with the line where there is one."""
    (tmp_path / "sst2").mkdir()
    for name, content in files.items():
        (tmp_path / "sst2" / name).write_bytes(content)
    with pytest.raises(PromptError, match=message) as caught:
        load_rows(load_task("sst2"), "train", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["", "data"])
@pytest.mark.parametrize(
    "names",
    [["validation.jsonl"], ["validation.csv"], ["validation-00000-of-00001.parquet"],
     ["validation-00000-of-00002.jsonl", "validation-00001-of-00002.jsonl"]],
)  # fmt: skip
def test_data_dir_with_a_data_set_as_the_hub_has_it(
    names: list[str], place: str, tmp_path: Path
) -> None:
    """The test rows are those of the split that the task names, parts in order; ``test`` is not."""
    for name in names:
        write(tmp_path / "sst2" / place, name)
    write(tmp_path / "sst2" / "data", "test-00000-of-00001.parquet")  # the hub's, unlabelled
    assert load_rows(load_task("sst2"), "test", tmp_path) == ROWS * len(names)


def test_own_names_go_first(tmp_path: Path) -> None:
    """``test.jsonl`` in the task's folder is the test split, as documented."""
    write(tmp_path / "sst2", "test.jsonl")
    (tmp_path / "sst2" / "validation.jsonl").write_text('{"other": 1}')
    assert load_rows(load_task("sst2"), "test", tmp_path) == ROWS


def test_configuration_folder(tmp_path: Path) -> None:
    """A data set of several configurations has a folder for each."""
    write(tmp_path / "qqp" / "qqp", "validation-00000-of-00001.parquet")
    assert load_rows(load_task("qqp"), "test", tmp_path) == ROWS


@pytest.mark.parametrize(
    ("folder", "files", "message"),
    [
        ("none", [], "there is no folder .*none: looked for test.jsonl, .*validation.jsonl"),
        (".", ["mnli/train.csv"], r"has no folder 'sst2': looked for .*; it has 'mnli'"),
        ("sst2", ["sst2/test.csv"], "give --data-dir .*, the folder above this one"),
        (".", ["sst2/dev.csv"], "sst2 has no test.jsonl, .*it has 'dev.csv'"),
        (".", ["sst2/validation-00001-of-00002.jsonl"], "has 1 of the 2 parts of 'validation'"),
        (".", ["sst2/data/validation.csv", "sst2/data/validation.jsonl"], "csv and .*keep one of"),
    ],
)
def test_data_dir_without_the_rows(
    folder: str, files: list[str], message: str, tmp_path: Path
) -> None:
    """What was looked for and what is there are told."""
    for file in files:
        write(tmp_path / Path(file).parent, Path(file).name)
    with pytest.raises(PromptError, match=message) as caught:
        load_rows(load_task("sst2"), "test", tmp_path / folder)
    assert "\n" not in str(caught.value)


OPINIONS = """\
description: is it good?
source: {file: opinions.csv}
label: {field: good, values: [0, 1]}
templates:
  plain:
    text: "{{ opinion }}\\nGood?"
    labels: [" no", " yes"]
"""


def test_single_file(tmp_path: Path) -> None:
    """One CSV beside the task is halved; a row keeps its side when others come or go."""
    lines = [f'"opinion, {n}",{n % 2}' for n in range(400)]
    (tmp_path / "opinions.yaml").write_text(OPINIONS)
    file = tmp_path / "opinions.csv"
    file.write_text("\n".join(["opinion,good", *lines]))
    task = load_task("opinions", tmp_path)
    train, test = load_rows(task, "train"), load_rows(task, "test")
    assert 150 < len(train) < 250 and len(train) + len(test) == 400
    assert not any(row in test for row in train)
    file.write_text("\n".join(["opinion,good", *lines[::-3]]))
    assert all(row in train for row in load_rows(task, "train"))
    assert all(row in test for row in load_rows(task, "test"))
    (made,) = prompt_sets(task, limit=10, seeds=[0])
    assert len(made.prompts) == 30
    other = tmp_path / "data"
    other.mkdir()
    assert load_rows(task, "train", other) == load_rows(task, "train")  # it has no such folder
    (other / "opinions").mkdir()
    (other / "opinions" / "train.csv").write_text("opinion,good\nhere,1\n")
    assert load_rows(task, "train", other) == [{"opinion": "here", "good": 1}]


@pytest.mark.parametrize(
    ("name", "message"), [("nothing.csv", "there is no file"), ("x.txt", "ends in .jsonl, .parq")]
)
def test_single_file_that_is_not_there(name: str, message: str, tmp_path: Path) -> None:
    """A file that is missing, or of another kind, is told with its path."""
    (tmp_path / "opinions.yaml").write_text(OPINIONS.replace("opinions.csv", name))
    with pytest.raises(PromptError, match=message):
        load_rows(load_task("opinions", tmp_path), "train")


def test_empty_cells(tmp_path: Path) -> None:
    """An empty cell of a CSV is null, and the numbers around it stay numbers."""
    (tmp_path / "sst2").mkdir()
    text = "sentence,label,year,code\ngood,1,1999,007\n,0,,\nbad,,2001,1\n"
    (tmp_path / "sst2" / "train.csv").write_text(text)
    assert load_rows(load_task("sst2"), "train", tmp_path) == [
        {"sentence": "good", "label": 1, "year": 1999, "code": "007"},
        {"sentence": None, "label": 0, "year": None, "code": None},
        {"sentence": "bad", "label": None, "year": 2001, "code": "1"},
    ]
