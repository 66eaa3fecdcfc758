"""Which rows are drawn: disjoint, balanced, stable."""

from collections import Counter
from hashlib import sha256
from itertools import pairwise

import pytest

from compread.errors import PromptError, UsageError
from compread.prompts.sampling import (
    TEST_ROWS,
    Labelled,
    balanced_order,
    class_queues,
    draw_labelled,
    draw_test,
    hash_order,
)

GRID = [(2, 4, 20), (3, 3, 21), (4, 4, 20), (2, 3, 7), (4, 6, 5), (2, 0, 24), (2, 24, 0), (3, 1, 1)]


def columns_of(n_classes: int, n: int = 600) -> list[int]:
    """N labels in an order that is neither sorted nor regular."""
    return [sha256(bytes([i % 256, i // 256])).digest()[0] % n_classes for i in range(n)]


def draw(n_classes: int, seed: int, shots: int, n_train: int, n: int = 600) -> Labelled:
    """One seed of a task ``t``."""
    queues = class_queues(columns_of(n_classes, n), n_classes, "t:train", range(n))
    return draw_labelled(queues, "t", seed=seed, shots=shots, n_train=n_train, budget=24)


def test_hash_order_is_sha256() -> None:
    """The order is that of SHA-256 of salt, colon and number: written out once more here."""
    expected = [n for _, n in sorted((sha256(b"s:%d" % n).hexdigest(), n) for n in range(50))]
    assert hash_order("s", range(50)) == expected != sorted(expected)


def test_rows_never_change() -> None:
    """A seed means these rows, on every machine and in every release."""
    expected = Labelled((117, 177, 225, 463), (381, 493, 273, 373, 145, 15))
    assert draw(2, 1, 4, 6) == expected


@pytest.mark.parametrize(("n_classes", "shots", "n_train"), GRID)
def test_disjoint_between_seeds(n_classes: int, shots: int, n_train: int) -> None:
    """No row is drawn twice, as demonstration or train row, over seeds 0 to 4."""
    drawn = [draw(n_classes, seed, shots, n_train) for seed in range(5)]
    rows = [row for d in drawn for row in d.demonstrations + d.train]
    assert len(rows) == len(set(rows)) == 5 * (shots + n_train)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n_classes", "shots", "n_train"), GRID)
def test_balanced(n_classes: int, shots: int, n_train: int, seed: int) -> None:
    """Class counts of demonstrations and of every train prefix differ by one at most."""
    columns = columns_of(n_classes)
    drawn = draw(n_classes, seed, shots, n_train)
    prefixes = [drawn.train[:n] for n in range(n_train + 1)]
    for rows in [drawn.demonstrations, *prefixes]:
        counts = Counter({k: 0 for k in range(n_classes)})
        counts.update(columns[row] for row in rows)
        assert max(counts.values()) - min(counts.values()) <= (len(rows) % n_classes > 0)


@pytest.mark.parametrize("shots", [2, 3, 4, 8])
@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_last_two_demonstrations_differ(n_classes: int, shots: int) -> None:
    """The last two demonstrations never have one label, and their order does vary."""
    columns = columns_of(n_classes)
    endings = set()
    for seed in range(10):
        labels = [columns[row] for row in draw(n_classes, seed, shots, 0).demonstrations]
        assert labels[-1] != labels[-2]
        endings.add(tuple(labels))
    assert len(endings) > 1


def test_smaller_budget_is_a_prefix() -> None:
    """With fewer train rows a seed keeps its demonstrations, and its train rows are a prefix."""
    for seed in range(5):
        small, large = draw(2, seed, 4, 8), draw(2, seed, 4, 20)
        assert small.demonstrations == large.demonstrations
        assert small.train == large.train[:8]


def test_odd_prefixes_favour_no_class() -> None:
    """The first class of a round varies."""
    first = {next(balanced_order([[0], [1]], f"salt {n}")) for n in range(20)}
    assert first == {0, 1}


@pytest.mark.parametrize(
    ("seed", "shots", "n_train", "message"),
    [
        (2, 4, 20, "needs 36 train rows of each class, and its rarest has 30: .* seed .* is 1$"),
        (0, 40, 40, "needs 40 train rows.* even seed 0 has room for 30 of each"),
    ],
)
def test_too_few_rows(seed: int, shots: int, n_train: int, message: str) -> None:
    """Too few rows are told with what there is, what is needed and what would work."""
    queues = [range(30), range(30, 80)]
    with pytest.raises(PromptError, match=message):
        draw_labelled(queues, "t", seed=seed, shots=shots, n_train=n_train, budget=24)


def test_largest_seed_works() -> None:
    """The seed that the message names can be drawn."""
    queues = [range(30), range(30, 80)]
    assert draw_labelled(queues, "t", seed=1, shots=4, n_train=20, budget=24).train


@pytest.mark.parametrize(("seed", "shots", "n_train"), [(-1, 4, 4), (0, -1, 4), (0, 4, -1)])
def test_negative_numbers(seed: int, shots: int, n_train: int) -> None:
    """A negative number is a usage error."""
    with pytest.raises(UsageError, match="none may be negative"):
        draw_labelled([range(30)] * 2, "t", seed=seed, shots=shots, n_train=n_train, budget=24)


@pytest.mark.parametrize(
    ("sizes", "limit", "expected"),
    [
        ((1200, 1300), None, (1000, 1000)),
        ((428, 444), None, (428, 428)),
        ((700, 700, 700), None, (666, 666, 666)),
        ((1600, 1700), 3000, (1500, 1500)),
        ((50, 60), 24, (12, 12)),
        ((5, 60), 24, (5, 5)),
    ],
)
def test_test_rows(sizes: tuple[int, ...], limit: int | None, expected: tuple[int, ...]) -> None:
    """Test rows are equal in number for each class, 2,000 in all or as many as there are."""
    queues = [[1000 * 10 * k + n for n in range(size)] for k, size in enumerate(sizes)]
    rows = draw_test(queues, "t", limit)
    assert tuple(Counter(row // 10_000 for row in rows)[k] for k in range(len(sizes))) == expected
    assert len(set(rows)) == len(rows) <= (limit or TEST_ROWS)


def test_limit_is_a_prefix() -> None:
    """A limit takes the first test rows, balanced as far as its size allows."""
    queues = [range(100), range(100, 200), range(200, 300)]
    whole = draw_test(queues, "t")
    for limit in (1, 2, 7, 24):
        rows = draw_test(queues, "t", limit)
        counts = [sum(row // 100 == k for row in rows) for k in range(3)]
        assert rows == whole[:limit] and max(counts) - min(counts) <= 1


def test_test_rows_are_mixed() -> None:
    """Test rows are neither sorted by class nor in file order."""
    rows = draw_test([range(50), range(50, 100)], "t")
    assert len({(a < 50, b < 50) for a, b in pairwise(rows)}) == 4


@pytest.mark.parametrize("limit", [0, -3])
def test_limit_below_one(limit: int) -> None:
    """A limit that leaves no row is a usage error."""
    with pytest.raises(UsageError, match="leaves nothing"):
        draw_test([range(5), range(5, 9)], "t", limit)


def test_class_without_test_rows() -> None:
    """A class without a test row is an error with the counts."""
    with pytest.raises(PromptError, match=r"per class \[5, 0\]"):
        draw_test([range(5), ()], "t")
