"""Two processes, started as ``torchrun`` starts them, write the store that one writes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stores import contents
from tiny_folder import review_rows, save_tiny, write_rows

from compread.cli import main
from compread.store import part_journals, partial_status

DRIVER = Path(__file__).with_name("extract_driver.py")
ROWS = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a prompt file, and the store that one process makes of them."""
    folder = tmp_path_factory.mktemp("ranks")
    save_tiny(folder / "tiny")
    write_rows(folder / "reviews.jsonl", review_rows(ROWS, n_train=12))
    assert main(["extract", *command(folder), "-o", str(folder / "one.h5"), "-q"]) == 0
    return folder


def command(folder: Path) -> list[str]:
    """The options of one extract in small batches."""
    model, prompts = str(folder / "tiny"), str(folder / "reviews.jsonl")
    return ["--model", model, "--prompts", prompts, "--batch-tokens", "40", "--offline"]


def ranks(count: int, *arguments: str) -> list[subprocess.Popen[str]]:
    """Start the driver as the workers of one job."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    return [
        subprocess.Popen(
            [sys.executable, str(DRIVER), "slow", *arguments],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def ends(jobs: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit status, stdout and stderr of each."""
    said = [job.communicate(timeout=240) for job in jobs]
    return [(job.returncode, *texts) for job, texts in zip(jobs, said, strict=True)]


def rows_kept_by_both(target: Path) -> bool:
    """Whether both ranks have kept a row, and not all of them are done."""
    parts = part_journals(target)
    status = partial_status(target)
    return bool(parts and status and 8 < status.done < ROWS // 2)


def test_two_ranks_write_what_one_writes(folder: Path) -> None:
    """Equal content; results and summary from the first worker alone, of both ranks' work."""
    target = folder / "two.h5"
    first, second = ends(ranks(2, "extract", *command(folder), "-o", str(target)))
    assert (first[0], first[1]) == (0, f"{target}\n"), first[2]
    assert second[:2] == (0, ""), second[2]
    assert f"two.h5: {ROWS} rows in " in first[2] and "rows in" not in second[2]
    assert contents(target) == contents(folder / "one.h5")
    assert not part_journals(target)


def test_two_ranks_write_answers_of_several_tokens(folder: Path, tmp_path: Path) -> None:
    """Rows with answers of their own, of any length, and their texts are shared out as others."""
    choices = [[" good", " a bad film"], [" good film", " bad", " good"]]
    prompts = tmp_path / "cloze.jsonl"
    write_rows(
        prompts,
        [
            {**row, "options": choices[n % 2], "label": n % 2}
            for n, row in enumerate(review_rows(24, n_train=6))
        ],
    )
    own = ["--model", str(folder / "tiny"), "--prompts", str(prompts), "--batch-tokens", "40"]
    own += ["--keep-text"]
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    assert main(["extract", *own, "--offline", "-o", str(one), "-q"]) == 0
    first, second = ends(ranks(2, "extract", *own, "--offline", "-o", str(two)))
    assert first[0] == 0 and second[:2] == (0, ""), (first, second)
    assert "two.h5: 24 rows in " in first[2]
    assert contents(two) == contents(one) and "train/answer_gram" in contents(one)


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_rank_and_a_restart(folder: Path, killed: int) -> None:
    """One is killed: the other ends with status 5, and the same command makes the same store."""
    target = folder / f"killed{killed}.h5"
    arguments = ("extract", *command(folder), "-o", str(target))
    jobs = ranks(2, *arguments)
    deadline = time.monotonic() + 200
    while not rows_kept_by_both(target) and time.monotonic() < deadline:
        assert all(job.poll() is None for job in jobs), ends(jobs)
        time.sleep(0.01)
    jobs[killed].send_signal(signal.SIGKILL)
    survivor = ends(jobs)[1 - killed]
    assert survivor[0] == 5 and "the same command" in survivor[2], survivor
    assert "Traceback" not in survivor[2] and not target.exists()
    status = partial_status(target)
    assert status is not None and 0 < status.done < ROWS
    first, _ = ends(ranks(2, *arguments))
    assert first[0] == 0 and f"(+ {status.done} kept from before)" in first[2], first
    assert contents(target) == contents(folder / "one.h5")


def test_one_process_ends_what_two_began(folder: Path) -> None:
    """Rows that both ranks kept are taken up by a run without workers."""
    target = folder / "begun.h5"
    arguments = ("extract", *command(folder), "-o", str(target))
    jobs = ranks(2, *arguments)
    deadline = time.monotonic() + 200
    while not rows_kept_by_both(target) and time.monotonic() < deadline:
        time.sleep(0.01)
    for job in jobs:
        job.send_signal(signal.SIGKILL)
    ends(jobs)
    assert part_journals(target)
    assert main([*arguments, "-q"]) == 0
    assert contents(target) == contents(folder / "one.h5") and not part_journals(target)


def test_a_rank_that_cannot_begin_ends_all(folder: Path) -> None:
    """Another run's store is one line on every worker, and no worker waits for ever."""
    other = [*command(folder), "--dtype", "bfloat16"]
    said = ends(ranks(2, "extract", *other, "-o", str(folder / "one.h5")))
    assert [status for status, _, _ in said] == [1, 1]
    assert all("exists" in err and "Traceback" not in err for _, _, err in said)


def test_a_finished_store_is_kept_by_all(folder: Path) -> None:
    """The same command again is done on every worker, and its path is printed once."""
    said = ends(ranks(2, "extract", *command(folder), "-o", str(folder / "one.h5")))
    assert [status for status, _, _ in said] == [0, 0], said
    assert sorted(out for _, out, _ in said) == ["", f"{folder / 'one.h5'}\n"]


@pytest.mark.parametrize(("rank", "tables"), [("0", 1), ("1", 0)])
def test_one_rank_tells_what_a_run_will_take(
    folder: Path,
    rank: str,
    tables: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """With ``--dry-run`` the first of several prints the forecast, the others nothing."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    assert main(["extract", *command(folder), "-o", str(folder / "new.h5"), "--dry-run"]) == 0
    assert capfd.readouterr().out.count("Nothing was run.") == tables


def test_standard_input_is_one_process_s(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Several ranks cannot read the same standard input: status 2, and what to do."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["extract", "--model", "x", "--prompts", "-", "-o", "x.h5"]) == 2
    assert "write the prompts to a file" in capfd.readouterr().err
