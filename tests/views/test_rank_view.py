"""The ranked table's own formatting."""

import pytest

from compread.analysis.ranking import rank
from compread.analysis.runs import read_runs
from compread.views.analyze import change_view
from compread.views.rank import accuracy_interval, decimals, p_text, ranking_view
from compread.views.terminal import fit


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([0.004, -0.02], 3),
        ([0.004], 4),
        ([1.5], 2),
        ([123.0], 2),
        ([1e-9], 4),
        ([0.0, 0.0], 2),
        ([], 2),
    ],
)
def test_decimals_suit_the_values(values, wanted):
    """Small margins get the digits that tell them apart."""
    assert decimals(values) == wanted


@pytest.mark.parametrize(
    ("accuracy", "low", "high", "text"),
    [
        (0.915, 0.8701, 0.949, "0.915 [.87, .95]"),
        (1.0, 0.9812, 1.0, "1.000 [.98, 1.0]"),
        (0.0, 0.0, 0.004, "0.000 [.00, .00]"),
    ],
)
def test_accuracy_and_interval_have_one_width(accuracy, low, high, text):
    """Accuracy and interval read as one cell of sixteen characters."""
    row = {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high}
    assert accuracy_interval(row) == text and len(text) == 16


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (0.0, "<.001"),
        (0.0009, "<.001"),
        (0.00099999, "<.001"),
        (0.001, ".001"),
        (0.005, ".005"),
        (0.0996, ".100"),
        (0.9994, ".999"),
        (0.9995, "1"),
        (1.0, "1"),
    ],
)
def test_a_p_value_has_five_characters_at_most(value, text):
    """Below a thousandth it is said to be so, and what rounds to 1 is 1."""
    assert p_text(value) == text


@pytest.mark.parametrize(("tied", "told"), [(0.0, False), (0.0099, False), (0.01, True)])
def test_ties_are_told_from_one_row_in_a_hundred(stores, tied, told):
    """The note names the component with the most ties where they are more than a few."""
    runs = read_runs([stores / "sst2-t1-k4-s0.h5"])
    rows = [{**row, "tied": tied} for row in rank(runs).rows()]
    (table,) = ranking_view(rows, runs, "accuracy", "test")
    assert ("Ties go to the first label" in table.note) == told


def test_what_the_first_is_worth_is_told(stores):
    """One sentence says what the first place is worth on rows that did not choose it."""
    runs = read_runs([stores / "sst2-t1-k4-s0.h5"])
    rows = rank(runs).rows()
    (table,) = ranking_view(rows, runs, "accuracy", "test")
    for note in (table.note, table.brief):
        assert note.endswith(f"is right on {rows[0]['crossfit_accuracy']:.3f} of the other half.")
    rows = rank(runs, by="margin").rows()
    (table,) = ranking_view(rows, runs, "margin", "test")
    assert rows[0]["crossfit_accuracy"] is None and "also by luck" not in table.note


@pytest.mark.parametrize(("by", "words"), [("mcc", "MCC: Matthews'"), ("ece", "ECE: mean dist")])
def test_a_measure_named_in_short_is_explained(stores, by, words):
    """Where components are ranked by it, and only there."""
    runs = read_runs([stores / "sst2-t1-k4-s0.h5"])
    notes = [ranking_view(rank(runs, by=b).rows(), runs, b, "test")[0].note for b in (by, "margin")]
    assert words in notes[0] and words not in notes[1]


def test_changes_stand_by_their_size():
    """Losses as large as gains stand beside them, and the title says over how many pairs."""
    rows = [
        {"component": f"c{i}", "kind": "head", "before": 0.5, "after": 0.5 + d, "change": d,
         "change_low": d, "change_high": d, "q_value": 1.0, "pairs": 1}
        for i, d in enumerate((0.1, -0.3, 0.2, 0.0))
    ]  # fmt: skip
    (table,) = change_view(rows, 2)
    assert [row["component"] for row in table.blocks[1]] == ["c1", "c2"]
    assert table.title == "Change of accuracy: 2 of 3 components"
    rows[-1]["pairs"] = 2
    (table,) = change_view(rows, 3)
    assert table.title == "Change of accuracy, mean of 2 pairs of stores: 3 of 3 components"
    rows[-1]["normalize"] = "tokens"
    assert change_view(rows, 3)[0].title == f"{table.title}, log p per token"


def test_words_of_classes_are_told(tmp_path, write_store):
    """In the heading, and where the words of a class differ in the note."""
    one = write_store(tmp_path / "a.h5", classes=("neg", "pos"))
    other = write_store(
        tmp_path / "b.h5", template="t2", words=(" no", " pos"), classes=("neg", "pos")
    )
    for paths, heading, told in (
        ([one], "predicted negative (neg)", ""),
        ([one, other], "predicted neg", "Classes are asked for: neg by negative/no, pos by "
         "positive/pos."),
        ([write_store(tmp_path / "c.h5", template="t3")], "predicted negative", ""),
    ):  # fmt: skip
        runs = read_runs(paths)
        (table,) = ranking_view(rank(runs).rows(), runs, "accuracy", "test")
        assert heading in [column.one_line for column in table.columns]
        assert ("Classes are" in table.note) == bool(told) and told in table.note


@pytest.mark.parametrize(("by", "other"), [("accuracy", "margin"), ("margin", "accuracy")])
def test_what_matters_most_stays_longest(stores, by, other):
    """As a terminal narrows, what refines or repeats goes first; what sorts stands last."""
    runs = read_runs(sorted(stores.iterdir()))
    (table,) = ranking_view(rank(runs, by=by, per="seed").rows(), runs, by, "test")
    left, gone = list(table.columns), []
    for width in range(400, 20, -1):
        kept = list(fit(table, width))
        gone += [column.key for column in left if column not in kept]
        left = kept
    assert [column.key for column in left] == ["component", by]
    order = " ".join(gone).replace(f" {by}_in_s2 {by}_in_s1 {by}_in_s0", " seeds")
    assert order.split() == [
        *("direct_share", "agreement", "entropy", "crossfit_accuracy", "margin_sd"),
        *("macro_f1", "balanced_accuracy", "accuracy_sd"),
        *("head", "layer", "kind", "predicted_negative", "predicted_positive"),
        *(["margin"] if other == "margin" else []),
        *("rank", "category", "q_value", "seeds"),
        *(["accuracy"] if other == "accuracy" else []),
    ]
