"""A measure is entered in one place, and everything that shows measures has it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import log_softmax

import compread
from compread.analysis.calibration import calibration
from compread.analysis.components import collect, stats_of

NEW = """
from compread.analysis import measures

measures.MEASURES = {
    **measures.MEASURES,
    "ties": measures.Measure(lambda tally: tally.tied / tally.n, ".4f", "equal\\nlogits"),
}
"""


def run(code: str) -> str:
    """What a fresh process prints that has a measure more."""
    command = [sys.executable, "-c", f"{NEW}\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_new_measure_can_be_ranked_by_and_is_shown(tmp_path, write_store):
    """One entry more: ``--by``, JSON, the table, a group's columns and pandas have it."""
    store = write_store(tmp_path / "a.h5")
    main = "import sys\nfrom compread.cli import main\nmain(sys.argv[1:] or {})"
    rank = ["rank", str(store), "--by", "ties"]
    rows = json.loads(run(main.format([*rank, "--format", "json", "--per", "seed"])))
    assert all(row["ties"] == row["tied"] == row["ties_in_s0"] for row in rows)
    ordered = [row["ties"] for row in rows[:-1]]
    assert ordered == sorted(ordered, reverse=True)
    table = run(f"import os\nos.environ['COLUMNS'] = '300'\n{main.format(rank)}")
    assert "Components by ties" in table and "logits" in table
    frame = (
        "import compread\n"
        f"print(compread.open({str(store)!r}).statistics().to_pandas()['ties'].notna().all())"
    )
    assert run(frame) == "True\n"


@pytest.mark.parametrize("k", [2, 4])
def test_mcc_f1_and_ece_are_those_of_their_definitions(k):
    """Of random components against loops over the rows; a component of one answer has MCC 0."""
    rng = np.random.default_rng(k)
    n, gold = 90, rng.integers(0, k, 90)
    parts = (3 * rng.normal(size=(n, 5, k))).astype(np.float32)
    parts[:, 1] += 2 * np.eye(k, dtype=np.float32)[gold]
    parts[:, 4] = np.arange(k)[::-1]
    # Two pieces, as a large store is read.
    pieces = [(slice(0, 40), parts[:40]), (slice(40, n), parts[40:])]
    stats = stats_of(*collect(pieces, parts.sum(1), gold))
    scorers = [(stats.parts, j, parts[:, j]) for j in range(5)] + [(stats.full, 0, parts.sum(1))]
    for scores, j, logits in scorers:
        said = logits.argmax(1)
        # R_K is the correlation of the two tables of indicators, each centred.
        x, y = (np.eye(k)[labels] - np.eye(k)[labels].mean(0) for labels in (said, gold))
        below = np.sqrt((x * x).sum() * (y * y).sum())
        assert scores["mcc"][j] == pytest.approx((x * y).sum() / below if below else 0)
        either = [y for y in range(k) if y in said or y in gold]
        f1 = [2 * ((said == y) & (gold == y)).sum() / ((said == y).sum() + (gold == y).sum())
              for y in either]  # fmt: skip
        assert scores["macro_f1"][j] == pytest.approx(np.mean(f1))
        logs = log_softmax(logits.astype(float), axis=1)
        assert scores["ece"][j] == pytest.approx(calibration(logs, gold).ece, abs=1e-6)
    assert stats.parts["mcc"][4] == 0


def test_rank_and_analyze_have_them(stores, tmp_path):
    """In JSON and by ``--by``; the table of another order is as wide as it was."""
    ranked = compread.rank(stores, by="ece", top=3)
    found = [row["ece"] for row in ranked][:3]
    assert found == sorted(found, reverse=True) and {"mcc", "macro_f1"} <= set(ranked[0])
    assert "ECE" in str(ranked) and "ECE" not in str(compread.rank(stores))
    for run in compread.analyze(stores)["runs"]:
        (*_, full) = compread.rank(run["store"])
        for name in ("macro_f1", "mcc", "ece"):
            assert run[f"full_{name}"] == full[name]


def test_the_list_costs_the_command_line_nothing():
    """``--help`` reads it, and so it imports no numpy."""
    code = "import sys, compread.analysis.measures\nassert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
