"""The public surface: what is there, under which names, and that type checkers see it."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import compread
from compread.docs import page_text

SURFACE = Path(__file__).with_name("public_surface.txt")
"""A line a name; a change of it is a change for users: see "What is stable" of the page."""
FOREIGN = ("torch", "transformers", "datasets", "scipy", "h5py", "huggingface_hub", "pyarrow")
"""What a user's types say nothing of; reading it would take a minute."""
INSIDE = ("compread.model", "compread.extract", "compread.check", "compread.cli")


def surface() -> list[str]:
    """Functions with their arguments and defaults, and classes with their members."""
    lines = []
    for name in dir(compread):
        found = getattr(compread, name)
        if inspect.isclass(found):
            own = (one for one in inspect.getmembers(found) if not one[0].startswith("_"))
            for member, value in own:
                what = _arguments(value) if inspect.isroutine(value) else ""
                lines.append(f"{name}.{member}{what}")
        elif callable(found):
            lines.append(f"{name}{_arguments(found)}")
        else:
            lines.append(name)
    return lines


def _arguments(function: object) -> str:
    """The arguments without their types, a function among the defaults without its address."""
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type]  # some callable
    except ValueError:  # those of Python's own exceptions, before 3.12
        return "(...)"
    bare = [
        one.replace(
            annotation=one.empty,
            default="..." if inspect.isfunction(one.default) else one.default,
        )
        for one in signature.parameters.values()
    ]
    return str(inspect.Signature(bare))


def test_the_public_surface_is_held() -> None:
    """Each name, argument, default and member is that of the list beside this file."""
    exceptions = ("CompreadError", "CompreadWarning")
    lines = [line for line in surface() if not line.startswith(exceptions)]
    assert lines == SURFACE.read_text("utf-8").splitlines()


def test_what_is_offered_is_what_type_checkers_see() -> None:
    """The names that are imported when used are those that are imported for type checkers."""
    body = ast.parse(Path(compread.__file__).read_text("utf-8")).body
    named = {
        alias.asname: node.module
        for of in body
        if isinstance(of, ast.If)
        for node in of.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(named) == sorted({*compread.__all__, "open"})
    assert dir(compread) == sorted({*named, "__version__"})
    for name, module in named.items():
        assert getattr(compread, name).__module__ == module, name


def test_everything_public_is_described() -> None:
    """Each function, class, method and property has a docstring."""
    for name in dir(compread):
        found = getattr(compread, name)
        assert name == "__version__" or found.__doc__, name
        if inspect.isclass(found) and found.__module__.startswith("compread.api"):
            for member, value in vars(found).items():
                if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                    assert inspect.getdoc(value), f"{name}.{member}"


def test_the_page_says_what_there_is() -> None:
    """Every public function, and every class that is caught or annotated, is named."""
    text = page_text("python")
    results = ["ComponentLogits", "ComponentResult", "Reweighting", "__version__"]
    assert [name for name in dir(compread) if name not in text] == results


def mypy(folder: Path, text: str) -> tuple[int, list[str]]:
    """The status of ``mypy --strict`` on a user's script, and what it says of it."""
    skipped = ",".join(f"{name}.*" for name in (*FOREIGN, *INSIDE))
    config = f"[mypy]\nstrict = True\n[mypy-{skipped}]\nfollow_imports = skip\n"
    (folder / "mypy.ini").write_text(config)
    (folder / "script.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--cache-dir", "cache", "script.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, [line for line in done.stdout.splitlines() if ": error: " in line]


RIGHT = """\
import compread

run = compread.open("a.h5")
print(run.parts.shape, run["L0H1"]["positive"].mean(), run.predictions[:, 0], run.info.task)
for one in compread.open(["a.h5", "b.h5"])[1:]:
    print(one.full.max(), one.label_texts, one[0].gold)
runs: compread.Runs = compread.open("stores/", split="train", pool=None)
ranked: compread.Result = compread.rank(runs, by="margin", top=5, kind=["head", "mlp"])
print(ranked[0]["component"], len(ranked[1:]), ranked.to_pandas())
print([row["accuracy"] for row in compread.analyze("stores/", pairs="all")["runs"]])
weights = compread.reweight(runs, methods=["full", "blend"], n_train=[8, 20])
compread.rank(["a.h5", runs], weights=weights)
compread.apply_weights(weights.save("w.json", force=True), runs).to_pandas()
rows = [{"prompt": "a", "label": " b", "options": [" b", " c"]}]
made = compread.extract("gpt2", rows, "out.h5", dtype="float32", seeds=range(3))
try:
    compread.extract(object(), rows)  # type: ignore[arg-type, unused-ignore]
except compread.CompreadError as error:
    print(error, compread.__version__)
"""
WRONG = {
    'compread.opne("a.h5")': '"opne"',
    'compread.open("a.h5").partz': '"Runs" has no attribute "partz"',
    'compread.open("a.h5")[1.5]': "No overload variant",
    'compread.rank("a.h5", bye="margin")': 'keyword argument "bye"',
    'compread.rank("a.h5", top="5")': 'incompatible type "str"',
    'compread.extract(3, "sst2")': 'incompatible type "int"',
    'compread.analyze("a.h5").to_pandas()': '"Results" has no attribute "to_pandas"',
}


def test_a_type_checker_sees_right_and_wrong_use(tmp_path: Path) -> None:
    """``mypy --strict`` passes a right script, and tells each mistake of a wrong one."""
    pytest.importorskip("mypy")
    assert mypy(tmp_path, RIGHT) == (0, [])
    status, told = mypy(tmp_path, "import compread\n\n" + "\n".join(WRONG) + "\n")
    assert status == 1 and len(told) == len(WRONG), told
    for line, words in zip(told, WRONG.values(), strict=True):
        assert words in line
