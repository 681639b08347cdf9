"""What does a second thread bring, alone and beside a process that competes for the cores?

The same bits are asked for first. A competitor keeps as many cores busy as the column
says, at the same priority; beside it, two threads must still not be slower than one.

    python benchmarks/threads.py
"""

import contextlib
import multiprocessing
import os
import sys

import numpy as np
from _common import arguments, finish
from _problems import make_problem
from _timing import medians

import zoorank

SHAPES = (
    ("euclidean", 20_000, 128, 10),
    ("euclidean", 20_000, 512, 100),
    ("euclidean", 20_000, 128, 1000),
    ("manhattan", 20_000, 64, 10),
    ("cosine", 100_000, 512, 100),
)


def main(argv=None):
    chosen = arguments(__doc__, argv)
    rows = []
    for metric, n, d, classes in SHAPES:
        shape = (n // 50, d, 10) if chosen.quick else (n, d, classes)
        problem = make_problem(*shape)
        for competitors in (0, 1):
            with busy_processes(competitors):
                rows.append(compare(problem, metric, competitors, chosen.rounds))
    finish(rows, "threads", chosen.out)
    differing = [row for row in rows if not row["same_bits"]]
    return f"{len(differing)} of {len(rows)} differ between one thread and two" if differing else 0


def compare(problem, metric, competitors, rounds):
    def with_threads(count):
        return zoorank.silhouette_samples(problem.X, problem.labels, metric=metric, n_threads=count)

    same = np.array_equal(with_threads(1), with_threads(2))
    taken = medians({1: lambda: with_threads(1), 2: lambda: with_threads(2)}, rounds=rounds)
    n, d = problem.X.shape
    return {
        "metric": metric,
        "n": n,
        "d": d,
        "classes": problem.classes,
        "competitors": competitors,
        "cores": len(os.sched_getaffinity(0)),
        "one_thread_s": taken[1],
        "two_threads_s": taken[2],
        "speedup": taken[1] / taken[2],
        "same_bits": same,
    }


@contextlib.contextmanager
def busy_processes(count):
    """Keep `count` cores busy meanwhile."""
    context = multiprocessing.get_context("spawn")
    running = [context.Process(target=spin, daemon=True) for _ in range(count)]
    for process in running:
        process.start()
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.join()


def spin():
    while True:
        pass


if __name__ == "__main__":
    sys.exit(main())
