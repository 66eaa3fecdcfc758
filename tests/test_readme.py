"""What the README and the manual's pages show can be typed, and prints what they show."""

from __future__ import annotations

import os
import re
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from documents import NOT_RUN, PAGES, blocks, masked, printed, rewritten, run_bash, smaller
from families import CERTIFIED
from manual_place import MADE_BY, copy_for, make_inputs
from transformers import CONFIG_MAPPING
from typer.main import get_command

from compread.check.sweep import certify_type
from compread.cli import app
from compread.errors import CompreadWarning
from compread.model import facts
from compread.prompts import mistakes_in
from compread.views.check import certificate_rows

README = PAGES[0]
TEXT = README.read_text(encoding="utf-8")
MODELS_PAGE = next(page for page in PAGES if page.stem == "models").read_text(encoding="utf-8")
BLOCKS = [(page, block) for page in PAGES for block in blocks(page)]
COMMANDS = sorted({line for _, block in BLOCKS for line in block.commands})
LISTINGS = [
    pytest.param(page, block.mark, *listing, id=f"{page.stem}: {listing[0][:60]}")
    for page, block in BLOCKS
    if block.language == "console"
    for listing in block.listings
]
REAL = os.environ.get("COMPREAD_TEST_DEMO", "")


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_and_option_exists(line: str) -> None:
    """A command line names a command and options that are there, whether it is run or not."""
    words = shlex.split(line)[1:]
    commands: Any = get_command(app)
    if words[0].startswith("-"):
        return
    assert words[0] in commands.commands
    command = commands.commands[words[0]]
    if len(words) > 1 and words[1] in getattr(command, "commands", ()):
        command = command.commands[words[1]]
    known = {name for p in command.params for name in p.opts} | {"--help"}
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= known


def test_every_command_is_shown() -> None:
    """Each command has a row in the README's table."""
    commands: Any = get_command(app)
    named = re.findall(r"^\| (`[^|]+`) \|", TEXT, re.MULTILINE)
    assert set(commands.commands) <= set(re.findall(r"`(\w+)`", " ".join(named)))


def test_every_block_is_of_a_known_kind() -> None:
    """A block is run, or its mark says why not."""
    for _page, block in BLOCKS:
        assert block.language in ("bash", "console", "python", "yaml", "json", "bibtex", "text")
        reason = block.mark.removeprefix(NOT_RUN)
        assert block.mark in ("", "demo", "real model") or len(reason.split()) > 2 < len(block.mark)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that has what the pages take for granted: models, data, stores, all tiny."""
    folder = tmp_path_factory.mktemp("made")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # On tensors this small, threads only wait for each other.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
        patch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        make_inputs(folder, next(b.text for _, b in BLOCKS if b.language == "yaml"))
        for command in MADE_BY.values():
            assert printed(f"compread {command}", folder)[0] == 0, command
        yield folder
    torch.set_num_threads(threads)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_can_be_typed_from_top_to_bottom(page: Path, made: Path, tmp_path: Path) -> None:
    """Its bash blocks run in one shell without an error, then its Python in one session."""
    copy_for(page.read_text("utf-8"), made, tmp_path)
    run = [block for block in blocks(page) if not block.mark]
    script = "\n".join(smaller(block.text) for block in run if block.language == "bash")
    status, calls, out = run_bash(script, tmp_path)
    assert (status, [words for words, code in calls if code]) == (0, []), out[-2000:]
    names: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # A stand-in knows few words, and gives the label words no more than others.
        warnings.simplefilter("ignore", CompreadWarning)
        patch.chdir(tmp_path)
        for block in run:
            if block.language == "python":
                exec(compile(block.text, page.name, "exec"), names)


@pytest.mark.parametrize(("page", "mark", "line", "shown"), LISTINGS)
def test_a_listing_is_what_the_command_prints(
    page: Path, mark: str, line: str, shown: list[str], made: Path, tmp_path: Path
) -> None:
    """Digits aside; where it is of the demo, on a stand-in, the words that head its columns."""
    copy_for("", made, tmp_path)
    status, out = printed(smaller(line), tmp_path)
    assert status == 0, out
    if mark:
        above = [
            part.partition("\n──")[0] for part in "\n".join(shown).split("\n\n") if "──" in part
        ]
        columns = {word for text in above for word in text.splitlines()[-1].split()}
        assert columns <= set(" ".join(out).split())
    else:
        assert masked(out) == masked("\n".join(shown).rstrip().splitlines())


@pytest.mark.skipif(not REAL, reason="COMPREAD_TEST_DEMO names no folder of the demo's stores")
@pytest.mark.parametrize(("page", "mark", "line", "shown"), [p for p in LISTINGS if p.values[1]])
def test_a_listing_of_the_demo_is_real(
    page: Path, mark: str, line: str, shown: list[str], tmp_path: Path
) -> None:
    """Where the real model and its stores are, a listing has what the command prints there.

    The path of the model aside, and of a model the digits: memory and speed are the machine's.
    """
    for path in Path(REAL).resolve().iterdir():
        if path.name in ("compread-demo", "data", "my_tasks") or path.suffix == ".gguf":
            (tmp_path / path.name).symlink_to(path)
    # Bars of transformers are no part of what compread says.
    out = [text for text in printed(line, tmp_path)[1] if not re.search(r"(it/s|s/it)\]", text)]
    now, shown = ([text for text in each if text] for each in (out, shown))
    now = now[: len(shown)]
    if mark == "demo":
        now, shown = ([text for text in each if ".gguf" not in text] for each in (now, shown))
        assert now == shown
    else:
        now, shown = ([" ".join(text.split()) for text in masked(each)] for each in (now, shown))
        assert now == shown


def test_a_listing_is_written_anew_without_the_demo(tmp_path: Path) -> None:
    """It gets all that is printed; digits stay as shown, and so do listings of the demo."""
    page = "```console{}\n$ compread {}\n{}\n```\n"
    _, pages = printed("compread docs", tmp_path)
    for mark, command, shown, wanted in (
        ("", "docs", pages[:2], pages),
        ("", "--version", ["compread 99.88.77"], ["compread 99.88.77"]),
        (" demo", "docs", pages[:2], pages[:2]),
    ):
        text = page.format(mark, command, "\n".join(shown))
        anew = rewritten(text, tmp_path, marked=False)
        assert anew == page.format(mark, command, "\n".join(wanted))


def test_the_lists_of_families_are_those_of_the_sweep() -> None:
    """The page names the types that the slow suite certifies, all of them and no others."""
    certified, _, _ = MODELS_PAGE.partition("**certified: ")[2].partition("**refused: ")
    assert set(re.findall(r"^\| (\S+) \| \d", certified, re.MULTILINE)) == set(CERTIFIED)
    assert "**certified, prompts are run whole: " in certified
    (least,) = re.findall(r"more than (\d+) are certified", TEXT)
    assert int(least) < len(CERTIFIED)


@pytest.mark.parametrize(("kind", "shares"), [("gpt2", True), ("openai-gpt", False)])
def test_a_family_that_cannot_share_a_prefix_is_said_to(kind: str, shares: bool) -> None:
    """The page's two lists of certified types are told apart by what ``check`` finds."""
    sharing = MODELS_PAGE.partition("**certified, prompts")[0]
    assert (f"\n| {kind} |" in sharing) is shares
    (row,) = certificate_rows([certify_type(kind)])["models"]
    assert row["shared_prefix"] is shares


def test_the_refusals_are_those_of_the_command() -> None:
    """The page's table of refusals has the words of ``compread check --all --format md``."""
    table = MODELS_PAGE.partition("**refused: ")[2].partition("**not applicable")[0]
    rows = re.findall(r"^\| (\w\S*) \| (.+) \|$", table, re.MULTILINE)
    reasons = {name: reason for name, reason in rows if name in CONFIG_MAPPING}
    assert len(rows) >= len(reasons) >= 3
    for name, reason in reasons.items():
        assert certify_type(name).reason == reason
    named = {name.removesuffix("_text") for name, _ in rows}
    assert {name.removesuffix("_text") for name in facts.REFUSED} <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links of a page are files of the project."""
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_task_file_is_valid(made: Path) -> None:
    """The manual's YAML is a task file without a mistake."""
    assert mistakes_in(made / "my_tasks" / "mine.yaml") == []
