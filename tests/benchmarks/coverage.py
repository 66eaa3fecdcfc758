"""How often intervals cover, nothing is found where there is nothing, and planted parts are found.

    python tests/benchmarks/coverage.py [--draws 20] [--folders 200]

Prints coverage and width of the 95 % interval of an accuracy over several stores, and the lowest
and the highest coverage by stores and rows; how far the tails of the joint test are from those of
drawn permutations; null folders of
three stores over the same rows in which anything has q ≤ .05; planted components that are found in
one store and in three; and what the ten components at the top are worth, by accuracy and by the
lower end of its interval. Components are drawn on the scale of a normal variable
below a threshold, of whose noise the stores share a part on each row.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import Any

import numpy as np
from scipy.special import ndtri

from compread.analysis.chance import false_discovery, luck_test, two_sided
from compread.analysis.joint import joint_test
from compread.analysis.spread import RowSet, accuracy_interval

C = 300
"""Components of a folder."""
ROWS, STORES, ACCURACIES = (30, 100, 300, 2000), (1, 2, 3, 4, 5), (0.5, 0.7, 0.95)
SHARED, SPREAD = (0.6, 0.95), (0.0, 0.15)
"""Parts of the noise that stores share, and the sd over stores of a component's threshold."""

Rng = np.random.Generator


def main() -> None:
    """Parse, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--folders", type=int, default=200)
    parser.add_argument("--permutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print("Coverage (mean width) of the 95 % interval of an accuracy; aim .93 to .99")
    print("shared spread stores rows " + "".join(f"{a:>14}" for a in ACCURACIES))
    ends: dict[tuple[int, int], list[float]] = {}
    for shared, spread, s, n in product(SHARED, SPREAD, STORES, ROWS):
        if s > 1 or (shared, spread) == (SHARED[0], 0):
            cells = [coverage(rng, s, n, a, shared, spread, options.draws) for a in ACCURACIES]
            ends.setdefault((s, n), []).extend(c for c, _ in cells)
            text = "".join(f"{c:.3f} ({w:.2f})".rjust(14) for c, w in cells)
            print(f"{shared:>6} {spread:>6} {s:>6} {n:>4} {text}", flush=True)
    print("Lowest and highest of these\nstores " + "".join(f"{n:>7} rows" for n in ROWS))
    for s in STORES:
        print(f"{s:>6} " + "".join(f"{min(ends[s, n]):.3f}–{max(ends[s, n]):.3f} " for n in ROWS))
    for k in (2, 3):
        off, most = tails(rng, k, options.permutations)
        print(
            f"joint test, {k} labels, against {options.permutations} permutations: p from .01 up "
            f"within a factor of {off:.3f}, from .001 up of {most:.3f}"
        )
    for k in (2, 3):
        found = np.mean([any_found(rng, k) for _ in range(options.folders)])
        print(f"null folders of three stores, {k} labels, with any q ≤ .05: {found:.1%}")
    for s in (1, 3):
        power, false = np.mean([planted(rng, s) for _ in range(options.draws)], axis=0)
        print(f"planted components found in {s} stores: {power:.1%}, false among found {false:.1%}")
    ten = np.mean([picked(rng) for _ in range(10 * options.draws)], axis=0)
    names = ("by accuracy", "by accuracy_low", "the best")
    told = ", ".join(f"{name} {value:.4f}" for name, value in zip(names, ten, strict=True))
    print(f"true accuracy of ten components of three stores: {told}")


def picked(rng: Rng) -> tuple[float, float, float]:
    """True accuracy of ten of C: by accuracy over three stores, by accuracy_low, and the best."""
    truth = np.clip(0.5 + 0.04 * rng.standard_normal(C), 0.05, 0.95)
    at = ndtri(truth) + np.where(rng.random(C) < 0.5, 0.2, 0) * rng.standard_normal((3, 1, C))
    hit = noise(rng, 3, 200, 0.6) < at
    rows = RowSet(hit.mean(axis=1), hit.sum(axis=0).astype(np.int32))
    mean = rows.by_run.mean(axis=0)
    low, _ = accuracy_interval([rows], np.ones(C, bool))
    ten = [np.argsort(-values)[:10] for values in (mean, low, truth)]
    return tuple(float(truth[of].mean()) for of in ten)


def coverage(
    rng: Rng, s: int, n: int, accuracy: float, shared: float, spread: float, draws: int
) -> tuple[float, float]:
    """Share of the intervals that hold the mean over stores that might be, and their mean width.

    Of one store the truth is its own.
    """
    spread = spread if s > 1 else 0.0
    threshold = ndtri(accuracy) * np.sqrt(1 + spread**2)  # so that its mean over stores is that
    inside, width = [], []
    for _ in range(draws):
        at = threshold + spread * rng.standard_normal((s, 1, C))
        hit = noise(rng, s, n, shared) < at
        rows = RowSet(hit.mean(axis=1), hit.sum(axis=0).astype(np.int32))
        low, high = accuracy_interval([rows], np.ones(C, bool))
        assert (high > low).all() and (low >= 0).all() and (high <= 1).all()
        inside.append(((low <= accuracy) & (accuracy <= high)).mean())
        width.append((high - low).mean())
    return float(np.mean(inside)), float(np.mean(width))


def noise(rng: Rng, s: int, n: int, shared: float) -> Any:
    """[S, N, C] standard normal numbers of which stores share a part."""
    common = rng.standard_normal((1, n, C))
    return np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.standard_normal((s, n, C))


def answers(rng: Rng, s: int, n: int, k: int, signal: Any) -> tuple[Any, Any]:
    """Right labels [N] and predictions [S, N, C] of components that lean, a part of them knowing.

    Noise is shared between stores by .6 and between components by .3.
    """
    gold = rng.permutation(np.arange(n) % k)
    logits = []
    for y in range(k):
        lean = 0.3 * rng.standard_normal((1, 1, C))
        between = np.sqrt(0.3) * rng.standard_normal((1, n, 1))
        knows = signal * (gold == y)[None, :, None]
        logits.append(lean + between + np.sqrt(0.7) * noise(rng, s, n, 0.6) + knows)
    return gold, np.argmax(logits, axis=0)


def p_values(gold: Any, choice: Any, k: int) -> Any:
    """[C] two-sided p-values of one store or of several together."""
    counts = np.stack([(choice == y).sum(axis=0) for y in range(k)], axis=2).astype(np.int32)
    if len(choice) > 1:
        test = joint_test(counts, gold, len(choice))
    else:
        confusion = np.stack([counts[gold == y].sum(axis=0) for y in range(k)], axis=2)
        test = luck_test(confusion.astype(np.int64))
    return two_sided(test.above, test.below)


def tails(rng: Rng, k: int, draws: int) -> tuple[float, float]:
    """Largest factor between a tail of the joint test and its share of permutations drawn.

    Of three stores' tails that are above .01 of them, and of those above .001.
    """
    gold, choice = answers(rng, 3, 200, k, np.repeat([0.0, 0.15, 0.3], C // 3))
    counts = np.stack([(choice == y).sum(axis=0) for y in range(k)], axis=2).astype(np.int32)
    test = joint_test(counts, gold, 3)

    def right(labels: Any) -> Any:
        """[P, C] right predictions of all stores under labels [P, N]."""
        return sum((labels == y).astype(np.float32) @ counts[:, :, y] for y in range(k))

    seen, above, below = right(gold[None]), np.zeros(C), np.zeros(C)
    for start in range(0, draws, 1000):
        some = right(rng.permuted(np.tile(gold, (min(1000, draws - start), 1)), axis=1))
        above += (some >= seen).sum(axis=0)
        below += (some <= seen).sum(axis=0)
    drawn = np.concatenate([above, below]) / draws
    tail = np.concatenate([test.above, test.below])
    off = [np.abs(np.log(tail[drawn >= p] / drawn[drawn >= p])).max() for p in (0.01, 0.001)]
    return float(np.exp(off[0])), float(np.exp(off[1]))


def any_found(rng: Rng, k: int) -> bool:
    """Whether a folder in which nothing knows anything has a discovery."""
    gold, choice = answers(rng, 3, 200, k, 0.0)
    return bool((false_discovery(p_values(gold, choice, k)) <= 0.05).any())


def planted(rng: Rng, s: int) -> tuple[float, float]:
    """Shares found of 60 planted components, and of false ones among the found."""
    real = np.arange(C) < 60
    gold, choice = answers(rng, s, 200, 2, 0.35 * real)
    found = false_discovery(p_values(gold, choice, 2)) <= 0.05
    return found[real].mean(), found[~real].sum() / max(1, found.sum())


if __name__ == "__main__":
    main()
