"""Exact silhouettes of rows in memory or in files."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from zoorank import _core
from zoorank.engine.arrays import Matrix, as_matrix
from zoorank.engine.rows import MemoryRows, StreamedRows, is_streamed, open_rows
from zoorank.engine.surrogate import Progress, silhouettes_by_means

AnyPath = str | os.PathLike[str]


def rows_of(X: Any) -> MemoryRows | StreamedRows:
    """Rows as they come: files stay where they are."""
    return open_rows(X) if is_streamed(X) else MemoryRows(as_matrix(X))


def exact_samples(
    rows: MemoryRows | StreamedRows,
    X: Any,
    codes: npt.NDArray[np.int64],
    metric: str,
    threads: int,
    progress: Progress | None,
    precision: str = "auto",
) -> npt.NDArray[np.float64]:
    """Go through all pairs, in memory; files are streamed where no pairs are needed."""
    matrix: Matrix
    if isinstance(rows, MemoryRows):
        matrix = rows.matrix
    elif metric in {"cosine", "sqeuclidean"}:
        return silhouettes_by_means(rows, codes, metric, threads, progress)
    else:
        matrix = as_matrix(X) if isinstance(X, np.ndarray) else rows.load()
    return _core.silhouette_samples(matrix, codes, metric, threads, progress, precision)
