"""Whether what stands at a target is the finished store of the run that is asked for.

What sets two runs apart is said in the words of the options that a user gave or could give. The
options that differ are named with both values. What follows from them, other prompts or another
shared prefix, is named only where no option explains it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from compread.errors import BusyError, StoreError, TargetError, flag, option
from compread.store.axes import Axes
from compread.store.paths import MODEL_PLACE, journal_path
from compread.store.reader import Store, open_store
from compread.store.schema import ALL_SPLITS, FORMAT_VERSION, RunInfo


def is_finished(target: Path, run: RunInfo, axes: Axes, loose: Collection[str] = ()) -> bool:
    """Whether the target is the store of this very run, whole to its last checksum.

    Args:
        target: where the store would be written.
        run: the run.
        axes: its components, labels and rows.
        loose: fields of the run that may differ.

    Raises:
        TargetError: it is the store of another run; the message says what differs.
        StoreError: it is no store, or a damaged one.
    """
    if not _stands(target):
        return False
    with _opened(target) as store:
        told = run_differences(store.run, run, loose) or axes_differences(store.axes, axes)
        if told:
            raise another_run(target, told)
        store.verify()
    return True


def check_same_run(target: Path, known: Mapping[str, Any]) -> None:
    """Refuse a target that the store of another run stands at, by what is known of this one.

    Args:
        target: where the store would be written.
        known: some of the fields of ``RunInfo.to_dict``.

    Raises:
        TargetError: it is the store of another run; the message says what differs.
        StoreError: it is no store, or its metadata is damaged.
    """
    if _stands(target):
        with _opened(target) as store:
            if told := differences(store.run.to_dict(), known):
                raise another_run(target, told)


_OTHER_MODEL = "made with model="


def another_run(target: Path, told: str) -> TargetError:
    """The error for a target that another run's store stands at."""
    apart = f", such as {target.parent / MODEL_PLACE}" if told.startswith(_OTHER_MODEL) else ""
    return TargetError(
        f"{target}: exists already, {told}: choose another {option('o')}{apart}, or "
        f"{flag('force')} replaces it when the new one is done"
    )


def _stands(target: Path) -> bool:
    """Whether something is there that no stopped run goes on to replace."""
    return target.exists() and not journal_path(target).exists()


@contextlib.contextmanager
def _opened(target: Path) -> Iterator[Store]:
    try:
        with open_store(target) as store:
            yield store
    except BusyError:
        raise
    except StoreError as error:
        raise StoreError(
            f"{error.message}; it is left as it is: move it away or give {flag('force')}, and "
            "the same command makes it anew"
        ) from error


OPTIONS = {
    "model": "model",
    "revision": "revision",
    "dtype": "dtype",
    "task": "task",
    "template": "template",
    "seed": "seed",
    "shots": "num-fewshot",
    "batch_tokens": "batch-tokens",
    "trust_remote_code": "trust-remote-code",
}
"""Fields of a run's identity that are an option's value."""
OF_PROMPTS = {
    "n_train": "n-train",
    "limit": "limit",
    "demo_labels": "demo-labels",
    "prompt_selection": "prompt-selection",
    "embedder": "embedder",
    "calibration_prompts": "calibration-prompts",
    "unconditional": "unconditional",
    "chat_template": "chat template",
    "fewshot_as_multiturn": "fewshot-as-multiturn",
    "system_instruction": "system-instruction",
}
"""Entries of a run's protocol that explain other prompts."""
RESULTS = {
    "model_type": "another architecture",
    "fingerprint": "other weights",
    "template_text": "another text of the template",
    "demonstrations": "other demonstrations",
    "prompt_set": "other prompts or labels",
    "shared_prefix": "another share",
    "prefix_tokens": "another shared prefix",
    "soft_cap": "another soft-cap",
    "tolerance": "another tolerance",
    "sample_prompt": "another first prompt",
}
"""The other fields of the identity; the first that differs says most."""
_LONGEST = 60


def differences(
    there: Mapping[str, Any], here: Mapping[str, Any], loose: Collection[str] = ()
) -> str:
    """``"made with limit=all; you ask for limit=30"``; empty where the runs are the same.

    Args:
        there: ``RunInfo.to_dict`` of the run that was made.
        here: that of the run which is asked for, or the part of it that is known.
        loose: fields that may differ.
    """
    # As JSON keeps them, whose lists are tuples here.
    there, here = json.loads(json.dumps([dict(there), dict(here)]))
    fields = [*OPTIONS, *RESULTS]
    differing = [
        name
        for name in fields
        if name in here and name not in loose and there.get(name) != here[name]
    ]
    texts = _keeps_text(there), _keeps_text(here)
    other_texts = "protocol" in here and "keep_text" not in loose and texts[0] != texts[1]
    if not differing and not other_texts:
        return ""
    changed = {OPTIONS[k]: (there.get(k), here[k]) for k in differing if k in OPTIONS}
    if "prompt_set" in differing:
        before, after = (run.get("protocol", {}) for run in (there, here))
        for key, word in OF_PROMPTS.items():
            if key in {*before, *after} and before.get(key) != after.get(key):
                changed[word] = (before.get(key), after.get(key))
    if "fingerprint" in differing and there.get("adapter") != here.get("adapter"):
        changed["adapter"] = (there.get("adapter"), here.get("adapter"))
    if other_texts:
        changed["keep-text"] = texts
    if changed:
        made, asked = (_named(changed, place) for place in (0, 1))
        return f"made with {made}; you ask for {asked}"
    return f"made with {RESULTS[differing[0]]}"


def axes_differences(there: Axes, here: Axes) -> str:
    """``"made with other labels"``; empty where the axes are the same."""
    # As dictionaries, so that what an earlier version began compares as of this one.
    before, after = there.to_dict(FORMAT_VERSION), here.to_dict(FORMAT_VERSION)
    names = [key for key in ("components", "labels") if before[key] != after[key]]
    splits = [
        split for split in ALL_SPLITS if before["splits"].get(split) != after["splits"].get(split)
    ]
    names += [f"{split} rows" for split in splits]
    return f"made with other {', '.join(names)}" if names else ""


def _keeps_text(run: Mapping[str, Any]) -> bool:
    return bool(run.get("protocol", {}).get("keep_text"))


def run_differences(there: RunInfo, here: RunInfo, loose: Collection[str] = ()) -> str:
    """``differences`` of two whole runs."""
    return differences(there.to_dict(), here.to_dict(), loose)


def _named(changed: Mapping[str, tuple[Any, Any]], place: int) -> str:
    return ", ".join(f"{word}={_value(word, pair[place])}" for word, pair in changed.items())


def _value(word: str, value: Any) -> str:
    """As it would stand on the command line, long ones cut."""
    if value is None:
        return "all" if word == "limit" else "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
