"""Every module says what it is, and every room lists what it offers."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import compread

ROOT = Path(compread.__file__).parent
MODULES = sorted(path.relative_to(ROOT.parent) for path in ROOT.rglob("*.py"))
ROOMS = [path for path in MODULES if path.name == "__init__.py"]


def dotted(path: Path) -> str:
    """The module's name as it is imported."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def constants_classes_functions(name: str) -> tuple[int, str]:
    """The order of an ``__all__``: constants, classes, functions, each by name."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def offered(source: str, package: str) -> set[str]:
    """The public names that a room's ``__init__`` takes from its own modules."""
    body = ast.parse(source).body
    # What is imported when it is first used is named to type checkers.
    named = [of for node in body if isinstance(node, ast.If) for of in node.body]
    return {
        alias.asname or alias.name
        for node in (*body, *named)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}.")
        for alias in node.names
        if not (alias.asname or alias.name).startswith("_")
    }


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_module_says_what_it_is(path: Path):
    """Each begins with a docstring whose first line is one sentence."""
    text = ast.get_docstring(ast.parse((ROOT.parent / path).read_text("utf-8")))
    assert text and text.splitlines()[0].endswith((".", ":"))


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_module_can_be_imported(path: Path):
    """Each can be imported on this Python with these packages."""
    assert importlib.import_module(dotted(path)).__doc__


@pytest.mark.parametrize("path", ROOMS, ids=dotted)
def test_a_room_lists_what_it_offers(path: Path):
    """``__all__`` is sorted, and has every name that the room takes from its modules."""
    room = importlib.import_module(dotted(path))
    names = getattr(room, "__all__", [])
    assert names == sorted(names, key=constants_classes_functions)
    assert all(hasattr(room, name) for name in names)
    if dotted(path) == "compread":  # A star leaves Python's own ``open`` alone.
        names = [*names, "open"]
    if dotted(path) != "compread.cli":  # It offers commands.
        assert set(names) == offered((ROOT.parent / path).read_text("utf-8"), dotted(path))


def test_a_missing_name_is_seen():
    """The test itself sees what a room takes from its modules, and nothing else."""
    source = "import os\nfrom compread.store.paths import _a, b\nfrom compread.errors import C"
    assert offered(source, "compread.store") == {"b"}
