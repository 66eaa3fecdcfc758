"""What a shell hears where Tab is pressed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compread.cli import main
from compread.cli.complete import stores as stores_below

STORE = "planted/sst2-t1-k4-s0.h5"


@pytest.fixture
def folder(stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with stores, one of a task's own file, and other things."""
    (tmp_path / "planted").symlink_to(stores)
    (tmp_path / "alone").mkdir()
    shutil.copy(stores / "sst2-t1-k4-s0.h5", tmp_path / "alone" / "run.h5")
    (tmp_path / "plan.txt").touch()
    (tmp_path / ".hidden.h5").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(monkeypatch: Any, capsys: Any, words: list[str], apart: str = "\n") -> list[str]:
    """What bash hears for a line whose last word is under the cursor."""
    monkeypatch.setenv("_COMPREAD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", apart.join(["compread", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out.splitlines()


@pytest.mark.parametrize("apart", ["\n", " "])
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["ran"], ["rank"]),
        (["rank", "--no-n"], ["--no-notes"]),
        (["rank", "x.h5", "--by", "mar"], ["margin"]),
        (["rank", "x.h5", "--by", "=", "mar"], ["margin"]),
        (["rank", "x.h5", "--kind", "embed,m"], ["embed,mixer", "embed,mlp"]),
        (["rank", "x.h5", "--kind", "a"], ["all"]),
        (["extract", "--tasks", "sst2,bool"], ["sst2,boolq", "sst2,boolq_contrast"]),
        (["extract", "--tasks", "sst2", "--templates", "all,sai"], ["all,said"]),
        (["tasks", "sh"], ["show"]),
        (["tasks", "show", "sst2", "--templates", "sa"], ["said"]),
        (["reweight", "x.h5", "--methods", "full,blend-"], ["full,blend-row"]),
        (["reweight", "x.h5", "--methods", "comprw", ":", "con"], ["convex"]),
        (["docs", "stat"], ["statistics"]),
        (["rank", "pla"], [f"planted/sst2-t1-k4-s{seed}.h5" for seed in range(3)]),
        (["status", "al"], ["alone/", "alone/run.h5"]),
        (["predictions", STORE, "--component", "full,L1M"], ["full,L1MLP"]),
        (["predictions", STORE, "--component", "fu"], ["full"]),
        (["analyze", "planted", "--without", "L0H0,L0H"], ["L0H0,L0H1"]),
        (["predictions", "nowhere.h5", "--component", "L"], []),
        (["rank", "nowhere/"], []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_may_follow(
    folder: Path, monkeypatch: Any, capsys: Any, words: list[str], wanted: list[str], apart: str
) -> None:
    """Names from the package, the stores and the folder; bash's own pieces are joined first."""
    assert offered(monkeypatch, capsys, words, apart) == wanted


def test_stores_are_files_and_folders(folder: Path) -> None:
    """Other files and hidden ones are not offered, absolute paths are taken as they are."""
    assert stores_below("") == ["alone/", "planted/"]
    assert stores_below(f"{folder}/alone/r") == [f"{folder}/alone/run.h5"]


BASH = """
source <(env _COMPREAD_COMPLETE=source_bash compread)
COMP_WORDS=(compread reweight x --methods full,comprw : co) COMP_CWORD=6
_compread_completion compread
echo "${COMPREPLY[@]}"
"""
ZSH = """
compdef() { :; }
_arguments() { print -r -- "$@"; }
source <(env _COMPREAD_COMPLETE=source_zsh compread)
words=(compread predictions planted --component full,L1M) CURRENT=5
_compread_completion
"""


@pytest.mark.parametrize(
    ("shell", "script", "wanted"), [("bash", BASH, "convex"), ("zsh", ZSH, "full,L1MLP")]
)
def test_the_shells_own_scripts(folder: Path, shell: str, script: str, wanted: str) -> None:
    """What each shell sources asks and is answered, with the words as that shell divides them."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    there = folder / "bin"
    there.mkdir()
    (there / "compread").write_text(f'#!/bin/sh\nexec {sys.executable} -m compread "$@"\n')
    (there / "compread").chmod(0o755)
    environment = {**os.environ, "PATH": f"{there}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [shell, "-c", script], capture_output=True, text=True, env=environment, cwd=folder
    )
    assert (done.returncode, done.stderr) == (0, "") and wanted in done.stdout
