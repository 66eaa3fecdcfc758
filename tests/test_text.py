"""Text that is safe to show, in one line, and close to what was meant."""

import json

import pytest

from compread.text import (
    base_names,
    base_settings,
    brief,
    json_text,
    listed,
    nearest,
    one_line,
    printable,
    si,
    spoken,
    with_class,
)

HIDDEN = {
    "a colour": ("\x1b[31mred", r"\x1b[31mred"),
    "a tab": ("a\tb", r"a\tb"),
    "a line break": ("a\nb\r", r"a\nb\r"),
    "NUL and DEL": ("\x00\x7f", r"\x00\x7f"),
    "a C1 control": ("a\x9b2J", r"a\x9b2J"),
    "a bidirectional override": ("a\u202eb", r"a\u202eb"),
    "a bidirectional isolate": ("\u2066a\u2069", r"\u2066a\u2069"),
    "a zero-width character": ("a\u200bb\u200d", r"a\u200bb\u200d"),
    "line separators": ("\u2028\u2029\x85", r"\u2028\u2029\x85"),
    "a byte order mark": ("\ufeffa", r"\ufeffa"),
    "a byte that is not UTF-8": ("caf\udce9", r"caf\udce9"),
    "a tag beyond the first plane": ("\U000e0041", r"\U000e0041"),
    "another blank than the space": ("a\xa0b", r"a\xa0b"),
}


@pytest.mark.parametrize(("text", "shown"), HIDDEN.values(), ids=HIDDEN)
def test_what_hides_or_acts_is_shown_as_an_escape(text, shown):
    """Nothing that moves, colours, reverses or hides the text around it stays in it."""
    assert printable(text) == shown
    assert printable(shown) == shown


@pytest.mark.parametrize("text", ["", "plain", "Grüße, 世界 — ≤ 5 %", "🙂", r"a\x1b", "नमस्ते"])
def test_visible_text_stays_as_it_is(text):
    """Words of every script are left alone."""
    assert printable(text) == text


def test_a_caller_may_keep_line_breaks():
    """What is kept is kept, and only that."""
    assert printable("a\nb\x1b\t", keep="\n") == "a\nb\\x1b\\t"


@pytest.mark.parametrize("text", [text for text, _ in HIDDEN.values()], ids=HIDDEN)
def test_json_is_safe_and_exact(text):
    """JSON has its own escapes, from which the very same text comes back."""
    line = json_text({text: [text, 1.5, None]})
    assert line.isprintable()
    assert json.loads(line) == {text: [text, 1.5, None]}


def test_json_stays_readable():
    """Letters beyond ASCII are not escaped."""
    assert json_text({"word": " schön"}) == '{"word": " schön"}'


def test_an_error_in_one_line():
    """Line breaks become blanks, a long text is cut, and no text is the error's type."""
    assert one_line(ValueError("a\n  b\r\nc")) == "a b c"
    assert one_line("x" * 300) == "x" * 200
    assert one_line(KeyError()) == "KeyError"


def test_the_nearest_name():
    """A slip finds its name; something else finds none."""
    assert nearest("bolq", ["sst2", "boolq"]) == "boolq"
    assert nearest("xyz", ["sst2", "boolq"]) is None
    assert nearest("acc", ["mcc", "accuracy_low", "accuracy"]) == "accuracy"
    assert nearest("a", ["mcc", "accuracy"]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (2_500_000, "2.5 MB"),
        (2e18, "2e+03 PB"),
    ],
)
def test_sizes_have_three_digits(value, text):
    """A size is told with the prefix that keeps it short."""
    assert si(value, "B") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.5, "1 min"),
        (90, "2 min"),
        (59.4 * 60, "59 min"),
        (59.6 * 60, "1 h 00 min"),
        (6000, "1 h 40 min"),
        (86_399, "1 d 0 h"),
        (30 * 3600, "1 d 6 h"),
    ],
)
def test_times_are_told_as_one_says_them(seconds, text):
    """Two units at most, and none of them full."""
    assert spoken(seconds) == text


@pytest.mark.parametrize(
    ("names", "text"),
    [("ab", "a, b"), ("abc", "a, b, c"), ("abcd", "a, b, c and 1 more"), ("", "")],
)
def test_as_many_names_as_there_is_room(names, text):
    """The rest is counted."""
    assert listed(names, 3) == text


BRIEF = {
    "shared lines are left out": (["A: x\nB: y", "A: x\nB: z"], ["B: y", "B: z"]),
    "one text is whole": (["A: x\nB: y"], ["A: x B: y"]),
    "equal texts are whole": (["A\nB", "A\nB"], ["A B", "A B"]),
    "its last line stays": (["A\nB", "A\nB\nC"], ["B", "C"]),
    "a long one is cut": (["a" * 30, "b  c"], ["a" * 17 + "...", "b c"]),
    "none": ([], []),
}


@pytest.mark.parametrize(("texts", "lines"), BRIEF.values(), ids=BRIEF)
def test_texts_in_one_line_each(texts, lines):
    """What tells each text from the others comes first."""
    assert brief(texts, 20) == lines


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/x.h5", "/b/y.h5"], ["x", "y"]),
        (["/a/x.h5", "/b/x.h5", "/b/y.h5"], ["a/x", "b/x", "b/y"]),
        (["x.h5", "x.h5"], ["x", "x"]),
        (["mean", "", "s/x.h5"], ["mean", "", "x"]),
        ([], []),
    ],
)
def test_paths_are_named_by_their_ends(paths, names):
    """By as many of their last names as tell them apart."""
    found = base_names(paths)
    assert [found[path] for path in paths] == names


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (["/models/a.gguf, 4-shot", "org/b, 4-shot"], ["a.gguf, 4-shot", "org/b, 4-shot"]),
        (["/m/a@s1 with ~/lora/x", None], ["a@s1 with x", ""]),
        (["/runs/1/last", "/runs/2/last"], ["/runs/1/last", "/runs/2/last"]),
        (["24-shot"], ["24-shot"]),
    ],
)
def test_settings_have_models_by_their_base_names(settings, shown):
    """Whole where two models would have one name."""
    assert [base_settings(settings)[setting] for setting in settings] == shown


@pytest.mark.parametrize(
    ("name", "of", "shown"),
    [
        ("good", "pos", "good (pos)"),
        ("good", " Good", "good"),
        ("“good”", "good", "“good”"),
        ("“good”", "pos", "“good” (pos)"),
        ("good", None, "good"),
    ],
)
def test_a_class_stands_behind_a_word_of_another_name(name, of, shown):
    """And once where both are the same, but for case, spaces and quotes."""
    assert with_class(name, of) == shown
