"""Where a task's rows come from: a local folder, the Hugging Face hub, or its cache.

``load_rows`` gives the rows of one split in file order, as dictionaries in the hub's field names,
whichever way they came.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compread.errors import PromptError, flag, option
from compread.prompts.local_files import Row, half, read_rows, reason, split_files
from compread.prompts.tasks import Source, Task


def load_rows(
    task: Task, split: str, data_dir: Path | None = None, offline: bool = False
) -> list[Row]:
    """The rows of a task's ``train`` or ``test`` split.

    With ``data_dir`` they are read from the files that ``split_files`` finds there, else from the
    task's source: its one file, or a data set through ``datasets``; ``offline`` keeps to what its
    cache holds. A task with one file needs no folder in ``data_dir``.

    Raises:
        PromptError: no such file or data set, no network, no access, a broken or empty file.
    """
    file = task.source.file if task.source else None
    if data_dir is not None and (file is None or (data_dir / task.folder).is_dir()):
        files = split_files(data_dir, task, split)
        rows = [row for file in files for row in read_rows(file)]
        where = str(files[0])
    elif file is not None:
        every = read_rows(file)
        rows = every if task.lender else half(every, split)
        where = f"the {split} half of {file}"
    elif task.source is not None:
        rows = _load_hub(task, task.source, split, offline)
        where = f"split {task.source.splits[split]!r} of data set {task.source.id!r}"
    else:
        where = f" ({task.access})" if task.access else ""
        raise PromptError(f"task {task.name!r} is not on the hub: {_local_way(task)}{where}")
    if not rows:
        raise PromptError(f"{where} has no rows; task {task.name!r} needs one of each class")
    return rows


def _load_hub(task: Task, source: Source, split: str, offline: bool) -> list[Row]:
    import datasets

    try:
        with offline_datasets(offline):
            table = datasets.load_dataset(
                source.id,
                source.config,
                split=source.splits[split],
                revision=source.revision,
                trust_remote_code=False,  # older versions ask on standard input
            )
        cached = Path(table.cache_files[0]["filename"]) if table.cache_files else None
        rows = list(table.to_list())
    except Exception as error:  # network, access, missing, damaged: no common base
        raise PromptError(
            f"cannot load data set {source.id!r} for task {task.name!r}: {reason(error)}; "
            f"{_local_way(task)}, or fill the cache with a network and repeat with "
            f"{flag('offline')}"
        ) from error
    _check_revision(source, cached)
    return rows


def _check_revision(source: Source, cached: Path | None) -> None:
    """Refuse another commit: without a network, ``datasets`` takes whichever its cache holds."""
    commit = cached.parent.name if cached else ""
    pinned = source.revision or ""
    if all(re.fullmatch("[0-9a-f]{40}", name) for name in (commit, pinned)) and commit != pinned:
        raise PromptError(
            f"the cache holds commit {commit} of data set {source.id!r}, not the pinned {pinned}: "
            f"load it once with a network, or delete {cached.parent if cached else 'it'}"
        )


@contextmanager
def offline_datasets(on: bool) -> Iterator[None]:
    """Keep ``datasets`` from the network where ``on``, and its client from logging attempts."""
    import datasets

    # Its own variable is read only when it is imported.
    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = on or before
    try:
        # The hub's client logs each failed attempt; the error says it once.
        with errors_alone_logged("huggingface_hub"):
            yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


@contextmanager
def errors_alone_logged(library: str) -> Iterator[None]:
    """Keep a library from logging what is less than an error."""
    logger = logging.getLogger(library)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _local_way(task: Task) -> str:
    files = "test.jsonl" if task.lender else "train.jsonl and test.jsonl"
    return f"give {option('data-dir', 'DIR')} with DIR/{task.folder}/{files}"
