"""``compread reweight`` on the command line, on stores of random parts."""

import csv
import io
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

from compread.cli import main
from compread.components import LayerShape, component_axis
from compread.reweight.weights_file import Weights, checksum
from compread.store import SplitRows, StoreWriter
from compread.store.schema import Labels, RunInfo

AXIS = component_axis([LayerShape(3), LayerShape(3)])
METHODS = ["full", "calib+", "bc", "comprw", "blend"]
CALIBRATED = [
    "ece", "ece_adaptive", "brier", "log_loss", "scaled_ece", "scaled_ece_adaptive",
    "scaled_brier", "scaled_log_loss",
]  # fmt: skip


def write_store(
    path, seed=0, n_train=12, n_test=40, words=(" no", " yes"), task="sst2", classes=(),
    model="f00d", shots=4, gram=(), template="t1",
):  # fmt: skip
    """A store whose parts 2 and 6 know the right label; ``model`` is its fingerprint."""
    rng = np.random.default_rng(seed)
    run = RunInfo(
        model="tiny", model_type="llama", revision=None, fingerprint=model, dtype="float32",
        task=task, template=template, template_text="", demonstrations=(), seed=seed, shots=shots,
        prompt_set=f"{task} {seed} {shots} {words} {n_train} {template}", shared_prefix=True,
        prefix_tokens=0, soft_cap=None, tolerance=1e-4, batch_tokens=1024, label_gram=gram,
    )  # fmt: skip
    n, k = n_train + n_test, len(words)
    first = np.array([classes.index(c) for c in dict.fromkeys(classes)] or range(k))
    gold = first[rng.integers(0, len(first), n)]
    parts = rng.normal(size=(n, len(AXIS), k)).astype(np.float32)
    parts[:, [2, 6]] += np.eye(k, dtype=np.float32)[gold][:, None]
    ids, cut = [f"row-{i}" for i in range(n)], n_train
    splits = {
        "train": SplitRows(gold[:cut], ids[:cut], ids[:cut]),
        "test": SplitRows(gold[cut:], ids[cut:], ids[cut:]),
    }
    labels = Labels(tuple(words), tuple(range(k)), classes)
    with StoreWriter.open(path, run, AXIS, labels, splits) as writer:
        writer.append(range(n), parts, parts.sum(1), np.zeros(n), np.ones(n))
        writer.finish(run)
    return path


def seal(path, document):
    """Write a crafted weights document with the checksum that it should have."""
    path.write_text(json.dumps({**document, "checksum": checksum(document)}))


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A folder of two runs of one task and one of another."""
    folder = tmp_path_factory.mktemp("stores")
    for seed, task in enumerate(["sst2", "sst2", "rte"]):
        write_store(folder / f"{task}-s{seed}.h5", seed, task=task)
    return folder


@pytest.fixture
def run(capsys):
    """A function that runs one command line: its status, stdout and stderr."""

    def call(*arguments):
        status = main(["reweight", *map(str, arguments)])
        return status, *capsys.readouterr()

    return call


def test_json_has_runs_and_their_summary(run, stores):
    """One store and several give the same two lists, in full precision."""
    store = stores / "sst2-s0.h5"
    status, out, err = run(store, "--format", "json")
    document = json.loads(out)
    assert (status, err) == (0, "") and list(document) == ["runs", "summary", "average"]
    assert [row["method"] for row in document["runs"]] == METHODS
    assert list(document["runs"][0]) == [
        "store", "task", "template", "seed", "method", "recipe", "n_train", "accuracy",
        "accuracy_low", "accuracy_high", "train_accuracy", "epochs", "gap", "n", "temperature",
        *CALIBRATED,
    ]  # fmt: skip
    row = next(row for row in document["runs"] if row["method"] == "comprw")
    assert (row["store"], row["n_train"], row["n"]) == (str(store), 12, 40)
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
    assert list(document["summary"][0]) == [
        "task", "method", "n_train", "setting", "accuracy", "accuracy_sd", "runs", *CALIBRATED,
    ]  # fmt: skip


def test_several_stores_and_budgets(run, stores):
    """Every store, budget and method has a run; the summary has a row a task, method and budget."""
    status, out, _ = run(stores, "--n-train", "8,4", "--format", "json")
    document = json.loads(out)
    assert status == 0 and len(document["runs"]) == 3 * 2 * 5
    assert [row["n_train"] for row in document["runs"][:10]] == [8] * 5 + [4] * 5
    assert {(r["task"], r["runs"]) for r in document["summary"]} == {("sst2", 2), ("rte", 1)}


@pytest.mark.parametrize(
    "arguments",
    [
        ["sst2-s0.h5"],
        ["."],
        [".", "--n-train", "4,8,12", "--versus", "comprw", "--oracle"],
        ["sst2-s0.h5", "--oracle"],
    ],
)
def test_tables_fit_eighty_columns(run, stores, arguments, monkeypatch):
    """Tables of one store and of several are at most 80 wide and have every method."""
    monkeypatch.chdir(stores)
    status, out, _ = run(*arguments)
    assert status == 0 and max(map(len, out.splitlines())) <= 80
    assert all(method in out for method in METHODS)


def test_the_tables_numbers_are_those_of_json(run, stores):
    """The table of one store shows the accuracies, the grid the means of the summary."""
    document = json.loads(run(stores, "--format", "json")[1])
    _, grid, _ = run(stores)
    _, single, _ = run(stores / "sst2-s0.h5")
    for cell in document["summary"]:
        assert f"{100 * cell['accuracy']:.1f} ({100 * cell['accuracy_sd']:.1f})" in grid
    for row in document["runs"][5:10]:
        assert row["store"].endswith("sst2-s0.h5")
        (line,) = (text for text in single.splitlines() if text.split()[:1] == [row["method"]])
        low, high = (f"{row[f'accuracy_{end}']:.2f}"[1:] for end in ("low", "high"))
        assert f"{row['accuracy']:.3f} [{low}, {high}]" in line


def test_csv_holds_one_list(run, stores):
    """It is that of the runs, and stderr names the others; ``--table`` has any."""
    _, out, err = run(stores, "--format", "csv")
    assert len(list(csv.DictReader(io.StringIO(out)))) == 15 and "runs" not in err
    assert "the others are summary, average (--table NAME)" in err
    _, out, err = run(stores, "--format", "csv", "--table", "summary")
    assert (len(list(csv.DictReader(io.StringIO(out)))), err) == (10, "")
    status, _, err = run(stores, "--format", "csv", "--table", "sumary")
    assert status == 2 and "runs, summary, average; did you mean summary?" in err


def test_methods_are_chosen(run, stores):
    """`--methods` says which, in which order."""
    out = run(stores / "rte-s2.h5", "--methods", "comprw, full", "--format", "json")[1]
    assert [row["method"] for row in json.loads(out)["runs"]] == ["comprw", "full"]


def test_methods_are_listed(run):
    """Each has a line, with whether it can label a row without others beside it."""
    from compread.reweight.registry import METHODS as KNOWN

    status, out, err = run("--list-methods")
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert (status, err) == (0, "") and max(map(len, out.splitlines())) <= 80
    for name, method in KNOWN.items():
        assert method.about in lines[name]
        assert lines[name].endswith("yes") != method.fitted.transductive
    for order in (("--list-methods", "--format", "json"), ("--format", "json", "--list-methods")):
        rows = json.loads(run(*order)[1])
        assert {row["method"]: row["transductive"] for row in rows} == {
            name: method.fitted.transductive for name, method in KNOWN.items()
        }
        assert {row["method"]: row["recipes"] for row in rows if row["recipes"]} == {
            "comprw": ["official", "paper", "convex", "signed"]
        }


def test_labels_in_another_order_are_not_taken_for_each_other(run, stores, tmp_path):
    """Numbers for single labels go by column; those for components do not."""
    made = tmp_path / "w.json"
    store = stores / "rte-s2.h5"
    run(store, "--methods", "affine,comprw", "--save", made)
    document = json.loads(made.read_text())
    for fit in document["fits"]:
        for labels in (fit["labels"], fit["words"]):
            for column in labels.values():
                column.reverse()
    seal(made, document)
    status, out, err = run(store, "--apply", made, "--methods", "affine")
    assert (status, out) == (4, "") and "in another order than affine was fitted for" in err
    assert run(store, "--apply", made, "--methods", "comprw")[0] == 0


def test_no_store_is_a_mistake_of_the_command_line(run):
    """Only `--list-methods` needs none."""
    status, out, err = run()
    assert (status, out) == (2, "") and "no STORE" in err


def test_a_recipe_of_its_own(run, stores):
    """`comprw:convex` stands beside `comprw` as a method of its own in tables and means."""
    document = json.loads(run(stores, "--methods", "comprw,comprw:convex", "--format", "json")[1])
    assert {row["recipe"] for row in document["runs"]} == {"official", "convex"}
    assert {row["method"] for row in document["summary"]} == {"comprw", "comprw:convex"}


def test_versus_tests_every_other_method(run, stores):
    """One row a method and budget beside the chosen one."""
    out = run(stores, "--n-train", "4,8", "--versus", "comprw", "--format", "json")[1]
    rows = json.loads(out)["versus"]
    assert [(r["method"], r["n_train"]) for r in rows] == [
        (method, n) for n in (4, 8) for method in METHODS if method != "comprw"
    ]
    assert all(
        (r["versus"], r["tasks"], r["runs"], r["unit"]) == ("comprw", 2, 3, "task") for r in rows
    )


def test_oracles_are_fitted_on_the_test_rows(run, stores):
    """Their rows name as many train rows as there are test rows; the runs are as without them."""
    store = stores / "sst2-s0.h5"
    plain = json.loads(run(store, "--format", "json")[1])
    document = json.loads(run(store, "--oracle", "--format", "json")[1])
    assert document["runs"] == plain["runs"]
    assert [row["method"] for row in document["oracle"]] == ["calib+", "comprw", "blend"]
    for row in document["oracle"]:
        assert row["n_train"] == row["n"] == 40 and row["accuracy"] == row["train_accuracy"]


@pytest.mark.parametrize("name", ["sst2-s0.h5", "."])
def test_oracles_stand_in_a_table_of_their_own(run, stores, name):
    """Of one store and of several, below what is fitted on the train rows; and none unasked."""
    tables = [run(stores / name, "--methods", "comprw", *more)[1] for more in ([], ["--oracle"])]
    assert [table.count("fitted on the test rows themselves") for table in tables] == [0, 1]


def test_weights_are_applied_to_other_stores(run, stores, tmp_path):
    """On the store they are from the accuracies come back; other stores and tasks get theirs."""
    path = tmp_path / "weights.json"
    saved = json.loads(run(stores / "sst2-s0.h5", "--save", path, "--format", "json")[1])["runs"]
    status, out, err = run("--apply", path, stores, "--format", "json")
    rows = json.loads(out)
    assert (status, err) == (0, "") and len(rows) == 3 * (len(METHODS) + 1)
    own = [r for r in rows if r["store"].endswith("sst2-s0.h5") and r["method"] != "blend-row"]
    assert [r["accuracy"] for r in own] == [r["accuracy"] for r in saved]
    assert {r["fitted_task"] for r in rows if r["task"] == "rte"} == {"sst2"}
    table = run("--apply", path, stores)[1]
    assert max(map(len, table.splitlines())) <= 80 and "blend-row" in table


def test_a_form_for_rows_alone_is_applied_once(run, stores, tmp_path):
    """Where the file has it beside the transductive one as well."""
    path = tmp_path / "weights.json"
    run(stores / "sst2-s0.h5", "--methods", "blend,blend-row", "--save", path)
    rows = json.loads(run("--apply", path, stores / "rte-s2.h5", "--format", "json")[1])
    assert [row["method"] for row in rows] == ["blend", "blend-row"]


def test_apply_pools_as_the_fits_did(run, tmp_path):
    """Words of one class are pooled as when the weights were fitted; another way is refused."""
    store = write_store(tmp_path / "s.h5", words=(" a", " b", " c"), classes=("x", "x", "y"))
    path, asked = tmp_path / "w.json", ("--format", "json")
    run(store, "--pool", "max", "--save", path)
    fits = Weights.read(path).fits
    of_default = json.loads(run(store, "--methods", "comprw", *asked)[1])["runs"][0]["accuracy"]
    rows = json.loads(run("--apply", path, store, *asked)[1])
    applied = {row["method"]: row["accuracy"] for row in rows}
    assert {fit.method: fit.test.accuracy for fit in fits}.items() <= applied.items()
    assert applied["comprw"] != of_default
    assert json.loads(run("--apply", path, store, "--pool", "max", *asked)[1]) == rows
    status, out, err = run("--apply", path, store, "--pool", "logsumexp")
    assert (status, out) == (2, "") and "--pool logsumexp: the weights were fitted" in err


def test_heads_are_scored_in_the_span_of_pooled_labels(run, tmp_path):
    """With a store's unembeddings `tr` and `tl` are fitted; one without them is named."""
    rows = np.random.default_rng(1).normal(size=(3, 8))
    gram = tuple(map(tuple, (rows @ rows.T).tolist()))
    words = {"words": (" a", " b", " c"), "classes": ("x", "x", "y")}
    store = write_store(tmp_path / "s.h5", gram=gram, **words)
    fits = [
        json.loads(run(store, "--methods", "tr,tl", "--pool", pool, "--format", "json")[1])["runs"]
        for pool in ("mean", "first")
    ]
    assert [[fit["method"] for fit in found] for found in fits] == [["tr", "tl"]] * 2
    older = write_store(tmp_path / "older.h5", **words)
    status, out, err = run(older, "--methods", "tr")
    assert (status, out) == (
        2,
        "",
    ) and "older.h5 is older than the inner products of its labels' unembeddings" in err


def test_a_changed_digit_in_a_weights_file_is_found(run, stores, tmp_path):
    """Exit status 4 in one line; without its checksum the file is read, and the user told so."""
    path, store = tmp_path / "w.json", stores / "sst2-s0.h5"
    run(store, "--methods", "comprw", "--save", path)
    status, out, err = run("--apply", path, store)
    assert status == 0 and "checksum" not in err
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    lines[3] = lines[3].replace('"weights": [0.0, ', '"weights": [0.5, ')
    path.write_text("".join(lines), encoding="utf-8")
    status, out, err = run("--apply", path, store)
    assert (status, out, err.count("\n")) == (4, "", 1) and "agree with its checksum" in err
    path.write_text("".join(lines[:1] + lines[2:]), encoding="utf-8")
    status, out, err = run("--apply", path, store)
    assert status == 0 and f"{path} has no checksum" in err


def test_apply_takes_the_methods_that_are_named(run, stores, tmp_path):
    """And refuses one that the file lacks, and every option that only a fit reads."""
    path, store = tmp_path / "w.json", stores / "sst2-s0.h5"
    run(store, "--methods", "full,comprw", "--save", path)
    rows = json.loads(run("--apply", path, store, "--methods", "comprw", "--format", "json")[1])
    assert [row["method"] for row in rows] == ["comprw"]
    status, out, err = run("--apply", path, store, "--methods", "blend")
    assert (status, out) == (2, "") and "the weights are of full, comprw" in err
    for off in (("--force",), ("--recipe", "official"), ("--versus", "full")):
        status, out, err = run("--apply", path, store, *off)
        assert (status, out) == (2, "") and f"leave out {off[0]}" in err


def test_without_train_rows_what_learns_from_none_is_there(run, stores):
    """Batch calibration reads no train row, so zero of them do."""
    status, out, err = run(
        stores / "sst2-s0.h5", "--n-train", "0", "--methods", "full,bc", "--format", "json"
    )
    rows = json.loads(out)["runs"]
    assert (status, err) == (0, "") and [row["method"] for row in rows] == ["full", "bc"]
    assert [row["train_accuracy"] for row in rows] == [None, None]


def test_other_shots_have_means_of_their_own(run, tmp_path):
    """No mean is over 4-shot and 24-shot runs of a task; a task with three beside others is."""
    made = [write_store(tmp_path / f"{n}-{s}.h5", s, shots=n) for n in (4, 24) for s in range(3)]
    command = (*made, "--methods", "full,comprw", "--versus", "full")
    document = json.loads(run(*command, "--format", "json")[1])
    for key, length in (("summary", 4), ("average", 4), ("versus", 2)):
        assert len(document[key]) == length
        assert {row["setting"] for row in document[key]} == {"4-shot", "24-shot"}
        assert all(row["runs"] == 3 for row in document[key])
    table = run(*command)[1]
    assert "12 train rows, 3 runs a task, 24-shot" in table
    three = write_store(tmp_path / "three.h5", shots=3, task="mnli")
    rows = json.loads(run(*made[:3], three, "--methods", "full", "--format", "json")[1])
    assert [row["setting"] for row in rows["average"]] == [None]
    assert rows["average"][0]["tasks"] == 2


def test_weights_beyond_any_score_are_refused(run, stores, tmp_path):
    """Finite weights can make scores that are not; argmax would choose a label all the same."""
    path, store = tmp_path / "w.json", stores / "sst2-s0.h5"
    run(store, "--methods", "comprw", "--save", path)
    document = json.loads(path.read_text())
    weights = document["fits"][0]["parameters"]["weights"]
    document["fits"][0]["parameters"]["weights"] = [
        1.7e308 * (-1) ** i for i in range(len(weights))
    ]
    seal(path, document)
    status, out, err = run("--apply", path, store)
    assert (status, out) == (4, "") and "scores that are not finite" in err
    assert len(err.splitlines()) == 1


def test_weights_of_another_model_are_refused(run, stores, tmp_path):
    """The message has both models' fingerprints; other numbers of labels are refused too."""
    path = tmp_path / "weights.json"
    run(stores / "sst2-s0.h5", "--save", path)
    seal(path, json.loads(path.read_text().replace("f00d", "beef")))
    status, out, err = run("--apply", path, stores / "rte-s2.h5")
    assert (status, out) == (4, "") and "f00d" in err and "beef" in err
    assert err.count(" in float32 (fingerprint ") == 2
    three = write_store(tmp_path / "three.h5", words=(" a", " b", " c"), task="mnli")
    run(stores / "sst2-s0.h5", "--save", path, "--force")
    status, out, err = run("--apply", path, three)
    assert (status, out) == (4, "") and "has 3 labels" in err
    run(stores / "sst2-s0.h5", "--methods", "comprw", "--save", path, "--force")
    assert run("--apply", path, three)[0] == 0


def test_metrics_say_how_far_probabilities_can_be_trusted(run, stores, tmp_path):
    """A table of its own, with the numbers of JSON; means over runs and tasks of several stores."""
    methods = ["full", "bc", "comprw"]
    asked = ["--metrics", "--n-train", "4,12", "--methods", ",".join(methods)]
    for several, where in ((False, stores / "sst2-s0.h5"), (True, stores)):
        out = run(where, *asked)[1]
        document = json.loads(run(where, *asked, "--format", "json")[1])
        lines = out[out.index("\nCalibration\n") :].splitlines()
        assert max(map(len, out.splitlines())) <= 80
        rows = document["average" if several else "runs"]
        shown = [line.split() for line in lines if line.split()[:1] in [[m] for m in methods]]
        assert len(shown) == len(rows) == 6
        for cells, row in zip(shown, rows, strict=True):
            assert (cells[0], int(cells[1])) == (row["method"], row["n_train"])
            keys = ("scaled_ece", "scaled_ece_adaptive", "scaled_brier", "scaled_log_loss")
            wanted = [f"{row[key]:.3f}" for key in (*keys, "ece", "log_loss")]
            assert cells[-6:] == wanted
        for key in CALIBRATED:
            by_run = [r[key] for r in document["runs"] if (r["task"], r["n_train"]) == ("rte", 4)]
            by_task = [r[key] for r in document["summary"] if r["task"] == "rte"]
            assert by_task[: len(by_run)] == by_run
    plain = json.loads(run(stores, "--format", "json")[1])["runs"][0]
    assert plain["ece"] is not None and plain["scaled_ece"] is plain["temperature"] is None


def test_metrics_of_applied_weights(run, stores, tmp_path):
    """With the temperature of the file; a file of before has none, and none is made up."""
    saved, old = tmp_path / "w.json", tmp_path / "old.json"
    run(stores / "sst2-s0.h5", "--methods", "comprw", "--save", saved)
    document = json.loads(saved.read_text())
    at = document["fits"][0].pop("temperature")
    for name in ("calibration", "scaled"):
        document["fits"][0]["test"].pop(name)
    seal(old, document)
    other = stores / "sst2-s1.h5"
    rows = [
        json.loads(run("--apply", file, other, "--format", "json")[1])[0] for file in (saved, old)
    ]
    assert (rows[0]["temperature"], rows[1]["temperature"]) == (at, None)
    assert rows[0]["ece"] == rows[1]["ece"] and rows[0]["scaled_ece"] is not None
    assert rows[1]["scaled_ece"] is None and Weights.read(old).fits[0].test.calibration is None
    status, out, _ = run("--apply", saved, stores, "--metrics")
    assert status == 0 and "log loss" in out and max(map(len, out.splitlines())) <= 80
    bare = run("--apply", old, other, "--metrics")[1]
    (line,) = (x for x in bare.partition("Calibration")[2].splitlines() if "comprw" in x)
    names = ("ece", "ece_adaptive", "brier", "log_loss")
    assert line.split()[-4:] == [f"{rows[1][name]:.3f}" for name in names]
    assert "scaled" not in bare and "No temperature was fitted" in " ".join(bare.split())


def test_a_task_is_not_shown_twice(run, stores):
    """One task has its learning curves or its line, never both; several have tables of both."""
    pair = [stores / "sst2-s0.h5", stores / "sst2-s1.h5"]
    one, two = run(*pair, "--n-train", "4,8")[1], run(*pair)[1]
    assert one.startswith("sst2, 2 runs\nn train") and one.count("n train") == 1
    assert two.startswith("12 train rows, 2 runs a task\n") and "Mean over" not in two
    many = run(stores, "--n-train", "4,8")[1]
    assert many.count("runs a task") == 2 and many.count("Mean over 2 tasks") == 1


def test_save_keeps_the_weights(run, stores, tmp_path):
    """The file holds the fits that were printed; a second run needs `--force`."""
    path = tmp_path / "weights.json"
    status, out, err = run(stores, "--save", path, "--format", "json")
    assert status == 0 and err == f"weights: {path}\n"
    assert [fit.row() for fit in Weights.read(path).fits] == json.loads(out)["runs"]
    status, out, err = run(stores, "--save", path)
    assert (status, out) == (1, "") and "exists" in err and "--force" in err
    assert run(stores, "--save", path, "--force")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--signed"], 2, "--signed goes with --recipe convex, not official"),
        (["--n-train", "13"], 2, "has 12 train rows"),
        (["--n-train", "0"], 2, "no train rows to fit calib+, comprw, blend on"),
        (["--n-train", "x"], 2, "--n-train 'x': give whole numbers"),
        (["--n-train", "-1"], 2, "give whole numbers"),
        (["--n-train", "9" * 5000], 2, "give whole numbers"),
        (["--n-train", "8,"], 2, "give whole numbers"),
        (["--methods", "full,comprv"], 2, "did you mean 'comprw'"),
        (["--methods", "full,,blend"], 2, "a name missing at a comma; there is full, calib+, "),
        (["--recipe", "paper2"], 2, "--recipe 'paper2'"),
        (["--versus", "linc"], 2, "--versus 'linc': it is not among --methods full,calib+"),
        (["--apply", "w.json", "--n-train", "8"], 2, "--apply fits nothing"),
        (["--apply", "nowhere.json"], 4, "nowhere.json: no such weights file"),
        (["--methods", "full:convex"], 2, "full has no recipes"),
        (["--methods", "comprw:convx"], 2, "did you mean 'convex'"),
        (["--save", "."], 1, "is a folder"),
        (["--save", "run.h5", "--force"], 1, "run.h5 would be taken for a store"),
        (["--save", "nowhere/w.json"], 1, "nowhere; make it first"),
    ],
)
def test_what_cannot_be_is_one_line(run, stores, arguments, status, message):
    """One clear line on stderr, nothing on stdout, and the right exit status."""
    got, out, err = run(stores / "sst2-s0.h5", *arguments)
    assert (got, out) == (status, "")
    assert message in err and err.startswith("error: ") and len(err.splitlines()) == 1


def test_a_nan_in_a_store_is_refused(run, tmp_path):
    """A store with a NaN ends with status 4 and names the row, and no weights are written."""
    path = write_store(tmp_path / "nan.h5")
    with h5py.File(path, "r+") as file:
        file["test/parts"][3, 2, 0] = np.nan
    status, out, err = run(path, "--save", tmp_path / "w.json")
    assert (status, out) == (4, "") and "'row-15'" in err
    assert not (tmp_path / "w.json").exists()


def test_a_single_label_is_refused(run, tmp_path):
    """A store of one label ends with status 4."""
    status, out, err = run(write_store(tmp_path / "one.h5", words=(" yes",)))
    assert (status, out) == (4, "") and "only the label ' yes'" in err


def test_full_alone_works_without_train_rows(run, tmp_path):
    """A store without train rows is scored by `full`, and refused for what is fitted."""
    path = write_store(tmp_path / "bare.h5", n_train=0)
    status, out, _ = run(path, "--methods", "full", "--format", "json")
    assert status == 0 and json.loads(out)["runs"][0]["train_accuracy"] is None
    status, out, err = run(path)
    assert (status, out) == (2, "") and "has no train rows" in err


def test_torch_is_not_imported(stores):
    """The command runs without torch, transformers, pandas or matplotlib."""
    script = (
        "import sys; from compread.cli import main\n"
        f"assert main(['reweight', {str(stores)!r}, '--n-train', '4']) == 0\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def worded(tmp_path_factory):
    """A folder of one task in two templates, of other words, and a store of other test rows."""
    folder = tmp_path_factory.mktemp("worded")
    write_store(folder / "both" / "a.h5", 3, template="a")
    write_store(folder / "both" / "b.h5", 3, template="b", words=(" bad", " good"))
    write_store(folder / "few.h5", 3, template="c", n_test=39)
    return folder


def test_an_ensemble_stands_below_its_stores(run, worded):
    """Single stores and the two together, side by side; JSON has both, and what is gained."""
    stores = worded / "both"
    status, out, err = run(stores, "--ensemble", "templates", "--methods", "full,comprw")
    lines = [line.split() for line in out.splitlines()]
    assert (status, err) == (0, "")
    found = json.loads(
        run(stores, "--ensemble", "templates", "--methods", "full,comprw", "--format", "json")[1]
    )
    assert list(found) == ["runs", "summary", "average", "ensembles", "ensemble_average"]
    alone = {(r["template"], r["method"]): f"{100 * r['accuracy']:.1f}" for r in found["runs"]}
    for template in "ab":
        both = [alone[template, method] for method in ("full", "comprw")]
        assert ["sst2", f"{template},", "seed", "3", *both] in lines
    whole = [f"{100 * row['accuracy']:.1f}" for row in found["ensembles"]]
    assert ["sst2", "all", "2", "together", *whole] in lines
    assert [row["n_train"] for row in found["ensemble_average"]] == [12, 12]


def test_weights_of_an_ensemble_are_applied_to_its_stores(run, worded, tmp_path):
    """What is saved scores the same stores as it did."""
    file, stores = tmp_path / "w.json", worded / "both"
    arguments = ["--ensemble", "templates", "--methods", "comprw", "--format", "json"]
    fitted = json.loads(run(stores, *arguments, "--save", file)[1])
    rows = json.loads(run("--apply", file, stores, "--format", "json")[1])
    assert [row["ensemble"] for row in rows] == [None, None, "templates"]
    assert rows[-1]["accuracy"] == fitted["ensembles"][0]["accuracy"]
    assert [r["accuracy"] for r in rows[:2]] == [r["accuracy"] for r in fitted["runs"]]
    table = run("--apply", file, stores)[1]
    assert "all 2 together" in table
    status, out, err = run("--apply", file, stores / "a.h5")
    assert (status, out) == (4, "") and "a.h5 is the only store of task sst2" in err


def test_stores_that_are_no_ensemble_are_one_line(run, worded, stores):
    """Other test rows, and a folder with a task of one store."""
    for given, message in (
        ([worded / "both" / "a.h5", worded / "few.h5"], "few.h5 has other test rows than"),
        ([stores], "rte-s2.h5 is the only store of task rte and template t1"),
    ):
        how = "templates" if len(given) > 1 else "seeds"
        given = given if len(given) > 1 else [given[0] / "rte-s2.h5"]
        status, out, err = run(*given, "--ensemble", how)
        assert (status, out, len(err.splitlines())) == (4, "", 1) and message in err


def test_shares_of_labels_are_said(run, stores, tmp_path):
    """They change what looks at the rows, are kept in the file, and can be said when applying."""
    file, store = tmp_path / "w.json", stores / "sst2-s0.h5"
    methods = ["--methods", "full,bc,blend", "--format", "json"]
    told = json.loads(run(store, *methods, "--label-shares", "0.9,0.1")[1])["runs"]
    own = json.loads(run(store, *methods, "--save", file)[1])["runs"]
    same = [a["accuracy"] == b["accuracy"] for a, b in zip(own, told, strict=True)]
    assert same == [True, False, False]
    applied = json.loads(run("--apply", file, store, *methods, "--label-shares", "0.9,0.1")[1])
    assert [row["accuracy"] for row in applied] == [row["accuracy"] for row in told]
    for arguments, message in (
        (["--label-shares", "evn"], "'evn'"),
        (["--label-shares", "0.5,0.3,0.2"], "3 shares, and the rows have 2 labels"),
        (["--label-shares", "train", "--methods", "comprw"], "ask for one of bc, bc-prob"),
    ):
        status, out, err = run(store, *arguments)
        assert (status, out, len(err.splitlines())) == (2, "", 1) and message in err
