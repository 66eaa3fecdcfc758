"""Rows gone through by several threads."""

import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from compread.reweight import blocks, threads
from compread.reweight.fit import reweight
from compread.reweight.methods.full import Full
from compread.reweight.solvers.sums import InBlocks


def test_what_comes_back_is_in_order():
    """Whichever thread is done first."""

    def work(item):
        time.sleep(0.01 * (item == 0))
        return item * item

    assert threads.in_threads(work, range(20)) == [n * n for n in range(20)]


@pytest.mark.parametrize("count", [2, 4])
def test_each_core_has_a_thread(monkeypatch, count):
    """As many items are worked on at once as there are cores."""
    monkeypatch.setattr(threads, "cores", lambda: count)
    meet = threading.Barrier(count)
    assert len(threads.in_threads(lambda item: meet.wait(timeout=60), range(count))) == count


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 300])
def test_shares_are_all_rows_once(rows):
    """Eight at most, one after the other."""
    spans = threads.shares(rows)
    assert len(spans) <= threads.SHARES
    assert [n for span in spans for n in range(rows)[span]] == list(range(rows))


def test_numbers_do_not_depend_on_the_cores(monkeypatch):
    """Loss and gradient are the same to the bit with one thread and with many."""
    rng = np.random.default_rng(0)
    sums = InBlocks.of(rng.normal(size=(50, 40, 3)), (0.0, rng.normal(size=(40, 3))))
    weights, gold = rng.normal(size=(2, 40)), rng.integers(0, 3, (2, 50))
    found = []
    for count in (1, 5):
        monkeypatch.setattr(threads, "cores", lambda count=count: count)
        found.append(sums.descent(weights, gold))
    for alone, many in zip(*found, strict=True):
        np.testing.assert_array_equal(alone, many)


@pytest.mark.parametrize(("asked", "count"), [("1", 1), ("99999", None), ("", None), ("x", None)])
def test_omp_num_threads_is_honoured(monkeypatch, asked, count):
    """It lowers the number of threads, and is nothing to it where it is no number."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    there = threads.cores()
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert threads.cores() == (count or there)


def of_blas():
    """The threads of each BLAS that is loaded."""
    return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]


def test_fitting_has_one_thread_of_blas(monkeypatch, make_store):
    """While a method fits and its rows are scored, and as many as before afterwards."""
    seen = []

    def fit(self, training):
        seen.append(of_blas())
        return real(self, training)

    real = Full.fit
    monkeypatch.setattr(Full, "fit", fit)
    with threads.blas_threads(2):
        before = of_blas()
        reweight([make_store()], [Full()])
        assert of_blas() == before
    assert [set(each) for each in seen] == [{1}]


def test_a_fault_in_a_thread_is_raised():
    """As where no thread is used."""

    def fail(item):
        raise ValueError(f"{item} in {threading.current_thread().name}")

    with pytest.raises(ValueError, match=r"^0 in"):
        threads.in_threads(fail, range(3))


def test_after_a_fault_no_more_is_begun(monkeypatch):
    """What waits for a thread is left."""
    monkeypatch.setattr(threads, "cores", lambda: 2)
    begun, failed = [], threading.Event()

    def work(item):
        begun.append(item)
        if item == 1:
            failed.set()
            raise ValueError(item)
        assert failed.wait(timeout=60)
        time.sleep(0.001)

    with pytest.raises(ValueError, match="1"):
        threads.in_threads(work, range(500))
    threads.in_threads(int, range(2))  # behind all that waits
    assert len(begun) < 250


@pytest.mark.parametrize("rows", [0, 1, 5, 23])
@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_blocks_are_all_rows_once(monkeypatch, rows, size):
    """Whoever goes through them, in a share of the rows or in all; sums are over all of them."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
    values = np.random.default_rng(rows).normal(size=(rows, 2, 3))
    seen = np.zeros(rows, int)

    def look(span):
        seen[span] += 1

    blocks.for_each_block(look, values)
    assert (seen == 1).all()
    total = blocks.sum_of_blocks(lambda span: values[span].sum(axis=0), values)
    np.testing.assert_allclose(total, values.sum(axis=0), atol=1e-12)
    share = slice(rows // 3, rows - rows // 4)
    spans = list(blocks.blocks(values, share=share))
    assert [n for span in spans for n in range(rows)[span]] == list(range(rows)[share])
    assert all(48 * (span.stop - span.start) <= max(48, size) for span in spans)


def test_a_sum_of_blocks_does_not_depend_on_the_cores(monkeypatch):
    """It is the same to the bit with one thread and with many."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 100)
    values = np.random.default_rng(1).normal(size=(500, 2, 3))
    found = []
    for count in (1, 5):
        monkeypatch.setattr(threads, "cores", lambda count=count: count)
        found.append(blocks.sum_of_blocks(lambda span: values[span].sum(axis=0), values))
    np.testing.assert_array_equal(*found)
