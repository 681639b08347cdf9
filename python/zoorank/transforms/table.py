"""Rows of a table as a network wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from zoorank.errors import SourceError
from zoorank.targets.base import Sample, Target
from zoorank.transforms.base import ONLY, Batch, Prepared
from zoorank.transforms.specs import TablePreprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class TableTransform:
    """Scale the columns of a table.

    Attributes
    ----------
    spec : TablePreprocessing
    offset, width : ndarray of shape (columns,), or None
        Of the whole target, once fitted: a value is taken minus the one over the other.
    """

    spec: TablePreprocessing
    offset: NDArray[np.float64] | None = None
    width: NDArray[np.float64] | None = None

    key = "table"  # all are prepared alike; scaling comes with the batch

    def fitted(self, target: Target) -> TableTransform:
        """The same with range or mean and deviation of the target's columns, where needed."""
        shape = target.sample_shape
        if isinstance(shape, str) or len(shape) != 1:
            raise SourceError(f"needs a table; the target's samples have shape {target.shape}")
        if self.spec.scaling == "none":
            return self
        columns = target.columns
        offset, width = (
            (columns.minimum, columns.maximum - columns.minimum)
            if self.spec.scaling == "minmax"
            else (columns.mean, columns.std)
        )
        return replace(self, offset=offset, width=np.where(width > 0, width, 1.0))

    def prepare(self, sample: Sample) -> Prepared:
        """Make float64 of one row."""
        return Prepared(np.asarray(sample, dtype=np.float64))

    def collate(self, prepared: Sequence[Prepared]) -> Batch:
        """Make float32 ``(rows, columns)`` of several."""
        batch = np.stack([each.value for each in prepared])
        if self.offset is not None and self.width is not None:
            batch = (batch - self.offset) / self.width
        return Batch({ONLY: batch.astype(np.float32)}, len(prepared))
