"""How fast is the engine on a CUDA device, against the device's limits?

Every time is the median of several runs, and counts only if the answer is right: some
rows are compared with float64 silhouettes from differences. A problem of which each pair
of rows is multiplied once takes n²d operations; split into three products of bfloat16 it
takes 3n²d, and that over the measured rate of bfloat16 products is the bound that a time
is held against.

The parts are named on the command line, so that each can have a time limit of its own:

limits    the device's own: products, multiply-adds, a copy
exact     Euclidean, 100 000 x 768 with every kernel and 1 000 000 x 512 with the fastest
slower    the latter with the next
estimate  the same with method="estimate"
accuracy  errors where rows are correlated, as encodings after a ReLU are, and features many
closed    squared Euclidean and cosine
bits      the bits of four runs of every kernel

``--out DIR`` appends rows to DIR/gpu_check.csv. Without a usable device the program says so
and ends with 77.
"""

import functools
import os
import sys
from unittest import mock

import numpy as np
from _gpu import median, run
from _problems import METRICS, definition, make_problem, sample_rows

import zoorank
from zoorank import _core
from zoorank.engine import cuda


def kernels():
    """Those of this device, the best first; with ZOORANK_CUDA_KERNEL=mma, all but a better one."""
    from zoorank import _cuda

    every = ["wgmma", "mma", "simt"]
    return every[every.index(_cuda.euclidean_kernel(512, cuda.first_device())) :]


def forced(kernel):
    return mock.patch.dict(os.environ, ZOORANK_CUDA_KERNEL=kernel)


def limits(bench):
    found = bench.limits
    for name in ("bfloat16", "float32", "float64"):
        bench.row(f"limit {name}", tera_operations_per_second=found[name] / 1e12)
    bench.row("limit copy", note=f"{found['copy'] / 1e12:.3f} TB/s read and written")


def exact(bench):
    small, large = bench.sizes
    exactly(bench, small, kernels(), checked=12, runs=5)
    exactly(bench, large, kernels()[:1], checked=3, runs=3)


def slower(bench):
    exactly(bench, bench.sizes[1], kernels()[1:2], checked=3, runs=1)


def exactly(bench, shape, which, *, checked, runs):
    problem, there = placed(*shape)
    rows = sample_rows(problem, checked)
    expected = reference(shape, rows)
    for kernel in which:
        with forced(kernel):
            s = zoorank.silhouette_samples(there, problem.labels)  # and kernels are loaded
            seconds = median(lambda: zoorank.silhouette_samples(there, problem.labels), runs)
        bench.timed(
            "exact euclidean", seconds, *shape, kernel=kernel,
            error=float(np.abs(s[rows] - expected).max()), note="rows on the device",
        )  # fmt: skip


def estimate(bench):
    problem, there = placed(*bench.sizes[1])

    def work():
        return zoorank.silhouette(
            there, problem.labels, method="estimate", tol=1e-3, random_state=0
        )

    found, exact_score = work(), zoorank.silhouette_score(there, problem.labels)
    seconds = median(work, 3)
    held = abs(found.score - exact_score) <= found.half_width
    bench.timed(
        "estimated euclidean", seconds, *bench.sizes[1], kernel="auto",
        note=f"half width {found.half_width:.1e}, {'holds' if held else 'MISSES'} the exact score",
    )  # fmt: skip


@functools.lru_cache(maxsize=1)  # one large problem at a time
def placed(*shape):
    problem = make_problem(*shape)
    return problem, cuda.to_device(problem.X)


_references = {}


def reference(shape, rows):
    if (shape, len(rows)) not in _references:
        _references[shape, len(rows)] = definition(placed(*shape)[0], rows)
    return _references[shape, len(rows)]


def closed(bench):
    n, d, classes = bench.sizes[1]
    problem, there = placed(n, d, classes)
    for metric in _core.METRICS_FROM_MEANS:
        work = functools.partial(zoorank.silhouette_samples, there, problem.labels, metric=metric)
        work()
        seconds = median(work, 3)
        bound = max(
            problem.X.nbytes / bench.limits["copy"], 2 * n * classes * d / bench.limits["float64"]
        )
        bench.row(
            metric, n=n, d=d, classes=classes, kernel="means", seconds=seconds,
            bound_seconds=bound, share_of_bound=bound / seconds,
            tera_operations_per_second=2 * n * classes * d / seconds / 1e12,
            note="bound: one reading of X, or the products in float64",
        )  # fmt: skip


def accuracy(bench):
    for d in (64, 512, 1280, 2048, 4096):
        rng = np.random.default_rng(d)
        n, classes = 4000 // min(bench.shrink, 10), 40
        y = rng.permutation(np.arange(n) % classes)
        factors = rng.standard_normal((n, 30), dtype=np.float32)
        X = factors @ rng.standard_normal((30, d), dtype=np.float32)
        X += 0.3 * rng.standard_normal((classes, d), dtype=np.float32)[y]
        X = np.maximum(X, 0)
        expected = zoorank.silhouette_samples(X.astype(np.float64), y)
        there = cuda.to_device(X)
        for kernel in kernels():
            with forced(kernel):
                s = zoorank.silhouette_samples(there, y)
            bench.row(
                "accuracy on positive features", n=n, d=d, classes=classes, kernel=kernel,
                error=float(np.abs(s - expected).max()),
            )  # fmt: skip


def bits(bench):
    differ = 0
    for n, d, classes in ((30_000, 128, 100), (30_000, 64, 2), (20_000, 65, 9000)):
        problem = make_problem(n // bench.shrink, d, max(2, classes // bench.shrink))
        there = cuda.to_device(problem.X)
        for kernel in kernels():
            for metric in METRICS if kernel == "simt" else METRICS[:1]:
                with forced(kernel):
                    results = {
                        zoorank.silhouette_samples(there, problem.labels, metric=metric).tobytes()
                        for _ in range(4)
                    }
                differ += len(results) != 1
                print(
                    f"{kernel} {metric} {len(problem.X)} x {d}, {classes} classes: "
                    f"{len(results)} answer(s) of four runs",
                    flush=True,
                )
    print(f"{differ} problems with different bits in four runs")
    bench.wrong += differ


PARTS = {
    "limits": limits,
    "exact": exact,
    "slower": slower,
    "estimate": estimate,
    "accuracy": accuracy,
    "closed": closed,
    "bits": bits,
}


def main(argv=None):
    return run(__doc__, PARTS, argv)


if __name__ == "__main__":
    sys.exit(main())
