"""Does the cost model behind method="auto" name the faster way?

For each width and number of classes, the number of rows at which engine/cost.py predicts exact and
estimated scores (tol 0.001) to cost the same, half of it, twice and four times: both are timed in
turns, in seconds of processor, which others on the machine change little. "times slower" is the
time of the way that the prediction names over that of the better one. "auto" itself is exact up to
about a second on top (cost.WORTHWHILE).

    python benchmarks/estimator_cost.py
"""

import sys
import time

import numpy as np
from _common import RESULTS, finish
from _estimator_data import many

import zoorank
from zoorank.engine import cost
from zoorank.engine.estimate import predicted_rows

SHAPES = (
    *((32, 10), (32, 5000), (64, 10), (64, 1900), (128, 100), (128, 1000), (128, 10_000)),
    *((512, 10), (1280, 50)),
)
ALLOWED = 1.5
ROUNDS = 5


def predicted(n, d, classes):
    """Cost of an exact score over that of an estimate."""
    drawn = predicted_rows(n, classes, 1e-3, 0.99)
    return cost.exact_cost(n, d, classes) / (
        cost.surrogate_cost(n, d, classes) + cost.rows_cost(n, d, drawn)
    )


def border(d, classes):
    """The number of rows at which both are predicted to cost the same; four a class at least."""
    low, high = 600, 10_000_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if predicted(middle, d, classes) < 1 else (low, middle)
    return max(high, 4 * classes)


def compare(n, d, classes):
    X, y = many(n, d, classes)
    seconds = {"exact": [], "estimate": []}
    for seed in range(ROUNDS):
        for method, taken in seconds.items():
            begin = time.process_time()
            result = zoorank.silhouette(X, y, method=method, random_state=seed)
            taken.append(time.process_time() - begin)
    drawn = result.rows_evaluated
    exact, estimate = (float(np.median(taken)) for taken in seconds.values())
    expected = predicted(n, d, classes)
    named = exact if expected <= 1 else estimate
    return {
        "n": n,
        "d": d,
        "K": classes,
        "exact cpu s": exact,
        "estimate cpu s": estimate,
        "estimate is": result.method,
        "rows": drawn,
        "exact / estimate": exact / estimate,
        "predicted": expected,
        "times slower": named / min(exact, estimate),
    }


def main():
    rows = [
        compare(int(times * border(d, classes)), d, classes)
        for d, classes in SHAPES
        for times in (0.5, 1, 2, 4)
    ]
    finish(rows, "estimator_cost", RESULTS)
    worst = max(row["times slower"] for row in rows)
    print(f"The way named took at most {worst:.2f} times the time of the better one")
    return 0 if worst <= ALLOWED else f"that is more than {ALLOWED}"


if __name__ == "__main__":
    sys.exit(main())
