"""What this machine can do at best, measured: the bounds that a kernel is held against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from zoorank.engine.throughput.timing import steady_seconds

GEMM_ROWS = 4096  # enough for a rate that a larger product would not better


def gemm(
    d: int, dtype: npt.DTypeLike = np.float32, *, rows: int = GEMM_ROWS
) -> Callable[[], object]:
    """NumPy's matrix product of (rows, d) by (d, rows), ready to be timed.

    That is sgemm or dgemm on the shape that pairwise distances have, with as many
    threads as BLAS is set to: 2 · rows² · d flops.

    Parameters
    ----------
    d : int
        Features: the inner dimension.
    dtype : dtype
        float32 or float64.
    rows : int
        The two outer dimensions.

    Returns
    -------
    callable
        It has been run once, so that its memory is there.
    """
    X = np.random.default_rng(0).standard_normal((rows, d)).astype(dtype)
    Y = X.copy()  # the product of a matrix with its own transpose is syrk, at half the flops
    out = np.empty((rows, rows), dtype)

    def product() -> object:
        return np.matmul(X, Y.T, out=out)

    product()
    return product


def gemm_flops(d: int, dtype: npt.DTypeLike = np.float32, *, rows: int = GEMM_ROWS) -> float:
    """Rate of :func:`gemm` in flop/s.

    Examples
    --------
    >>> gemm_flops(8, rows=64) > 0
    True
    """
    return 2.0 * rows * rows * d / steady_seconds(gemm(d, dtype, rows=rows))
