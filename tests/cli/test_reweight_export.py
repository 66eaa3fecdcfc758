"""``compread reweight --export-model``, and ``compread.reweighted`` beside it, on a tiny model."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_folder import review_rows, save_tiny, write_rows
from transformers import AutoModelForCausalLM, AutoTokenizer

import compread
from compread.cli import main
from compread.reweight.select import model_weights
from compread.reweight.weights_file import Weights

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A model, a store of it, and weights that were fitted on that."""
    folder = tmp_path_factory.mktemp("export")
    file = write_rows(folder / "p.jsonl", review_rows(30, n_train=10))
    model, store, saved = save_tiny(folder / "tiny"), folder / "a.h5", folder / "w.json"
    extract = ["extract", "--model", model, "--prompts", file, "-o", store, "-q"]
    assert main(list(map(str, extract))) == 0
    command = ["reweight", store, "--methods", "full,comprw,blend", "--save", saved]
    assert main([*map(str, command), "--export-model", str(folder / "whole")]) == 0
    return SimpleNamespace(folder=folder, file=file, model=model, store=store, saved=saved)


@pytest.fixture
def run(made: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs reweight on the store: its status, stdout and stderr."""

    def call(*arguments: Any) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["reweight", str(made.store), *map(str, arguments)])
        return status, *capsys.readouterr()

    return call


def logits(folder: Path, text: str = "Review: a good film\nSentiment:") -> torch.Tensor:
    """What a saved model says of a text, loaded as anybody would, with its own tokenizer."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        found: torch.Tensor = model(tokens).logits
    return found


def test_the_folder_is_the_model_with_the_fit_s_weights(made: SimpleNamespace) -> None:
    """CompRW's, as the folder says; hooks on the old model do the same."""
    said = json.loads((made.folder / "whole" / "compread_weights.json").read_text())
    fit = next(fit for fit in Weights.read(made.saved).fits if fit.method == "comprw")
    weights = dict(zip((c.name for c in fit.components), fit.fitted.weights, strict=True))
    del weights["embed"], weights["bias"]
    assert (said["method"], said["n_train"], said["weights"]) == ("comprw", 10, weights)
    model: Any = AutoModelForCausalLM.from_pretrained(made.model).eval()
    tokens = AutoTokenizer.from_pretrained(made.model)("Review: x", return_tensors="pt")
    with torch.inference_mode(), compread.reweighted(model, made.saved):
        wanted = model(tokens["input_ids"]).logits
    torch.testing.assert_close(logits(made.folder / "whole", "Review: x"), wanted)
    assert not torch.allclose(logits(made.model, "Review: x"), wanted, atol=1e-3)


def test_weights_of_a_file_are_exported_as_at_their_fit(made: SimpleNamespace, run: Run) -> None:
    """The scores on the stores are printed, and the folder has the same weights."""
    status, out, err = run("--apply", made.saved, "--export-model", made.folder / "applied")
    assert status == 0 and "comprw" in out and "model: comprw of 10 train rows in" in err
    one, other = (json.loads((made.folder / name / "compread_weights.json").read_text())
                  for name in ("whole", "applied"))  # fmt: skip
    assert one == other
    torch.testing.assert_close(logits(made.folder / "whole"), logits(made.folder / "applied"))


def test_the_folder_is_as_open_to_others_as_any_new_one(made: SimpleNamespace, run: Run) -> None:
    """Each file and the folder have the permissions that the umask leaves."""
    folder, before = made.folder / "shared", os.umask(0o027)
    try:
        assert run("--methods", "comprw", "--export-model", folder)[0] == 0
    finally:
        os.umask(before)
    modes = {one.name: one.stat().st_mode & 0o777 for one in (folder, *folder.iterdir())}
    assert modes.pop("shared") == 0o750 and "model.safetensors" in modes
    assert set(modes.values()) == {0o640}


def test_a_disk_that_is_full_is_one_line(made: SimpleNamespace, run: Run) -> None:
    """No part of the folder is left, and what was fitted is shown."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        status, out, err = run("--methods", "comprw", "--export-model", made.folder / "none")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 1 and "comprw" in out and err.splitlines()[-1].startswith("error: ")
    assert "none cannot be written: " in err and not (made.folder / "none").exists()
    assert not [one for one in made.folder.iterdir() if one.name.startswith(".")]


def test_weights_without_a_size_get_one(made: SimpleNamespace) -> None:
    """Blend's are brought to a mean size of 1, their signs and shares kept."""
    fits = Weights.read(made.saved).fits
    own = next(fit for fit in fits if fit.method == "blend").fitted.weights[1:-1]
    found = list(model_weights(fits, "blend").by_component().values())
    assert sum(map(abs, found)) / len(found) == pytest.approx(1)
    assert [w / found[0] for w in found] == pytest.approx([w / own[0] for w in own])


def test_extract_runs_on_it(made: SimpleNamespace) -> None:
    """It is a model like any other, with a fingerprint of its own and parts that add up."""
    store = made.folder / "b.h5"
    extract = ["extract", "--model", made.folder / "whole", "--prompts", made.file, "-o", store]
    assert main([*map(str, extract), "-q"]) == 0
    one, other = compread.open(made.store), compread.open(store)
    assert one.info.fingerprint != other.info.fingerprint
    assert one.components == other.components and abs(one.full - other.full).max() > 0.01


def test_weights_of_one_export_the_model_itself(made: SimpleNamespace, run: Run) -> None:
    """``unibias`` that drops no head has weights of 1."""
    folder = made.folder / "same"
    status, out, err = run("--methods", "unibias", "--export-model", folder, "--format", "json")
    said = json.loads((folder / "compread_weights.json").read_text())
    assert status == 0 and json.loads(out)["runs"] and "not that of the weighted sum" in err
    if set(said["weights"].values()) == {1.0}:
        assert torch.equal(logits(folder), logits(made.model))
    else:
        assert not torch.equal(logits(folder), logits(made.model))


def test_a_folder_is_replaced_by_force_and_only_one_of_ours(
    made: SimpleNamespace, run: Run
) -> None:
    """What somebody else put there stays, whatever is asked."""
    ours, foreign = made.folder / "ours", made.folder / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    asked = ["--methods", "comprw", "--export-model"]
    assert run(*asked, ours)[0] == 0
    status, out, err = run(*asked, ours)
    assert (status, out) == (1, "") and "exists" in err and "--force" in err
    assert run(*asked, ours, "--force")[0] == 0
    status, out, err = run(*asked, foreign, "--force")
    assert (status, out) == (1, "") and "--force" not in err
    assert [one.name for one in foreign.iterdir()] == ["thesis.txt"]
    assert not [one for one in made.folder.iterdir() if one.name.startswith(".")]


def test_what_is_to_be_replaced_stays_until_it_is(
    made: SimpleNamespace, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new folder that cannot take the old one's place leaves that where it was."""
    ours = made.folder / "kept"
    asked = ["--methods", "comprw", "--export-model", ours]
    assert run(*asked)[0] == 0
    before = (ours / "model.safetensors").stat().st_ino
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.startswith(".compread-") and not self.name.endswith("-before"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    status, _, err = run(*asked, "--force")
    assert status == 1 and "kept cannot be written: No space left" in err
    assert (ours / "model.safetensors").stat().st_ino == before
    assert not [one for one in made.folder.iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--model", "x"], 2, "--model goes with --export-model"),
        (["--export-model", "nowhere/x"], 1, "there is no folder"),
        (["--export-model", "x", "--methods", "full"], 2, "none of these methods has: full"),
        (["--export-model", "x", "--model", "nowhere"], 1, "nowhere"),
        (["--export-model", "x", "--model", "OTHER"], 4, "fingerprint"),
        (["--export-model", "x", "--apply", "SAVED", "--methods", "full"], 2, "none of these"),
        (["--apply", "SAVED", "--force"], 2, "--apply fits nothing, so leave out --force"),
        (["--export-model", "x", "--ensemble", "seeds"], 2, "fit without --ensemble"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    made: SimpleNamespace, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], status: int, message: str,
) -> None:  # fmt: skip
    """With the right exit status, and no folder is left."""
    other = save_tiny(tmp_path / "other", seed=3)
    monkeypatch.chdir(tmp_path)
    places = {"OTHER": other, "SAVED": made.saved}
    got, out, err = run(*[places.get(word, word) for word in arguments])
    last = err.splitlines()[-1]
    assert got == status and last.startswith("error: ") and message in last
    assert [one.name for one in tmp_path.iterdir()] == ["other"]
    # What was fitted is shown, as nothing that is computed is lost.
    assert bool(out) == ("--model" in arguments and "--export-model" in arguments)


def test_hooks_are_of_the_model_of_the_weights(made: SimpleNamespace) -> None:
    """Another model is refused, and so is a store of one that runs with weights."""
    model: Any = AutoModelForCausalLM.from_pretrained(made.model)
    other: Any = AutoModelForCausalLM.from_pretrained(save_tiny(made.folder / "far", seed=7))
    with (
        pytest.raises(compread.CompreadError, match="fingerprint"),
        compread.reweighted(other, made.saved),
    ):
        pass
    with (
        pytest.raises(compread.CompreadError, match="method='linc': the weights"),
        compread.reweighted(model, made.saved, method="linc"),
    ):
        pass
    tokenizer = AutoTokenizer.from_pretrained(made.model)
    rows = review_rows(4, n_train=2)
    with (
        compread.reweighted(model, made.saved, method="comprw"),
        pytest.raises(compread.CompreadError, match="runs with weights on its components"),
    ):
        compread.extract(model, rows, made.folder / "c.h5", tokenizer=tokenizer)
    with pytest.warns(compread.CompreadWarning, match="label words"):
        compread.extract(model, rows, made.folder / "c.h5", tokenizer=tokenizer)
