"""Tiny packages made by hand, and a pip that sees them alone."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from compread.demo.fetch import Package

METADATA = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
# A backend of its own, so that pip needs no setuptools to read the metadata.
BACKEND = f"""
import pathlib
def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder) / "tiny-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text({METADATA!r})
    return info.name
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def make_tar(members: dict[str, bytes]) -> bytes:
    """A ``.tar.gz`` with those members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def make_wheel(folder: Path, members: dict[str, bytes] | None = None) -> Path:
    """``tiny-1.0-py3-none-any.whl`` with those members."""
    file = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (members or {"tiny.py": b"x = 1\n"}).items():
            archive.writestr(name, content)
        archive.writestr("tiny-1.0.dist-info/METADATA", METADATA)
        archive.writestr(
            "tiny-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    return file


def make_sdist(folder: Path) -> Path:
    """``tiny-1.0.tar.gz``."""
    file = folder / "tiny-1.0.tar.gz"
    texts = {"PKG-INFO": METADATA, "pyproject.toml": PYPROJECT, "backend.py": BACKEND}
    file.write_bytes(make_tar({f"tiny-1.0/{name}": text.encode() for name, text in texts.items()}))
    return file


def pinned(file: Path) -> Package:
    """The package that a hand-made file is."""
    content = file.read_bytes()
    return Package(
        name="tiny",
        version="1.0",
        only="wheel" if file.suffix == ".whl" else "sdist",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        instead="bring your own",
    )


def point_pip_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have pip see the packages of one folder and nothing else; the log that it writes."""
    log = folder / "pip.log"
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_LOG": str(log),
    }.items():
        monkeypatch.setenv(name, value)
    return log
