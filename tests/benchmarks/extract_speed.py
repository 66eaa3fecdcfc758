"""Rows per second of extract beside a plain forward pass of the same model over the same prompts.

    python tests/benchmarks/extract_speed.py --model FILE --prompts PROMPTS.jsonl [--rows 128]

Three ways over the same rows, in turn and several times, the ratio taken round by round so that a
machine that changes its speed changes both sides:

- plain: whole prompts in file order, 8 a batch, padded, all logits, as a first script has it;
- sorted: whole prompts sorted by length in compread's batches, the last position's logits only;
- extract: compread's engine, the shared prefix included, without loading and without the store.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from compread.extract import Engine, plan_batches, shared_length
from compread.extract.batches import pad_right
from compread.model import ModelRequest, find_anatomy, load_model, quieten_libraries
from compread.prompts import read_prompt_file, tokenize


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompts", required=True)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    quieten_libraries(bars=False)
    loaded = load_model(ModelRequest(options.model, dtype=options.dtype))
    tokens = tokenize(read_prompt_file(options.prompts), loaded.tokenizer)
    rows = [list(row) for row in tokens.ids[: options.rows]]
    engine = Engine(loaded.model, find_anatomy(loaded.model), tokens.label_ids)
    ways: dict[str, Callable[[], None]] = {
        "plain": lambda: plain(loaded.model, rows),
        "sorted": lambda: by_length(loaded.model, rows),
        "extract": lambda: extract(engine, rows),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():  # warm-up, not counted
        way()
    for _ in range(options.rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    length = statistics.mean(map(len, rows))
    print(
        f"{len(rows)} rows, {length:.0f} tokens a prompt, {shared_length(rows)} of them shared, "
        f"{options.dtype}, {torch.get_num_threads()} threads, {options.rounds} rounds"
    )
    for name, taken in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds["plain"], taken, strict=True))
        rate = len(rows) / statistics.median(taken)
        print(f"{name:8s} {rate:7.1f} rows/s   {ratio:5.1f} x plain")


def plain(model: torch.nn.Module, rows: list[list[int]]) -> None:
    """Whole prompts, 8 a batch, every position's logits."""
    for start in range(0, len(rows), 8):
        tokens, _ = pad_right(rows[start : start + 8], model.device)
        with torch.inference_mode():
            model(input_ids=tokens)


def by_length(model: torch.nn.Module, rows: list[list[int]]) -> None:
    """Whole prompts sorted by length, the last position's logits only."""
    for batch in plan_batches([len(row) for row in rows], 2048):
        tokens, _ = pad_right([rows[i] for i in batch], model.device)
        with torch.inference_mode():
            model(input_ids=tokens, use_cache=False, logits_to_keep=1)


def extract(engine: Engine, rows: list[list[int]]) -> None:
    """What ``compread extract`` does between loading and writing."""
    shared = shared_length(rows)
    prefix = engine.share(rows[0][:shared])
    own = [row[shared:] for row in rows]
    for batch in plan_batches([len(row) for row in own], 2048, shared):
        engine.run([own[i] for i in batch], prefix)


if __name__ == "__main__":
    main()
