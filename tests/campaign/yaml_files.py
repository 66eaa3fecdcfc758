"""Hostile task files: YAML that is no task; templates that never end, grow or escape."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from .case import Attack, Case, Fault, call, judge
from .values import HOSTILE_TEXT, ODD, paths_in, put

SECONDS = 10.0
"""Of processor time."""
GOOD: dict[str, Any] = {
    "description": "is the answer yes or no?",
    "label": {"field": "answer", "values": [False, True]},
    "shots": 2,
    "budget": 6,
    "templates": {
        "plain": {"text": "{{ question }}?\nAnswer:", "labels": [" No", " Yes"]},
        "other": {"text": "Q: {{ question | trim }}\nA:", "labels": {"no": [" No", " no"],
                                                                      "yes": [" Yes", " yes"]}},
    },
}  # fmt: skip
TEMPLATES = (
    "{{ 'x' * 1000000000 }}", "{{ question * 999999999 }}", "{{ [0] * 10**9 }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{{ question }}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}{{ question }}", "{{ 9**9**9 }}{{ question }}",
    "{{ question.__class__.__mro__[1].__subclasses__() }}", "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.system('touch evil') }}", "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ question }}", "{% extends 'x' %}",
    "{{ lipsum(n=9999) }}{{ question }}",
    "{{ question", "{% if %}", "{{ question | nosuch }}", "{{ question | join(1) }}", "{question}",
    "no field at all", "{{ answer }}", "{{ undefined_field }}", "{{ question / 0 }}", "{{ 1 / 0 }}",
    "{{ question }}\x1b[2J", "{{ question }}\u202e", "{{ question }}\0", "{{ (" * 500,
    "{{ " + "(" * 2000 + "question" + ")" * 2000 + " }}", "{{ '%0999999999d' % 1 }}{{ question }}",
    "{{ '{:>999999999}'.format(1) }}{{ question }}", "{{ question.center(999999999) }}",
    "{{ question | indent(999999999) }}", "{{ question | wordwrap(0) }}",
    "{{ question | batch(0) }}",
    "{{ range(10**12) | list }}", "{% set ns = namespace(x=question) %}"
    "{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
    "{{ question | replace('', 'xxxxxxxx' * 9999) * 9999 }}", "{{ question }}" * 20_000,
    "{{ question | pprint }}", "{{ question | tojson }}", "{{ loop }}", "{% raw %}{{ question }}",
)  # fmt: skip
TEXTS = (
    "", "null", "- a\n- b\n", "a: b: c", "\t", "%YAML 9.9\n---\n", "--- 1\n--- 2\n", "{" * 3000,
    "[" * 3000 + "]" * 3000, "? " * 500, "a: &a [*a]", "x: " + "9" * 5000, "x: 2001-99-99",
    "x: 2001-01-01", "x: !!python/object/apply:os.system ['touch evil']", "x: !!binary @@",
    "x: 0o9", "x: 1:99:99", "x: '\\ud800'", 'x: "\\ud800"', "x: \x1b[2J", "\ufeffdescription: x",
    "description: x\ndescription: y\n", "<<: 3\n", "? [a, b]\n: c\n", "1: 2\n", "null: x\n",
    "a: &a {b: *a}", "templates: &t {plain: *t}", "x: !!float nine", "x: !!int ''", "x: .nan",
    "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{c}: &{c} [*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p}]\n"
        for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "task: boolq\ndataset_path: super_glue\ndoc_to_text: '{{x}}'\ndoc_to_target: label\n",
    "x: " + "a" * 5_000_000,
)  # fmt: skip


def prepare(stage: Path) -> None:
    """Rows for the task that all cases change."""
    rows = [{"question": f"is it {n}", "answer": bool(n % 2)} for n in range(40)]
    data = stage / "data" / "mine"
    data.mkdir(parents=True)
    for split in ("train", "test"):
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def draw(rng: random.Random, stage: Path) -> Case:
    """One file: a value odd or gone, a hostile template, a text that is no task; or odd rows."""
    kind = rng.choice(["value", "value", "drop", "template", "template", "id", "text", "bytes"])
    document = json.loads(json.dumps(GOOD))
    places = paths_in(document)[1:]
    if kind == "text":
        text = rng.choice(TEXTS)
    elif kind == "template":
        document["templates"]["plain"]["text"] = rng.choice(TEMPLATES)
        text = _dump(document)
    elif kind == "id":
        document["templates"][rng.choice(HOSTILE_TEXT)] = document["templates"].pop("plain")
        text = _dump(document)
    elif kind == "value":
        text = _dump(put(document, rng.choice(places), rng.choice(ODD)))
    elif kind == "drop":
        inner, place = document, rng.choice(places)
        for key in place[:-1]:
            inner = inner[key]
        del inner[place[-1]]
        text = _dump(document)
    else:
        text = _dump(document)
        cut = rng.randrange(len(text))
        text = text[:cut] + rng.choice("\0\x85\u2028{}[]&*!|>%@`\t:'\"") + text[cut + 1 :]
    return yaml_case(kind, text, rng.choice(["validate", "validate", "list", "show"]))(stage)


def yaml_case(name: str, text: str, command: str) -> Callable[[Path], Case]:
    """A task file that one of the commands of ``tasks`` reads."""

    def make(stage: Path) -> Case:
        def run(work: Path) -> Iterator[Fault]:
            (work / "mine.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
            arguments: dict[str, list[str | Path]] = {
                "validate": ["validate", work / "mine.yaml"],
                "list": ["list", "--include-path", work],
                "show": ["show", "mine", "--include-path", work, "--data-dir", stage / "data"],
            }
            outcome = call("tasks", *arguments[command])
            # The mistakes that validate finds are its result, and no error of its own.
            found = command == "validate" and outcome.status == 1 and bool(outcome.out.strip())
            yield from judge(outcome, (0, 1, 2), result=found)
            if outcome.cpu > SECONDS:
                yield Fault("hang", f"{outcome.cpu:.1f} s of processor time")
            if made := {path.name for path in work.iterdir()} - {"mine.yaml"}:
                yield Fault("outside", f"a template wrote {made}")

        return Case(f"{name}: {text[-160:]!r}; tasks {command}", run)

    return make


def template_case(template: str, command: str) -> Callable[[Path], Case]:
    """The good task with another template."""
    document = json.loads(json.dumps(GOOD))
    document["templates"]["plain"]["text"] = template
    return yaml_case("template", _dump(document), command)


def null_field(stage: Path) -> Case:
    """A null in a field that the template needs is an error, and never the word None."""

    def run(work: Path) -> Iterator[Fault]:
        (work / "mine.yaml").write_text(_dump(GOOD))
        rows = [{"question": None, "answer": bool(n % 2)} for n in range(40)]
        for split in ("train", "test"):
            file = work / "mine" / f"{split}.jsonl"
            file.parent.mkdir(exist_ok=True)
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        outcome = call("tasks", "show", "mine", "--include-path", work, "--data-dir", work)
        yield from judge(outcome, (1,))
        if "None" in outcome.out:
            yield Fault("wrong", outcome.out)

    return Case("null fields; tasks show", run)


def _dump(document: Any) -> str:
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False)


FIXED = (
    *(template_case(template, "validate") for template in TEMPLATES),
    *(yaml_case("text", text, "validate") for text in TEXTS),
    yaml_case("text", TEXTS[-2], "list"),
    null_field,
)

ATTACK = Attack(
    "yaml_files", "task files", draw, prepare, FIXED, seconds=40, growth=300 << 20, batch=300
)
