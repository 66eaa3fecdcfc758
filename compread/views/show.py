"""What is in a store, for ``show``."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from compread.options import SPLITS, UNCONDITIONAL
from compread.store import Store
from compread.store.schema import CALIBRATION, RunInfo
from compread.text import printable, with_class
from compread.views.tables import Column, Row, Table

PROMPT_LINES = 8
FIELDS = [Column("field", justify="left"), Column("value", justify="left")]
LABELS = [Column("column"), Column("word", justify="left", format=lambda r: repr(r["word"]))]
LABELS += [Column("token_id", "token\nid")]
ANSWERS = [Column("answer", justify="left", format=lambda r: repr(r["answer"]), shorten="end")]
ANSWERS += [Column("tokens"), Column("bytes")]
ANSWERS += [Column("log_probability", "log\nprobability", format=".3f")]
ANSWERS += [Column("right", format=lambda r: "yes" if r["right"] else "")]
CLASS = Column("class", justify="left")
KINDS = [Column("kind", justify="left"), Column("count")]


def store_rows(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Everything but the arrays: the run, the labels, how many components and rows of what."""
    path, words = str(store.path), store.labels.word
    labels = zip(words, store.labels.token_id, store.labels.class_name, strict=True)
    splits = (*SPLITS, *(name for name in (CALIBRATION, UNCONDITIONAL) if store.rows(name)))
    kinds = Counter(c.kind for c in store.components)
    return {
        "runs": [{"store": path, **store.run.to_dict()}],
        "labels": [
            {"store": path, "column": k, "word": word, "token_id": token, "class": of}
            for k, (word, token, of) in enumerate(labels)
        ],
        "components": [{"store": path, "kind": k, "count": n} for k, n in kinds.items()],
        "splits": [{"store": path, **_split_row(store, name)} for name in splits],
        **({"answers": _answers(store)} if store.axes.has_answers else {}),
    }


def _answers(store: Store) -> list[dict[str, Any]]:
    """The first test row's answers and what the model says of them, or the first train row's."""
    split = next(name for name in ("test", "train", CALIBRATION) if store.rows(name))
    answers, full = store.answers(split)[0], store.array(split, "full")[0]
    of = {"store": str(store.path), "split": split, "id": store.axes.splits[split].id[0]}
    gold = int(store.gold(split)[0])
    each = zip(answers.text, answers.tokens, answers.n_bytes, strict=True)
    return [
        {**of, "column": k, "answer": text, "tokens": tokens, "bytes": size,
         "log_probability": float(full[k]), "right": k == gold}
        for k, (text, tokens, size) in enumerate(each)
    ]  # fmt: skip


def store_view(document: dict[str, list[dict[str, Any]]]) -> list[Table]:
    """The tables of one store's document."""
    run = document["runs"][0]
    splits = document["splits"]
    gold = [key for key in splits[0] if key.startswith("gold_")]
    named = {_gold_key(of["word"]): with_class(_stripped(of["word"]), of["class"])
             for of in document["labels"]}  # fmt: skip
    columns = [Column("split", justify="left"), Column("rows")]
    columns += [Column(k, f"gold\n{printable(named[k])}", drop=1, group="gold") for k in gold]
    columns += [
        Column("worst_sum_error", "worst sum error\n(logits)", format=".1e"),
        Column("mean_label_mass", "mean\nlabel mass", format=".3f"),
    ]
    answers = document.get("answers", [])
    labels = document["labels"]
    return [
        Table(FIELDS, [_run_rows(run)], title=printable(run["store"])),
        *([] if answers else [Table(columns_of_labels(labels), [labels], title="Labels")]),
        Table(KINDS, [document["components"]], title="Components"),
        Table(columns, [splits], title="Rows"),
        *([Table(ANSWERS, [answers], title=_heading(answers[0]))] if answers else []),
    ]


def _heading(answer: Row) -> str:
    return f"Answers of {answer['split']} row {printable(answer['id'])}"


def columns_of_labels(labels: Sequence[Row]) -> list[Column]:
    """The labels' columns, with their classes where one is called otherwise than its word."""
    pooled = any(with_class(of["word"], of["class"]) != of["word"] for of in labels)
    return [*LABELS, CLASS] if pooled else LABELS


def sample_prompt(run: RunInfo, width: int, whole: bool = False) -> str:
    """The first row's prompt, indented; its last lines, unless the whole is wanted.

    Empty where the store keeps none.
    """
    if not run.sample_prompt:
        return ""
    lines = run.sample_prompt.split("\n")
    shown = lines if whole else lines[-PROMPT_LINES:]
    hidden = len(lines) - len(shown)
    heading = (
        f"Sample prompt, from line {hidden + 1} on (--prompt: all)" if hidden else "Sample prompt"
    )
    wrapped = (
        textwrap.wrap(
            printable(line),
            width,
            initial_indent="  ",
            subsequent_indent="    ",
            replace_whitespace=False,
        )
        for line in shown
    )
    return "\n".join([heading, *(piece for line in wrapped for piece in (line or ["  "]))]) + "\n"


def _gold_key(word: str) -> str:
    return f"gold_{_stripped(word)}"


def _stripped(word: str) -> str:
    """Without outer spaces, unless it is nothing else."""
    return word.strip() or word


def _split_row(store: Store, split: str) -> dict[str, Any]:
    gold = Counter(store.axes.splits[split].gold)
    n = store.rows(split)
    row: dict[str, Any] = {"split": split, "rows": n}
    row |= {_gold_key(word): gold[k] for k, word in enumerate(store.labels.word)}
    row["worst_sum_error"] = float(store.array(split, "sum_error").max()) if n else None
    row["mean_label_mass"] = float(store.array(split, "label_mass").mean()) if n else None
    return row


def _keeps_text(run: Row) -> bool:
    return bool(run["protocol"].get("keep_text"))


def _run_rows(run: Row) -> Sequence[Row]:
    """The run's fields in words."""
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    tokens = f"{run['prefix_tokens']} tokens that all prompts share"
    shared = f"{tokens}, run once" if run["shared_prefix"] else "off"
    tolerance = f"(tolerance: {run['tolerance']:.1e} of the logits' scale)"
    values = {
        "model": run["model"],
        "model type": run["model_type"],
        "revision": run["revision"],
        "fingerprint": run["fingerprint"],
        "model's own code": "allowed (--trust-remote-code)" if run["trust_remote_code"] else None,
        "dtype": run["dtype"],
        "task": run["task"],
        "template": run["template"],
        "template text": run["template_text"],
        "shots": run["shots"],
        "seed": run["seed"],
        "demonstrations": ", ".join(run["demonstrations"]),
        "prompt set": run["prompt_set"],
        "shared prefix": shared,
        "soft-cap": run["soft_cap"],
        "worst sum error": f"{run['worst_sum_error']:.1e} logits {tolerance}",
        "batch tokens": run["batch_tokens"],
        "rows' texts": "kept (extract --keep-text)" if _keeps_text(run) else "not kept",
        "versions": versions,
        "date": run["date"],
        "command": run["command"],
    }
    return [{"field": k, "value": v} for k, v in values.items() if v not in (None, "")]
