"""Fetching one file of a package index through pip, checked by SHA-256 and kept in a cache.

pip knows the user's index, proxy and certificates, so there is nothing here to set up for them.
A package is kept in a folder named after its hash, put there by one rename: what a reader finds
is whole. Processes that want the same package wait for each other on a lock.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compread.errors import FetchError
from compread.locks import Lock

SECONDS_BETWEEN_REPORTS = 10.0
PATIENCE = 600.0
"""Seconds to wait for another process, where the file system has no locks and it may be gone."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Progress = Callable[[int], None]
"""Called now and then while pip runs, with the bytes it has fetched so far."""
Warn = Callable[[str], None]
"""Called with what a user should know."""


def say_nothing(what: object) -> None:
    """Stands in for a ``Progress`` or ``Warn`` that nobody asked for."""


@dataclass(frozen=True)
class Package:
    """One pinned file of a package index."""

    name: str
    version: str
    only: Literal["wheel", "sdist"]
    sha256: str
    """Of the whole file, in hexadecimal."""
    size: int
    """In bytes."""
    instead: str
    """What a user can do who cannot fetch it."""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def cache_folder() -> Path:
    """``$COMPREAD_CACHE``, else ``$XDG_CACHE_HOME/compread``, else ``~/.cache/compread``."""
    own, shared = os.environ.get("COMPREAD_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser().absolute()
    # The XDG specification has relative paths ignored.
    base = Path(shared) if shared and Path(shared).is_absolute() else Path("~/.cache")
    try:
        return base.expanduser() / "compread"
    except RuntimeError as error:
        raise FetchError(f"no cache folder: {error}; set COMPREAD_CACHE to a folder") from error


def is_fetched(package: Package, cache: Path) -> bool:
    """Whether ``fetch_package`` would find the package in the cache."""
    return _kept(package, _folder(package, cache)) is not None


def fetch_package(
    package: Package, cache: Path, progress: Progress = say_nothing, warn: Warn = say_nothing
) -> Path:
    """The package's file in the cache, downloaded by pip unless it is there already.

    Raises:
        FetchError: no pip, no network, no such file on the index, a file of another hash, a full
            disk, or a cache folder that cannot be written; the message says what to do.
    """
    folder = _folder(package, cache)
    with filling(cache), locked(folder, warn):
        if kept := _kept(package, folder):
            return kept
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "got").mkdir(parents=True)
        try:
            _download(package, partial, progress)
            _check(package, partial / "got")
            shutil.rmtree(folder, ignore_errors=True)
            (partial / "got").rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return next(folder.iterdir())


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def filling(cache: Path) -> Iterator[None]:
    """Turn the system's errors with the cache into a ``FetchError`` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _disk_full(cache) from error
        reason = error.strerror or str(error)
        raise FetchError(
            f"the cache folder {cache} cannot be used ({reason}); set COMPREAD_CACHE to a folder "
            "that can be written"
        ) from error


@contextmanager
def locked(path: Path, warn: Warn = say_nothing) -> Iterator[None]:
    """Hold the lock that guards ``path``, waiting for the process that has it.

    Where the file system knows no locks, ``warn`` is told what stands for one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.with_name(path.name + ".lock")
    with name.open("w") as file:
        lock = Lock(file.fileno(), name, PATIENCE)
        try:
            if lock.note:
                warn(lock.note)
            yield
        finally:
            lock.release()


def _folder(package: Package, cache: Path) -> Path:
    return cache / "packages" / package.sha256[:16]


def _kept(package: Package, folder: Path) -> Path | None:
    files = [*folder.iterdir()] if folder.is_dir() else []
    return files[0] if len(files) == 1 and sha256_of(files[0]) == package.sha256 else None


def _download(package: Package, partial: Path, progress: Progress) -> None:
    """Have pip put the package into ``partial/got``, all its temporary files in ``partial``."""
    wanted, log, temporary = partial / "wanted.txt", partial / "log", partial / "tmp"
    wanted.write_text(
        f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8"
    )
    temporary.mkdir()
    # The one package is named where pip would take ":all:", which also has it build setuptools
    # from source in order to read the source package's metadata.
    kind = "--only-binary" if package.only == "wheel" else "--no-binary"
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", kind, package.name),
        *("--require-hashes", "--requirement", str(wanted), "--dest", str(partial / "got")),
        *("--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
    ]
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONIOENCODING": "utf-8"}
    with log.open("wb") as out:
        status = _run(command, out.fileno(), environment, lambda: progress(_bytes_in(partial)))
    if status:
        raise _pip_failed(package, log.read_text("utf-8", errors="replace"), partial)


def _run(
    command: list[str], out: int, environment: dict[str, str], report: Callable[[], None]
) -> int:
    """The exit status of a process that does not outlive this one."""
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
    ) as process:
        try:
            while True:
                try:
                    return process.wait(SECONDS_BETWEEN_REPORTS)
                except subprocess.TimeoutExpired:
                    report()
        finally:
            process.kill()


def _bytes_in(folder: Path) -> int:
    """Bytes of the largest file, which while pip runs is the one it fetches."""
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append((Path(parent) / name).stat().st_size)
            except FileNotFoundError:  # pip moves its files while they are counted
                continue
    return max(sizes)


def _check(package: Package, folder: Path) -> None:
    files = [*folder.iterdir()]
    if len(files) != 1 or sha256_of(files[0]) != package.sha256:
        raise _wrong_hash(package)


def _pip_failed(package: Package, log: str, partial: Path) -> FetchError:
    """What went wrong, in one line, from what pip printed."""
    if "No module named pip" in log:
        return FetchError(
            f"fetching {package} takes pip, which this Python ({sys.executable}) lacks; run "
            f"`{sys.executable} -m ensurepip` (or `uv pip install pip`), or {package.instead}"
        )
    if any(os.strerror(code) in log for code in _FULL):
        return _disk_full(partial.parent.parent)
    if "DO NOT MATCH THE HASHES" in log:
        return _wrong_hash(package)
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["no reason given"]
    errors = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
    said = (errors or lines)[-1][:200]
    # Of an index that does not answer, pip's last word is that it has no such package.
    if "Retrying (" in log and "No matching distribution" in said:
        said = "the package index does not answer"
    return FetchError(
        f"pip could not download {package}: {said}; check the network and pip's index "
        f"(`pip config list`), or {package.instead}"
    )


def _wrong_hash(package: Package) -> FetchError:
    return FetchError(
        f"what pip downloaded as {package} is not the pinned file (SHA-256 {package.sha256[:12]}"
        f"...); nothing of it was kept: try another index, or {package.instead}"
    )


def _disk_full(cache: Path) -> FetchError:
    return FetchError(
        f"the disk with the cache folder {cache} is full; make room, or set COMPREAD_CACHE to a "
        "folder on another disk"
    )
