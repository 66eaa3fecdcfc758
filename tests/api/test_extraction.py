"""``compread.extract``: in one call from Python what the command does."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from stores import contents
from tiny_folder import LABELS, byte_tokenizer, review_rows, save_tiny, write_rows
from transformers import AutoModelForCausalLM

import compread
from compread.cli import main
from compread.errors import ModelError, PromptError, TargetError, UsageError
from compread.prompts import read_prompt_file
from compread.store.run_list import read_list

ROWS = review_rows(12, n_train=4)
# The label words are two of 320 to a random model, which is told once, below.
pytestmark = pytest.mark.filterwarnings("ignore:.*the label words have:compread.CompreadWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with a tiny model, its prompts, and the store that the command makes of them."""
    folder = tmp_path_factory.mktemp("extraction")
    save_tiny(folder / "model")
    write_rows(folder / "prompts.jsonl", ROWS)
    arguments = ["--model", str(folder / "model"), "--prompts", str(folder / "prompts.jsonl")]
    assert main(["extract", *arguments, "-o", str(folder / "prompts.h5"), "-q"]) == 0
    return folder


@pytest.mark.parametrize("form", ["rows", "file", "text", "set"])
def test_the_store_is_the_commands(folder: Any, tmp_path: Any, form: str) -> None:
    """From rows, a file or a prompt set: the command's store to the byte, and it is opened."""
    prompts: Any = {
        "rows": ROWS,
        "file": folder / "prompts.jsonl",
        "text": str(folder / "prompts.jsonl"),
        "set": read_prompt_file(folder / "prompts.jsonl"),
    }[form]
    run = compread.extract(folder / "model", prompts, tmp_path)
    assert run.paths == (tmp_path / "prompts.h5",) and run.split == "test"
    assert run.parts.shape == (8, len(run.components), 2)
    assert contents(tmp_path / "prompts.h5") == contents(folder / "prompts.h5")


def test_a_loaded_model_is_read_and_left_as_it_was(folder: Any, tmp_path: Any) -> None:
    """The same numbers as by its name; training and gradients are on again afterwards."""
    auto: Any = AutoModelForCausalLM
    model = auto.from_pretrained(folder / "model", dtype=torch.float32)
    model.train()
    frozen = next(iter(model.parameters()))
    frozen.requires_grad_(False)
    run = compread.extract(model, ROWS, tmp_path / "x.h5", tokenizer=byte_tokenizer())
    known = compread.open(folder / "prompts.h5")
    np.testing.assert_array_equal(run.parts, known.parts)
    assert run.info.fingerprint == known.info.fingerprint
    assert run.info.model == str(folder / "model")
    assert model.training and all(module.training for module in model.modules())
    wanting = [weight.requires_grad for weight in model.parameters()]
    assert wanting == [False] + [True] * (len(wanting) - 1)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_grid_of_a_task_is_several_runs(folder: Any, tmp_path: Any) -> None:
    """Seeds and templates of a task of one's own, as the command makes them, under their names."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "data" / "mine").mkdir(parents=True)
    (tmp_path / "tasks" / "mine.yaml").write_text(
        "description: is it good?\nlabel: {field: y, values: [0, 1]}\ntemplates:\n"
        '  a: {text: "Review: {{ x }}\\nSentiment:", labels: [" negative", " positive"]}\n'
        '  b: {text: "{{ x }} film\\nSentiment:", labels: [" negative", " positive"]}\n'
    )
    for split, n in (("train", 40), ("test", 12)):
        rows = [{"x": f"good {split} {i}", "y": i % 2} for i in range(n)]
        write_rows(tmp_path / "data" / "mine" / f"{split}.jsonl", rows)
    seen: list[tuple[int, int, int]] = []
    runs = compread.extract(
        str(folder / "model"), "mine", tmp_path / "out", templates="all", seeds=(0, 1),
        num_fewshot=2, n_train=4, limit=6, data_dir=tmp_path / "data",
        include_path=tmp_path / "tasks", progress=lambda *done: seen.append(done),
    )  # fmt: skip
    names = [path.name for path in runs.paths]
    assert names == [f"mine-{t}-k2-s{s}.h5" for t in "ab" for s in (0, 1)]
    assert [len(run.gold) for run in runs] == [6, 6, 6, 6] and seen[-1][0] == seen[-1][1] == 10
    options = [
        "--tasks", "mine", "--templates", "all", "--seeds", "0,1", "--num-fewshot", "2",
        "--n-train", "4", "--limit", "6", "--data-dir", str(tmp_path / "data"), "--include-path",
        str(tmp_path / "tasks"), "--model", str(folder / "model"), "-q",
    ]  # fmt: skip
    assert main(["extract", *options, "-o", str(tmp_path / "typed")]) == 0
    for name in names:
        assert contents(tmp_path / "out" / name) == contents(tmp_path / "typed" / name)
    listed = read_list(tmp_path / "out")
    assert list(listed) == names and all(one.ended and one.rows == 10 for one in listed.values())
    few: Any = {"num_fewshot": 2, "n_train": 4, "limit": 6, "data_dir": tmp_path / "data"}
    by_path = str(tmp_path / "tasks" / "mine.yaml")
    compread.extract(folder / "model", by_path, tmp_path / "one.h5", **few)
    assert contents(tmp_path / "one.h5") == contents(tmp_path / "out" / "mine-a-k2-s0.h5")


def test_a_finished_run_is_kept_and_another_is_refused(folder: Any, tmp_path: Any) -> None:
    """The same call opens what is there; other prompts want another path, or ``force``."""
    before = compread.extract(folder / "model", ROWS, tmp_path)
    written = before.paths[0].stat().st_mtime_ns
    assert compread.extract(folder / "model", ROWS, tmp_path).paths[0].stat().st_mtime_ns == written
    with pytest.raises(TargetError, match=r"choose another output, or force=True replaces it"):
        compread.extract(folder / "model", ROWS[:8], tmp_path)
    assert len(compread.extract(folder / "model", ROWS[:8], tmp_path, force=True).gold) == 4


def test_rows_texts_are_kept_where_asked(folder: Any, tmp_path: Any) -> None:
    """Of rows that are whole prompts these; none of a store that was not asked to keep them."""
    run = compread.extract(folder / "model", ROWS, tmp_path / "x.h5", keep_text=True)
    assert list(run.texts) == [row["prompt"] for row in ROWS[4:]]
    assert compread.open(folder / "prompts.h5").texts == ()
    with pytest.raises(TargetError, match=r"made with keep-text=on; you ask for keep-text=off"):
        compread.extract(folder / "model", ROWS, tmp_path / "x.h5")


def test_a_folder_a_model_and_a_log(folder: Any, tmp_path: Any) -> None:
    """The output path takes the model's base name, loaded or not; the log has two lines a run."""
    log = tmp_path / "log"
    by_name = compread.extract(folder / "model", ROWS, tmp_path / "{model}" / "a.h5", log=log)
    assert by_name.paths == (tmp_path / "model" / "a.h5",)
    auto: Any = AutoModelForCausalLM
    model = auto.from_pretrained(folder / "model", dtype=torch.float32)
    loaded = compread.extract(model, ROWS, tmp_path / "at-{model}", tokenizer=byte_tokenizer())
    assert loaded.paths[0].parent == tmp_path / "at-model"
    begins, done = log.read_text().splitlines()
    assert begins.endswith("a.h5: begins, 12 rows") and "a.h5: done, 12 rows in" in done
    with pytest.raises(TargetError, match="give another log"):
        compread.extract(folder / "model", ROWS, tmp_path / "b.h5", log=tmp_path / "no" / "log")
    assert not (tmp_path / "b.h5").exists()


def test_train_rows_alone_are_opened(folder: Any, tmp_path: Any) -> None:
    """Prompts without a test row give the run of their train rows."""
    run = compread.extract(folder / "model", ROWS[:4], tmp_path)
    assert run.split == "train" and len(run.gold) == 4


def test_label_words_without_probability_are_warned_of(folder: Any, tmp_path: Any) -> None:
    """The warning stands at the line of the call, and says where to look in Python."""
    words = r"prompts\.h5: the label words have 0\..*; look .* in run\.info\.sample_prompt and run"
    with pytest.warns(compread.CompreadWarning, match=words) as seen:
        run = compread.extract(folder / "model", ROWS, tmp_path)
    assert [one.filename for one in seen] == [__file__]
    assert np.median(run.label_mass) < 0.01


def test_labels_stand_for_options(folder: Any, tmp_path: Any) -> None:
    """Rows without options take those that are given for all."""
    rows = [{key: row[key] for key in ("prompt", "label")} for row in ROWS]
    run = compread.extract(folder / "model", rows, tmp_path, labels=list(LABELS))
    assert run.label_texts == LABELS and run.axes["row"][:2] == ("0", "1")


WRONG: list[tuple[type[Exception], dict[str, Any], str]] = [
    (UsageError, {"prompts": []}, "there are no prompts"),
    (PromptError, {"prompts": [{"prompt": "a"}]}, r"prompts\[0\]: 'options' is missing.* labels"),
    (PromptError, {"prompts": [*ROWS, 3]}, r"prompts\[12\] is 3: expected a mapping"),
    (PromptError, {"prompts": [{**ROWS[0], "label": "x"}]}, r"prompts\[0\]: label 'x' is not"),
    (PromptError, {"prompts": [{**ROWS[0], "prompt": "\ud800"}]}, r"\[0\]: .*surrogate"),
    (PromptError, {"prompts": "sst3"}, "there is no task 'sst3': did you mean 'sst2'"),
    (PromptError, {"prompts": "sst2", "data_dir": "nowhere"}, "data_dir"),
    (UsageError, {"limit": 3, "seeds": 1}, "one finished set: seeds, limit goes with tasks"),
    (UsageError, {"prompts": "sst2", "labels": [" a", " b"]}, "labels goes with rows"),
    (UsageError, {"tokenizer": 1}, "tokenizer is that of a loaded model"),
    (UsageError, {"merge_adapter": True}, "merge_adapter=True merges what adapter names"),
    (UsageError, {"fewshot_as_multiturn": True}, "apply_chat_template=True"),
    (UsageError, {"dtype": "float8"}, "no data type `float8`"),
    (UsageError, {"device": "cuda:99"}, 'device="auto"'),
    (ModelError, {"model": "/no/such/model"}, "no such model: /no/such/model"),
]


@pytest.mark.parametrize(("kind", "changes", "message"), WRONG)
def test_mistakes_name_arguments(
    folder: Any, tmp_path: Any, kind: type[Exception], changes: dict[str, Any], message: str
) -> None:
    """Each is told in one line, whose next step is an argument; nothing is written."""
    named = {"model": folder / "model", "prompts": ROWS, "output": tmp_path, **changes}
    with pytest.raises(kind, match=message) as error:
        compread.extract(**named)
    assert "--" not in str(error.value) and "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_model_is_told(folder: Any, tmp_path: Any) -> None:
    """A loaded model wants its tokenizer, and cannot be loaded otherwise."""
    auto: Any = AutoModelForCausalLM
    model = auto.from_pretrained(folder / "model")
    with pytest.raises(UsageError, match="wants its own tokenizer beside it: tokenizer"):
        compread.extract(model, ROWS, tmp_path)
    with pytest.raises(UsageError, match="revision, dtype: the model is loaded already"):
        compread.extract(model, ROWS, tmp_path, tokenizer=1, dtype="float16", revision="main")
    not_one: Any = json
    with pytest.raises(ModelError, match="a module is no model that can be read"):
        compread.extract(not_one, ROWS, tmp_path, tokenizer=byte_tokenizer())
