"""How do time and memory of an estimate grow with the rows?

Each size is checked before it is timed: the interval of the estimate has to meet that of another
seed. Writes a CSV, unless other sizes are asked for; `make figures` draws it.

    python benchmarks/estimator_scaling.py [--sizes 100000 300000 1000000]
"""

import argparse
import multiprocessing

from _common import finish, peak_extra_mb, results_of
from _estimator_data import many

import zoorank

SHAPES = ((128, 100), (128, 1000), (512, 100))  # features, classes
BUDGET = {(128, 1000): 30, (512, 100): 60}  # seconds that a million rows may take


def measure(n, d, classes):
    X, y = many(n, d, classes)
    results = []
    peak = peak_extra_mb(
        lambda: results.append(zoorank.silhouette(X, y, method="estimate", random_state=0))
    )
    (first,) = results
    second = zoorank.silhouette(X, y, method="estimate", random_state=1)
    assert first.method == "estimate"
    assert abs(first.score - second.score) <= first.half_width + second.half_width
    seconds = min(first.seconds, second.seconds)
    return {
        "n": n,
        "d": d,
        "K": classes,
        "score": first.score,
        "half width": first.half_width,
        "rows": first.rows_evaluated,
        "seconds": seconds,
        "us per row": 1e6 * seconds / n,
        "MB over input": peak,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 300_000, 1_000_000])
    arguments = parser.parse_args()
    # Each in a process of its own, whose memory holds nothing of the one before.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        shapes = [(n, d, classes) for d, classes in SHAPES for n in arguments.sizes]
        rows = pool.starmap(measure, shapes, chunksize=1)
    finish(rows, "estimator_scaling", results_of(parser, arguments, "sizes"))
    for row in rows:
        allowed = BUDGET.get((row["d"], row["K"])) if row["n"] == 1_000_000 else None
        if allowed:
            verdict = "within" if row["seconds"] <= allowed else "OVER"
            print(f"{row['d']} features, {row['K']} classes: {verdict} {allowed} s")


if __name__ == "__main__":
    main()
