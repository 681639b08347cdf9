"""What this machine, or a CUDA device, can do at best: the bounds a kernel is held against."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from _timing import fastest_seconds

from zoorank import _core, build_info
from zoorank.engine import cuda, environment

GEMM_ROWS = 4096  # enough for a rate that a larger product would not better
READ_BYTES = 1 << 28  # several times the last cache of most processors


@dataclass(frozen=True)
class Limits:
    """Bounds of one machine, with a number of threads.

    Attributes
    ----------
    threads : int
    multiply_add : dict of str to (float, float)
        Peak flop/s in float32 and float64 of each instruction set, best first.
    gemm : dict of int to (float, float)
        flop/s of NumPy's sgemm and dgemm for each number of features.
    read : float
        Bytes read from memory in a second.
    instruction_set : str
        The one that the engine uses.
    device : str
        ``"cpu"``, where the cases are to run.
    bf16x3 : dict of str to float
        flop/s of float32 products on the matrix unit, three of bf16 for each, where the
        instruction set has one.
    """

    threads: int
    multiply_add: dict[str, tuple[float, float]]
    gemm: dict[int, tuple[float, float]]
    read: float
    instruction_set: str
    device: str = "cpu"
    bf16x3: dict[str, float] = field(default_factory=dict)

    def flops(self, dtype: npt.DTypeLike | str) -> float | None:
        """Peak of the instruction set in use, in flop/s; None where that is not known."""
        if dtype == "bf16x3":
            return self.bf16x3.get(self.instruction_set)
        rates = self.multiply_add.get(self.instruction_set)
        return None if rates is None else rates[_column(dtype)]

    def gemm_flops(self, d: int, dtype: npt.DTypeLike) -> float | None:
        """Rate of NumPy's product with `d` features, in flop/s; None where not measured."""
        rates = self.gemm.get(d)
        return None if rates is None else rates[_column(dtype)]


def measure_limits(
    features: Sequence[int] = (), *, threads: int = 1, gemm_rows: int = GEMM_ROWS
) -> Limits:
    """Measure what this machine can do at best.

    Parameters
    ----------
    features : sequence of int
        Inner dimensions to time NumPy's product at.
    threads : int
        Of the loops of the engine; BLAS is to be held to as many by the caller.
    gemm_rows : int
        Outer dimensions of the product.

    Returns
    -------
    Limits

    Examples
    --------
    >>> limits = measure_limits([16], gemm_rows=32)
    >>> limits.gemm_flops(16, "float64") > 0
    True
    """
    rates = _core.arithmetic_rates(threads)
    return Limits(
        threads=threads,
        multiply_add={name: (f32, f64) for name, (f32, f64, _) in rates.items()},
        bf16x3={name: tiles for name, (_, _, tiles) in rates.items() if tiles},
        gemm={
            d: (
                gemm_flops(d, np.float32, rows=gemm_rows),
                gemm_flops(d, np.float64, rows=gemm_rows),
            )
            for d in dict.fromkeys(features)
        },
        read=_core.read_rate(threads, READ_BYTES),
        instruction_set=build_info()["instruction_set"],
    )


def _column(dtype: npt.DTypeLike) -> int:
    return 0 if np.dtype(dtype) == np.float32 else 1


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
    """Rate of :func:`gemm` in flop/s, the fastest of several runs: a limit, not a habit.

    Examples
    --------
    >>> gemm_flops(8, rows=64) > 0
    True
    """
    return 2.0 * rows * rows * d / fastest_seconds(gemm(d, dtype, rows=rows))


@dataclass(frozen=True)
class DeviceLimits:
    """Bounds of one CUDA device.

    Attributes
    ----------
    name : str
        The device's own name for itself, with its compute capability.
    rates : dict of str to float
        flop/s: ``"bfloat16"`` of its tensor cores, with float32 sums; ``"float32"`` and
        ``"float64"`` of multiply-adds on its ordinary cores.
    read : float
        Bytes a second of a copy within its memory, those read and those written.
    threads : None
        Those of the host take no part.
    device : str
        ``"cuda"``, where the cases are to run.
    """

    name: str
    rates: dict[str, float]
    read: float
    threads: int | None = None
    device: str = "cuda"

    def flops(self, dtype: npt.DTypeLike | str) -> float | None:
        """Peak in flop/s; None where that is not known."""
        return self.rates.get(str(dtype))

    def gemm_flops(self, d: int, dtype: npt.DTypeLike | str) -> float | None:
        """None: NumPy's product runs elsewhere."""
        del d, dtype
        return None


def measure_device_limits(effort: float = 1.0) -> DeviceLimits:
    """Measure what the first CUDA device can do at best; takes some seconds.

    Parameters
    ----------
    effort : float
        Less is quicker, and shows less than the best.

    Returns
    -------
    DeviceLimits

    Raises
    ------
    RuntimeError
        Where no device can be used, with the reason.
    """
    rates = device_rates(effort)
    read = rates.pop("copy")
    return DeviceLimits(environment.device_names()[0], rates, read)


def device_rates(effort: float = 1.0) -> dict[str, float]:
    """Rates of the first CUDA device, by loops of the backend's own.

    Parameters
    ----------
    effort : float
        So many times as much is done to find out as a large card needs to show its best.

    Returns
    -------
    dict of str to float
        ``bfloat16`` of tensor cores, ``float32`` and ``float64`` of ordinary ones, in flop/s;
        ``copy`` in bytes a second, those read and those written.
    """
    environment.require()
    backend = importlib.import_module("zoorank._cuda")
    return dict(backend.measure_limits(cuda.first_device(), effort))
