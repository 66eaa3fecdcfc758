"""Templates render to the character, and a row that does not fit is an error."""

import re

import pytest

from compread.errors import PromptError
from compread.prompts import load_task, render
from compread.prompts.tasks import Template, Verbalizer
from compread.prompts.templates import fulfils, template_fields


def template(text: str) -> Template:
    """A template of that text."""
    return Template("t", text, Verbalizer.of_words((" no", " yes")))


@pytest.mark.parametrize(
    ("template_id", "prompt"),
    [
        ("review-sentiment", "Review: a <b> & 'c' .\nSentiment:"),
        (
            "review-question",
            "Review: a <b> & 'c' .\nDo you think the review is positive or negative?",
        ),
        (
            "said",
            "Someone just said to me \"a <b> & 'c' .\".\n\nDo you think they are sad or happy?",
        ),
    ],
)
@pytest.mark.parametrize("end", ["", " "])
def test_sst2_to_the_character(template_id: str, prompt: str, end: str) -> None:
    """SST-2's prompts are the paper's (section 2.5), with or without the hub's trailing space."""
    row = {"sentence": "a <b> & 'c' ." + end, "label": 1}
    assert render(load_task("sst2").template(template_id), row) == prompt


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{ n }}", "7"),
        ("{{ q }}\n", "a?\n"),
        ("  {{ q }}  ", "  a?  "),
        ("{% if other is defined %}x{% endif %}{{ q }}", "a?"),
        ("{{ choices.text[1] }}", "two"),
    ],
)
def test_kept_as_written(text: str, rendered: str) -> None:
    """Numbers, line ends, spaces, tests and nested fields come out as the template says."""
    row = {"q": "a?", "n": 7, "choices": {"text": ["one", "two"]}}
    assert render(template(text), row) == rendered


def test_fields_of_a_template() -> None:
    """The fields a template reads are found without a row."""
    assert template_fields("{{ a }}{% for x in b %}{{ x }}{% endfor %}") == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ sentnce }}", "template 't' needs 'sentnce'; the row has 'sentence', 'label'"),
        ("{{ sentence.nothing }}", "template 't' needs what is not there: .*nothing'; the row has"),
        ("{{ label // 0 }}", "template 't' fails: .*the row has"),
        ("{{ ''.__class__.__mro__ }}", "template 't' fails: .*unsafe"),
        ("a\n{% if %}", "line 2 is not valid Jinja2"),
    ],
)
def test_rows_that_do_not_fit(text: str, message: str) -> None:
    """A missing, null or unusable field is told with the template and the row's fields."""
    row = {"sentence": "x", "label": 1}
    with pytest.raises(PromptError, match=message):
        render(template(text), row)


NULLS = {"n": None, "nan": float("nan"), "c": {"text": ["a", None], "x": None}, "s": "a"}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{{ n }}", "n"),
        ("{{ n | trim }}", "n"),
        ("{{ n | tojson }}", "n"),
        ("{{ s ~ n }}", "n"),
        ("{{ '%s' % n }}", "n"),
        ("{% if n %}x{% endif %}", "n"),
        ("{{ n == 'a' }}", "n"),
        ("{{ nan | trim }}", "nan"),
        ("{{ c.x | upper }}", "c.x"),
        ("{{ c.text | join(' ') }}", "c.text[1]"),
        ("{{ c.text | tojson }}", "c.text[1]"),
        ("{% for t in c.text %}{{ t | trim }}{% endfor %}", "c.text[1]"),
    ],
)
def test_null_is_never_a_word(text: str, field: str) -> None:
    """A null, however deep and whatever is done to it, is an error that names the field."""
    message = f"template 't' needs {field!r}, which is null; drop the row"
    with pytest.raises(PromptError, match=re.escape(message)):
        render(template(text), NULLS)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{ s }}{{ n | default('-') }}", "a-"),
        ("{{ absent | default('-') }}", "-"),
        ("{% if n is defined %}{{ n }}{% endif %}{{ s }}", "a"),
        ("{{ n is none }}", "True"),
        ("{{ c.text[0] }}", "a"),
    ],
)
def test_fields_a_template_can_do_without(text: str, rendered: str) -> None:
    """A template that says so does without a field that is null or missing."""
    assert render(template(text), NULLS) == rendered


def test_message_of_an_empty_row() -> None:
    """A message about a row without a field, or with very many, ends in a word."""
    with pytest.raises(PromptError, match=r"needs 's'; the row has no field at all$"):
        render(template("{{ s }}"), {})
    with pytest.raises(PromptError, match=r"'f19' and 980 more$"):
        render(template("{{ s }}"), {f"f{n}": "x" for n in range(1000)})


@pytest.mark.parametrize(
    ("expression", "verdict"), [("", True), ("n is none", True), ("s == 'b'", False)]
)
def test_what_a_row_must_fulfil(expression: str, verdict: bool) -> None:
    """An expression is true or false of a row; the empty one is true."""
    assert fulfils(expression, NULLS) is verdict


@pytest.mark.parametrize("expression", ["n != 3", "n | length > 2", "c.x == 'a'", "absent"])
def test_a_condition_on_a_null(expression: str) -> None:
    """A condition on what a row lacks is an error, not false."""
    with pytest.raises(PromptError, match=r"needs '(n|c\.x|absent)'"):
        fulfils(expression, NULLS)
