"""What the hub answers becomes a commit or one clear line; without it the cache has the say."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from compread.errors import ModelError
from compread.model.load.hub import Resolved, resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "someone/some-model"
# The hub's client has changed its HTTP library; its errors say which one it is.
HTTP = sys.modules[HfHubHTTPError.__bases__[0].__module__.partition(".")[0]]
NO_CONNECTION = HTTP.ConnectError if hasattr(HTTP, "ConnectError") else HTTP.ConnectionError


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of our own, and the variable that ``--offline`` sets put back afterwards."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def fill_cache(cache: Path, revision: str = "main") -> None:
    """Put a config of ``NAME`` into the cache as the hub's client does."""
    repo = cache / "models--someone--some-model"
    (repo / "snapshots" / COMMIT).mkdir(parents=True)
    (repo / "snapshots" / COMMIT / "config.json").write_text("{}")
    (repo / "refs").mkdir()
    (repo / "refs" / revision).write_text(COMMIT)


def hub_says(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[dict[str, Any]]:
    """Have the hub answer so, or raise it; gives the questions asked."""
    asked: list[dict[str, Any]] = []

    def model_info(self: Any, name: str, **options: Any) -> Any:
        asked.append({"name": name, **options})
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    return asked


def of_status(kind: type[Exception], status: int) -> Exception:
    """An error of the hub's client."""
    response = SimpleNamespace(status_code=status, headers={}, request=None)
    return kind("raw text\nof the client", response=response)


def test_a_revision_becomes_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is asked once, with a time limit, and its commit is what is loaded."""
    asked = hub_says(monkeypatch, SimpleNamespace(sha=COMMIT))
    assert resolve(NAME, "v1", offline=False) == Resolved(COMMIT, cached_only=False)
    (question,) = asked
    assert (question["name"], question["revision"]) == (NAME, "v1")
    assert question["timeout"] <= 30


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        (GatedRepoError, 403, "is gated; accept its terms .* `hf auth login` or set HF_TOKEN"),
        (RepositoryNotFoundError, 401, "no such model on the hub: someone/some-model"),
        (RevisionNotFoundError, 404, "has no revision `v9`"),
    ],
)
def test_the_hub_s_refusals(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception], status: int, words: str
) -> None:
    """A gated, missing or wrongly named model is one line with the next step."""
    hub_says(monkeypatch, of_status(kind, status))
    with pytest.raises(ModelError, match=words) as error:
        resolve(NAME, "v9", offline=False)
    assert NAME in str(error.value) and "\n" not in str(error.value)


FAILURES = {
    "refused": NO_CONNECTION("[Errno 111] Connection refused\nat once"),
    "slow": HTTP.ReadTimeout("timed out"),
    "resolver": OSError("Name or service not known"),
    "server": of_status(HfHubHTTPError, 503),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_without_network_and_cache(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    """The message says that the hub cannot be reached, why, and what else to give."""
    hub_says(monkeypatch, failure)
    with pytest.raises(ModelError, match=r"not in the local cache and the hub cannot be") as error:
        resolve(NAME, None, offline=False)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_without_network_the_cached_commit_is_taken(
    monkeypatch: pytest.MonkeyPatch, own_environment: Path, failure: Exception
) -> None:
    """The commit is the one that the hub would have named, so a stopped run goes on."""
    fill_cache(own_environment)
    hub_says(monkeypatch, failure)
    assert resolve(NAME, None, offline=False) == Resolved(COMMIT, cached_only=True)


@pytest.mark.parametrize("revision", ["v1", COMMIT])
def test_offline_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, own_environment: Path, revision: str
) -> None:
    """With ``--offline`` the cache answers, for a branch and for a commit."""
    fill_cache(own_environment, "v1")
    asked = hub_says(monkeypatch, SimpleNamespace(sha="another"))
    assert resolve(NAME, revision, offline=True) == Resolved(COMMIT, cached_only=True)
    assert asked == []


def test_offline_without_the_model(monkeypatch: pytest.MonkeyPatch, own_environment: Path) -> None:
    """Another revision than the cached one is not there."""
    fill_cache(own_environment, "v1")
    asked = hub_says(monkeypatch, SimpleNamespace(sha=COMMIT))
    with pytest.raises(ModelError, match="not in the local cache and the hub is off"):
        resolve(NAME, "v2", offline=True)
    assert asked == []


def test_a_programming_error_is_not_taken_for_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is neither the network's nor the hub's goes through."""
    hub_says(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        resolve(NAME, None, offline=False)


def test_an_adapter_on_the_hub_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaded as a model, transformers would fetch another repository without a word."""
    files = [SimpleNamespace(rfilename=name) for name in ("adapter_config.json", "README.md")]
    hub_says(monkeypatch, SimpleNamespace(sha=COMMIT, siblings=files))
    with pytest.raises(ModelError, match=rf"{NAME} is an adapter, not a model: .*--adapter {NAME}"):
        resolve(NAME, None, offline=False)
