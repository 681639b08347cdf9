"""The estimator's rows where they lie on a CUDA device: all of a matrix, one block.

These have the methods of the classes of :mod:`zoorank._core` that they stand in for, so that
:mod:`zoorank.engine.estimate` need not know where rows are. Nothing but results comes back.
"""
# ruff: noqa: ARG002  the signatures are those of what is stood in for

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from zoorank.engine import cuda
from zoorank.engine.cuda import DeviceMatrix

_Integers = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Progress = Callable[[float], object] | None


class DeviceRows:
    """Rows of a matrix on a device; see :class:`zoorank.engine.rows.Rows`."""

    def __init__(self, matrix: DeviceMatrix) -> None:
        self.matrix = matrix
        self.shape: tuple[int, int] = matrix.shape
        self.dtype: np.dtype[Any] = matrix.dtype

    def blocks(self) -> Iterator[tuple[int, Any]]:
        """Yield the matrix."""
        yield 0, self.matrix

    def take(self, indices: _Integers) -> Any:
        """Name the rows, which stay where they are."""
        return indices


class DeviceStatistics:
    """Stands in for ``RowStatistics32`` and ``RowStatistics64`` with metric euclidean.

    The moments are computed together with the surrogate, and every class is compared.
    """

    def __init__(self, codes: _Integers, n_features: int, metric: str) -> None:
        if metric != "euclidean":
            raise ValueError(f"metric {metric!r} is exact on a device; only euclidean is estimated")
        self.codes = codes

    def check(self, block: DeviceMatrix, first_row: int) -> None:
        """Leave it to what follows, which looks at the rows anyway."""

    def add_moments(
        self, block: DeviceMatrix, first_row: int, threads: int, progress: _Progress
    ) -> None:
        """Leave it to the surrogate."""

    def surrogate(
        self, block: DeviceMatrix, first_row: int, threads: int, progress: _Progress
    ) -> _Floats:
        """Compute the surrogate of every row."""
        return cuda.surrogate(block, self.codes, progress)

    def radii(
        self, block: DeviceMatrix, first_row: int, threads: int, progress: _Progress
    ) -> _Floats:
        """Compute the distance of every row to the mean of its class."""
        return cuda.radii(block, self.codes)


class DeviceExactRows:
    """Stands in for ``ExactRows32`` and ``ExactRows64``."""

    def __init__(self, statistics: DeviceStatistics, rows: _Integers, indices: _Integers) -> None:
        self._codes, self._indices = statistics.codes, indices
        self._samples = np.empty(0)

    def add(self, block: DeviceMatrix, first_row: int, threads: int, progress: _Progress) -> None:
        """Compare the rows with all."""
        self._samples = cuda.silhouettes_of(block, self._codes, self._indices, progress)

    def silhouettes(self, count: int) -> _Floats:
        """Hand out what was found."""
        return self._samples
