"""What the README shows can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from families import CERTIFIED
from transformers import CONFIG_MAPPING
from typer.main import get_command

from compread.check import certify_type
from compread.cli import app
from compread.model import facts
from compread.prompts import mistakes_in

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
# In a bash block, in a console block after the prompt, or in the demo's own words.
COMMAND_LINES = [
    part.strip()
    for block in re.findall(r"```(?:bash|console)\n(.*?)```", TEXT, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    for part in re.split(r"&&|\||\s#", line.removeprefix("$ "))
    if re.match(r"\s*(xargs )?compread\s", part)
]


def command_words(line: str) -> list[str]:
    """The words after ``compread``."""
    return shlex.split(line.removeprefix("xargs "))[1:]


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_every_command_and_option_exists(line: str) -> None:
    """A command line of the README names a command and options that are there."""
    words = command_words(line)
    commands: Any = get_command(app)
    assert words[0] in commands.commands
    command = commands.commands[words[0]]
    if len(words) > 1 and words[1] in getattr(command, "commands", ()):
        command = command.commands[words[1]]
    known = {name for p in command.params for name in p.opts} | {"--help"}
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= known


def test_every_command_is_shown() -> None:
    """Each command has a row in the README's table."""
    commands: Any = get_command(app)
    assert set(commands.commands) <= set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))


def test_the_list_of_certified_types_is_that_of_the_sweep() -> None:
    """The README names the types that the slow suite certifies, all of them and no others."""
    listed = TEXT.partition("Certified types</summary>")[2].partition("</details>")[0]
    assert set(re.findall(r"`([^`]+)`", listed)) == set(CERTIFIED)
    assert f"**{len(CERTIFIED)} are" in TEXT


def test_the_refusals_are_those_of_the_command() -> None:
    """The README's table of refusals has the words of ``compread check --all --format md``."""
    rows = re.findall(r"^\| (\S+) \| (.+) \|$", TEXT.partition("Refused, and why")[2], re.MULTILINE)
    reasons = {name: reason for name, reason in rows if name in CONFIG_MAPPING}
    assert len(rows) - 1 >= len(reasons) >= 3
    for name, reason in reasons.items():
        assert certify_type(name).reason == reason
    named = {name.removesuffix("_text") for name, _ in rows}
    assert {name.removesuffix("_text") for name in facts.REFUSED} <= named


def test_links_lead_somewhere() -> None:
    """Relative links of the README are files of the project."""
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (README.parent / target).exists(), target


def test_the_task_file_is_valid(tmp_path: Path) -> None:
    """The README's YAML is a task file without a mistake."""
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    file = tmp_path / "mine.yaml"
    file.write_text(block, encoding="utf-8")
    assert mistakes_in(file) == []
