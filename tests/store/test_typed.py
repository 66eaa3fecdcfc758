"""JSON out of a file: what the hints say, or one clear error."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from compread.errors import StoreError
from compread.store.typed import parse, typed

RIGHT: list[tuple[Any, Any, Any]] = [
    (5, int, 5),
    (5, float, 5),
    (0.5, float, 0.5),
    (None, int | None, None),
    (5, int | None, 5),
    ([1, 2], tuple[int, ...], (1, 2)),
    (["a", 1], tuple[str, int], ("a", 1)),
    ([[1], []], tuple[tuple[int, ...], ...], ((1,), ())),
    ({"a": 1}, dict[str, int], {"a": 1}),
    ({"a": [1, {"b": None}]}, dict[str, Any], {"a": [1, {"b": None}]}),
    ("x", Literal["x", "y"], "x"),
    (True, bool, True),
]
DEEP: Any = []
for _ in range(40):
    DEEP = [DEEP]
WRONG: list[tuple[Any, Any]] = [
    (True, int),
    (5.0, int),
    (1 << 63, int),
    (10**400, int),
    (10**400, float),
    (float("nan"), float),
    (float("inf"), float),
    (True, float),
    ("5", int),
    (None, int),
    (5, str),
    (1, bool),
    ("a", tuple[str, ...]),
    ({"a": 1}, tuple[str, ...]),
    ([1, "a"], tuple[int, ...]),
    (["a"], tuple[str, int]),
    (["a", 1, 2], tuple[str, int]),
    ([], dict[str, Any]),
    ({"a": "b"}, dict[str, int]),
    ("z", Literal["x", "y"]),
    (DEEP, Any),
    ({"a": DEEP}, dict[str, Any]),
]


@pytest.mark.parametrize(("value", "hint", "wanted"), RIGHT)
def test_right(value: Any, hint: Any, wanted: Any) -> None:
    """A value of the hint's type comes back, lists as the tuples that are asked for."""
    found = typed(value, hint, "x")
    assert found == wanted and type(found) is type(wanted)


@pytest.mark.parametrize(("value", "hint"), WRONG, ids=range(len(WRONG)))
def test_wrong(value: Any, hint: Any) -> None:
    """Any other is refused by its place, in one short line."""
    with pytest.raises(StoreError, match=r"^`x(\.a)?` is .*, wanted ") as caught:
        typed(value, hint, "x")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        (b"\xff", "cannot be read"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        ('{"a": 1, "b": 2, "a": 1}', "the key 'a' stands twice"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
    ],
    ids=range(7),
)
def test_what_is_no_json(text: str | bytes, words: str) -> None:
    """Broken, endless, ambiguous or not finite text is one line."""
    with pytest.raises(StoreError, match=words) as caught:
        parse(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200
