"""Templates render to the character, and a row that does not fit is an error."""

import pytest

from compread.errors import PromptError
from compread.prompts import Template, Verbalizer, load_task, render, template_fields


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
        ("{{ empty }}", "template 't': a field of the row is null"),
        ("{{ sentence.nothing }}", "template 't' fails: .*nothing.*the row has 'sentence'"),
        ("{{ label // 0 }}", "template 't' fails: .*the row has"),
        ("{{ ''.__class__.__mro__ }}", "template 't' fails: .*unsafe"),
        ("a\n{% if %}", "line 2 is not valid Jinja2"),
    ],
)
def test_rows_that_do_not_fit(text: str, message: str) -> None:
    """A missing, null or unusable field is told with the template and the row's fields."""
    row = {"sentence": "x", "label": 1}
    with pytest.raises(PromptError, match=message):
        render(template(text), row | ({"empty": None} if "empty" in text else {}))
