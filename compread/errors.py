"""The exceptions of compread, one tree.

    CompreadError            1  anything a user, a file or a model can get wrong
    ├── UsageError           2  the command line asks for something that makes no sense
    ├── FetchError           1  a download that fails, or is not the file it should be
    ├── PromptError          1  a task, a template, a prompt set, a label or its tokens
    ├── ModelError           1  a model or tokenizer that cannot be loaded or read
    ├── SumError             3  the parts do not add up to the model's own logits
    ├── StoreError           4  a store that is missing, incomplete, damaged or incompatible
    │   └── BusyError        4  a store that another program has open
    ├── TargetError          1  an output path that exists, is busy, or cannot be written
    │   └── DiskError        1  a disk that is full or fails
    └── ResumableError       5  stopped early; the same command goes on where it stopped

The number is the exit status the command line ends with. A message has the value, what was
expected, and the next step, in one line.
"""

from __future__ import annotations


class CompreadError(Exception):
    """Base of every error compread raises on purpose."""

    exit_code = 1


class UsageError(CompreadError):
    """Options that contradict each other or lack one they need."""

    exit_code = 2


class FetchError(CompreadError):
    """A package that cannot be downloaded, or is not the one that is wanted."""


class PromptError(CompreadError):
    """A task, template, prompt set or label that cannot be used."""


class ModelError(CompreadError):
    """A model or tokenizer that cannot be loaded, or whose structure is not understood."""


class SumError(CompreadError):
    """Parts that do not add up to the model's own label logits within the tolerance."""

    exit_code = 3


class StoreError(CompreadError):
    """A store that is missing, incomplete, damaged, foreign or of another version."""

    exit_code = 4


class BusyError(StoreError):
    """A store that another program has open for writing: it is not for reading yet."""


class TargetError(CompreadError):
    """An output path that exists already, is being written by another run, or cannot be written."""


class DiskError(TargetError):
    """A disk that is full, fails or is read-only; other paths on it fare no better."""


class ResumableError(CompreadError):
    """A run that ended early with its finished rows kept."""

    exit_code = 5
