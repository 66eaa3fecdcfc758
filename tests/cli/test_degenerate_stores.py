"""Every reading command on stores that hold almost nothing: no warning, no traceback, no guess."""

import json

import numpy as np
import pytest
from conftest import AXIS, make_run

from compread.cli import main
from compread.store import Labels, SplitRows, StoreWriter

LABELS = Labels((" a", " b", " c"), (1, 2, 3))
CASES = {
    "ties": lambda n, rng: (np.zeros((n, len(AXIS), 3)), np.arange(n) % 3),
    "one class": lambda n, rng: (rng.normal(size=(n, len(AXIS), 3)), np.zeros(n, int)),
    "constant": lambda n, rng: (np.tile(rng.normal(size=(1, len(AXIS), 3)), (n, 1, 1)),
                                np.arange(n) % 3),
    "huge": lambda n, rng: (rng.normal(size=(n, len(AXIS), 3)) * 1e30, np.arange(n) % 3),
}  # fmt: skip


@pytest.fixture(params=[(case, n) for case in CASES for n in (1, 2, 60)], ids=str)
def stores(request, tmp_path):
    """Two stores of one case and size."""
    case, n = request.param
    for seed in range(2):
        parts, gold = CASES[case](n, np.random.default_rng(seed))
        ids = [str(row) for row in range(n)]
        rows = {"test": SplitRows(gold, ids, ids)}
        info = make_run(seed=seed)
        with StoreWriter.open(tmp_path / f"{seed}.h5", info, AXIS, LABELS, rows) as writer:
            writer.append(range(n), parts, parts.sum(1), np.zeros(n), np.full(n, 0.8))
            writer.finish(info)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["rank"],
        ["rank", "--heatmap"],
        ["rank", "--by", "abs(margin) / margin_sd"],
        ["rank", "--example", "0"],
        ["analyze"],
        ["analyze", "--without", "heads", "--only", "L0,bias"],
        ["analyze", "--early-exit", "--format", "csv"],
        ["analyze", "--format", "parquet", "--table", "pairs"],
        ["plot", "scatter", "-o", "-"],
        ["plot", "bias", "-o", "-"],
        ["plot", "transfer", "-o", "OUT.svg"],
        ["plot", "heatmap", "--by", "direct_effect", "-o", "OUT.png"],
        ["plot", "layers", "-o", "OUT.png"],
        ["plot", "layers", "-o", "-"],
        ["plot", "waterfall", "--example", "0", "-o", "OUT.svg"],
        ["plot", "waterfall", "--example", "0", "-o", "-"],
        ["predictions", "--component", "*"],
        ["report", "-o", "OUT.html"],
    ],
    ids=" ".join,
)
def test_every_command_reads_it(stores, capfdbinary, command):
    """The command ends well on both stores."""
    arguments = [a.replace("OUT", str(stores / "out")) for a in command]
    kind = arguments[:2] if arguments[0] == "plot" else arguments[:1]
    assert main([*kind, str(stores), *arguments[len(kind) :]]) == 0
    assert b"Traceback" not in capfdbinary.readouterr().err


def test_nothing_is_found_in_it(stores, capsys, request):
    """No component is good or bad, and no value is a number that is none."""
    assert main(["analyze", str(stores), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    for row in document["runs"]:
        assert row["good_count"] == row["bad_count"] == 0
        assert row["best_p_value"] > 0.005
