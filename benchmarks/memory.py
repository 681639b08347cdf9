"""How much memory does a call hold beside its input?

Each case runs in a process of its own. The bar is twice the input and 64 MB.

    python benchmarks/memory.py
"""

import sys

from _common import arguments, finish, in_own_process, peak_extra_mb
from _problems import METRICS, make_problem

import zoorank

ALLOWED_INPUTS = 2
ALLOWED_MB = 64


def main(argv=None):
    chosen = arguments(__doc__, argv)
    n, d, classes = (2000, 64, 50) if chosen.quick else (100_000, 256, 1000)
    rows = []
    for metric in METRICS:
        extra = in_own_process(measure, metric, n, d, classes)
        input_mb = 4 * n * d / 1e6
        allowed = ALLOWED_INPUTS * input_mb + ALLOWED_MB
        rows.append(
            {
                "metric": metric,
                "n": n,
                "d": d,
                "classes": classes,
                "input_mb": input_mb,
                "peak_extra_mb": extra,
                "allowed_mb": allowed,
                "holds": None if extra is None else extra <= allowed,
            }
        )
    finish(rows, "memory", chosen.out)
    broken = [row["metric"] for row in rows if row["holds"] is False]
    return f"too much memory: {', '.join(broken)}" if broken else 0


def measure(metric, n, d, classes):
    small = make_problem(100, d, 2)
    zoorank.silhouette_samples(small.X, small.labels, metric=metric)
    problem = make_problem(n, d, classes)
    return peak_extra_mb(
        lambda: zoorank.silhouette_samples(problem.X, problem.labels, metric=metric)
    )


if __name__ == "__main__":
    sys.exit(main())
