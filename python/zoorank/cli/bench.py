"""``zoorank bench``: what its options mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zoorank.engine.throughput import (
    GEMM_ROWS,
    METRICS,
    Case,
    Limits,
    Measurement,
    blas_threads,
    grid,
    measure,
    measure_limits,
)
from zoorank.errors import UsageError

QUICK = {"n": [500], "d": [64], "classes": [10]}


def cases(*, metrics: str, dtypes: str, n: str, d: str, classes: str, quick: bool) -> list[Case]:
    """The grid that the options ask for."""
    shapes = {"n": n, "d": d, "classes": classes}
    sizes = QUICK if quick else {name: _numbers(text, name) for name, text in shapes.items()}
    for count in sizes["classes"]:
        if not 2 <= count < min(sizes["n"]):
            raise UsageError(
                f"classes {count} is not from 2 to {min(sizes['n']) - 1}, one less than n"
            )
    return grid(
        **sizes,
        metrics=_names(metrics, METRICS, "metric"),
        dtypes=_names(dtypes, ("float32", "float64"), "dtype"),
    )


def run(
    wanted: Sequence[Case], *, threads: int, quick: bool
) -> tuple[Limits, Iterator[Measurement]]:
    """The limits, and a measurement of each case as it comes."""
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
            raise UsageError(f"unknown {what} {name!r}; valid: {', '.join(valid)}")
    return names
