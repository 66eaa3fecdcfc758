"""Hostile prompt files: rows that are none, and text that steers tokenizers and terminals."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from tiny_folder import review_rows

from . import tiny
from .case import Attack, Case, Fault, call, judge
from .values import HOSTILE_TEXT, ODD, change_json

ALLOWED = (0, 1, 2)
KEYS = ("prompt", "label", "options", "split", "id")
WAYS = ([], ["--dry-run"], ["--show-prompts", "2", "--dry-run"])
BYTES = (b"", b"\n\n\n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"null", b"[]", b"{}", b"{" * 9999,
         b"\r\n", b"\x1f\x8b\x08", b"9" * 6000, b'"a"\n"b"')  # fmt: skip


def draw(rng: random.Random, stage: Path) -> Case:
    """A file of six rows, one of them odd; extracted, or only looked at."""
    rows = [json.dumps(row) for row in review_rows(6, n_train=2)]
    kind = rng.choice(["value", "value", "text", "json", "bytes", "twice", "long", "many options"])
    place = rng.randrange(len(rows))
    key = rng.choice(KEYS)
    name = f"{kind} in row {place}"
    if kind in ("value", "text"):
        value = rng.choice(ODD if kind == "value" else HOSTILE_TEXT)
        row = json.loads(rows[place])
        row[key] = (
            f"Review: {value} ok\nSentiment:" if key == "prompt" and kind == "text" else value
        )
        rows[place], name = json.dumps(row), f"{name}: {key} = {value!r:.60}"
    elif kind == "json":
        change, apply = change_json(rng)
        rows[place], name = apply(rows[place]), f"{name}: {change}"
    elif kind == "long":
        row = json.loads(rows[place])
        row["prompt"] = rng.choice(["a ", "ab", "\n"]) * rng.choice([300, 40_000]) + row["prompt"]
        rows[place] = json.dumps(row)
    elif kind == "many options":
        row = json.loads(rows[place])
        row["options"] = [chr(33 + n % 90) for n in range(rng.choice([2, 91, 3000]))]
        rows[place] = json.dumps(row)
    data = "".join(row + "\n" for row in rows).encode("utf-8", "surrogatepass")
    if kind == "twice":
        data += data
    elif kind == "bytes":
        piece, cut = rng.choice(BYTES), rng.choice([0, rng.randrange(len(data)), len(data)])
        data = data[:cut] + piece + data[cut:]
    way = rng.choice(WAYS)

    def run(work: Path) -> Iterator[Fault]:
        file = work / "rows.jsonl"
        file.write_bytes(data)
        target = work / "out.h5"
        model = str(stage / "model")
        outcome = call("extract", "--model", model, "--prompts", file, "-o", target, *way)
        yield from judge(outcome, ALLOWED)
        if way == [] and (outcome.status == 0) != target.exists():
            yield Fault("status", f"status {outcome.status}, store there: {target.exists()}")
        if target.exists():
            for read in (["show"], ["rank"]):
                yield from judge(call(*read, target), (0,))

    return Case(f"{name}; {' '.join(way)}", run)


ATTACK = Attack(
    "prompts", "prompt files", draw, tiny.prepare, share=1.5, seconds=60, torch=True, batch=100
)
