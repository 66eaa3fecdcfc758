"""A template cannot take the machine: each way to make much from little is refused at once."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any

import pytest

from compread.errors import PromptError
from compread.prompts import render
from compread.prompts.budget import Budget, OverBudgetError
from compread.prompts.sandbox import bounded_filter
from compread.prompts.tasks import Template, Verbalizer
from compread.prompts.templates import expression_fields, fulfils, template_fields

WORDS = Verbalizer.of_words((" no", " yes"))
ROW = {"s": "ab " * 30_000, "n": 3, "deep": [[["x"]]]}

GROW = "{% set ns = namespace(x=START) %}{% for i in range(99) %}STEP{% endfor %}{{ ns.x }}"
HOSTILE = {
    "product": "{{ 'x' * 1000000000 }}",
    "product of lists": "{{ [[1]] * 1000000000 }}",
    "product in a branch": "{% if n == 3 %}{{ s * 1000000 }}{% endif %}",
    "power": "{{ 10 ** (10 ** 9) }}",
    "powers": "{{ ((10 ** 3000) ** 3000) ** 3000 }}",
    "percent": "{{ '%0999999999d' % 1 }}",
    "percent, width given": "{{ '%*d' % (999999999, 1) }}",
    "percent filter": "{{ '%999999999d' | format(1) }}",
    "format": "{{ '{:>999999999}'.format(1) }}",
    "format, width given": "{{ '{:{w}}'.format(1, w=999999999) }}",
    "format of much": "{{ ('{0}' * 5000).format(s) }}",
    "center": "{{ 'x' | center(1000000000) }}",
    "center, method": "{{ 'x'.center(1000000000) }}",
    "center, mapped": "{{ ['x'] | map('center', 1000000000) | join }}",
    "zeros": "{{ '1'.zfill(1000000000) }}",
    "tabs": "{{ '\t'.expandtabs(1000000000) }}",
    "indent": "{{ s | indent(1000000000) }}",
    "batch": "{{ [1] | batch(1000000000, 0) | list }}",
    "slice": "{{ [1] | slice(1000000000) | list }}",
    "round": "{{ 1.5 | round(1000000000, 'ceil') }}",
    "json": "{{ deep | tojson(indent=1000000000) }}",
    "replace": "{{ s | replace('', s) }}",
    "replace, method": "{{ s.replace('a', s) }}",
    "join": "{{ range(99999) | join(s) }}",
    "join, method": "{{ s.join(range(99999) | map('string')) }}",
    "translate": "{{ s.translate({97: s}) }}",
    "bytes": "{{ n.to_bytes(1000000000, 'big') }}",
    "text over and over": "{% for i in range(99999) %}" + "z" * 9_000 + "{% endfor %}",
    "set block": "{% set a %}{% for i in range(99999) %}{{ s }}{% endfor %}{% endset %}{{ a }}",
    "doubled text": GROW.replace("START", "'ab'").replace("STEP", "{% set ns.x = ns.x ~ ns.x %}"),
    "added text": GROW.replace("START", "'ab'").replace("STEP", "{% set ns.x = ns.x + ns.x %}"),
    "doubled list": GROW.replace("START", "1").replace("STEP", "{% set ns.x = [ns.x, ns.x] %}"),
    "doubled dict": GROW.replace("START", "1").replace(
        "STEP", "{% set ns.x = {'a': ns.x, 'b': ns.x} %}"
    ),
    "slices": GROW.replace("START", "[]").replace("STEP", "{% set ns.x = ns.x + [s[1:] * 9] %}"),
    "sum": "{{ [[1]] * 9 | sum(start=[]) }}",
    "range": "{{ range(1000000000) | list }}",
    "loops": "{% for i in range(99999) %}" * 2 + "{% endfor %}" * 2,
    "macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "two calls each": "{% macro m0() %}{% endmacro %}"
    + "".join(
        f"{{% macro m{n + 1}() %}}{{{{ m{n}() }}}}{{{{ m{n}() }}}}{{% endmacro %}}"
        for n in range(40)
    )
    + "{{ m40() }}",
}


def rendered(text: str) -> str:
    """The text of a template on ``ROW``."""
    return render(Template("t", text, WORDS), ROW)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_refused_within_the_budget(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading and rendering a hostile template ends in one line, without much memory."""
    # A hundredth of the real one, for the time that memory takes to be traced.
    monkeypatch.setattr("compread.prompts.budget.WORK", 500_000)
    tracemalloc.start()
    try:
        with pytest.raises(PromptError) as caught:
            rendered(text)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("name", ["sort", "list", "unique", "map", "title", "wordcount"])
def test_letters_are_paid_for_before_they_are_made(name: str) -> None:
    """A filter that takes a text for a list of its letters never sees one of too many."""
    seen: list[str] = []
    filter = bounded_filter(name, lambda text: seen.append(text))
    with Budget(), pytest.raises(OverBudgetError):
        filter("x" * 1_000_000)
    with Budget():
        filter("xyz")
    assert seen == ["xyz"]


@pytest.mark.parametrize("call", ["split()", "rsplit()", "splitlines()", "split('a')"])
def test_words_are_paid_for_before_they_are_made(call: str) -> None:
    """A long text is not taken apart into millions of short ones; a prompt's is."""
    assert rendered(f"{{{{ ('ab ' * 999).{call} | length > 0 }}}}") == "True"
    tracemalloc.start()
    try:
        with pytest.raises(PromptError, match="is refused: it takes over"):
            rendered(f"{{{{ ('a ' * 1200000).{call} | length }}}}")
        assert tracemalloc.get_traced_memory()[1] < 2e7
    finally:
        tracemalloc.stop()


def test_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has a price of nearly nothing is stopped by the processor time it takes."""
    monkeypatch.setattr("compread.prompts.budget.SECONDS", -1.0)
    assert rendered("{{ n }}") == "3"
    with pytest.raises(PromptError, match="is refused: it takes over"):
        rendered("{% for i in range(999) %}{% endfor %}")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_reading_runs_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields of a template are found without working out its constants."""
    monkeypatch.setattr("compread.prompts.budget.WORK", 0)
    assert template_fields(text + " ") <= {"s", "n", "deep"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "nests too deeply"),
        ("{{ " + "[" * 3000 + "]" * 3000 + " }}", "nests too deeply"),
        ("{{ 1" + "+1" * 5000 + " }}", "nests too deeply"),
        ("{% for i in s %}" * 30 + "{% endfor %}" * 30, "nests too deeply"),
        ("{{ s | nothing }}", "line 1 is not valid Jinja2: No filter named 'nothing'"),
        ("{{ s | random }}", "No filter named 'random'"),
        ("{% include 'x' %}", "uses another template"),
        ("x" * 100_001, "100,001 characters; expected 100,000"),
    ],
)
def test_sources_that_cannot_be_read(text: str, message: str) -> None:
    """A source that Python's own parsers choke on is refused in one line."""
    with pytest.raises(PromptError, match=message) as caught:
        template_fields(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("option", ["'x' | center(n.width)", "[2, 1] | sort(attribute=n.width)"])
def test_what_a_filter_is_given_must_be_there(option: str) -> None:
    """Else it is named as it would be where it is printed."""
    with pytest.raises(PromptError, match="'int object' has no attribute 'width'"):
        rendered(f"{{{{ {option} }}}}")


def test_number_of_very_many_digits() -> None:
    """A number that Python refuses to read, or to print, is one line."""
    with pytest.raises(PromptError, match="digits") as caught:
        rendered("{{ " + "1" * 5000 + " }}")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["'x' * 1000000000 == s", "'x' | center(1000000000) == s"])
def test_conditions_have_the_same_budget(text: str) -> None:
    """A condition on rows is bounded, too, when it is read and when it is asked."""
    expression_fields(text)
    with pytest.raises(PromptError, match="is refused"):
        fulfils(text, ROW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% for i in range(3) %}{{ loop.index }}/{{ loop.length }} {% endfor %}", "1/3 2/3 3/3 "),
        ("{% for x in [1, 2] | map('string') %}{{ x }}{{ loop.last }}{% endfor %}", "1False2True"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "a1"),
        ("{% set a, b = 1, 2 %}{{ a + b }}{{ a ~ b }}{{ b ** 3 }}{{ -a }}", "3128-1"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m('a') }}", "<a>"),
        ("{{ [3, 1] | sort | join(', ') }}{{ s[:2] }}{{ 'b' in s }}", "1, 3abTrue"),
        ("{{ '%s is %5.1f %%' % ('x', 2.25) }}{{ '{{}} {:>4}'.format(n) }}", "x is   2.2 %{}    3"),
        ("{{ 'a\nb' | indent(2) }}{{ 'x' | center(5) }}|", "a\n  b  x  |"),
        ("{{ [1, {'a': 2}] | tojson }}{{ n if n == 3 else 4 }}{{ 1 < n <= 3 }}", '[1, {"a": 2}]3'),
        ("{% set ns = namespace(k=0) %}{% for c in 'ab' %}{% set ns.k = ns.k + 1 %}{% endfor %}"
         "{{ ns.k }}", "2"),
    ],
)  # fmt: skip
def test_what_templates_do_comes_out_as_in_jinja(text: str, expected: str) -> None:
    """The prices change nothing: the same text as Jinja2's own."""
    from jinja2 import Environment

    made = rendered(text)
    assert made == Environment().from_string(text).render(ROW)
    assert made.startswith(expected)


def test_threads_have_budgets_of_their_own() -> None:
    """A template that is refused in one thread leaves the others' renderings alone."""
    found: dict[str, Any] = {}

    def run(name: str, text: str) -> None:
        try:
            for _ in range(50):
                found[name] = rendered(text)
        except PromptError as error:
            found[name] = error

    texts = {"good": "{{ n }}", "bad": HOSTILE["product"], "other": "{{ n + 1 }}"}
    threads = [threading.Thread(target=run, args=pair) for pair in texts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found["good"] == "3" and found["other"] == "4" and isinstance(found["bad"], PromptError)


def test_half_a_surrogate_pair() -> None:
    """A text that no file can hold is refused."""
    with pytest.raises(PromptError, match="half a surrogate pair"):
        rendered(r"{{ '\ud800' }}")
