"""Tasks of lm-evaluation-harness: rows are its requests. Runs where the library is installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import datasets
import pytest
from lm_eval_tasks import write_task
from made_rows import write_json_lines
from own_rows import OWN_ROWS
from tokenizers_made import byte_level

from compread.errors import CompreadError, PromptError, UsageError
from compread.prompts import Chat, PromptSet, lm_eval_sets, load_task, prompt_sets, tokenize

pytest.importorskip("lm_eval", reason="lm-eval is not installed (compread[lm-eval])")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what ``datasets`` caches in the test's folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def requests_of(folder: Path, name: str, shots: int, seed: int, limit: int) -> list[list[Any]]:
    """The library's own requests for a task, a list of each document."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    task = manager.load(name)["tasks"][name]
    task.set_fewshot_seed(seed)
    task.set_config("num_fewshot", shots)
    task.build_all_requests(limit=limit)
    found: dict[int, list[Any]] = {}
    for one in task.instances:
        found.setdefault(one.doc_id, []).append(one.args)
    return [found[n] for n in sorted(found)]


def rows_tested(made: PromptSet) -> list[Any]:
    """The test rows."""
    return [prompt for prompt in made.prompts if prompt.split == "test"]


@pytest.mark.parametrize(("shots", "seed"), [(0, 1234), (3, 1234), (3, 7)])
def test_rows_are_the_library_s_requests(shots: int, seed: int, tmp_path: Path) -> None:
    """Context and continuations are the same to the letter, demonstrations drawn by the seed."""
    folder = write_task(tmp_path / "tasks")
    (made,) = lm_eval_sets("lm_eval:made", [seed], shots=shots, include_path=folder, limit=15)
    want = requests_of(folder, "made", shots, seed, 15)
    found = [[(row.text, answer) for answer in row.answers] for row in rows_tested(made)]
    assert found == want
    assert found[3][0][0].count("\nA:") == shots + 1 and len(found[3]) == 26
    assert made.task == "lm_eval:made" and (made.seed, made.shots) == (seed, shots)
    assert made.file_name == f"lm_eval-made-k{shots}-s{seed}.h5"


def test_the_seed_is_the_library_s_unless_given(tmp_path: Path) -> None:
    """1234, as in its own command."""
    folder = write_task(tmp_path / "tasks", num_fewshot="2")
    (made,) = lm_eval_sets("lm_eval:made", include_path=folder)
    (same,) = lm_eval_sets("lm_eval:made", [1234], shots=2, include_path=folder)
    (other,) = lm_eval_sets("lm_eval:made", [5], shots=2, include_path=folder)
    assert made.prompts == same.prompts and (made.seed, made.shots) == (1234, 2)
    assert [p.text for p in rows_tested(made)] != [p.text for p in rows_tested(other)]


def test_tokens_are_the_library_s(tmp_path: Path) -> None:
    """``_encode_pair`` of its model class gives the tokens of each prompt and answer."""
    from lm_eval.api.model import TemplateLM

    folder = write_task(tmp_path / "tasks")
    (made,) = lm_eval_sets("lm_eval:made", shots=2, include_path=folder)
    texts = [prompt.text + answer for prompt in made.prompts for answer in prompt.answers]
    tokenizer = byte_level(texts, bos=True)

    class Pairs:
        backend = "causal"

        def tok_encode(self, text: str) -> Any:
            return tokenizer.encode(text)

    tokens = tokenize(made, tokenizer)
    for prompt, ids, answers in zip(made.prompts, tokens.ids, tokens.answers, strict=True):
        for answer, own in zip(prompt.answers, answers, strict=True):
            before, after = TemplateLM._encode_pair(Pairs(), prompt.text, answer)
            assert (ids, list(own)) == (before, after)
    sizes = {len(own) for answers in tokens.answers for own in answers}
    assert min(sizes) == 1 and max(sizes) >= 10


def test_train_rows_are_of_the_few_shot_split(tmp_path: Path) -> None:
    """None of them is shown to another, and test rows are as without them."""
    folder = write_task(tmp_path / "tasks")
    (made,) = lm_eval_sets("lm_eval:made", shots=4, include_path=folder)
    train = [prompt for prompt in made.prompts if prompt.split == "train"]
    assert len(train) == 20 and len({prompt.id for prompt in train}) == 20
    asked = {prompt.text.rpartition("Q: ")[2] for prompt in train}
    assert all(text.startswith("train ") for text in asked)
    for prompt in train:
        shown = prompt.text.split("Q: ")[1:-1]
        assert len(shown) == 4
        assert not {text.partition("\n")[0] + "\nA:" for text in shown} & asked
    (none,) = lm_eval_sets("lm_eval:made", shots=4, n_train=0, include_path=folder)
    assert none.prompts == tuple(rows_tested(made))


def test_choices_in_common_are_label_words(tmp_path: Path) -> None:
    """Where every document has the same choices, the run has label words."""
    folder = write_task(tmp_path / "tasks", doc_to_choice='["yes", "no"]', doc_to_target="0")
    (made,) = lm_eval_sets("lm_eval:made", include_path=folder)
    assert made.labels == (" yes", " no") and {p.gold for p in made.prompts} == {0}
    assert not any(prompt.answers for prompt in made.prompts)


def test_a_row_with_two_equal_choices_is_left_out(tmp_path: Path) -> None:
    """It cannot be chosen in; which one is kept with the run."""
    folder = write_task(tmp_path / "tasks")
    file = folder / "validation.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[2] = '{"q": "twice", "choices": ["a", "a"], "label": 0}'
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (made,) = lm_eval_sets("lm_eval:made", include_path=folder)
    assert made.protocol["left_out"] == ["test-2"]
    assert made.protocol["target_delimiter"] == " "
    assert "test-2" not in [prompt.id for prompt in made.prompts]


def test_a_group_is_each_of_its_tasks(tmp_path: Path) -> None:
    """A tag or group stands for the tasks in it."""
    folder = write_task(tmp_path / "tasks", "one", tag="both")
    write_task(folder, "two", tag="both")
    made = lm_eval_sets("lm_eval:both", include_path=folder)
    assert sorted(one.task for one in made) == ["lm_eval:one", "lm_eval:two"]


WRONG = "\"{{ 0 if ' 0 ' in q else 9 }}\""
BAD: list[tuple[dict[str, str], dict[str, Any], type[CompreadError], str]] = [
    ({"output_type": "generate_until"}, {}, PromptError, "the output type 'generate_until'; e"),
    ({"doc_to_text": "label"}, {}, PromptError, "a text for each choice and one continuation"),
    ({"doc_to_target": "[0, 1]"}, {}, PromptError, r"row test-0 .*several right choices"),
    ({"doc_to_target": WRONG}, {}, PromptError, "row test-1 of lm_eval:made: option 9 is right"),
    ({"doc_to_target": "maybe"}, {}, PromptError, r"no right choice \('maybe' of"),
    ({"doc_to_choice": '["yes"]', "doc_to_target": "0"}, {}, PromptError, "1 choices; expected 2"),
    ({"doc_to_choice": '["yes", " "]', "doc_to_target": "0"}, {}, PromptError, "an empty one"),
    ({"doc_to_text": '"{{ a.b }}"'}, {}, PromptError, "cannot load 'made': Undefined"),
    ({"dataset_path": "/nowhere/at/all", "dataset_kwargs": ""}, {}, PromptError, "cannot load"),
    ({}, {"n_train": 31, "shots": 4}, PromptError, "room for 26 train rows, not 31: its few"),
    ({"training_split": ""}, {"n_train": 3}, PromptError, "of the split that it is tested on"),
    ({}, {"shots": 99}, PromptError, "row test-0 of lm_eval:made: "),
    ({}, {"limit": 0}, UsageError, "0 test rows; expected 1 or more"),
    ({}, {"shots": -1}, UsageError, "-1 shots; expected 0 or more"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "options", "kind", "message"), BAD)
def test_tasks_that_cannot_be_used(
    keys: dict[str, str],
    options: dict[str, Any],
    kind: type[CompreadError],
    message: str,
    tmp_path: Path,
) -> None:
    """What is no choice among continuations of one text, or cannot be loaded, is told in a line."""
    folder = write_task(tmp_path / "tasks", **keys)
    if "dataset_kwargs" in keys:  # and the line below it
        file = folder / "made.yaml"
        file.write_text(file.read_text().replace("  data_files", "#  data_files"))
    with pytest.raises(kind, match=message) as caught:
        lm_eval_sets("lm_eval:made", include_path=folder, **{"shots": 0, **options})
    assert "\n" not in str(caught.value)


def test_a_task_without_a_train_split_has_no_train_rows(tmp_path: Path) -> None:
    """Demonstrations are of the split that is tested, so no row of it is for training."""
    folder = write_task(tmp_path / "tasks", training_split="")
    (made,) = lm_eval_sets("lm_eval:made", shots=2, include_path=folder)
    assert {prompt.split for prompt in made.prompts} == {"test"}
    assert [(p.text, p.answers[0]) for p in made.prompts] == [
        row[0] for row in requests_of(folder, "made", 2, 1234, 20)
    ]


def test_a_name_that_is_off_by_a_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest of the library's names is suggested."""
    from compread.prompts import lm_eval

    folder = write_task(tmp_path / "tasks", "made_cloze")
    monkeypatch.setattr(lm_eval, "_built_in", lambda: lm_eval._manager(folder))
    with pytest.raises(PromptError, match="did you mean lm_eval:made_cloze"):
        lm_eval_sets("lm_eval:made_close", include_path=folder)


FILES = {
    "hellaswag": "hellaswag/hellaswag.yaml",
    "piqa": "piqa/piqa.yaml",
    "copa": "super_glue/copa/default.yaml",
    "openbookqa": "openbookqa/openbookqa.yaml",
    "arc_easy": "arc/arc_easy.yaml",
    "arc_challenge": "arc/arc_challenge.yaml",
    "commonsense_qa": "commonsense_qa/default.yaml",
    "mmlu:anatomy": "mmlu/default/mmlu_anatomy.yaml",
}
LETTERS = ("commonsense_qa", "mmlu:anatomy")
"""Tasks that the library asks with letters."""


@pytest.mark.parametrize("name", FILES)
def test_built_in_tasks_ask_as_the_library_does(name: str, tmp_path: Path) -> None:
    """Its own YAML, on the same made rows, gives the texts, answers and right places of ours."""
    import lm_eval

    file = Path(lm_eval.__file__).parent / "tasks" / FILES[name]
    for split in ("train", "test"):
        rows = [OWN_ROWS[name](n, split) for n in range(40)]
        write_json_lines(tmp_path / name.replace(":", "/") / f"{split}.jsonl", rows)
    data = tmp_path / name.replace(":", "/")
    files = ", ".join(f"{own}: {data}/test.jsonl" for own in ("validation", "test"))
    (tmp_path / "local.yaml").write_text(
        f"include: {file}\ntask: local\ndataset_path: json\ndataset_name: default\n"
        f"dataset_kwargs: {{data_files: {{{files}, train: {data}/train.jsonl, "
        f"dev: {data}/train.jsonl}}}}\n"
    )
    (theirs,) = lm_eval_sets("lm_eval:local", shots=0, n_train=0, include_path=tmp_path)
    task, template = load_task(name), "question-choices" if name in LETTERS else "cloze"
    (ours,) = prompt_sets(task, [template], shots=0, n_train=0, limit=20, data_dir=tmp_path)
    asked = {row.id: row for row in theirs.prompts}
    assert len(ours.prompts) == 20
    for row in ours.prompts:
        own = asked[row.id]
        assert row.text == own.text.strip() and row.gold == own.gold
        # The library puts its space before COPA's answers, which begin with one.
        assert [a.strip() for a in ours.answers(row)] == [a.strip() for a in theirs.answers(own)]
        assert all(re.fullmatch(r" \S.*\S| \S", answer) for answer in ours.answers(row))


def test_a_chat_template_is_refused(tmp_path: Path) -> None:
    """The library's prompts are whole texts, which have no turns."""
    folder = write_task(tmp_path / "tasks")
    (made,) = lm_eval_sets("lm_eval:made", include_path=folder)
    with pytest.raises(PromptError, match="leave --apply-chat-template out"):
        Chat(template=True).apply(made, None)
