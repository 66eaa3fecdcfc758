"""A measure is entered in one place, and everything that shows measures has it."""

from __future__ import annotations

import json
import subprocess
import sys

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


def test_the_list_costs_the_command_line_nothing():
    """``--help`` reads it, and so it imports no numpy."""
    code = "import sys, compread.analysis.measures\nassert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
