"""The ranked table's own formatting."""

import pytest

from compread.views.ranking import accuracy_interval, decimals, p_text


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([0.004, -0.02], 3),
        ([0.004], 4),
        ([1.5], 2),
        ([123.0], 2),
        ([1e-9], 4),
        ([0.0, 0.0], 2),
        ([], 2),
    ],
)
def test_decimals_suit_the_values(values, wanted):
    """Small margins get the digits that tell them apart."""
    assert decimals(values) == wanted


@pytest.mark.parametrize(
    ("accuracy", "low", "high", "text"),
    [
        (0.915, 0.8701, 0.949, "0.915 (.87-.95)"),
        (1.0, 0.9812, 1.0, "1.000 (.98-1.0)"),
        (0.0, 0.0, 0.004, "0.000 (.00-.00)"),
    ],
)
def test_accuracy_and_interval_have_one_width(accuracy, low, high, text):
    """Accuracy and interval read as one cell of fifteen characters."""
    row = {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high}
    assert accuracy_interval(row) == text and len(text) == 15


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (0.0, "<.001"),
        (0.0009, "<.001"),
        (0.00099999, "<.001"),
        (0.001, ".001"),
        (0.005, ".005"),
        (0.0996, ".100"),
        (0.9994, ".999"),
        (0.9995, "1"),
        (1.0, "1"),
    ],
)
def test_a_p_value_has_five_characters_at_most(value, text):
    """Below a thousandth it is said to be so, and what rounds to 1 is 1."""
    assert p_text(value) == text
