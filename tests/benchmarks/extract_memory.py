"""Memory that extract takes beyond the model, over numbers of rows and sizes of the vocabulary.

    python tests/benchmarks/extract_memory.py [--rows 500,10000] [--vocabularies 32000,256000]
        [--answers 4]

Each pair runs in a process of its own on a random Llama (4 layers, width 256) and random prompts of
60 to 100 tokens, 40 of them shared. What is printed is the process's largest resident memory while
the extract runs, less what it had with the model loaded and every prompt in tokens. With
``--answers`` each row has so many of its own, of 2 to 12 tokens each.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table


def main() -> None:
    """Run every pair, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="500,10000")
    parser.add_argument("--vocabularies", default="32000,256000")
    parser.add_argument("--answers", type=int, default=0)
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(extract(*options.one, options.answers))
        return
    table = Table("vocabulary", "rows", "MB beyond the model", "of the first")
    for vocabulary in options.vocabularies.split(","):
        first = 0.0
        for rows in options.rows.split(","):
            own = ["--one", rows, vocabulary, "--answers", str(options.answers)]
            done = subprocess.run(
                [sys.executable, __file__, *own],
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            taken = int(done.stdout) / 1e6
            first = first or taken
            table.add_row(vocabulary, rows, f"{taken:.0f}", f"{taken / first:.2f}")
    Console(width=80).print(table)


def extract(rows: int, vocabulary: int, count: int) -> int:
    """Bytes that one extract takes beyond the loaded model and the tokens."""
    import torch
    import transformers

    from compread.extract import ExtractOptions, Extractor
    from compread.extract.memory import resident_memory
    from compread.model import LoadedModel, ModelRequest
    from compread.prompts import Prompt, PromptSet
    from compread.prompts.tokens import TokenizedSet

    sizes = {"hidden_size": 256, "num_hidden_layers": 4, "intermediate_size": 704}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 4}
    config = transformers.LlamaConfig(vocab_size=vocabulary, **sizes, **heads)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    numbers = random.Random(0)
    shared = [numbers.randrange(vocabulary) for _ in range(40)]
    ids = tuple(
        (*shared, *(numbers.randrange(vocabulary) for _ in range(numbers.randrange(20, 60))))
        for _ in range(rows)
    )
    words = tuple(f" {n}" for n in range(count))
    prompts = tuple(
        Prompt(f"prompt {n}", n % 2, "test", str(n), answers=words) for n in range(rows)
    )
    answers = tuple(
        tuple(
            (k, *(numbers.randrange(vocabulary) for _ in range(numbers.randrange(1, 12))))
            for k in range(count)
        )
        for _ in range(rows if count else 0)
    )
    tokens = TokenizedSet(ids, (5, 9), (), tuple(p.id for p in prompts), answers)
    loaded = LoadedModel(ModelRequest("random"), None, model, None, "0" * 16)
    extractor = Extractor(loaded)
    before = resident_memory()
    with tempfile.TemporaryDirectory() as folder:
        done = extractor.extract(
            PromptSet("random", () if count else (" a", " b"), prompts),
            Path(folder, "run.h5"),
            ExtractOptions(),
            tokens=tokens,
        )
    return done.memory - before


if __name__ == "__main__":
    main()
