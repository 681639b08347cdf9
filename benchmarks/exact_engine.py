"""How much faster than scikit-learn are exact silhouettes on one core, and how near to sgemm?

Both run in this process on the same float32 arrays, in turns, after both have been
checked against the float64 definition. Beside the time stands the napkin's: each pair
of rows once is n²·d flops, at the rate of NumPy's sgemm at this d; class means
(cosine) are 2·n·K·d flops at that of dgemm.

    python benchmarks/exact_engine.py
    flock /tmp/quiet python benchmarks/exact_engine.py --rounds 7
"""

import sys

import numpy as np
from _common import arguments, finish
from sklearn import config_context
from sklearn.metrics import silhouette_samples as sklearn_samples
from sklearn.metrics import silhouette_score as sklearn_score

import zoorank
from zoorank.engine.throughput import (
    GEMM_ROWS,
    TOLERANCE,
    blas_threads,
    definition,
    gemm,
    largest_error,
    make_problem,
    medians,
    sample_rows,
    this_machine,
)

SHAPES = ((512, 100), (128, 10))  # features, classes
METRICS = ("euclidean", "cosine")
CHECKED_ROWS = 32


def main(argv=None):
    chosen = arguments(__doc__, argv)
    n = 600 if chosen.quick else 20_000
    print(f"{this_machine().cpu}, {this_machine().instruction_set}, one thread, n = {n}, float32\n")
    with blas_threads(1), config_context(working_memory=256):
        rows = [
            compare(n, d, classes, metric, chosen.rounds)
            for d, classes in SHAPES
            for metric in METRICS
        ]
    finish(rows, "exact_engine", chosen.out)
    wrong = [row for row in rows if row["error"] > TOLERANCE[np.dtype(np.float32)]]
    return f"{len(wrong)} of {len(rows)} are wrong: no time of them counts" if wrong else 0


def compare(n, d, classes, metric, rounds):
    """One row: check, then time."""
    problem = make_problem(n, d, classes)
    X, labels = problem.X, problem.labels
    rows = sample_rows(problem, CHECKED_ROWS)
    expected = definition(problem, rows, metric)
    ours = zoorank.silhouette_samples(X, labels, metric=metric, n_threads=1)
    theirs = sklearn_samples(X, labels, metric=metric)

    pairs = metric == "euclidean"
    taken = medians(
        {
            "zoorank": lambda: zoorank.silhouette_score(X, labels, metric=metric, n_threads=1),
            "sklearn": lambda: sklearn_score(X, labels, metric=metric),
            "gemm": gemm(d, np.float32 if pairs else np.float64),
        },
        rounds=rounds,
    )
    flops = n * n * d if pairs else 2 * n * classes * d
    limit = 2 * GEMM_ROWS**2 * d / taken["gemm"]
    return {
        "metric": metric,
        "n": n,
        "d": d,
        "classes": classes,
        "zoorank_s": taken["zoorank"],
        "napkin_s": flops / limit,
        "sklearn_s": taken["sklearn"],
        "ratio": taken["sklearn"] / taken["zoorank"],
        "gflops": flops / taken["zoorank"] / 1e9,
        "gemm_gflops": limit / 1e9,
        "gemm_share": flops / taken["zoorank"] / limit,
        "error": largest_error(ours, rows, expected),
        "sklearn_error": largest_error(theirs, rows, expected),
    }


if __name__ == "__main__":
    sys.exit(main())
