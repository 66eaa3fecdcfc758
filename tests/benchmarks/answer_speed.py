"""Rows per second of extract over answers of a row's own, beside lm-eval's own log-probabilities.

    python tests/benchmarks/answer_speed.py --model FILE [--rows 300] [--shots 4] [--sample 60]
        [--batch 64] [--apart] [--softmax float64]

One made prompt set, four choices of 5 to 30 tokens a row, behind the same demonstrations, in one
process and one loaded model:

- extract: compread's loop from tokens to a finished store of all components, loading not counted;
- lm-eval: ``loglikelihood`` of its ``hf`` backend over the first ``--sample`` of the rows, in
  batches of ``--batch``: 64 is what its ``auto`` takes where memory suffices, and its search for
  that is spared.

Attribution is what extract spends in hooks, decomposition, judging and writing. The differences are
those of an answer's log-probability, and of the right choices. ``--apart`` begins each prompt with
a word of its own, so that rows share nothing. On a CPU a softmax in float32 over a vocabulary is
off by some 1e-5 a token, always to one side; with ``--softmax float64`` lm-eval takes it in double
precision, more slowly. Needs lm-evaluation-harness (``lm-eval[hf]``).
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from extract_speed import clocked

from compread.extract import ExtractOptions, Extractor
from compread.extract.sum_check import SumCheck
from compread.model import ModelRequest, load_model, quieten_libraries
from compread.model.activations import Activations
from compread.model.answers import AnswerDecomposer
from compread.prompts import Prompt, PromptSet, read_prompt_file
from compread.store import ALL_SPLITS, StoreWriter, open_store

ATTRIBUTION = (
    (Activations, "pick"),
    (AnswerDecomposer, "decompose"),
    (AnswerDecomposer, "grams"),
    (SumCheck, "__call__"),
    (StoreWriter, "append"),
    (StoreWriter, "finish"),
)
NOUNS = ["cat", "dog", "house", "river", "star", "song", "war", "bread", "milk", "honey", "stone"]
VERBS = ["runs", "sees", "falls", "sings", "was", "brought"]
WORDS = [*NOUNS, *VERBS, "the", "a", "quickly", "over", "lazy", "and", "then", "bright", "never"]


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--shots", type=int, default=4)
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--softmax", choices=["float64"])
    options = parser.parse_args()
    quieten_libraries(bars=False)
    loaded = load_model(ModelRequest(options.model, dtype="float32"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cloze.jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in made(options)))
        prompts = read_prompt_file(path)
        log_p, ours = extracted(Extractor(loaded), prompts, Path(folder))
    theirs, rate = by_lm_eval(loaded, prompts.prompts[: options.sample], options)
    print(f"lm-eval: {rate:.3f} rows/s; extract: {ours / rate:.1f} x")
    pairs = [(log_p[id_], own) for id_, own in theirs.items()]
    off = max(float(np.abs(a - b).max()) for a, b in pairs)
    alike = sum(int(a.argmax() == b.argmax()) for a, b in pairs)
    print(f"log p differs by {off:.1e} at most; the same choice on {alike} of {len(pairs)} rows")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")


def made(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows of a prompt file."""
    draw = random.Random(0)

    def text(least: int, most: int) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(least, most)))

    shots = "".join(
        f"Story: {text(20, 20)}\nEnding: {text(12, 12)}\n\n" for _ in range(options.shots)
    )
    for n in range(options.rows):
        begin = f"{WORDS[n % len(WORDS)]} {n}. {shots}" if options.apart else shots
        yield {
            "prompt": f"{begin}Story: {text(15, 30)}\nEnding:",
            "options": [f" {text(5, 22)}" for _ in range(4)],
            "label": draw.randrange(4),
            "split": "train" if n < options.rows // 10 else "test",
        }


def extracted(
    extractor: Extractor, prompts: PromptSet, folder: Path
) -> tuple[dict[str, np.ndarray[Any, Any]], float]:
    """Each row's log-probabilities by its id, and rows a second."""
    clock: list[float] = []
    with ExitStack() as stack:
        for owner, name in ATTRIBUTION:
            stack.enter_context(clocked(owner, name, clock))
        start = time.perf_counter()
        done = extractor.extract(prompts, folder / "run.h5", ExtractOptions())
        seconds = time.perf_counter() - start
    rate = done.rows / seconds
    print(
        f"extract: {done.rows} rows, {rate:.3f} rows/s, attribution {sum(clock) / seconds:.1%} of "
        f"the time, {done.tokens_run} of {done.tokens_whole} tokens run"
    )
    for warning in done.warnings:
        print(f"  {warning}")
    with open_store(folder / "run.h5") as store:
        found = {
            id_: full[: len(answers)]
            for split in ALL_SPLITS
            for rows in [store.split(split)]
            for id_, full, answers in zip(rows.id, rows.full, store.answers(split), strict=True)
        }
    return found, rate


def by_lm_eval(
    loaded: Any, rows: Sequence[Prompt], options: argparse.Namespace
) -> tuple[dict[str, np.ndarray[Any, Any]], float]:
    """The same of the first rows by lm-eval."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    backend = HFLM(
        pretrained=loaded.model,
        tokenizer=loaded.tokenizer,
        batch_size=options.batch,
        softmax_dtype=options.softmax,
    )
    asked = [
        Instance(request_type="loglikelihood", doc={}, arguments=(row.text, answer), idx=k)
        for row in rows
        for k, answer in enumerate(row.answers)
    ]
    start = time.perf_counter()
    said = iter(backend.loglikelihood(asked, disable_tqdm=True))
    seconds = time.perf_counter() - start
    found = {row.id: np.array([next(said)[0] for _ in row.answers]) for row in rows}
    print(f"lm-eval: {len(rows)} rows in batches of {options.batch}")
    return found, len(rows) / seconds


if __name__ == "__main__":
    main()
