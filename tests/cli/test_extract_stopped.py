"""``compread extract`` stopped by real signals goes on where it was, with the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stores import contents
from tiny_folder import review_rows, save_tiny, write_rows

import compread
from compread.cli import main
from compread.store import journal_path, partial_status

N = 80
DRIVER = [sys.executable, str(Path(__file__).with_name("extract_driver.py"))]
# One thread: a child of a fork cannot use its parent's, and tiny tensors are no faster with two.
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(Path(compread.__file__).parents[1]),
}


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """An extract of many small batches, without its ``-o``."""
    folder = tmp_path_factory.mktemp("stopped")
    model = save_tiny(folder / "model")
    prompts = write_rows(folder / "reviews.jsonl", review_rows(N, n_train=10))
    options = ["--model", str(model), "--prompts", str(prompts), "--batch-tokens", "20", "-q"]
    return ["extract", *options, "--device", "cpu"]


def test_twenty_kills(tmp_path: Path, command: list[str]) -> None:
    """Killed with SIGKILL at 20 random moments and begun again, each store ends up the same."""
    driver = [*DRIVER, "kill", str(tmp_path), "20", *command]
    done = subprocess.run(driver, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-2000:]
    *kept, (_, targets) = [
        line.split() for line in done.stdout.splitlines() if not line.endswith(".h5")
    ]
    kept = [word for (word,) in kept]
    assert len(kept) == 20
    # A busy machine may let a child run on before the signal comes, but not every time.
    assert sum(word.isdigit() and 0 < int(word) < N for word in kept) >= 3, kept
    assert main([*command, "-o", str(tmp_path / "whole.h5")]) == 0
    whole = contents(tmp_path / "whole.h5")
    for target in range(int(targets)):
        assert contents(tmp_path / f"{target}.h5") == whole, kept
    assert {path.suffix for path in tmp_path.iterdir()} == {".h5"}


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGINT, 130, "finished rows are kept; the same command goes on"),
        (signal.SIGTERM, 143, ""),
    ],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_signal_leaves_a_run_that_goes_on(
    tmp_path: Path, command: list[str], number: signal.Signals, status: int, said: str
) -> None:
    """Ctrl-C ends with 130 and SIGTERM with 143; the rows are kept, and the rest is run later."""
    target = tmp_path / "run.h5"
    arguments = [*command, "-o", str(target)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*DRIVER, "slow", *arguments], env=ENVIRONMENT, **pipes) as process:
        give_up = time.monotonic() + 60
        while not ((kept := partial_status(target)) and kept.done >= 3):
            assert process.poll() is None and time.monotonic() < give_up, process.stderr.read()
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (status, "")
    assert said in err and "Traceback" not in err
    assert not target.exists()
    kept = partial_status(target)
    assert kept is not None and 3 <= kept.done < N
    assert main(arguments) == 0
    assert not journal_path(target).exists()
    assert main([*command, "-o", str(tmp_path / "whole.h5")]) == 0
    assert contents(target) == contents(tmp_path / "whole.h5")
