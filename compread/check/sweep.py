"""Every model type of the installed transformers, checked one process each.

A type's own code may crash, hang or take all memory on a model this small; in a process of its
own, with limits, it takes nothing else down. The processes are forked from one that has imported
torch and transformers, so that each costs only its own type.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from compread.check.certify import Certificate, certify
from compread.errors import ModelError
from compread.model import facts, load_config, quieten_libraries

_SECONDS = 90.0
_BYTES = 12 << 30
# What nearly every type imports: two seconds once, rather than for each.
_PRELOAD = [
    "torch._dynamo",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
    "compread.check.certify",
]

Checked = Callable[[Certificate], None]
"""Called with each certificate as it comes."""


@dataclass
class _Running:
    name: str
    process: Any
    answer: Connection
    deadline: float


def causal_types() -> list[str]:
    """The model types that the installed transformers has a causal language model for."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def certify_type(name: str) -> Certificate:
    """Check one bare model type, from the config it has by default."""
    if reason := facts.REFUSED.get(name):
        return Certificate(name, "refused", reason)
    try:
        return replace(certify(load_config(name)), model_type=name)
    except ModelError as error:
        return Certificate(name, "refused", str(error))


def certify_all(
    names: Iterable[str],
    jobs: int = 1,
    seconds: float = _SECONDS,
    checked: Checked = lambda certificate: None,
) -> list[Certificate]:
    """Check each type in a process of its own, ``jobs`` at a time.

    Returns:
        One certificate a name, in the order given. A type whose process had to be ended, or died,
        is refused and marked as ``died``.
    """
    methods = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload(_PRELOAD)
    waiting = list(names)
    found: dict[str, Certificate] = {}
    order, running = list(waiting), list[_Running]()
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(_start(context, waiting.pop(0), seconds))
        left = min(one.deadline for one in running) - time.monotonic()
        ended = wait([one.answer for one in running], timeout=max(0.0, left))
        for one in list(running):
            if one.answer in ended or time.monotonic() > one.deadline:
                running.remove(one)
                found[one.name] = _collect(one, one.answer in ended, seconds)
                checked(found[one.name])
    return [found[name] for name in order]


def _start(context: Any, name: str, seconds: float) -> _Running:
    answer, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_check_in_child, args=(name, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Running(name, process, answer, time.monotonic() + seconds)


def _check_in_child(name: str, answer: Connection) -> None:
    import torch

    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    except (ImportError, ValueError, OSError):
        pass  # Not every system has the limit; the time limit remains.
    # On tensors this small, threads only wait for each other.
    torch.set_num_threads(1)
    quieten_libraries(bars=False)
    answer.send(certify_type(name))


def _collect(one: _Running, answered: bool, seconds: float) -> Certificate:
    try:
        if answered:
            certificate: Certificate = one.answer.recv()
            return certificate
        reason = f"its check did not end within {seconds:.0f} s"
    except EOFError:
        one.process.join()
        reason = f"its check died (exit status {one.process.exitcode})"
    finally:
        one.answer.close()
        one.process.kill()
        one.process.join()
    return Certificate(one.name, "refused", reason, died=True)
