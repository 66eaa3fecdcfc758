"""Every call that could run a model's own code says whether it may."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import compread

LOADERS = {"from_pretrained", "from_config", "for_model", "load_dataset", "SentenceTransformer"}
WITHOUT = {
    ("model/load/loading.py", "AutoConfig.for_model"): "a type of transformers' own, by its name",
    (
        "model/load/adapters.py",
        "PeftConfig.from_pretrained",
    ): "peft reads JSON, runs no code",
    ("model/load/adapters.py", "PeftModel.from_pretrained"): "peft reads tensors into known layers",
    ("model/load/quantized.py", "chooser.from_config"): "chooses among transformers' own packings",
    ("prompts/local_files.py", "datasets.load_dataset"): "the parquet reader of datasets itself",
}
"""Calls that cannot run any, and why."""


def calls() -> Iterator[tuple[str, str, bool]]:
    """File, name, and whether ``trust_remote_code`` or the source's options are passed."""
    package = Path(compread.__file__).parent
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in LOADERS:
                told = any(
                    word.arg == "trust_remote_code"
                    or (word.arg is None and ast.unparse(word.value) in TOLD)
                    for word in node.keywords
                )
                yield file.relative_to(package).as_posix(), ast.unparse(node.func), told


TOLD = ("source.options", "options")
"""What ``find_source`` makes, and the copy of it in ``_weights``; both have the key."""


def test_every_loader_is_told_about_foreign_code() -> None:
    """A loader that is told nothing asks on standard input; those that cannot are listed."""
    silent = {(file, name) for file, name, told in calls() if not told}
    assert silent == WITHOUT.keys()
