"""What is said of a method before it begins, and that no method takes a second look at memory."""

from importlib import import_module

import numpy as np
import pytest

from compread.errors import UsageError
from compread.reweight.cost import Size, Work, forewarnings, free_memory
from compread.reweight.fit import forewarn, reweight
from compread.reweight.registry import METHODS, make_methods

SMALL, MANY = Size(300, 1058, 2), Size(300, 1058, 150)


def said(names, size, free=None):
    """The titles of the methods that a word is said of."""
    methods = make_methods(names, "official")
    work = [(f"{m.name}:{m.recipe}" if m.recipe else m.name, m.work(size)) for m in methods]
    return [line.split(" on ")[0] for line in forewarnings(work, size, free)]


def test_a_method_that_takes_much_is_told_of():
    """With two labels none is; with 150 those of many products are, with what they take."""
    assert said([*METHODS, "comprw:convex"], SMALL) == []
    assert said([*METHODS, "comprw:convex"], MANY) == [
        "procal", "comprw:official", "blend", "blend-row", "comprw:convex",
    ]  # fmt: skip
    (line,) = forewarnings([("m", Work(2e9, 2e12))], Size(10, 100, 5), None)
    assert line == (
        "m on 5 labels, 10 rows and 100 components: about 2.2 GB of memory and up to 17 minutes"
    )


@pytest.mark.parametrize(("size", "equations"), [(SMALL, 300 * 2), (MANY, 1058)])
def test_blend_is_comprw_and_the_equations_of_the_ridge(size, equations):
    """As many as components or as numbers of the rows, whichever is less."""
    methods = make_methods(["blend", "comprw"], "official")
    blend, comprw = (method.work(size) for method in methods)
    assert blend.bytes - comprw.bytes == 16 * equations**2
    assert blend.products - comprw.products == pytest.approx(0.3 * size.numbers * equations)


def test_more_memory_than_is_free_is_refused():
    """The message has both sizes and a way out; with as much as is needed it only tells."""
    with pytest.raises(UsageError, match=r"need about 2\.2 GB .* 1\.5 GB are free; fit on fewer"):
        list(forewarnings([("m", Work(2e9, 0))], Size(10, 100, 5), int(1.5e9)))
    assert len(list(forewarnings([("m", Work(2e9, 0))], Size(10, 100, 5), int(2.5e9)))) == 1


def test_the_largest_store_is_the_one_that_counts(make_store, monkeypatch):
    """Train rows as budgets ask for, or test rows where they are more."""
    monkeypatch.setattr(import_module("compread.reweight.cost"), "WORTH_SECONDS", 0.0)
    methods = make_methods(["blend"], "official")
    stores = [make_store(0, n_train=90, n_test=9), make_store(1, labels=3, n_test=20)]
    (line,) = forewarn(stores, methods, (None,))
    assert line.startswith("blend on 2 labels, 90 rows")
    (line,) = forewarn(stores, methods, (5, 8))
    assert line.startswith("blend on 3 labels, 20 rows")


def test_the_machine_says_what_is_free():
    """A number of bytes, or nothing."""
    assert free_memory() is None or free_memory() > 1 << 20


@pytest.mark.parametrize("method", [*METHODS, "comprw:convex", "comprw:signed"])
def test_the_size_of_blocks_changes_nothing(make_store, monkeypatch, method):
    """Row by row, one run at a time, and all at once: the same fits and the same accuracy."""
    stores = [make_store(0, labels=3), make_store(1, labels=3)]
    methods = make_methods([method], "official")
    whole = reweight(stores, methods, (8, 20))
    monkeypatch.setattr(import_module("compread.reweight.blocks"), "BLOCK_BYTES", 1)
    for name in ("fit", "method"):
        monkeypatch.setattr(import_module(f"compread.reweight.{name}"), "TOGETHER_BYTES", 1)
    monkeypatch.setattr(import_module("compread.reweight.methods.prototypical"), "BLOCK_BYTES", 1)
    pieces = reweight(stores, methods, (8, 20))
    for ours, theirs in zip(whole, pieces, strict=True):
        assert ours.row() == {k: pytest.approx(v, abs=1e-7) for k, v in theirs.row().items()}
    for ours, theirs in zip(whole, pieces, strict=True):
        for name, array in ours.fitted.parameters().items():
            np.testing.assert_allclose(array, theirs.fitted.parameters()[name], atol=1e-8)
