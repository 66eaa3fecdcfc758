"""Files that commands write: refused before the work, and there whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from compread.errors import TargetError
from compread.output_files import check_target, replacing, write_file


@pytest.fixture
def folder(tmp_path):
    """A folder with an old file, a folder, a pipe and links of every kind."""
    (tmp_path / "old.json").write_bytes(b"old")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("missing/file")
    return tmp_path


REFUSED = {
    "sub": "is a folder",
    "pipe": "is a device or a pipe",
    "loop": "cannot be written: Too many levels of symbolic links",
    "dangling": "there is no folder .*missing",
    "missing/w.json": "there is no folder .*missing; make it first",
    "old.json/w.json": "cannot be written: Not a directory",
    "x.h5": "would be taken for a store",
    "x.h5.partial": "would be taken for a store",
    "n" * 256: "cannot be written: File name too long",
    "a\0b": "cannot be written: embedded null",
}


@pytest.mark.parametrize("name", REFUSED, ids=range(len(REFUSED)))
def test_an_impossible_target_is_refused(folder, name):
    """Even with `force`, in one line that names the path."""
    with pytest.raises(TargetError, match=REFUSED[name]) as error:
        check_target(folder / name, force=True)
    assert "\n" not in str(error.value)


def test_standard_output_is_no_file():
    """A path of `-` never makes a file of that name."""
    with pytest.raises(TargetError, match="standard output"):
        check_target(Path("-"), force=False)


def test_a_folder_that_cannot_be_written(folder, monkeypatch):
    """The folder is named, whoever runs the test."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(TargetError, match="cannot be written"):
        check_target(folder / "new.json", force=False)


def test_the_folder_is_on_the_disk_too(folder, monkeypatch):
    """The rename outlasts a crash of the machine: its folder is synced, and after it."""
    synced, fsync = [], os.fsync

    def record(fd):
        synced.append((stat.S_ISDIR(os.fstat(fd).st_mode), (folder / "new.json").exists()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", record)
    write_file(folder / "new.json", "new")
    assert synced == [(False, False), (True, True)]


def test_an_old_file_is_replaced_only_by_force(folder):
    """Without `force` the old file stays to the byte."""
    old = folder / "old.json"
    with pytest.raises(TargetError, match="exists; give another path, or --force"):
        write_file(old, "new")
    assert old.read_bytes() == b"old"
    write_file(old, "né", force=True)
    assert old.read_bytes() == "né".encode()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EIO, "cannot be written: Input/output error"),
    ],
)
def test_a_failing_disk_leaves_the_old_file(folder, monkeypatch, number, message):
    """The old file is as it was, and nothing else is left beside it."""

    def fail(_descriptor):
        raise OSError(number, os.strerror(number))

    before = sorted(folder.iterdir())
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(TargetError, match=f"{message}.*old.json is as it was before"):
        write_file(folder / "old.json", "new", force=True)
    assert (folder / "old.json").read_bytes() == b"old"
    assert sorted(folder.iterdir()) == before


def test_an_interrupt_leaves_the_old_file(folder):
    """A block that does not end well changes nothing."""
    before = sorted(folder.iterdir())
    with pytest.raises(KeyboardInterrupt), replacing(folder / "old.json") as out:
        out.write(b"half")
        raise KeyboardInterrupt
    assert (folder / "old.json").read_bytes() == b"old"
    assert sorted(folder.iterdir()) == before


def test_names_as_long_as_names_can_be(folder):
    """A name of 255 bytes is written, and so is one that is not UTF-8."""
    for name in ("n" * 255, os.fsdecode(b"caf\xe9.json")):
        write_file(folder / name, b"new")
        assert (folder / name).read_bytes() == b"new"


def test_a_link_stays_and_permissions_are_those_of_new_files(folder):
    """The file behind a link is replaced; everybody may read it that the umask lets."""
    (folder / "link.json").symlink_to("old.json")
    before = os.umask(0o027)
    try:
        write_file(folder / "link.json", b"new", force=True)
    finally:
        os.umask(before)
    assert (folder / "link.json").is_symlink()
    assert (folder / "old.json").read_bytes() == b"new"
    assert (folder / "old.json").stat().st_mode & 0o777 == 0o640
