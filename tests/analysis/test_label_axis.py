"""One label axis for runs of other label words, against predictions counted by hand."""

import numpy as np
import pytest

from compread.analysis.average import average, row_sets
from compread.analysis.classes import common_classes, on_common_classes
from compread.analysis.measures import PER, PER_STORE
from compread.analysis.ranking import group_runs, rank
from compread.analysis.runs import read_runs
from compread.store import Labels

SAD = (" sad", " happy")


@pytest.mark.parametrize(
    ("words", "tasks", "names", "second"),
    [
        (((" bad", " good"), ("Bad", "Good")), ("cr", "cr"), (" bad", " good"), (0, 1)),
        (((" bad", " good"), (" good", " bad")), ("cr", "cr"), (" bad", " good"), (1, 0)),
        (((" bad", " good"), (" No", " Yes")), ("cr", "cr"), ("bad/No", "good/Yes"), (0, 1)),
        (((" bad", " good"), (" No", " Yes")), ("cr", "qqp"), ("class 0", "class 1"), (0, 1)),
        ((("bad", "Bad"), ("bad", "Bad")), ("cr", "qqp"), ("bad", "Bad"), (0, 1)),
    ],
)
def test_labels_are_matched_by_name_else_by_order(words, tasks, names, second):
    """The same names in any order are one; other words of one task head a column together."""
    found = common_classes([Labels(of, (1, 2)) for of in words], tasks, ["a.h5", "b.h5"])
    assert found.names == names and found.columns == ((0, 1), second)
    assert found.by_name == (words[0][0].strip() in (w.strip().lower() for w in words[1]))


@pytest.mark.parametrize(
    ("words", "second", "names", "columns"),
    [
        ((" bad", " good"), ("neg", "pos"), (" bad", " good"), (0, 1)),
        ((" sad", " happy"), ("neg", "pos"), ("neg", "pos"), (0, 1)),
        ((" happy", " sad"), ("pos", "neg"), ("neg", "pos"), (1, 0)),
        ((" bad", " good"), ("no", "yes"), (" bad", " good"), (0, 1)),
        ((" Good", " bad"), ("yes", "no"), (" bad", " good"), (1, 0)),
        ((" sad", " happy"), ("no", "yes"), ("bad/sad", "good/happy"), (0, 1)),
    ],
)
def test_classes_of_a_name_are_one_whatever_their_words(words, second, names, columns):
    """A column is headed by the words where they are alike, else by the class's name."""
    first = Labels((" bad", " good"), (1, 2), ("neg", "pos"))
    labels = [first, Labels(words, (1, 2), second)]
    found = common_classes(labels, ("cr", "cr"), ["a.h5", "b.h5"])
    assert found.names == names and found.columns == ((0, 1), columns)
    assert found.by_name == ("neg" in second or "bad" in words[0] + words[1])
    assert found.classes == (("neg", "pos") if "neg" in second else names)


def test_other_words_are_one_test_over_shared_rows(tmp_path, write_store):
    """Two templates' accuracies are averaged; their rows, of equal ids, stand in one test."""
    paths = [
        write_store(tmp_path / "a.h5", template="t1"),
        write_store(tmp_path / "b.h5", template="t2", words=SAD),
    ]
    runs = read_runs(paths)
    assert len(row_sets(runs)) == 1
    mean = average(runs)
    each = [run.stats.parts.accuracy for run in runs]
    np.testing.assert_allclose(mean.parts.accuracy, np.mean(each, axis=0))


def test_columns_in_another_order_are_turned(tmp_path, write_store):
    """Shares and choices of a run whose labels stand the other way round follow their words."""
    one = write_store(tmp_path / "a.h5", template="t1")
    other = write_store(tmp_path / "b.h5", template="t2", words=(" positive", " negative"))
    runs = read_runs([one, other])
    turned = on_common_classes(runs)[1]
    np.testing.assert_array_equal(
        turned.stats.parts.predicted, runs[1].stats.parts.predicted[:, ::-1]
    )
    np.testing.assert_array_equal(turned.rows.gold, 1 - runs[1].rows.gold)
    np.testing.assert_array_equal(turned.rows.parts.unpack(), 1 - runs[1].rows.parts.unpack())
    right = (turned.rows.parts.unpack() == turned.rows.gold[:, None]).mean(axis=0)
    np.testing.assert_allclose(right, runs[1].stats.parts.accuracy)


def test_the_measure_in_each_template(tmp_path, write_store):
    """``per`` puts each template's own mean beside the mean over all stores."""
    for seed, template in ((0, "t1"), (1, "t1"), (0, "low")):
        words = SAD if template == "low" else (" negative", " positive")
        path = tmp_path / f"{template}{seed}.h5"
        write_store(path, seed=seed, template=template, words=words)
    runs = read_runs(sorted(tmp_path.iterdir()))
    rows = rank(runs, per="template").rows()
    alone = {row["component"]: row for row in rank(runs[1:]).rows()}
    for row in rows:
        assert row["accuracy_in_t1"] == alone[row["component"]]["accuracy"]
    assert {"accuracy_low", "accuracy_in_low"} <= set(rows[0])


def test_what_runs_are_grouped_by(tmp_path, write_store):
    """Each choice of ``--per`` groups runs; templates of several tasks carry these."""
    runs = read_runs(
        [
            write_store(tmp_path / "a.h5", task="cr", template="t"),
            write_store(tmp_path / "b.h5", task="rte", template="t", seed=1),
        ]
    )
    names = {per: list(group_runs(runs, per)) for per in (PER_STORE, *PER)}
    assert names == {
        "store": ["a", "b"], "template": ["cr t", "rte t"], "seed": ["s0", "s1"],
        "task": ["cr", "rte"], "shots": ["k4"], "model": ["tiny"],
    }  # fmt: skip
