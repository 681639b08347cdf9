"""``zoorank bench``: what its options mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zoorank.engine.environment import check_environment
from zoorank.engine.info import build_info
from zoorank.engine.throughput import (
    GEMM_ROWS,
    METRICS,
    OPERATIONS,
    Case,
    DeviceLimits,
    Limits,
    Measurement,
    blas_threads,
    grid,
    measure,
    measure_device_limits,
    measure_limits,
)
from zoorank.errors import UsageError
from zoorank.messages import hint

QUICK_SIZES = "500", "64", "10"
QUICK_EFFORT = 1e-3


def cases(
    *, metrics: str, dtypes: str, n: str, d: str, classes: str, quick: bool, device: str
) -> list[Case]:
    """The grid that the options ask for.

    On a device without distances: what would be measured is their way to the host.
    """
    if device not in {"cpu", "cuda"}:
        raise UsageError(f"unknown device {device!r}; {hint(device, ('cpu', 'cuda'))}")
    if quick:
        n, d, classes = QUICK_SIZES
    samples, counts = _numbers(n, "n"), _numbers(classes, "classes")
    for count in counts:
        if not 2 <= count < min(samples):
            raise UsageError(f"classes {count} is not from 2 to n - 1 = {min(samples) - 1}")
    return grid(
        n=samples,
        d=_numbers(d, "d"),
        classes=counts,
        metrics=_names(metrics, METRICS, "metric"),
        dtypes=_names(dtypes, ("float32", "float64"), "dtype"),
        operations=OPERATIONS if device == "cpu" else ("silhouette",),
    )


def run(
    wanted: Sequence[Case], *, threads: int, quick: bool, device: str
) -> tuple[Limits | DeviceLimits, Iterator[Measurement]]:
    """The limits, and a measurement of each case as it comes."""
    check_environment(computes=False)
    if device == "cuda":
        if reason := build_info()["cuda_unavailable_reason"]:
            raise UsageError(f"--device cuda: {reason}")
        found = measure_device_limits(QUICK_EFFORT if quick else 1.0)
        return found, measure(wanted, found)
    features = sorted({case.d for case in wanted})
    with blas_threads(threads):
        limits = measure_limits(features, threads=threads, gemm_rows=256 if quick else GEMM_ROWS)
    return limits, measure(wanted, limits)


def _numbers(text: str, what: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise UsageError(f"{what} {text!r} is not whole numbers from 1, such as 64,512")
    return numbers


def _names(text: str, valid: Sequence[str], what: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in valid:
            raise UsageError(f"unknown {what} {name!r}; {hint(name, valid)}")
    return names
