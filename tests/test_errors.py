"""A next step is written once, and read as a command's option or as a function's argument."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import compread
from compread.cli import app
from compread.errors import (
    CompreadError,
    StoreError,
    UsageError,
    command,
    either,
    flag,
    option,
    worded,
)

ROOT = Path(compread.__file__).parent
FUNCTIONS = ("open", "rank", "analyze", "change", "reweight", "apply_weights", "extract")
OF_COMMANDS_ALONE = {"dry-run", "explain", "size", "store"}
"""Options of ``extract --dry-run``, ``plot`` and ``predict``, which are no functions."""
AS_IT_IS_TYPED = {"demo/fetch.py", "extract/workers.py", "views/show.py"}
"""What another program is called with, or what ``show`` alone prints."""


@pytest.mark.parametrize(
    ("text", "typed", "python"),
    [
        (option("split", "test"), "--split test", 'split="test"'),
        (option("n-train", 20), "--n-train 20", "n_train=20"),
        (option("alpha", 0.1), "--alpha 0.1", "alpha=0.1"),
        (option("versus", repr("a b")), "--versus 'a b'", "versus='a b'"),
        (option("dtype"), "--dtype", "dtype"),
        (option("o"), "-o", "output"),
        (flag("across-models"), "--across-models", "across_models=True"),
        (command("extract"), "`compread extract`", "`compread.extract`"),
        (either("reweight --save F", "save(F)"), "reweight --save F", "save(F)"),
        (
            f"try {flag('force')} or {option('o')}.",
            "try --force or -o.",
            "try force=True or output.",
        ),
        ("--force is text here", "--force is text here", "--force is text here"),
    ],
)
def test_a_choice_is_worded_for_commands_and_for_python(text: str, typed: str, python: str) -> None:
    """As it is typed, and as Python spells it; other text stays as it is."""
    assert worded(text) == typed and worded(text, in_python=True) == python
    error = UsageError(text)
    assert str(error) == typed and f"{error}" == typed
    error.in_python = True
    assert str(error) == python and repr(error) == f"UsageError({python!r})"
    assert str(pickle.loads(pickle.dumps(error))) == python


def test_an_error_of_an_error_keeps_its_choices() -> None:
    """A message that is built of another's is worded as a whole."""
    inner = StoreError(f"x.h5 is damaged: {flag('force')}")
    outer = StoreError(f"{inner.message}; left as it is")
    outer.in_python = True
    assert str(outer) == "x.h5 is damaged: force=True; left as it is"
    assert CompreadError().message == ""


def texts_of(path: Path) -> list[str]:
    """The string constants of a file that a message is made of.

    Not docstrings, what is worded for both, nor the lines of ``reweight --list-methods``.
    """
    tree = ast.parse(path.read_text("utf-8"))
    apart = {
        id(inner)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Call) and ast.unparse(node.func) == "either")
        or (isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "about")
        for inner in ast.walk(node)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in apart
    ]


def typed_options(texts: list[str]) -> list[str]:
    """The texts that spell an option as a command line does."""
    return [text for text in texts if re.search(r"(?<![\w-])(--[a-z][a-z-]+|-o\b)", text)]


@pytest.mark.parametrize("room", ["analysis", "extract", "model", "prompts", "reweight", "store"])
def test_messages_name_no_option_as_it_is_typed(room: str) -> None:
    """Below the command line, what a message names is an ``option`` or a ``flag``."""
    for path in sorted((ROOT / room).rglob("*.py")):
        if path.relative_to(ROOT).as_posix() not in AS_IT_IS_TYPED:
            assert typed_options(texts_of(path)) == [], path


def test_an_option_that_is_typed_is_seen(tmp_path: Path) -> None:
    """The test itself sees one, in a plain text and in a formatted one, and not in a docstring."""
    file = tmp_path / "x.py"
    file.write_text('"""Of --force."""\na = "try --force"\nb = f"{a}: another -o"\nc = "a--b"\n')
    assert typed_options(texts_of(file)) == ["try --force", ": another -o"]


def named_choices() -> set[str]:
    """Every option that a message of the package names."""
    found = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("option", "flag"):
                first: Any = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(first.value)
    return found


def test_every_choice_that_is_named_is_there() -> None:
    """A message names only what the functions have as an argument, and commands as an option."""
    commands: Any = get_command(app)
    options = {
        name.lstrip("-")
        for one in commands.commands.values()
        for parameter in one.params
        for name in parameter.opts
    }
    functions = [inspect.signature(getattr(compread, name)) for name in FUNCTIONS]
    functions.append(inspect.signature(compread.Result.to_text))
    arguments = {name for of in functions for name in of.parameters}
    choices = named_choices()
    assert {"split", "force", "dtype", "methods"} <= choices
    for name in choices - OF_COMMANDS_ALONE - {"tokenizer", "reweight", "weights"}:
        python = worded(option(name), in_python=True)
        assert python in arguments and name in options, name
