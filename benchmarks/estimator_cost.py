"""Does the rule of method="auto" pick what is faster?

Times an exact and an estimated score (tol 0.001) of several shapes from where "auto" is exact to
where it is not, and sets what engine/cost.py predicts for the ratio beside what was measured.
"wrong" marks a shape where the prediction names the slower of the two by more than a half.

    python benchmarks/estimator_cost.py
"""

import sys

from _common import RESULTS, finish
from _estimator_data import many

import zoorank
from zoorank.engine import cost
from zoorank.engine.estimate import predicted_rows

SHAPES = (
    (5_000, 512, 10),
    (20_000, 32, 10),
    (20_000, 128, 1000),
    (20_000, 512, 10),
    (50_000, 64, 10),
    (50_000, 128, 1900),
    (80_000, 64, 100),
)


def seconds(X, y, method):
    runs = [zoorank.silhouette(X, y, method=method, random_state=seed) for seed in range(3)]
    assert runs[0].method == method
    return sorted(run.seconds for run in runs)[1], runs[0].rows_evaluated


def compare(n, d, classes):
    X, y = many(n, d, classes)
    exact, _ = seconds(X, y, "exact")
    estimate, drawn = seconds(X, y, "estimate")
    expected = predicted_rows(n, classes, 1e-3, 0.99)
    estimated_cost = cost.surrogate_cost(n, d, classes) + cost.rows_cost(n, d, expected)
    predicted = cost.exact_cost(n, d) / estimated_cost
    measured = exact / estimate
    return {
        "n": n,
        "d": d,
        "K": classes,
        "exact s": exact,
        "estimate s": estimate,
        "rows": drawn,
        "rows predicted": expected,
        "exact / estimate": measured,
        "predicted": predicted,
        "auto": "exact" if cost.prefers_exact(n, d, classes, expected) else "estimate",
        "wrong": (predicted > 1) != (measured > 1) and max(measured, 1 / measured) > 1.5,
    }


def main():
    rows = [compare(*shape) for shape in SHAPES]
    finish(rows, "estimator_cost", RESULTS)
    wrong = sum(row["wrong"] for row in rows)
    return f"{wrong} of {len(rows)} predictions name the slower way" if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
