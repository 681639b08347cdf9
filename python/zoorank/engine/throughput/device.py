"""What a CUDA device can do at best, measured by loops of the engine's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy.typing as npt

from zoorank.engine import cuda


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
    found = cuda.measure_limits(effort)
    read = found.pop("copy")
    return DeviceLimits(cuda.device_names()[0], found, read)
