"""How much faster than scikit-learn are exact silhouettes on one core, and how near to sgemm?

Both run in this process on the same float32 arrays, in turns, after both have been
checked against the float64 definition. Beside the time stand the napkin's, arithmetic
or memory at this machine's peak, and NumPy's matrix product at this d: each pair of
rows once is n²·d flops, held against sgemm; class means (cosine) are 2·n·K·d flops in
double, held against dgemm.

OpenBLAS knows processors by name, and takes one that it does not know for an older
one: both sides and the matrix product are then measured once more, in a process of
its own, with the product meant for this instruction set.

    python benchmarks/exact_engine.py
    flock /tmp/quiet python benchmarks/exact_engine.py --rounds 7
"""

import os
import sys

import numpy as np
from _cases import Case, bound_seconds, ways
from _common import arguments, finish, in_own_process
from _limits import GEMM_ROWS, gemm, measure_limits
from _machine import this_machine
from _problems import TOLERANCE, definition, largest_error, make_problem, sample_rows
from _timing import blas_threads, medians
from sklearn.metrics import silhouette_samples as sklearn_samples
from sklearn.metrics import silhouette_score as sklearn_score

import zoorank

SHAPES = ((512, 100), (128, 10))  # features, classes
METRICS = ("euclidean", "cosine")
CHECKED_ROWS = 32
OPENBLAS_NAMES = {"amx": "SkylakeX", "avx512": "SkylakeX", "avx2": "Haswell"}


def main(argv=None):
    chosen = arguments(__doc__, argv)
    n = 600 if chosen.quick else 20_000
    machine = this_machine()
    print(f"{machine.cpu}, {machine.instruction_set}, one thread, n = {n}, float32\n")
    rows = compare_all(n, chosen.rounds)
    meant = OPENBLAS_NAMES.get(machine.instruction_set, "")
    if machine.blas.startswith("openblas") and not machine.blas.endswith(meant):
        os.environ["OPENBLAS_CORETYPE"] = meant
        rows += in_own_process(compare_all, n, chosen.rounds)
    finish(rows, "exact_engine", chosen.out)
    wrong = [row for row in rows if not row["error"] <= TOLERANCE[np.dtype(np.float32)]]
    return f"{len(wrong)} of {len(rows)} are wrong: no time of them counts" if wrong else 0


def compare_all(n, rounds):
    with blas_threads(1):
        limits = measure_limits()
        return [
            compare(Case("silhouette", metric, "float32", n, d, classes), limits, rounds)
            for d, classes in SHAPES
            for metric in METRICS
        ]


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
        "gemm_by": this_machine().blas,
        "error": largest_error(ours, rows, expected),
        "sklearn_error": largest_error(theirs, rows, expected),
    }


if __name__ == "__main__":
    sys.exit(main())
