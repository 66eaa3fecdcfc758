"""One component's logits, with the names of its rows and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from compread.analysis.predictions import largest
from compread.array_types import Float32, Ints
from compread.errors import UsageError, told_in_python


class ComponentLogits:
    """What one component gives to each label on each row. NumPy takes it as its values."""

    def __init__(
        self, component: str, rows: tuple[str, ...], labels: tuple[str, ...], values: Float32
    ) -> None:
        """``values`` [N, K] with the names along both axes."""
        self.component, self.rows, self.labels, self.values = component, rows, labels, values

    @property
    def shape(self) -> tuple[int, int]:
        """N rows, K labels."""
        n, k = self.values.shape
        return n, k

    @property
    def predictions(self) -> Ints:
        """[N] the label with the largest logit, the first among equals."""
        return largest(self.values)

    @told_in_python
    def __getitem__(self, label: str) -> Float32:
        """[N] the logits of one label.

        Raises:
            UsageError: there is no such label.
        """
        if label not in self.labels:
            raise UsageError(f"there is no label {label!r}: expected {', '.join(self.labels)}")
        return self.values[:, self.labels.index(label)]

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=bool(copy) or dtype is not None)

    def __repr__(self) -> str:
        n, k = self.shape
        return f"<logits of {self.component}: {n} rows, {k} labels ({', '.join(self.labels)})>"

    def to_pandas(self) -> Any:
        """A DataFrame with a line a row and a column a label.

        Raises:
            UsageError: pandas is not installed.
        """
        from compread.api.frames import library

        frame = library("pandas").DataFrame(self.values, list(self.rows), list(self.labels))
        return frame.rename_axis(index="row", columns="label")
