"""What one example's answer is made of, as a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from compread.components import LAYERED
from compread.text import brief, printable, with_class
from compread.views.rank import decimals
from compread.views.tables import Column, Row, Table, normalized

if TYPE_CHECKING:
    from compread.analysis.examples import Breakdown

LONGEST_TEXT = 400
NOTE = (
    "Logit difference: the {number} of the right {one} less that of {rival}, the wrong one that "
    "the full model finds likeliest. {order}{all} add up to the full model's "
    "margin{cap}{rounding}."
)
ORDER = "Between embed and bias the largest stand first, whichever their sign. "


def breakdowns_view(
    found: Sequence[Breakdown], top: int = 20, only: Collection[str] = ()
) -> list[Table]:
    """Each store's example, and its strongest ``top`` components (0: all) from embed to bias.

    With ``only``, names of components, these alone stand there.
    """
    return [table for one in found for table in _tables(one, top, only, one is found[-1])]


def _tables(found: Breakdown, top: int, only: Collection[str], told: bool) -> list[Table]:
    """What the example is, and its components, with a note where it is to be ``told``."""
    *parts, full = found.rows(only)
    first = [row for row in parts if row["kind"] == "embed"]
    last = [row for row in parts if row["kind"] in ("bias", "normalizer")]
    middle = [row for row in parts if row["kind"] in LAYERED]
    shown = middle[:top] if top else middle
    blocks = [first, shown, [*_others(middle[len(shown) :]), *last], [full]]
    titles = _titles(found)
    right, said = titles[found.right], titles[found.said]
    title = (
        f"Example {printable(found.row)} of {printable(found.run.task)}, {found.split}: right is "
        f"{right}, the full model says {said}{normalized(found.run.normalize)}"
    )
    texts = [] if found.text is None else brief([found.text], LONGEST_TEXT)
    note = "\n".join([found.store, *texts])
    digits = decimals([row["logit_difference"] for row in shown or [full]])
    columns = _columns(digits, dict(zip(found.answers, titles, strict=True)))
    columns = [column for column in columns if not (only and column.key == "running_sum")]
    said_of = _note(found, only, digits) if told else ""
    return [
        Table([], [], title=title, note=note),
        Table(columns, [b for b in blocks if b], note=said_of),
    ]


def _note(found: Breakdown, only: Collection[str], digits: int) -> str:
    answers = found.components[-1].kind == "normalizer"
    shown = (f"{value:.{digits}f}" for value in (found.margin, found.running[-1]))
    rounds = len(set(shown)) > 1
    return NOTE.format(
        number="log p" if answers else "logit",
        one="answer" if answers else "label",
        rival=_titles(found)[found.rival],
        order="" if only else ORDER,
        all="Those of all components, these and the others," if only else "The components'",
        cap="" if found.run.soft_cap is None else ", before its soft-cap",
        rounding=f", which it gives in {found.run.dtype}" if rounds else "",
    )


def _titles(found: Breakdown) -> list[str]:
    """[K] the answers with their classes."""
    each = zip(found.answers, found.classes, strict=True)
    return [with_class(printable(answer.strip()), printable(of)) for answer, of in each]


def _columns(digits: int, titles: Mapping[str, str]) -> list[Column]:
    return [
        Column("component", justify="left"),
        Column("kind", justify="left", drop=2),
        Column("layer", drop=1),
        Column(
            "prediction",
            justify="left",
            shorten="end",
            format=lambda row: titles.get(row.get("prediction", ""), ""),
        ),
        Column("logit_difference", "logit\ndifference", format=f"+.{digits}f"),
        Column("running_sum", "running\nsum", format=f"+.{digits}f"),
    ]


def _others(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One row for the components that are not shown."""
    if not rows:
        return []
    return [
        {
            "component": f"{len(rows)} more",
            "logit_difference": sum(row["logit_difference"] for row in rows),
            "running_sum": rows[-1]["running_sum"],
        }
    ]
