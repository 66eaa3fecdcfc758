"""What can be looked at, its numbers, and what is shown of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import answer_sample
import numpy as np
import pytest
import store_sample

from compread.cli import main
from compread.errors import UsageError
from compread.reweight.weights_file import Weights
from compread.store import gather, open_store
from compread.views.browse.heat import map_of
from compread.views.browse.reading import Asked, Reader
from compread.views.browse.rows import Filter, next_of, ordered, with_beside
from compread.views.browse.sources import Source, sources


def found_in(*where: Path) -> list[Source]:
    """The sources of some files and folders."""
    found = gather(list(map(str, where)))
    return sources(found.paths, found.infos)


def test_runs_stand_below_their_template_and_task(tmp_path: Path, write_store: Any) -> None:
    """A task of two templates is a mean of all, then each template, then each run."""
    for template, seed in (("t1", 0), ("t1", 1), ("t2", 0)):
        write_store(tmp_path / f"{template}{seed}.h5", seed=seed, template=template)
    write_store(tmp_path / "z.h5", task="rte\x1b[2J")
    assert [source.name for source in found_in(tmp_path)] == [
        "sst2, mean of 3 runs",
        "sst2 t1, mean of 2 runs",
        "sst2 t1 s0",
        "sst2 t1 s1",
        "sst2 t2 s0",
        r"rte\x1b[2J t1 s0",
    ]


def test_other_shots_are_not_one_mean(tmp_path: Path, write_store: Any) -> None:
    """Runs that no mean may take as one are named by what differs."""
    for shots in (4, 8):
        write_store(tmp_path / f"{shots}.h5", shots=shots)
    assert [s.name for s in found_in(tmp_path)] == ["sst2 t1 s0, 4-shot", "sst2 t1 s0, 8-shot"]


ROW = {"component": "L3H12", "kind": "head", "layer": 3, "category": "good"}


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (Filter(), True),
        (Filter(text="h1"), True),
        (Filter(text=" l3h* "), True),
        (Filter(text="L1"), False),
        (Filter(text="l?h12"), True),
        (Filter(kind="head"), True),
        (Filter(kind="mlp"), False),
        (Filter(category="bad"), False),
        (Filter(layers=(range(2), range(3, 4))), True),
        (Filter(layers=(range(4, 9),)), False),
        (Filter(text="L3", kind="head", category="good", layers=(range(3, 4),)), True),
    ],
)
def test_a_filter_keeps_what_has_all_that_is_asked(wanted: Filter, kept: bool) -> None:
    """Part of a name or a pattern, a kind, a category, layers."""
    assert wanted.keeps(ROW) is kept


def test_a_choice_goes_round() -> None:
    """Each in turn, then none, then the first again."""
    assert [next_of(["a", "b"], x) for x in ("", "a", "b")] == ["a", "b", ""]


@pytest.mark.parametrize(("descending", "order"), [(True, "cab-"), (False, "bac-")])
def test_rows_without_a_value_stay_last(descending: bool, order: str) -> None:
    """Whichever way the order goes."""
    rows = [{"n": n, "v": v} for n, v in (("a", 1), ("-", float("nan")), ("b", 0), ("c", 2))]
    assert "".join(row["n"] for row in ordered(rows, "v", descending)) == order


def test_what_is_beside_is_found_by_name() -> None:
    """A component that is not there has no difference."""
    rows = [{"component": "a", "accuracy": 0.75}, {"component": "b", "accuracy": 0.5}]
    others = [{"component": "a", "accuracy": 0.5, "category": "bad"}]
    one, two = with_beside(rows, others)
    assert (one["beside"], one["difference"], one["beside_category"]) == (0.5, 0.25, "bad")
    assert two["beside"] is two["difference"] is None


def test_the_numbers_are_those_of_rank(stores: Path, capsys: Any) -> None:
    """Every component of a mean, and the full model, is as `rank` has it."""
    reader = Reader(Asked())
    shown = reader.read(found_in(stores)[0])
    assert main(["rank", str(stores), "--kind", "all", "--top", "0", "--format", "json"]) == 0
    wanted = {row["component"]: row for row in json.loads(capsys.readouterr().out)}
    assert shown is not None and {r["component"] for r in shown.rows} | {"full"} == wanted.keys()
    assert [row["component"] for row in shown.rows] == [c.name for c in shown.components]
    for row in [*shown.rows, shown.full]:
        there = wanted[row["component"]]
        for key in ("accuracy", "accuracy_low", "q_value", "margin", "category"):
            assert row[key] == there[key]


def test_reading_stops_when_told(stores: Path) -> None:
    """Between two stores."""
    read: list[int] = []
    reader = Reader(Asked())
    whole = found_in(stores)[0]
    assert reader.read(whole, lambda done: read.append(done) or done < 1) is None
    assert reader.examples(whole, "L0H0", lambda done: False) is None
    assert read == [0, 1]


def test_examples_are_the_rows_with_the_largest_differences(stores: Path) -> None:
    """Most for first and most against last, over all runs, with what is said and right."""
    source = found_in(stores)[0]
    found = Reader(Asked()).examples(source, "L0H0", most=3)
    by_hand = []
    for path in source.paths:
        with open_store(path) as store:
            j = [c.name for c in store.components].index("L0H0")
            split = store.split("test")
            at = np.arange(len(split))  # of two labels the other one is the rival
            by_hand += (
                split.parts[at, j, split.gold] - split.parts[at, j, 1 - split.gold]
            ).tolist()
    by_hand.sort()
    assert found is not None
    assert [e.difference for e in found] == pytest.approx([*by_hand[:-4:-1], *by_hand[2::-1]])
    assert all((e.prediction == e.gold) == (e.difference > 0) for e in found)


def test_a_split_without_rows_is_refused(tmp_path: Path) -> None:
    """With the one that has some."""
    test = {"test": store_sample.ROWS["test"]}
    with store_sample.open_writer(tmp_path / "run.h5", splits=test) as writer:
        rows = np.arange(store_sample.N_TEST)
        numbers = {k: v[store_sample.N_TRAIN :] for k, v in store_sample.NUMBERS.items()}
        writer.append(rows, **numbers)
        path = writer.finish(store_sample.END)
    with pytest.raises(UsageError, match="try --split test"):
        Reader(Asked(split="train")).examples(found_in(path)[0], "L0H0")


def test_rows_have_their_text_where_it_is_kept(tmp_path: Path) -> None:
    """Safe for a terminal, its lines as they are."""
    rows = {
        name: replace(of, text=tuple(f"{name}\x1b\n{i}" for i in of.id))
        for name, of in store_sample.ROWS.items()
    }
    source = found_in(store_sample.write(tmp_path / "kept.h5", splits=rows))[0]
    found = Reader(Asked()).examples(source, "full")
    assert found and all(e.text == f"test\\x1b\n{e.id}" for e in found)


def test_answers_of_a_rows_own_are_told(tmp_path: Path) -> None:
    """Not the position of an answer, but its text; and a component of all its numbers."""
    source = found_in(answer_sample.write(tmp_path / "own.h5"))[0]
    reader = Reader(Asked())
    shown = reader.read(source)
    assert shown is not None and shown.rows[-1]["component"] == "normalizer"
    found = reader.examples(source, "full")
    answers = {text for row in answer_sample.ANSWERS for text in row.text}
    assert found and {e.gold for e in found} | {e.prediction for e in found} <= answers


def test_weights_stand_beside_their_own_model_only(
    tmp_path: Path, stores: Path, write_store: Any
) -> None:
    """Those of another one are told of, and all other numbers are there."""
    file = tmp_path / "w.json"
    assert main(["reweight", str(stores), "--methods", "comprw", "--save", str(file)]) == 0
    asked = Asked(fits=Weights.read(file).fits)
    other = write_store(tmp_path / "other.h5", fingerprint="beef")
    mine, others = (Reader(asked).read(found_in(where)[0]) for where in (stores, other))
    assert mine is not None and {type(row["weight"]) for row in mine.rows} == {float}
    assert others is not None and "weight" not in others.rows[0]
    assert others.note.startswith("no weights: ") and mine.note == ""


def test_a_map_has_a_place_for_each_layered_component(stores: Path) -> None:
    """Heads, then MLPs and mixers, a column a layer; the ends lie around the middle."""
    shown = Reader(Asked()).read(found_in(stores)[0])
    assert shown is not None
    values = {row["component"]: 0.25 if row["component"] == "L0H0" else 0.5 for row in shown.rows}
    found = map_of(shown.components, values, set(), 0.5)
    assert found.rows == ["H0", "H1", "MLP", "MIX"] and found.columns == ["0", "1", "2"]
    assert (
        found.names[0, 0] == "L0H0" and found.names[3, 2] == "L2MIX" and (0, 2) not in found.names
    )
    assert (found.low, found.high) == (0.25, 0.75)
    assert (found.share("L0H0"), found.share("L1H1")) == (0.0, 0.5)
