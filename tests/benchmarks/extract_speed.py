"""Rows per second of extract beside plain forward passes of the same model over the same prompts.

    python tests/benchmarks/extract_speed.py --model FILE --data-dir DIR [--tasks sst2]
        [--num-fewshot 4,24] [--dtypes float32,bfloat16] [--rows 1000] [--rounds 2] [--apart]
    python tests/benchmarks/extract_speed.py --model FILE --prompts PROMPTS.jsonl

Three ways over one prompt set, in turn and several times, so that a machine that changes its speed
changes all of them; ratios are taken round by round:

- plain: whole prompts in file order, 8 a batch, padded, all logits, as a first script has it;
- sorted: whole prompts sorted by length, in batches of extract's budget of tokens, the last
  position's logits only;
- extract: compread's own loop from tokens to a finished store, loading the model not counted.

The plain ways run every n-th of the rows (``--sample``), whose time a row does not change with
their number. The peak is a square product of 2048 (8192 on a GPU) in the same type, measured
around each extract; extract's operations are the matrix products of the tokens that it must run.
Attribution is what extract spends in hooks, decomposition, judging and writing. ``--apart`` gives
each prompt a first token of its own, so that nothing is shared.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from rich.console import Console
from rich.table import Table

from compread.extract import ExtractOptions, Extractor
from compread.extract.batches import pad_right, plan_batches
from compread.extract.memory import token_budget
from compread.extract.sum_check import SumCheck
from compread.model import Decomposer, ModelRequest, load_model, quieten_libraries
from compread.model.activations import Activations
from compread.prompts import PromptSet, load_task, prompt_sets, read_prompt_file, tokenize
from compread.store import StoreWriter

ATTRIBUTION = (
    (Activations, "pick"),
    (Decomposer, "decompose"),
    (SumCheck, "__call__"),
    (StoreWriter, "append"),
    (StoreWriter, "finish"),
)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompts")
    parser.add_argument("--tasks", default="sst2")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--num-fewshot", default="4")
    parser.add_argument("--dtypes", default="float32")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--sample", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--apart", action="store_true")
    options = parser.parse_args()
    quieten_libraries(bars=False)
    table = Table("type", "prompts", "tokens", "run", "way", "rows/s", "x plain", "x sorted",
                  "of peak", "attribution")  # fmt: skip
    for dtype in options.dtypes.split(","):
        loaded = load_model(ModelRequest(options.model, dtype=dtype))
        extractor = Extractor(loaded)
        for prompts in chosen(options):
            tokens = tokenize(prompts, loaded.tokenizer)
            if options.apart:
                vocabulary = loaded.model.config.get_text_config().vocab_size
                ids = [[n % vocabulary, *row] for n, row in enumerate(tokens.ids)]
                tokens = replace(tokens, ids=tuple(map(tuple, ids)))
            compare(extractor, prompts, tokens, options, table, dtype)
    Console(width=120).print(table)
    where = f"{torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        where = torch.cuda.get_device_name()
    print(f"{where}, {options.rounds} rounds, torch {torch.__version__}")


def chosen(options: argparse.Namespace) -> Iterator[PromptSet]:
    """The prompt sets of the command line, each of at most ``--rows`` rows."""
    if options.prompts:
        yield read_prompt_file(options.prompts)
        return
    for name in options.tasks.split(","):
        task = load_task(name)
        first = list(task.templates)[:1]
        for shots in map(int, options.num_fewshot.split(",")):
            n = {"shots": shots, "n_train": 0, "limit": options.rows}
            yield from prompt_sets(task, first, [0], data_dir=options.data_dir, **n)


def compare(
    extractor: Extractor,
    prompts: PromptSet,
    tokens: Any,
    options: argparse.Namespace,
    table: Table,
    dtype: str,
) -> None:
    """Run the three ways in turn and add their rows to the table."""
    model = extractor.loaded.model
    rows = [list(row) for row in tokens.ids]
    few = rows[:: max(1, len(rows) // options.sample)]
    rates: dict[str, list[float]] = {"plain": [], "sorted": [], "extract": []}
    peaks: list[float] = []
    shares: list[float] = []
    for number in range(options.rounds + 1):  # the first warms up
        before = peak(model)
        done, seconds, clock = whole_extract(extractor, prompts, tokens)
        share = done.flops / seconds / statistics.mean([before, peak(model)])
        found = {
            "plain": len(few) / timed(lambda: plain(model, few)),
            "sorted": len(few) / timed(lambda: by_length(model, few)),
            "extract": done.rows / seconds,
        }
        if number:
            peaks.append(share)
            shares.append(clock / seconds)
            for way, rate in found.items():
                rates[way].append(rate)
    mean = statistics.mean(map(len, rows))
    for way, found_rates in rates.items():
        mine = way == "extract"
        table.add_row(
            dtype,
            f"{prompts.file_name.removesuffix('.h5')}, {len(rows)} rows",
            f"{mean:.0f}",
            f"{done.tokens_run / done.rows:.1f}" if mine else f"{mean:.0f}",
            way,
            f"{statistics.median(found_rates):.1f}",
            *(f"{ratio(found_rates, rates[base]):.2f}" for base in ("plain", "sorted")),
            f"{statistics.median(peaks):.0%}" if mine else "",
            f"{statistics.median(shares):.1%}" if mine else "",
        )


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median over rounds."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak(model: Any, seconds: float = 1.0) -> float:
    """Operations a second of a large matrix product, the best of what fits into a second."""
    weight = next(model.parameters())
    side = 8192 if weight.is_cuda else 2048
    one = torch.randn(side, side, device=weight.device, dtype=weight.dtype)
    one @ one
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = max(best, 2 * side**3 / timed(lambda: one @ one))
    return best


def whole_extract(
    extractor: Extractor, prompts: PromptSet, tokens: Any
) -> tuple[Any, float, float]:
    """One extract, its seconds, and those of attribution among them."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        clock: list[float] = []
        for owner, name in ATTRIBUTION:
            stack.enter_context(clocked(owner, name, clock))
        target = Path(folder, "run.h5")
        start = time.perf_counter()
        done = extractor.extract(prompts, target, ExtractOptions(), tokens=tokens)
        return done, time.perf_counter() - start, sum(clock)


@contextmanager
def clocked(owner: type, name: str, clock: list[float]) -> Iterator[None]:
    """Note how long each call of a method takes."""
    real = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return real(*args, **kwargs)
        finally:
            clock.append(time.perf_counter() - start)

    with mock.patch.object(owner, name, call):
        yield


def plain(model: Any, rows: list[list[int]]) -> None:
    """Whole prompts, 8 a batch, every position's logits."""
    for start in range(0, len(rows), 8):
        tokens, _ = pad_right(rows[start : start + 8], model.device)
        with torch.inference_mode():
            model(input_ids=tokens)


def by_length(model: Any, rows: list[list[int]]) -> None:
    """Whole prompts sorted by length, the last position's logits only."""
    for batch in plan_batches([len(row) for row in rows], token_budget(model)):
        tokens, _ = pad_right([rows[i] for i in batch], model.device)
        with torch.inference_mode():
            model(input_ids=tokens, use_cache=False, logits_to_keep=1)


if __name__ == "__main__":
    main()
