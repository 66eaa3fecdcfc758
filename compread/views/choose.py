"""What of a result is shown, as a user has chosen: columns, one table of several, its caption.

A column is chosen by its key, which is that of JSON, CSV and Python, by the words that head it, or
by the beginning of either as long as no other column begins so: ``q`` is ``q_value``.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from compread.analysis.measures import MEASURES
from compread.errors import UsageError, option
from compread.text import model_name, nearest
from compread.views.tables import (
    Column,
    Document,
    Notes,
    Row,
    Table,
    View,
    as_tables,
    plain,
    without_absent,
)

EXACT = ("json", "csv", "parquet")
"""Forms for programs: every row and every key, no heading, caption or note."""
_RUN = "store model revision task template seed shots n normalize"
COLUMNS: Mapping[str, str] = {
    "rank": "rank component kind layer head accuracy accuracy_low accuracy_high accuracy_sd chance "
    "margin_sd predicted direct_share tied p_value q_value category crossfit_accuracy n stores "
    "weight metric in longest_chance shortest_chance normalize store task split row right rival "
    "step prediction logit_difference running_sum",
    "analyze": f"{_RUN} accuracy full full_accuracy full_macro_f1 full_mcc full_ece best best_sd "
    "worst worst_sd best_at_last p_value crossfit by_train by_chance all count good bad biased "
    "share head mlp mixer heads mlps mixers kind layer pair_kind pairs pairs_found pearson "
    "spearman iou halves apart oracle transferred ceiling prompts other component change sum "
    "components attention top_share agreement margin macro_f1 mcc before after q_value low high",
    "predictions": "store task split row component prediction class gold gold_class correct margin "
    "text normalize",
    "reweight": f"{_RUN} method recipe n_train accuracy accuracy_low accuracy_high accuracy_sd "
    "train_accuracy epochs gap temperature ece ece_adaptive brier log_loss scaled setting runs "
    "tasks versus p difference low high tasks_won unit units fitted fitted_on fitted_task "
    "fitted_template fitted_seed about alone transductive recipes row_alone ensemble stores "
    "store_accuracy prompt",
    "check": "model_type verdict reason worst_error layers components shared_prefix proof error "
    "allowed holds state where",
}
"""Keys of the results that take a while, or parts of them that stand between their underscores, by
command: what has none of these is no column of any. Measures and methods are others."""
LINE = 10
"""Characters of a line of a heading that is made of a key."""


@dataclass(frozen=True)
class Form:
    """How a result is to be printed."""

    format: str = "table"
    columns: tuple[str, ...] = ()
    """The columns wanted, in their order; empty: those of the view."""
    caption: str = ""
    """What stands above the first table, in place of its title."""
    label: str = ""
    """LaTeX's name of the first table."""
    notes: Notes = "brief"

    @property
    def exact(self) -> bool:
        """Whether the form is one for programs."""
        return self.format in EXACT

    def check(self) -> None:
        """Refuse what the format has no place for.

        Raises:
            UsageError: a caption or a label where there is none.
        """
        if self.caption and self.exact:
            raise UsageError(
                f"{option('caption')} goes above a table, which {option('format', self.format)} "
                f"is not: give {option('format', 'latex')}, md or table"
            )
        if self.label and self.format != "latex":
            raise UsageError(
                f"{option('label', repr(self.label))} is a LaTeX label: give it with "
                f"{option('format', 'latex')}"
            )


def check_columns(names: Sequence[str], command: str) -> None:
    """Refuse columns that no result of a command has, before there is one.

    Of a name that may be one only the result itself can tell.

    Raises:
        UsageError: such a name; the message has the nearest.
    """
    if command not in COLUMNS or not names:
        return
    measures = MEASURES if command == "rank" else ()
    known = list(dict.fromkeys([*COLUMNS[command].split(), *measures]))
    for name in names:
        word = f"_{_word(name)}_"
        if any(f"_{key}_" in word or word in f"_{key}_" for key in known):
            continue
        if command == "reweight":  # of which each method is a column of some tables
            from compread.reweight.registry import METHODS

            if any(f"_{_word(method)}_" in word for method in METHODS):
                continue
        raise _unknown(name, names, known)


def chosen(
    document: Document, view: View, form: Form, table: str | None = None
) -> tuple[Document, View]:
    """The document and the view of it that a form asks for.

    Args:
        document: what a command found.
        view: what people see of it where nothing is chosen.
        form: the columns and the caption.
        table: the one list of the document that is wanted.

    Raises:
        UsageError: there is no such list, or no such column.
    """
    if table is not None:
        document = {table: _list_of(document, table)}
        view = [_plain_table(document[table])]
    if form.columns:
        document, view = _with_columns(document, view, form)
    if form.caption:
        first, *others = as_tables(document, view)
        view = [replace(first, title=form.caption), *others]
    return document, view


def _plain_table(rows: Sequence[Row]) -> Table:
    """Every key of some rows as a column; where there is no room the last ones go first."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    columns = [replace(column_of(key, rows), drop=n) for n, key in enumerate(keys)]
    return Table(columns, [rows])


def column_of(key: str, rows: Sequence[Row]) -> Column:
    """A column for a key that no view has one for."""
    measure = MEASURES.get(key)
    if measure and measure.of and not measure.always:  # where it is not sorted by
        return Column(key, measure.header, format=measure.format)
    if key == "model":  # whole in JSON; a folder's path would take the table's room
        return Column(key, justify="left", format=lambda row: model_name(row.get(key) or ""))
    values = [plain(row.get(key)) for row in rows]
    text = any(isinstance(value, (str, list)) for value in values)
    words = textwrap.wrap(key.replace("_", " "), LINE) or [key]
    numbers = [abs(value) for value in values if isinstance(value, float) and value]
    exact = ".3f" if all(0.001 <= number < 1000 for number in numbers) else ".3g"
    form = partial(_text, key=key, exact=exact)
    return Column(key, "\n".join(words), "left" if text else "right", form)


def _list_of(document: Document, name: str) -> Sequence[Row]:
    names = list(document) if isinstance(document, Mapping) else []
    if isinstance(document, Mapping) and name in document:
        return document[name]
    there = f"expected one of {', '.join(names)}" if names else "this result is a single table"
    raise UsageError(f"{option('table', repr(name))}: {there}{_meant(name, names)}")


def _with_columns(document: Document, view: View, form: Form) -> tuple[Document, View]:
    """Both with the columns named; lists that have none of them are left out.

    Tables are those that have all of them. Where the form is ``exact``, so are the names: a table
    has cells of its own making.
    """
    columns, tables = form.columns, as_tables(document, view)
    singles = as_tables(document, [t.line_a_row for t in tables if t.line_a_row])
    lists: Mapping[str, Sequence[Row]]
    lists = document if isinstance(document, Mapping) else {"": document}
    headed = {_word(c.one_line): c.key for t in tables for c in t.columns}
    shown = dict.fromkeys(key for t in tables for key in _keys_of(t))
    stored = dict.fromkeys(key for rows in lists.values() for row in rows for key in row)
    known = {_word(key): key for key in (stored if form.exact else (*stored, *shown))}
    there = set(known.values())
    known |= {w: key for w, key in headed.items() if w not in known and key in there}
    keys = [_key(name, known, columns) for name in columns]
    cut = {name: [{k: row[k] for k in keys if k in row} for row in rows] for name, rows in
           lists.items() if any(k in row for row in rows for k in keys)}  # fmt: skip
    picked = _with_all(tables, keys) or _with_all(singles, keys)
    if not picked:  # the view has cells of its own making, or the columns are of several lists
        laid = [Table([], [lists[name]], title=name) for name in cut]
        picked = [_narrowed(t, keys) for t in _with_all(laid, keys) or laid]
    return (cut if isinstance(document, Mapping) else cut.get("", [])), picked


def _with_all(tables: Sequence[Table], keys: Sequence[str]) -> list[Table]:
    """The tables that have all of these keys, narrowed to them, each row in one alone."""
    found: dict[tuple[int, ...], Table] = {}
    for table in tables:
        rows = tuple(id(row) for block in table.blocks for row in block)
        if set(keys) <= set(_keys_of(table)):
            found.setdefault(rows, _narrowed(table, keys))
    return list(found.values())


def _keys_of(table: Table) -> list[str]:
    """The keys that a table can show: its columns', then the others of its rows."""
    rows = (key for block in table.blocks for row in block for key in row)
    return list(dict.fromkeys([*(column.key for column in table.columns), *rows]))


def _narrowed(table: Table, keys: Sequence[str]) -> Table:
    """The table with the columns of these keys that it has, none of which may be left out."""
    own = {column.key: replace(column, drop=0) for column in table.columns}
    rows = [row for block in table.blocks for row in block]
    there = set(_keys_of(table))
    columns = [own.get(key) or column_of(key, rows) for key in keys if key in there]
    note, brief = (without_absent(n, table.columns, columns) for n in (table.note, table.brief))
    return replace(table, columns=columns, note=note, brief=brief)


def _key(name: str, known: Mapping[str, str], columns: Sequence[str]) -> str:
    """The key that a user means.

    Raises:
        UsageError: none, or several.
    """
    word = _word(name)
    if word in known:
        return known[word]
    begun = dict.fromkeys(key for other, key in known.items() if other.startswith(f"{word}_"))
    if word and len(begun) == 1:
        return next(iter(begun))
    raise _unknown(name, columns, list(dict.fromkeys(known.values())), tuple(begun))


def _unknown(
    name: str, columns: Sequence[str], known: Sequence[str], begun: Sequence[str] = ()
) -> UsageError:
    """The error for a name of none of the columns known, or the beginning of several."""
    several = f"; it may be {' or '.join(begun)}" if begun else _meant(_word(name), known)
    return UsageError(
        f"{option('columns', ','.join(columns))}: there is no column {name!r}; expected names of "
        f"{', '.join(known)}{several}"
    )


def _meant(name: str, known: Any) -> str:
    meant = nearest(name, known)
    return f"; did you mean {meant}?" if meant else ""


def _word(text: str) -> str:
    r"""``"full\nmodel"`` and ``full-model`` are ``full_model``."""
    return re.sub(r"\W+", "_", text.strip().lower()).strip("_")


def _text(row: Row, key: str, exact: str) -> str:
    value = plain(row.get(key))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return format(value, exact)
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)
