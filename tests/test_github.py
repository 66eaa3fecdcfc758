"""What GitHub and pre-commit read, and what CONTRIBUTING says of the tree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from compread.cli import app
from compread.prompts import mistakes_in

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
CONTRIBUTING = (GITHUB / "CONTRIBUTING.md").read_text(encoding="utf-8")
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
RECIPES = {
    "_ALL": "compread/reweight/registry.py",
    "OPTIONS": "tests/reweight/test_methods.py",
    "BLOCK_NAMES": "compread/model/facts.py",
    "STEPS": "compread/model/facts.py",
    "REFUSED": "compread/model/facts.py",
    "CERTIFIED": "tests/families.py",
    "QUICK": "tests/families.py",
    "MEASURES": "compread/analysis/measures.py",
    "OF_FULL": "compread/analysis/summary.py",
    "KEYS": "tests/analysis/test_ranking.py",
    "PLOTS": "compread/views/plots/kinds.py",
}
"""The lists that a recipe tells to add to, and the files that have them."""
FILES = sorted([*GITHUB.rglob("*.yml"), ROOT / ".pre-commit-config.yaml"])


def read(path: Path) -> Any:
    """The YAML of a file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_yaml(path: Path) -> None:
    """Each can be read, and is a mapping."""
    assert isinstance(read(path), dict)


def test_only_the_job_that_publishes_can_publish() -> None:
    """The token for PyPI is for one job, which runs no code of the project; no secret is named."""
    text = (GITHUB / "workflows" / "release.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert "secrets." not in text
    assert [n for n, job in jobs.items() if "id-token" in job.get("permissions", {})] == ["publish"]
    assert jobs["publish"]["needs"] == "build" and "environment" in jobs["publish"]
    assert not any("run" in step for step in jobs["publish"]["steps"])


def test_an_action_has_one_version() -> None:
    """Workflows that use an action use the same version of it, written out."""
    used: dict[str, set[str]] = {}
    for path in (GITHUB / "workflows").iterdir():
        for action, version in re.findall(r"uses: (\S+)@(\S+)", path.read_text("utf-8")):
            used.setdefault(action, set()).add(version)
    assert "pypa/gh-action-pypi-publish" in used
    for action, versions in used.items():
        assert len(versions) == 1 and re.fullmatch(r"v\d+\.\d+\.\d+", *versions), action


def test_an_issue_form_asks_for_something() -> None:
    """Each form has a name, a description and a field that must be filled in."""
    for path in (GITHUB / "ISSUE_TEMPLATE").glob("[!c]*.yml"):
        form = read(path)
        assert form["name"] and form["description"]
        assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_contributing_names_what_is_there() -> None:
    """Every path of the project in CONTRIBUTING exists, in the package where it is short."""
    named = set(re.findall(r"`((?:\.ci|\.github|compread|tests|[a-z_]+)/[\w./-]*)`", CONTRIBUTING))
    named |= set(re.findall(r"`(\w+\.(?:py|toml))`", CONTRIBUTING))
    assert len(named) > 20
    for name in named:
        assert any((at / name).exists() for at in (ROOT, ROOT / "compread")), name


def test_contributing_says_where_the_version_is_set() -> None:
    """The file that is built from is the one that a release is told to change."""
    built_from = re.search(r'^\[tool\.hatch\.version\]\npath = "(.+)"', PYPROJECT, re.MULTILINE)
    named = re.search(r"Set `__version__` in `(.+?)`", CONTRIBUTING)
    assert built_from and named and named[1] == built_from[1]


def test_contributing_has_every_room() -> None:
    """The table of rooms has each folder and file of the package."""
    _, _, table = CONTRIBUTING.partition("## The rooms")
    cells = [line.split("|")[1] for line in table.partition("\n## ")[0].splitlines() if "|" in line]
    named = {name.rstrip("/") for cell in cells for name in re.findall(r"`([\w./]+)`", cell)}
    there = {p.name for p in (ROOT / "compread").iterdir() if not p.name.startswith(("_", "py."))}
    assert named == there


def test_contributing_names_tests_that_are_there() -> None:
    """Each path behind ``pytest`` exists, and so do the names that recipes tell to change."""
    lines = re.findall(r"^pytest (.+)$", CONTRIBUTING, re.MULTILINE)
    paths = {word for line in lines for word in line.split() if word.startswith("tests/")}
    assert len(paths) > 10 and not [path for path in paths if not (ROOT / path).exists()]
    for name, file in RECIPES.items():
        assert f"`{name}`" in CONTRIBUTING
        assert re.search(rf"^{name}\b.* = ", (ROOT / file).read_text("utf-8"), re.MULTILINE), name


def test_contributing_uses_commands_that_exist() -> None:
    """Every ``compread`` command line names a command."""
    commands: Any = get_command(app)
    lines = re.findall(
        r"compread ([a-z]+) ", "\n".join(re.findall(r"```bash\n(.*?)```", CONTRIBUTING, re.S))
    )
    assert lines and set(lines) <= set(commands.commands)


def test_the_example_of_a_task_is_valid(tmp_path: Path) -> None:
    """The YAML in CONTRIBUTING is a task file without a mistake."""
    (block,) = re.findall(r"```yaml\n(.*?)```", CONTRIBUTING, re.DOTALL)
    file = tmp_path / "name.yaml"
    file.write_text(block, encoding="utf-8")
    assert mistakes_in(file) == []
