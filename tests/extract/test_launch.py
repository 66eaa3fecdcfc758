"""A run's first batch may be launched before its proof, and nothing is different for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_loop import SMALL, extractor
from tiny_folder import review_rows, write_rows

from compread.extract import Engine, Extractor, sharing
from compread.prompts import PromptSet, read_prompt_file
from compread.store import open_store

WIDE = replace(SMALL, batch_tokens=200)


@pytest.fixture
def prompts(tmp_path: Path) -> PromptSet:
    """Thirty rows behind a shared prefix."""
    return read_prompt_file(write_rows(tmp_path / "reviews.jsonl", review_rows(30, n_train=6)))


def batches(
    monkeypatch: pytest.MonkeyPatch, prompts: PromptSet, target: Path, *, early: bool
) -> tuple[list[int], Any, Any]:
    """Rows of each batch behind a prefix in their order, the parts' bytes, and the report."""
    run: list[int] = []
    real = Engine.run

    def counted(self: Engine, rows: Any, prefix: Any = None) -> Any:
        if prefix is not None:
            run.append(len(rows))
        return real(self, rows, prefix)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "run", counted)
        if early:
            patch.setattr(Extractor, "_starts_anew", lambda *_: True)
        done = extractor().extract(prompts, target, WIDE)
    with open_store(target) as store:
        parts = {split: store.split(split).parts[...].tobytes() for split in ("train", "test")}
    return run, parts, done


def test_the_first_batch_is_run_once_and_earlier(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Launched before the proof's two rows, it is not run again, and the store is the same."""
    late, store, _ = batches(monkeypatch, prompts, tmp_path / "run.h5", early=False)
    (tmp_path / "run.h5").unlink()
    early, same, _ = batches(monkeypatch, prompts, tmp_path / "run.h5", early=True)
    assert late[0] == 2 and len(late) > 3
    assert early == [late[1], 2, *late[2:]]
    assert same == store


def test_what_was_launched_is_dropped_where_the_proof_fails(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then whole prompts are run, every row of them."""
    monkeypatch.setattr(sharing, "_misfit", lambda *_: float("inf"))
    late, store, _ = batches(monkeypatch, prompts, tmp_path / "run.h5", early=False)
    (tmp_path / "run.h5").unlink()
    early, same, done = batches(monkeypatch, prompts, tmp_path / "run.h5", early=True)
    assert not late and len(early) == 1
    assert same == store and done.rows == 30
    assert "whole prompts are run" in done.warnings[0]
