"""Prompt sets of a task: text, rows, balance, and no leak between splits and seeds."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from compread.errors import PromptError
from compread.prompts import PromptSet, load_task, prompt_sets
from compread.prompts.build import build_prompt_set
from compread.prompts.sampling import make_pools

NEGATIVE, POSITIVE = ("dull", "flat", "tired", "clumsy"), ("warm", "witty", "bright", "lively")


def rows(n: int, word: str) -> list[dict[str, object]]:
    """N made-up reviews, the classes alternating."""
    return [
        {"sentence": f"a {(NEGATIVE, POSITIVE)[i % 2][i % 4]} {word} {i}", "label": i % 2}
        for i in range(n)
    ]


def write_task(folder: Path, train: list[dict[str, object]], test: list[dict[str, object]]) -> Path:
    """A data folder with the two files of ``sst2``."""
    (folder / "sst2").mkdir(parents=True)
    for split, data in (("train", train), ("test", test)):
        text = "".join(json.dumps(row) + "\n" for row in data)
        (folder / "sst2" / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> list[PromptSet]:
    """All templates of SST-2 and seeds 0 to 4 on made-up rows."""
    folder = write_task(tmp_path_factory.mktemp("data"), rows(200, "film"), rows(90, "play"))
    return prompt_sets(load_task("sst2"), seeds=range(5), data_dir=folder)


def split_ids(prompt_set: PromptSet, split: str) -> list[str]:
    """Row ids of one split in order."""
    return [prompt.id for prompt in prompt_set.prompts if prompt.split == split]


def test_grid_is_templates_by_seeds(grid: list[PromptSet]) -> None:
    """The grid goes template by template, seed by seed, and names its stores apart."""
    assert [(s.template, s.seed) for s in grid] == [
        (template, seed)
        for template in ("review-sentiment", "review-question", "said")
        for seed in range(5)
    ]
    assert grid[0].file_name == "sst2-review-sentiment-k4-s0.h5"
    assert len({s.file_name for s in grid}) == len({s.hash for s in grid}) == 15


def test_text_of_a_prompt(grid: list[PromptSet]) -> None:
    """A prompt is each demonstration with its label and a newline, then the row's input."""
    train, test = rows(200, "film"), rows(90, "play")
    for prompt_set in grid[:5]:
        shown = [train[int(row.removeprefix("train-"))] for row in prompt_set.demonstrations]
        words = {0: "negative", 1: "positive"}
        prefix = "".join(
            f"Review: {row['sentence']}\nSentiment: {words[row['label']]}\n" for row in shown
        )
        for prompt in prompt_set.prompts:
            split, number = prompt.id.split("-")
            row = {"train": train, "test": test}[split][int(number)]
            assert prompt.text == f"{prefix}Review: {row['sentence']}\nSentiment:"
            assert (prompt.split, prompt.gold) == (split, row["label"])


def test_label_words_are_the_template_s(grid: list[PromptSet]) -> None:
    """Each template brings its own words, and shows them after the demonstrations."""
    assert grid[0].labels == (" negative", " positive")
    assert grid[10].labels == (" sad", " happy")
    assert grid[10].prompts[0].text.count("? sad\n") == 2


def test_same_rows_for_every_template(grid: list[PromptSet]) -> None:
    """Templates of one seed share demonstrations, train rows and test rows."""
    for seed in range(5):
        sets = [s for s in grid if s.seed == seed]
        assert len({s.demonstrations for s in sets}) == 1
        assert len({tuple(p.id for p in s.prompts) for s in sets}) == 1


def check_protocol(sets: list[PromptSet], n_classes: int) -> None:
    """What must hold of the seeds of one task and template."""
    labelled = [row for s in sets for row in (*s.demonstrations, *split_ids(s, "train"))]
    assert len(labelled) == len(set(labelled)) == 24 * len(sets)
    assert len({tuple(split_ids(s, "test")) for s in sets}) == 1
    for s in sets:
        train = [p.gold for p in s.prompts if p.split == "train"]
        test = Counter(p.gold for p in s.prompts if p.split == "test")
        assert len(set(test.values())) == 1 and len(test) == n_classes
        for n in range(0, 21, n_classes):
            assert set(Counter(train[:n]).values()) <= {n // n_classes}
        ends = [p.text[len(p.text.rstrip()) :] for p in s.prompts]
        assert set(ends) == {""}
        own_input = {p.text[p.text.rindex("\nReview:") :] for p in s.prompts}
        assert len(own_input) == len(s.prompts)


def test_protocol(grid: list[PromptSet]) -> None:
    """Seeds share no labelled row, splits share no text, classes are balanced."""
    check_protocol([s for s in grid if s.template == "review-sentiment"], 2)


def test_the_protocol_names_the_wording(grid: list[PromptSet]) -> None:
    """Where a template's words are from is kept, and null where its file does not say."""
    task = load_task("sst2")
    template = task.template("said")
    assert {s.protocol["wording"] for s in grid if s.template == "said"} == {template.wording}
    bare = replace(task, templates={"said": replace(template, wording="")})
    pools = make_pools(bare, rows(40, "film"), rows(10, "play"))
    assert build_prompt_set(bare, "said", pools).protocol["wording"] is None


def test_same_seed_same_rows(grid: list[PromptSet], tmp_path: Path) -> None:
    """Building once more gives the same prompt set, to the hash."""
    folder = write_task(tmp_path / "again", rows(200, "film"), rows(90, "play"))
    again = prompt_sets(load_task("sst2"), ["said"], [3], data_dir=folder)
    assert again == [grid[13]]


def test_limit_cuts_the_test_rows_only(grid: list[PromptSet], tmp_path: Path) -> None:
    """A limit keeps the train rows and takes the first test rows."""
    folder = write_task(tmp_path / "data", rows(200, "film"), rows(90, "play"))
    (cut,) = prompt_sets(load_task("sst2"), ["review-sentiment"], limit=10, data_dir=folder)
    assert cut.prompts == grid[0].prompts[:30]


def test_repeated_rows_are_left_out() -> None:
    """A test row that is in the train file, and rows that came before, are not drawn."""
    train = rows(40, "film") + [{"sentence": "a dull film 0 ", "label": 0}] * 5
    test = rows(10, "play") + rows(40, "film") + rows(10, "play")
    pools = make_pools(load_task("sst2"), train, test)
    assert sorted(n for queue in pools.train.queues for n in queue) == list(range(40))
    assert sorted(n for queue in pools.test.queues for n in queue) == list(range(10))


@pytest.mark.parametrize(("shots", "n_train"), [(0, 6), (4, 0), (3, 5)])
def test_shots_and_train_rows(shots: int, n_train: int) -> None:
    """Any numbers work, zero too; without demonstrations the prompt is the bare input."""
    task = load_task("sst2")
    pools = make_pools(task, rows(60, "film"), rows(20, "play"))
    made = build_prompt_set(task, "review-sentiment", pools, shots=shots, n_train=n_train)
    assert len(made.demonstrations) == made.shots == shots
    assert len(split_ids(made, "train")) == n_train
    assert made.prompts[0].text.count("Review:") == shots + 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"sentence": "x", "label": -1},
            "row test-3 of task 'sst2' has 'label' -1, not one of 0, 1",
        ),
        ({"sentence": "x"}, "row test-3 of task 'sst2' has no 'label'; the row has 'sentence'"),
        ({"sentence": "x", "label": None}, "row test-3 of .* has a null 'label'; drop it, or"),
        ({"sentence": "x", "label": float("nan")}, "row test-3 of task 'sst2' has a null 'label'"),
        (
            {"sentence": None, "label": 1},
            "row test-3 of task 'sst2': .*needs 'sentence', which",
        ),
        (
            {"text": "x", "label": 1},
            "row test-3 of task 'sst2': .* needs 'sentence'; the row has 'te",
        ),
    ],
)
def test_rows_that_do_not_fit(row: dict[str, object], message: str) -> None:
    """A row with a foreign label or without a field is named."""
    task = load_task("sst2")
    with pytest.raises(PromptError, match=message):
        pools = make_pools(task, rows(60, "film"), [*rows(3, "play"), row])
        build_prompt_set(task, "said", pools)


def test_wrong_template_shows_before_loading(tmp_path: Path) -> None:
    """A wrong template name is told although there are no data."""
    with pytest.raises(PromptError, match="did you mean 'said'"):
        prompt_sets(load_task("sst2"), ["sad"], data_dir=tmp_path)


def texts(where: str, *extra: dict[str, object]) -> str:
    """All prompts of SST-2's rows under a condition."""
    task = replace(load_task("sst2"), where=where)
    pools = make_pools(task, rows(60, "film"), [*rows(20, "play"), *extra])
    made = build_prompt_set(task, "said", pools, shots=4, n_train=20)
    return "\n".join(prompt.text for prompt in made.prompts)


def test_rows_that_where_rules_out() -> None:
    """A row that the task's condition rules out is neither demonstration, train nor test row."""
    assert "play 3" in texts("") and "film 1" in texts("")
    assert "play 3" not in texts("'play 3' not in sentence")
    without = texts("'film 1' not in sentence")
    assert "film 1" not in without and "play 3" in without


def test_where_meets_a_null() -> None:
    """A row whose condition reads a null is named with the condition."""
    with pytest.raises(PromptError, match=r"row test-20 of task 'sst2': its 'where' .*needs 'sent"):
        texts("'play' in sentence", {"sentence": None, "label": 1})


def test_content_free_row_of_a_null() -> None:
    """A content-free row that takes its shape from a row with a null is told with that row."""
    train = [
        {"question": f"q {n}", "answerKey": "ABCD"[n % 4],
         "choices": {"label": list("ABCD"), "text": ["aaa", "bbb", "ccc", "ddd" if n else None]}}
        for n in range(200)
    ]  # fmt: skip
    task = load_task("arc_easy")
    pools = make_pools(task, train, [{**row, "question": f"t {n}"} for n, row in enumerate(train)])
    with pytest.raises(PromptError, match=r"row content-free-0 .*like train-0: .*text\[3\]"):
        build_prompt_set(
            task, "question-choices", pools, shots=0, n_train=0, limit=2, calibration=True
        )
