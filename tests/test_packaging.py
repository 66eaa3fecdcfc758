"""What is declared, what is shipped and what is imported agree with each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import compread
from compread.cli import main

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = Path(compread.__file__).parent
ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# They look at the source alone, so the oldest set has no need of them.
TOOLS = {"mypy", "ruff", "types-pyyaml"}
# What a distribution is imported as, where that is another name.
IMPORTED_AS = {"pyyaml": "yaml", "huggingface-hub": "huggingface_hub"}
IMPORTED_AS |= {"sentence-transformers": "sentence_transformers", "lm-eval": "lm_eval"}


def requirements(*extras: str) -> dict[str, Requirement]:
    """The declared requirements, with those of some extras, by normalized name."""
    declared = [Requirement(text) for text in PROJECT["dependencies"]]
    for extra in extras:
        declared += map(Requirement, PROJECT["optional-dependencies"][extra])
    return {canonicalize_name(each.name): each for each in declared}


def lower_bound(requirement: Requirement) -> Version:
    """The version behind ``>=``."""
    (bound,) = [spec.version for spec in requirement.specifier if spec.operator == ">="]
    return Version(bound)


def test_the_oldest_set_is_that_of_the_lower_bounds():
    """CI's oldest versions are the lower bounds, for every requirement."""
    lines = (ROOT / ".ci" / "oldest.txt").read_text("utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    oldest = {canonicalize_name(pin.name): Version(str(pin.specifier)[2:]) for pin in pins}
    assert len(oldest) == len(pins) and all(str(pin.specifier)[:2] == "==" for pin in pins)
    declared = requirements(*PROJECT["optional-dependencies"])
    assert oldest == {n: lower_bound(r) for n, r in declared.items() if n not in TOOLS}


@pytest.mark.parametrize("extra", sorted(PROJECT["optional-dependencies"]))
def test_an_extra_needs_one_version_of_a_package(extra: str):
    """Where two extras name the same package, they ask the same of it."""
    everything = requirements(*PROJECT["optional-dependencies"])
    for text in PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(text)
        assert everything[canonicalize_name(requirement.name)].specifier == requirement.specifier


def test_the_tests_can_run_the_demo():
    """The ``test`` extra has all of ``demo``, so that no test is skipped for want of it."""
    assert requirements("demo").keys() <= requirements("test").keys()


def test_what_is_imported_is_declared():
    """Every package that a module imports is one that installing compread brings, or an extra."""
    declared = requirements(*PROJECT["optional-dependencies"].keys() - {"test"})
    known = {IMPORTED_AS.get(name, name) for name in declared}
    found = {top for file in PACKAGE.rglob("*.py") for top in top_level_imports(file)}
    assert {"torch", "numpy", "yaml"} <= found
    assert found - set(sys.stdlib_module_names) - {"compread"} <= known


def top_level_imports(file: Path) -> set[str]:
    """The first part of each absolute import of a file, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def test_the_installed_package_is_whole():
    """Every file of the source is where compread is imported from: tasks and py.typed too."""
    shipped, written = ({each for each in files(at)} for at in (PACKAGE, ROOT / "compread"))
    assert {"py.typed", "prompts/tasks/sst2.yaml", "cli/__init__.py"} <= written
    assert shipped == written


def files(folder: Path) -> list[str]:
    """Paths in a folder, compiled files left out."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [path.relative_to(folder).as_posix() for path in found if path.suffix != ".pyc"]


def test_the_version_stands_in_one_place(capsys: pytest.CaptureFixture[str]):
    """It is the package's, the build reads it from there, and the command prints it."""
    assert "version" in PROJECT["dynamic"] and "version" not in PROJECT
    assert Version(compread.__version__)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"compread {compread.__version__}\n"
    having = [path for path in PACKAGE.rglob("*.py") if compread.__version__ in constants(path)]
    assert having == [PACKAGE / "version.py"]


def constants(file: Path) -> set[object]:
    """Every literal of a file."""
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    return {node.value for node in nodes if isinstance(node, ast.Constant)}


def test_the_package_runs_as_a_module(tmp_path: Path):
    """``python -m compread`` is the command."""
    command = [sys.executable, "-m", "compread", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout == f"compread {compread.__version__}\n"


def test_ci_runs_every_python_that_is_promised():
    """The workflow's Pythons are those of the classifiers; two have the sets of options."""
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    runs = yaml.safe_load(text)["jobs"]["checks"]["strategy"]["matrix"]["include"]
    prefix = "Programming Language :: Python :: 3."
    promised = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if c.startswith(prefix)]
    assert [run["python"] for run in runs] == promised
    assert PROJECT["requires-python"] == f">={promised[0]}"
    options = [run.get("options") for run in runs]
    assert options[0] == "--oldest" and set(options[1:]) == {None, "--lm-eval"}
