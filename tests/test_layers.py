"""The rooms of the package import one way only, no two files each other, torch stays in three."""

import ast
from pathlib import Path

import pytest

import compread

ROOT = Path(compread.__file__).parent
# In the order of the data's way; a module imports from its own room and from those before it.
ROOMS = [
    "__init__", "version", "errors", "components", "text", "array_types", "options", "output_files",
    "locks", "docs", "prompts", "store", "model", "extract", "check", "analysis", "reweight",
    "views", "api",
    "demo", "cli", "__main__",
]  # fmt: skip
TORCH_ROOMS = ("model", "extract", "check")
ONLY_IN = {"torch": TORCH_ROOMS, "transformers": TORCH_ROOMS, "typer": ("cli",)}
# What the package offers is imported when it is first used, and for type checkers.
OFFERS = Path("__init__.py")
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def room_of(module: Path) -> str:
    """The first part of a module's path: its folder, or its name at the top."""
    return module.parts[0].removesuffix(".py")


def imports(source: str, package: str) -> set[str]:
    """Every module that a source text imports, at its top or inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            name = node.module or ""
            stem = ".".join([*base, name] if name else base) if node.level else name
            found |= {f"{stem}.{alias.name}" for alias in node.names}
    return found


def faults(source: str, room: str, package: str) -> list[str]:
    """The imports of a source text that its room may not have."""
    wrong = []
    for name in sorted(imports(source, package)):
        top, _, rest = name.partition(".")
        if top == "compread":
            target = rest.partition(".")[0]
            allowed = target not in ROOMS or ROOMS.index(target) <= ROOMS.index(room)
        else:
            allowed = room in ONLY_IN.get(top, ROOMS)
        if not allowed:
            wrong.append(f"{room} imports {name}")
    return wrong


def prints_or_exits(source: str) -> list[str]:
    """Calls of ``print``, ``exit`` and ``sys.exit`` in a source text."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [ast.unparse(f) for f in calls if ast.unparse(f) in ("print", "exit", "sys.exit")]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_go_one_way(module):
    """A module imports only from its own room and from those before it."""
    if module == OFFERS:
        return
    assert room_of(module) in ROOMS
    package = ".".join(("compread", *module.parts[:-1]))
    assert faults((ROOT / module).read_text("utf-8"), room_of(module), package) == []


def file_imports(root: Path) -> dict[str, set[str]]:
    """The files of a package that each of its files imports, at its top or inside functions."""
    names = {
        path: ".".join(path.relative_to(root.parent).with_suffix("").parts)
        for path in root.rglob("*.py")
    }
    names = {path: name.removesuffix(".__init__") for path, name in names.items()}
    found: dict[str, set[str]] = {}
    for path, name in names.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        wanted = imports(path.read_text("utf-8"), package)
        # ``from package import name`` is the file of that name, or else the package's own.
        files = {n if n in names.values() else n.rpartition(".")[0] for n in wanted}
        found[name] = files & set(names.values()) - {name}
    return found


def circles(graph: dict[str, set[str]]) -> set[str]:
    """The nodes of a graph from which a way leads back to themselves."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = list(graph[start])
        while ahead:
            if (node := ahead.pop()) not in seen:
                seen.add(node)
                ahead += graph[node]
        return seen

    return {node for node in graph if node in reached(node)}


def test_no_two_files_import_each_other():
    """No way leads from a file's imports, those inside functions too, back to the file."""
    graph = file_imports(ROOT)
    assert len(graph) == len(MODULES) and graph["compread.model.decompose"]
    assert circles(graph) == set()


def test_a_circle_is_seen(tmp_path):
    """The test itself sees a circle over three files, one of its imports inside a function."""
    (tmp_path / "pack").mkdir()
    for name, text in {
        "__init__": "",
        "a": "from pack import b",
        "b": "def f():\n    from .c import x",
        "c": "import pack.a",
        "d": "from pack.a import x",
    }.items():
        (tmp_path / "pack" / f"{name}.py").write_text(text)
    assert circles(file_imports(tmp_path / "pack")) == {"pack.a", "pack.b", "pack.c"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_only_the_command_line_prints(module):
    """Nothing below the command line prints or exits."""
    if room_of(module) not in ("cli", "__main__"):
        assert prints_or_exits((ROOT / module).read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch",
        "def f():\n    from transformers import AutoModel",
        "from compread.views.tables import render",
        "from compread import cli",
        "from ..views import tables",
        "from .. import reweight",
        "import typer",
    ],
)
def test_a_wrong_import_is_seen(source):
    """The test itself sees each kind of wrong import, in a module of ``compread.analysis``."""
    assert faults(source, "analysis", "compread.analysis")


@pytest.mark.parametrize(
    "source",
    [
        "from compread.store import open_store",
        "from .components import Scores",
        "from ..errors import StoreError",
        "import numpy as np",
        "from compread.version import __version__",
    ],
)
def test_a_right_import_is_let_through(source):
    """Imports of earlier rooms, of the own room and of other packages are fine."""
    assert faults(source, "analysis", "compread.analysis") == []


def test_a_print_is_seen():
    """The test itself sees a print and an exit."""
    assert prints_or_exits("def f():\n    print(1)\n    sys.exit(2)") == ["print", "sys.exit"]
