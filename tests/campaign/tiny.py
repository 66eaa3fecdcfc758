"""The tiny model that attacks run, and its extract."""

from __future__ import annotations

from pathlib import Path

from stores import contents
from tiny_folder import review_rows, save_tiny, write_rows

from .case import Outcome, call

ROWS = 24
OUTPUT = "run.h5"


def prepare(stage: Path) -> None:
    """A model, a prompt file, and the store of an unstopped run."""
    from compread.model import quieten_libraries

    quieten_libraries(bars=False)
    save_tiny(stage / "model")
    write_rows(stage / "reviews.jsonl", review_rows(ROWS, n_train=6))
    outcome = call(*command(stage, stage / "whole.h5"))
    assert outcome.status == 0, outcome.err


def command(stage: Path, target: Path) -> list[str]:
    """An extract in many small batches."""
    model, prompts = str(stage / "model"), str(stage / "reviews.jsonl")
    options = ["--model", model, "--prompts", prompts, "--batch-tokens", "20", "--device", "cpu"]
    return ["extract", *options, "--offline", "-q", "-o", str(target)]


def extract(stage: Path, target: Path) -> Outcome:
    """Run it in this process."""
    return call(*command(stage, target))


def equals_whole(target: Path, stage: Path) -> bool:
    """Whether a store is that of the unstopped run."""
    return contents(target) == contents(stage / "whole.h5")
