"""What an attribution loses that projects each head's output past the final norm.

``interpkit`` 0.7.0 (``pip install interpkit==0.7.0``), a command-line tool for any model of the
hub, attributes a token's logit to a component as its write times the token's row of the
unembedding; the final norm's weight and scale are left out, as its documentation says. compread
applies both. Here both read the same prompts, of which ``compread extract`` makes a store::

    python tests/benchmarks/without_final_norm.py --model FOLDER --data-dir data/ --rows 50

Printed are, over the rows: the sum of all contributions to the right label's logit beside the
logit, for both tools, and how often a head contributes more to another label in one tool than in
the other.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from compread.cli import main
from compread.prompts import load_task, prompt_sets
from compread.store import Store, open_store


def extract(args: argparse.Namespace, out: Path) -> list[str]:
    """Write a store of the task's test rows; give back their prompts."""
    task = load_task(args.task)
    (made,) = prompt_sets(
        task, list(task.templates)[:1], limit=args.rows, n_train=0, data_dir=args.data_dir
    )
    rows = [
        {"prompt": p.text, "label": made.labels[p.gold], "options": list(made.labels)}
        for p in made.prompts
    ]
    file = out.with_suffix(".jsonl")
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = ["extract", "--model", args.model, "--prompts", str(file), "-o", str(out)]
    with contextlib.redirect_stdout(io.StringIO()):
        status = main([*command, "--dtype", "float32", "--device", "cpu", "--quiet"])
    if status:
        sys.exit(status)
    return [row["prompt"] for row in rows]


def attribute(model: Any, prompt: str, token: int) -> dict[str, Any]:
    """Interpkit's attribution of one token, its tables not shown."""
    with contextlib.redirect_stdout(io.StringIO()):
        found: dict[str, Any] = model.dla(prompt, token=token)
    return found


def compare(store: Store, prompts: list[str], model: Any) -> dict[str, np.ndarray]:
    """Per row the sums and logits of the right label, and per head the preferred label."""
    split = store.split("test")
    heads = [n for n, c in enumerate(store.components) if c.kind == "head"]
    names = [f"L{store.components[n].layer}.H{store.components[n].head}" for n in heads]
    sums, logits, theirs = [], [], []
    for prompt, gold in zip(prompts, split.gold, strict=True):
        found = [attribute(model, prompt, token) for token in store.labels.token_id]
        sums.append(found[gold]["total_logit_pre_ln"])
        logits.append(found[gold]["model_logit"])
        by_name = [
            {c["component"]: c["logit_contribution"] for c in one["head_contributions"]}
            for one in found
        ]
        theirs.append([[one[name] for one in by_name] for name in names])
    right = np.arange(len(split.gold)), split.gold
    return {
        "sum": np.array(sums),
        "logit": np.array(logits),
        "our sum": split.parts.sum(1)[right],
        "our logit": split.full[right],
        "prefers": np.array(theirs).argmax(-1),
        "our prefers": split.parts[:, heads].argmax(-1),
    }


def report(found: dict[str, np.ndarray]) -> None:
    """Print the means over rows and the share of heads that prefer another label."""
    rows, heads = found["prefers"].shape
    print(f"{rows} prompts, {heads} heads; means over the prompts, of the right label\n")
    print(f"{'':24}{'sum of parts':>14}{'logit':>10}{'largest |difference|':>24}")
    for name, at, of in (
        (f"interpkit {version('interpkit')}", "sum", "logit"),
        (f"compread {version('compread')}", "our sum", "our logit"),
    ):
        apart = np.abs(found[at] - found[of]).max()
        print(f"{name:24}{found[at].mean():14.2f}{found[of].mean():10.2f}{apart:24.2g}")
    other = found["prefers"] != found["our prefers"]
    print(f"\nHeads that prefer another label without the norm: {other.mean():.1%}")
    accuracy = [
        (found[key] == found["gold"][:, None]).mean(0) for key in ("prefers", "our prefers")
    ]
    best = [int(a.argmax()) for a in accuracy]
    moved = np.abs(accuracy[0] - accuracy[1])
    print(
        f"accuracy of a head: moved by {moved.mean():.3f} on average, {moved.max():.3f} at most; "
        f"best head: number {best[0]} in place of {best[1]}"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="hub id or folder")
    parser.add_argument("--task", default="sst2")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--rows", type=int, default=50)
    return parser.parse_args()


if __name__ == "__main__":
    import interpkit

    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        texts = extract(options, Path(folder) / "rows.h5")
        with open_store(Path(folder) / "rows.h5") as opened:
            result = compare(opened, texts, interpkit.load(options.model))
            report({**result, "gold": opened.split("test").gold})
