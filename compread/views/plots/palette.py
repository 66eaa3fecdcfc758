"""How pictures look: colours that colour-blind readers tell apart, and sizes of text and lines.

Groups have a marker each, and colours near Okabe and Ito's that stand out by 3 to 1 on white and
on the dark ground alike (WCAG 2.1, 1.4.11), so that a page, a terminal and a figure of either theme
have the same. Grids run from dark to light where values go one way, and from blue over white to
orange where they go two; both keep their order in grey.

In the style ``paper`` text is 8 points and smaller at the size of a column or a page, so that a
picture goes into a two-column paper unscaled; ``talk`` is for a slide that is read from the last
row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compread.views.plots.kinds import DEFAULT_THEME

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Theme:
    """What a figure is drawn on, and what its text is drawn in."""

    ground: RGB
    ink: RGB
    empty: RGB
    """A cell without a value, which no scale has."""
    lift: float
    """How much white the groups' colours are mixed with."""

    def color(self, colour: RGB) -> RGB:
        """A group's colour on this ground; ``INK`` is the theme's own."""
        if colour == INK:
            return self.ink
        r, g, b = (round(part + (255 - part) * self.lift) for part in colour)
        return r, g, b


THEMES: Mapping[str, Theme] = {
    "light": Theme((255, 255, 255), (0, 0, 0), (224, 224, 224), 0.0),
    "dark": Theme((22, 24, 27), (232, 232, 232), (66, 70, 76), 0.15),
}
"""By ``kinds.THEME_NAMES``."""
INK: RGB = (0, 0, 0)
"""Stands for the theme's ink."""
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY = (
    (0, 106, 183), (212, 128, 0), (7, 169, 107), (178, 67, 32), (205, 119, 169), (64, 157, 196),
    (132, 132, 132),
)  # fmt: skip
GROUPS: dict[str, tuple[RGB, str, str]] = {
    "other": (GREY, ".", "."),
    "label-biased": (SKY, "x", "x"),
    "bad": (RED, "v", "v"),
    "good": (BLUE, "^", "^"),
    "head": (BLUE, "o", "o"),
    "mlp": (ORANGE, "s", "#"),
    "mixer": (GREEN, "D", "*"),
    "full": (INK, "o", "F"),
    "best": (BLUE, "^", "B"),
    "best_at_last": (GREEN, "s", "L"),
    "worst": (RED, "v", "W"),
}
"""Colour, matplotlib marker and letter of the groups that have a meaning."""
FURTHER: tuple[tuple[RGB, str, str], ...] = (
    (BLUE, "o", "o"), (ORANGE, "^", "x"), (GREEN, "s", "+"), (RED, "v", "*"), (PURPLE, "D", "#"),
)  # fmt: skip
"""Those of the others, in turn."""
STEP_COLORS: tuple[RGB, RGB] = (ORANGE, BLUE)
"""Of a step down and a step up."""
ONE_WAY: tuple[RGB, ...] = (
    (0, 32, 81), (60, 77, 110), (127, 124, 117), (187, 175, 113), (253, 234, 69),
)  # fmt: skip
TWO_WAYS: tuple[RGB, ...] = (
    (5, 73, 133), (103, 169, 207), (247, 247, 247), (241, 163, 64), (163, 71, 0),
)  # fmt: skip


@dataclass(frozen=True)
class Style:
    """Sizes that belong together, and the ground they are on."""

    font: float
    """Points of titles and of axes' names; the rest is an eighth smaller."""
    column: float
    """Inches of width where panels are narrow."""
    page: float
    line: float
    """Points of a curve's width."""
    theme: Theme = THEMES[DEFAULT_THEME]

    def color(self, colour: RGB) -> tuple[float, ...]:
        """A group's colour in this theme, as matplotlib takes it."""
        return shares(self.theme.color(colour))

    @property
    def ink(self) -> tuple[float, ...]:
        """What text and axes are drawn in."""
        return shares(self.theme.ink)

    @property
    def ground(self) -> tuple[float, ...]:
        """What all is drawn on."""
        return shares(self.theme.ground)

    @property
    def letters(self) -> float:
        """Characters of a title in an inch of a panel's width."""
        return 13 * 8 / self.font

    def settings(self) -> Any:
        """What matplotlib is told."""
        small, ink, ground = self.font * 7 / 8, self.ink, self.ground
        return {
            "figure.facecolor": ground, "axes.facecolor": ground, "savefig.facecolor": ground,
            "text.color": ink, "axes.labelcolor": ink, "axes.edgecolor": ink, "xtick.color": ink,
            "ytick.color": ink,
            "font.size": self.font, "axes.titlesize": self.font, "axes.labelsize": self.font,
            "xtick.labelsize": small, "ytick.labelsize": small, "legend.fontsize": small,
            "axes.linewidth": self.line / 2, "lines.linewidth": self.line,
            "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100,
            "savefig.dpi": 300, "pdf.fonttype": 42, "svg.fonttype": "path",
            "svg.hashsalt": "compread", "text.parse_math": False,  # a `$` in a name is a `$`
        }  # fmt: skip


def shares(colour: RGB) -> tuple[float, ...]:
    """A colour as matplotlib takes it."""
    return tuple(part / 255 for part in colour)


STYLES: Mapping[str, Style] = {
    "paper": Style(8, 3.35, 6.9, 1.2),
    "talk": Style(15, 7.0, 12.0, 2.4),
}
"""Of ``paper`` the widths are those of a column and a page."""


def group_style(name: str, number: int) -> tuple[RGB, str, str]:
    """Colour, marker and letter of a group by its name, else by its number."""
    return GROUPS.get(name, FURTHER[number % len(FURTHER)])


def scale_color(share: float, two_ways: bool) -> RGB:
    """The colour at a share of a scale's way: 0 is low, 1 high; what lies outside is cut."""
    stops = TWO_WAYS if two_ways else ONE_WAY
    at = min(1.0, max(0.0, share)) * (len(stops) - 1)
    i = min(int(at), len(stops) - 2)
    r, g, b = (round(a + (c - a) * (at - i)) for a, c in zip(stops[i], stops[i + 1], strict=True))
    return r, g, b


def share_of(value: float, low: float, high: float, centre: float | None) -> float:
    """Where a value lies between low and high; the centre is in the middle."""
    if centre is None:
        return (value - low) / (high - low) if high > low else 0.5
    reach = max(high - centre, centre - low)
    return 0.5 + (value - centre) / (2 * reach) if reach > 0 else 0.5
