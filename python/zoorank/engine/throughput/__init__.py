"""How fast the engine is on this machine, beside what the machine could do."""

from zoorank.engine.throughput.device import DeviceLimits, measure_device_limits
from zoorank.engine.throughput.kernels import (
    OPERATIONS,
    Case,
    Measurement,
    Work,
    bound_seconds,
    grid,
    measure,
    measure_case,
    ways,
)
from zoorank.engine.throughput.limits import GEMM_ROWS, Limits, gemm, gemm_flops, measure_limits
from zoorank.engine.throughput.machine import Machine, slugify, this_machine
from zoorank.engine.throughput.problems import (
    METRICS,
    TOLERANCE,
    Problem,
    definition,
    largest_error,
    make_problem,
    sample_rows,
)
from zoorank.engine.throughput.timing import blas_threads, medians, steady_seconds

__all__ = [
    "GEMM_ROWS",
    "METRICS",
    "OPERATIONS",
    "TOLERANCE",
    "Case",
    "DeviceLimits",
    "Limits",
    "Machine",
    "Measurement",
    "Problem",
    "Work",
    "blas_threads",
    "bound_seconds",
    "definition",
    "gemm",
    "gemm_flops",
    "grid",
    "largest_error",
    "make_problem",
    "measure",
    "measure_case",
    "measure_device_limits",
    "measure_limits",
    "medians",
    "sample_rows",
    "slugify",
    "steady_seconds",
    "this_machine",
    "ways",
]
