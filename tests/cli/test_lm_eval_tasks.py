"""``extract --tasks lm_eval:NAME``, and the same from Python."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import datasets
import pytest
from prompts.lm_eval_tasks import write_task
from tiny_folder import save_tiny

import compread
from compread.cli import main
from compread.errors import CompreadWarning, PromptError, UsageError

Out = pytest.CaptureFixture[str]
needs_library = pytest.mark.skipif(
    find_spec("lm_eval") is None, reason="lm-eval is not installed (compread[lm-eval])"
)


@needs_library
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_task_of_the_library(
    tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command and function make the same stores, named by task, shots and seed."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    folder, model = str(write_task(tmp_path / "tasks")), str(save_tiny(tmp_path / "tiny"))
    command = ["extract", "--model", model, "--tasks", "lm_eval:made", "--include-path", folder]
    options = ["--num-fewshot", "1", "--limit", "6", "--n-train", "4", "--seeds", "1,2"]
    assert main([*command, *options, "-o", "cli/", "--quiet"]) == 0
    names = ["lm_eval-made-k1-s1.h5", "lm_eval-made-k1-s2.h5"]
    assert [Path(line).name for line in capsys.readouterr().out.splitlines()] == names
    with pytest.warns(CompreadWarning, match="each row has answers of its own"):
        made = compread.extract(
            model, "lm_eval:made", "api", include_path=folder, num_fewshot=1, limit=6, n_train=4,
            seeds=[1, 2],
        )  # fmt: skip
    assert len(made) == 2
    for name in names:
        one, other = (compread.open(f"{at}/{name}").info for at in ("cli", "api"))
        assert one.prompt_set == other.prompt_set and one.protocol["lm_eval"]
    capsys.readouterr()
    assert main(["tasks", "show", "lm_eval:made", "--include-path", folder]) == 0
    assert capsys.readouterr().out.startswith("--- lm_eval:made (' good', ' bad', ")


REFUSED = [
    (["--templates", "all"], "leave out --templates"),
    (["--data-dir", "data"], "leave out --data-dir"),
    (["--demo-labels", "0,1"], "leave out --demo-labels"),
    (["--calibration-prompts"], "leave out --calibration-prompts"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_options_that_the_library_decides(options: list[str], message: str, capsys: Out) -> None:
    """They are named before the library is imported."""
    command = ["extract", "--model", "gpt2", "--tasks", "lm_eval:piqa", "-o", "x.h5"]
    assert main([*command, *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_arguments_that_the_library_decides() -> None:
    """From Python they are named as arguments."""
    with pytest.raises(UsageError, match=r"lm_eval:piqa: .* leave out templates"):
        compread.extract("gpt2", "lm_eval:piqa", "x.h5", templates="all")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    """The line says how to install it."""
    for name in [name for name in sys.modules if name.split(".")[0] == "lm_eval"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    assert main(["extract", "--model", "gpt2", "--tasks", "lm_eval:piqa", "-o", "x.h5"]) == 1
    assert "pip install 'compread[lm-eval]'" in capsys.readouterr().err
    with pytest.raises(PromptError, match="need that library"):
        compread.extract("gpt2", ["lm_eval:piqa"], "x.h5")


def test_fetch_leaves_the_library_s_data_to_it(capsys: Out) -> None:
    """It loads them when a task is run."""
    assert main(["tasks", "fetch", "lm_eval:piqa"]) == 1
    assert "lm_eval:piqa: lm-evaluation-harness loads its data itself" in capsys.readouterr().err
