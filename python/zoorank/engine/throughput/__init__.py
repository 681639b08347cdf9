"""How fast the engine is on this machine, beside what the machine could do."""

from zoorank.engine.throughput.limits import GEMM_ROWS, gemm, gemm_flops
from zoorank.engine.throughput.machine import Machine, machine, slugify
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
    "TOLERANCE",
    "Machine",
    "Problem",
    "blas_threads",
    "definition",
    "gemm",
    "gemm_flops",
    "largest_error",
    "machine",
    "make_problem",
    "medians",
    "sample_rows",
    "slugify",
    "steady_seconds",
]
