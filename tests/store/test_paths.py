"""What STORE arguments mean."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from compread.errors import StoreError
from compread.store import store_paths, store_states


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two stores among files that are none."""
    for name in ("b.h5", "a.h5", "c.h5.partial", "notes.txt", ".hidden.h5", "c.h5.tmp"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder.h5").mkdir()
    return tmp_path


def test_a_folder_means_its_stores(folder: Path) -> None:
    """A folder is its visible .h5 files in order of their names."""
    assert store_paths([str(folder)]) == [folder / "a.h5", folder / "b.h5"]


def test_a_folder_means_its_subfolders_stores_too(folder: Path) -> None:
    """Its own come first; hidden folders are left out, and a link that leads back is no trap."""
    for name in ("small/x.h5", "large/seeds/z.h5", "large/y.h5", ".git/no.h5"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / "large" / "again").symlink_to(folder)
    names = ["a.h5", "b.h5", "large/y.h5", "large/seeds/z.h5", "small/x.h5"]
    assert store_paths([str(folder)]) == [folder / name for name in names]
    (folder / "large" / "seeds" / "late.h5.partial").write_text("")
    names = ["a.h5", "b.h5", "c.h5", "large/seeds/late.h5", "large/seeds/z.h5", "large/y.h5"]
    found = [state.path for state in store_states([folder])]
    assert found == [folder / name for name in (*names, "small/x.h5")]


def test_each_store_counts_once(folder: Path) -> None:
    """A store named twice, by itself and by its folder, is read once, in its first place."""
    arguments = [str(folder / "b.h5"), str(folder), f"{folder}/./a.h5"]
    assert store_paths(arguments) == [folder / "b.h5", folder / "a.h5"]


def test_a_dash_reads_stdin(folder: Path) -> None:
    """A dash is the paths on stdin, files and folders, one a line, blank lines left out."""
    lines = io.StringIO(f"{folder}/my store.h5\n\n{folder}\r\n")
    found = [folder / "my store.h5", folder / "a.h5", folder / "b.h5"]
    assert store_paths(["-"], lines) == found


def test_a_path_without_a_file_is_kept(tmp_path: Path) -> None:
    """A file that is not there is left to open_store, which says what to do about it."""
    assert store_paths([str(tmp_path / "x.h5")]) == [tmp_path / "x.h5"]


def test_nothing_to_read(folder: Path) -> None:
    """No argument, an empty stdin and a folder without stores are refused, each in its words."""
    with pytest.raises(StoreError, match="no store given"):
        store_paths([])
    with pytest.raises(StoreError, match="no store paths on stdin"):
        store_paths(["-"], io.StringIO("\n"))
    (folder / "a.h5").unlink()
    (folder / "b.h5").unlink()
    with pytest.raises(StoreError, match=r"no finished store \(\*\.h5\).* but 1 unfinished"):
        store_paths([str(folder)])
