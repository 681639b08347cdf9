"""How large is the error in s, for every kernel, every shape and every kind of trouble?

The worst of 24 rows against the float64 definition from differences, for each
instruction set that this machine has, and whether one thread and two give the same
bits. The kinds of data are those of the test suite, at sizes that the tests have no
time for.

    python benchmarks/accuracy.py
"""

import os
import sys
from pathlib import Path

import numpy as np
from _common import arguments, finish, in_own_process

import zoorank

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.engine.problems import KINDS, make
from tests.reference import silhouettes as reference

SHAPES = ((2500, 16, 2), (2500, 100, 900), (2000, 512, 100), (1500, 1024, 40), (1200, 2100, 10))
QUICK_SHAPES = ((60, 5, 4),)
CHECKED_ROWS = 24


def main(argv=None):
    chosen = arguments(__doc__, argv)
    shapes = QUICK_SHAPES if chosen.quick else SHAPES
    rows = []
    for instruction_set in zoorank.build_info()["supported_instruction_sets"]:
        os.environ["ZOORANK_ISA"] = instruction_set  # for the process below; this one has chosen
        rows += in_own_process(measure_all, instruction_set, shapes)
    finish(rows, "accuracy", chosen.out)
    wrong = [row for row in rows if not (row["error"] <= row["allowed"] and row["same_bits"])]
    return f"{len(wrong)} of {len(rows)} are wrong" if wrong else 0


def measure_all(instruction_set, shapes):
    assert zoorank.build_info()["instruction_set"] == instruction_set
    return [
        {"kernels": instruction_set, "metric": metric, "dtype": dtype, "kind": kind}
        | worst(metric, dtype, kind, shapes)
        for metric in reference.VECTOR_METRICS
        for dtype in ("float32", "float64")
        for kind in KINDS
    ]


def worst(metric, dtype, kind, shapes):
    """The shape whose error takes the largest share of what is allowed."""
    found = [measure(metric, dtype, kind, *shape) for shape in shapes]
    return max(found, key=lambda row: row["error"] / row["allowed"]) | {
        "same_bits": all(row["same_bits"] for row in found)
    }


def measure(metric, dtype, kind, n, d, classes):
    problem = make(kind, n, d, classes, np.dtype(dtype), seed=n + d)
    rows = np.random.default_rng(d).choice(n, min(n, CHECKED_ROWS), replace=False)
    D = reference.distances(problem.X[rows], problem.X, metric)
    D[np.arange(len(rows)), rows] = 0
    expected = reference.silhouette_of_rows(D, rows, problem.labels)
    samples, again = (
        zoorank.silhouette_samples(problem.X, problem.labels, metric=metric, n_threads=threads)
        for threads in (1, 2)
    )
    return {
        "n": n,
        "d": d,
        "classes": classes,
        "error": float(np.abs(samples[rows] - expected).max()),
        "allowed": reference.tolerance(problem.X[rows], metric),
        "same_bits": bool(np.array_equal(samples, again)),
    }


if __name__ == "__main__":
    sys.exit(main())
