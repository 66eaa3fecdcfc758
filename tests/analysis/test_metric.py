"""A measure of one's own: what is read as arithmetic, what it gives, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import compread
from compread.analysis.metric import FURTHER, Expression, measure_or_metric, ranked_by
from compread.cli import main
from compread.errors import UsageError

ROW = {
    "component": "L0H0",
    "accuracy": 0.75,
    "chance": 0.5,
    "n": 100,
    "layer": None,
    "kind": "head",
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("accuracy - chance", 0.25),
        ("accuracy-chance", 0.25),
        (" accuracy*2 ", 1.5),
        ("-accuracy + +n / 4", 24.25),
        ("(accuracy - chance) / (1 - chance)", 0.5),
        ("sqrt(n) ** 2", 100.0),
        ("max(accuracy, chance, 0.9) + min(1, 2)", 1.9),
        ("log(exp(abs(-3)))", 3.0),
        ("accuracy / (chance - 0.5)", math.nan),
        ("log(-accuracy)", math.nan),
        ("9 ** 9 ** 9", math.nan),
        ("layer + accuracy", math.nan),
    ],
)
def test_arithmetic_has_its_value(text: str, value: float) -> None:
    """As on paper; NaN where a number is missing or there is no result."""
    found = measure_or_metric(text)
    assert isinstance(found, Expression)
    assert found(ROW) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("accuracy -", "invalid syntax"),
        ("accuracy + (", "was never closed at character 12"),
        ("__import__('os').system('x')", "at character 1 is no arithmetic"),
        ("accuracy + n.real", "'n.real' at character 12 is no arithmetic"),
        ("[accuracy][0]", "is no arithmetic"),
        ("accuracy if n else 0", "is no arithmetic"),
        ("accuracy > 1", "is no arithmetic"),
        ("'a' * n", "is no arithmetic"),
        ("True + n", "is no arithmetic"),
        ("(lambda: 0)()", "is no arithmetic"),
        ("eval(n)", "is no arithmetic"),
        ("abs(n, n)", "abs at character 1 takes one number"),
        ("1 + min(n)", "min at character 5 takes two numbers or more"),
        ("abs(x=n)", "is no arithmetic"),
        ("(" * 300 + "n" + ")" * 300, "characters, expected 500 at most"),
        ("-" * 400 + "n", ""),
        ("", "invalid syntax"),
        ("n\0", "by "),
    ],
)
def test_what_is_no_arithmetic_is_refused(text: str, words: str) -> None:
    """By what it is and where it stands; nothing of it is run."""
    if not words:  # deep, and arithmetic
        assert Expression.parse(text)(ROW) == 100
        return
    with pytest.raises(UsageError) as error:
        Expression.parse(text)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "acuracy+0",
            "no number 'acuracy' (character 1): did you mean 'accuracy'? there is accuracy",
        ),
        ("n * (chanse)", "no number 'chanse' (character 6): did you mean 'chance'?"),
        ("kind + 1", "no number 'kind' (character 1): there is accuracy, chance, n"),
    ],
)
def test_an_unknown_key_is_named_with_its_place(text: str, words: str) -> None:
    """And the nearest one; text is no number."""
    with pytest.raises(UsageError) as error:
        ranked_by([ROW, ROW], Expression.parse(text))
    assert words in str(error.value)


def test_rows_stand_in_the_metrics_order(stores: Path) -> None:
    """Highest first, or lowest; the same from the command, an expression and a function."""
    rows = compread.rank(stores)[:-1]
    by_hand = {row["component"]: row["accuracy"] - row["chance"] for row in rows}
    found = compread.rank(stores, by="accuracy - chance", top=3)
    assert [row["rank"] for row in found] == [1, 2, 3, None]
    assert [row["component"] for row in found] == [
        *sorted(by_hand, key=lambda name: -by_hand[name])[:3], "full",
    ]  # fmt: skip
    called = compread.rank(stores, by=lambda row: row["accuracy"] - row["chance"], top=3)
    assert list(map(dict, called)) == list(map(dict, found))
    low = compread.rank(stores, by="accuracy - chance", ascending=True, top=1)[0]
    assert low["metric"] == pytest.approx(min(by_hand.values()))


def test_components_without_a_number_stand_last(stores: Path) -> None:
    """Whichever the order, with null for a number."""
    for ascending in (False, True):
        rows = compread.rank(stores, by="1 / head", ascending=ascending, top=0)[:-1]
        values = [row["metric"] for row in rows]
        known = [value for value in values if value is not None]
        assert None in values and values == [*known, *[None] * (len(values) - len(known))]
        assert known == sorted(known, reverse=not ascending)


def test_the_command_shows_the_expression(stores: Path, capsys: Any) -> None:
    """In the title and above its column; --per, which is of measures, is refused."""
    assert main(["rank", str(stores), "--by", "margin_sd + 0", "--top", "1"]) == 0
    out = capsys.readouterr().out
    assert "Components by margin_sd + 0:" in " ".join(out.split())
    assert main(["rank", str(stores), "--by", "margin_sd + 0", "--heatmap"]) == 0
    assert capsys.readouterr().out.startswith("margin_sd + 0, mean of 3 stores")
    assert main(["rank", str(stores), "--by", "margin_sd + 0", "--per", "seed"]) == 2
    assert "--per shows a measure" in capsys.readouterr().err


@pytest.mark.parametrize("gives", ["x", [1]])
def test_a_function_that_gives_no_number_is_refused(stores: Path, gives: Any) -> None:
    """With what it gave and for which component."""
    with pytest.raises(UsageError, match=r"by: gave .* for .*, expected a number"):
        compread.rank(stores, by=lambda row: gives)


@pytest.mark.parametrize(
    ("text", "asked"),
    [("accuracy-low", "accuracy_low"), ("weight", "weight"), (" mcc ", "mcc")],
)
def test_a_measure_is_known_by_its_name(text: str, asked: str) -> None:
    """Whichever way its words are joined."""
    assert measure_or_metric(text) == asked


@pytest.mark.parametrize("key", [*FURTHER, "predicted_negative"])
def test_other_numbers_of_a_row_are_expressions(key: str, stores: Path) -> None:
    """A key that is no measure can be ranked by too."""
    assert isinstance(measure_or_metric(key), Expression)
    assert key in compread.rank(stores, by=key, top=1)[0]


def test_a_lone_name_is_refused_before_a_store_is_read(capsys: Any) -> None:
    """As a measure that was misspelt."""
    assert main(["rank", "nowhere.h5", "--by", "acuracy"]) == 2
    assert "--by acuracy: did you mean 'accuracy'? there is accuracy, " in capsys.readouterr().err
