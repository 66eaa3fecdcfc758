"""A result as a Parquet file, for pandas, Polars, DuckDB and R."""

from __future__ import annotations

import io
from typing import Any

from compread.views.tables import Document, long_rows, plain


def to_parquet(document: Document) -> bytes:
    """The rows of a document as one Parquet table, with the columns of its CSV and their types."""
    import pyarrow
    import pyarrow.parquet

    header, rows = long_rows(document)
    columns = {key: _column([plain(row.get(key)) for row in rows]) for key in header}
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), out)
    return out.getvalue()


def _column(values: list[Any]) -> list[Any]:
    """Values of one type: numbers all whole or all not, lists and mixtures as text."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known):
        whole = all(isinstance(value, int) for value in known)
        return values if whole else [None if v is None else float(v) for v in values]
    if len({type(value) for value in known}) == 1 and isinstance(known[0], bool):
        return values
    return [None if value is None else _text(value) for value in values]


def _text(value: Any) -> str:
    """Text in UTF-8, which is all that Parquet has: the bytes of a path may be something else."""
    return str(value).encode("utf-8", "backslashreplace").decode()
