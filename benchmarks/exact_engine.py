"""How much faster than scikit-learn are exact silhouettes on one core, and how near to sgemm?

Both run in this process on the same float32 arrays, in turns, after both have been
checked against the float64 definition. Beside the time stand the napkin's, arithmetic
or memory at this machine's peak, and NumPy's matrix product at this d: each pair of
rows once is n²·d flops, held against sgemm; class means (cosine) are 2·n·K·d flops in
double, held against dgemm.

    python benchmarks/exact_engine.py
    flock /tmp/quiet python benchmarks/exact_engine.py --rounds 7
"""

import sys

import numpy as np
from _common import arguments, finish
from sklearn.metrics import silhouette_samples as sklearn_samples
from sklearn.metrics import silhouette_score as sklearn_score

import zoorank
from zoorank.engine.throughput import (
    GEMM_ROWS,
    TOLERANCE,
    Case,
    blas_threads,
    bound_seconds,
    definition,
    gemm,
    largest_error,
    make_problem,
    measure_limits,
    medians,
    sample_rows,
    this_machine,
    ways,
)

SHAPES = ((512, 100), (128, 10))  # features, classes
METRICS = ("euclidean", "cosine")
CHECKED_ROWS = 32


def main(argv=None):
    chosen = arguments(__doc__, argv)
    n = 600 if chosen.quick else 20_000
    print(f"{this_machine().cpu}, {this_machine().instruction_set}, one thread, n = {n}, float32\n")
    with blas_threads(1):
        limits = measure_limits()
        rows = [
            compare(Case("silhouette", metric, "float32", n, d, classes), limits, chosen.rounds)
            for d, classes in SHAPES
            for metric in METRICS
        ]
    finish(rows, "exact_engine", chosen.out)
    wrong = [row for row in rows if not row["error"] <= TOLERANCE[np.dtype(np.float32)]]
    return f"{len(wrong)} of {len(rows)} are wrong: no time of them counts" if wrong else 0


def compare(case, limits, rounds):
    """One row: check, then time."""
    n, d, metric = case.n, case.d, case.metric
    problem = make_problem(n, d, case.classes)
    X, labels = problem.X, problem.labels
    rows = sample_rows(problem, CHECKED_ROWS)
    expected = definition(problem, rows, metric)
    ours = zoorank.silhouette_samples(X, labels, metric=metric, n_threads=1)
    theirs = sklearn_samples(X, labels, metric=metric)

    work = ways(case)[0]
    taken = medians(
        {
            "zoorank": lambda: zoorank.silhouette_score(X, labels, metric=metric, n_threads=1),
            "sklearn": lambda: sklearn_score(X, labels, metric=metric),
            "gemm": gemm(d, work.dtype),
        },
        rounds=rounds,
    )
    rate = work.flops / taken["zoorank"]
    gemm_rate = 2 * GEMM_ROWS**2 * d / taken["gemm"]
    return {
        "metric": metric,
        "n": n,
        "d": d,
        "classes": case.classes,
        "zoorank_s": taken["zoorank"],
        "napkin_s": bound_seconds(case, limits),
        "sklearn_s": taken["sklearn"],
        "ratio": taken["sklearn"] / taken["zoorank"],
        "gflops": rate / 1e9,
        "gemm_gflops": gemm_rate / 1e9,
        "gemm_share": rate / gemm_rate,
        "error": largest_error(ours, rows, expected),
        "sklearn_error": largest_error(theirs, rows, expected),
    }


if __name__ == "__main__":
    sys.exit(main())
