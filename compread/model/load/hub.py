"""What the hub says of a model id before anything is loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from compread.errors import ModelError, flag
from compread.model.load.folders import adapter_not_model
from compread.text import one_line

# Seconds to wait for an answer; a hub that is slower than this is as good as gone.
_TIMEOUT = 10.0


@dataclass(frozen=True)
class Resolved:
    """The commit that a revision stands for, and whether to load from the local cache alone."""

    revision: str | None
    cached_only: bool


def resolve(name: str, revision: str | None, offline: bool) -> Resolved:
    """Ask the hub once whether a model is there, and which commit a revision means.

    Without this, a missing network costs minutes of retries before the first message.

    Raises:
        ModelError: the hub has no such model or revision, what it has is an adapter, or it cannot
            be reached and the model is not in the local cache.
    """
    if offline:
        # Read when huggingface_hub is imported, so this must come first.
        os.environ["HF_HUB_OFFLINE"] = "1"
    from huggingface_hub import HfApi, constants, try_to_load_from_cache
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    cached: str | None = None
    try:
        found = try_to_load_from_cache(name, "config.json", revision=revision)
        cached = Path(found).parent.name if isinstance(found, str) else None
        if offline or constants.HF_HUB_OFFLINE:
            return _from_cache(name, cached, f"the hub is off ({flag('offline')})")
        info = HfApi().model_info(name, revision=revision, timeout=_TIMEOUT)
        files = {file.rfilename for file in getattr(info, "siblings", None) or ()}
        if "adapter_config.json" in files and "config.json" not in files:
            raise ModelError(adapter_not_model(name))
        return Resolved(info.sha, cached_only=False)
    except HFValidationError as error:
        raise ModelError(
            f"`{name}` is neither a folder nor a hub id; expected something like "
            "EleutherAI/pythia-160m, a folder with config.json, or a .gguf file"
        ) from error
    except GatedRepoError as error:
        raise ModelError(gated(name)) from error
    except RevisionNotFoundError as error:
        raise ModelError(
            f"{name} has no revision `{revision}`; see the branches and tags on its hub page"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"no such model on the hub: {name}; check the spelling; where it is "
            "private, run `hf auth login` or set HF_TOKEN first"
        ) from error
    except OSError as error:  # the base of every network error of huggingface_hub's clients
        return _from_cache(name, cached, f"the hub cannot be reached ({_short(error)})")
    except Exception as error:  # httpx's errors are not OSErrors
        if not type(error).__module__.startswith("http"):
            raise
        return _from_cache(name, cached, f"the hub cannot be reached ({_short(error)})")


def gated(name: str) -> str:
    """What to do about a gated model."""
    return (
        f"{name} is gated; accept its terms on its hub page, then run `hf auth login` or set "
        "HF_TOKEN"
    )


def _from_cache(name: str, commit: str | None, why: str) -> Resolved:
    """The cached commit, so that a run begun with a network goes on without one."""
    if commit is None:
        raise ModelError(
            f"{name} is not in the local cache and {why}; download it first on a "
            "machine with a network, or give a folder or a .gguf file"
        )
    return Resolved(commit, cached_only=True)


def _short(error: Exception) -> str:
    return one_line(error, 80)
