"""``extract --calibration-prompts``: from the option to the methods that need it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from tiny_folder import review_rows, save_tiny, write_rows

from compread.cli import main
from compread.store import open_store


def test_content_free_prompts_reach_the_methods(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The store has them as a split of its own, and `cc` calibrates by the first three."""
    data = tmp_path / "data" / "sst2"
    data.mkdir(parents=True)
    for split in ("train", "test"):
        rows = [{"sentence": f"film {split} {i}", "label": i % 2} for i in range(20)]
        write_rows(data / f"{split}.jsonl", rows)
    store = tmp_path / "a.h5"
    command = ["extract", "--model", save_tiny(tmp_path / "tiny"), "--tasks", "sst2", "-q"]
    command += ["--num-fewshot", 2, "--n-train", 6, "--data-dir", tmp_path / "data", "-o", store]
    assert main(list(map(str, [*command, "--calibration-prompts"]))) == 0
    with open_store(store) as opened:
        calibration, test = opened.split("calibration"), opened.split("test")
    assert [name.rpartition("-")[0] for name in calibration.id] == (
        ["content-free"] * 3 + ["domain"] * 20
    )
    assert main(["reweight", str(store), "--methods", "tr,tl"]) == 0
    capsys.readouterr()
    assert main(["reweight", str(store), "--methods", "cc,dc", "--format", "json"]) == 0
    contextual, domain = json.loads(capsys.readouterr().out)["runs"]
    for row, chosen in ((contextual, slice(0, 3)), (domain, slice(3, None))):
        p_cf = softmax(calibration.full[chosen].astype(float), axis=1).mean(axis=0)
        labels = (softmax(test.full.astype(float), axis=1) / p_cf).argmax(axis=1)
        assert row["accuracy"] == np.mean(labels == test.gold)


def test_they_go_with_tasks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A prompt file is finished as it is."""
    file = write_rows(tmp_path / "p.jsonl", review_rows(4))
    command = ["extract", "--model", "m", "--prompts", file, "--calibration-prompts", "-o", "a.h5"]
    assert main(list(map(str, command))) == 2
    assert "--calibration-prompts" in capsys.readouterr().err
