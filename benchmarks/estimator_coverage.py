"""Does the interval of an estimate hold the exact score, and what does it cost to be that sure?

First table: draws with 400 seeds, at two tolerances. `covered` is the share of 99 % intervals
that hold the exact score, `bias / se` the mean error in standard errors of that mean.

Second table: what scikit-learn's score of 2000 random rows is off by, and what zoorank is off by
in no more time: exact where that is affordable, else estimated from as many rows as are.

    python benchmarks/estimator_coverage.py [--seeds 400] [--sets digits mnist5k ...]
"""

import argparse
import functools
import time
import warnings

import numpy as np
from _common import RESULTS, finish
from _estimator_data import SETS

import zoorank
from zoorank import _core
from zoorank.engine.estimate import FIRST_DRAW, estimate_by_draws

SAMPLE = 2000
WHOLE_RUNS = 3  # that are computed from the rows, to see that draws looked up are the same


def coverage(name, X, y, tol, seeds):
    """Draws with many seeds; rows drawn are looked up in the exact silhouettes of all rows."""
    exact = zoorank.silhouette(X, y, method="exact")
    codes = np.unique(y, return_inverse=True)[1].astype(np.int64)
    samples, surrogate = zoorank.silhouette_samples(X, y), surrogate_of(X, codes)
    results = [
        estimate_by_draws(
            surrogate,
            codes,
            lambda drawn: samples[drawn],
            tol=tol,
            confidence=0.99,
            random_state=seed,
            rounding=5e-6,
            affordable=lambda more: True,
        )
        for seed in range(seeds)
    ]
    for seed in range(WHOLE_RUNS):
        whole = zoorank.silhouette(X, y, method="estimate", tol=tol, random_state=seed)
        assert whole.method == "exact" or abs(whole.score - results[seed].score) < 1e-5
    errors = np.array([r.score - exact.score for r in results])
    widths = np.array([r.half_width for r in results])
    of_class = np.array([abs(r.per_class - exact.per_class) for r in results])
    class_widths = np.array([r.per_class_half_width for r in results])
    by_class = (of_class <= class_widths + 1e-12).mean(axis=0)
    deviation = errors.std(ddof=1)
    return {
        "set": name,
        "n": len(X),
        "d": X.shape[1],
        "K": len(exact.classes),
        "exact": exact.score,
        "tol": tol,
        "rows": float(np.mean([r.rows_evaluated for r in results])),
        "half width": float(widths.mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "covered": float((abs(errors) <= widths).mean()),
        "bias / se": float(errors.mean() / deviation * np.sqrt(seeds)) if deviation > 0 else 0.0,
        "classes covered": float(by_class.mean()),
        "worst class": float(by_class.min()),
        "seeds": seeds,
    }


def surrogate_of(X, codes):
    statistics = _core.RowStatistics32(codes, X.shape[1], "euclidean")
    statistics.check(X, 0)
    statistics.add_moments(X, 0, 0, None)
    return statistics.surrogate(X, 0, 0, None)


def timed(call, repeats=3):
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds))


def largest_draw(X, y, allowed):
    """The smallest tolerance whose estimate takes no longer than allowed, if any does."""
    best, seconds, tol = 2.0, None, 2.0
    while True:
        call = functools.partial(
            zoorank.silhouette, X, y, method="estimate", tol=tol, random_state=0
        )
        taken = timed(call)
        if taken > allowed:
            return "estimate", best, seconds or taken
        best, seconds, tol = tol, taken, tol / (2 if tol > 1e-2 else 1.2)


def per_cost(name, X, y, seeds):
    """Errors of both in the time that scikit-learn takes; None where it has too few rows."""
    import sklearn.metrics

    if len(X) <= SAMPLE:
        return None

    def sampled(seed):
        return sklearn.metrics.silhouette_score(X, y, sample_size=SAMPLE, random_state=seed)

    truth = zoorank.silhouette_score(X.astype(np.float64), y)
    allowed = timed(lambda: sampled(0))
    exact_seconds = timed(lambda: zoorank.silhouette(X, y, method="exact"))
    theirs = np.array([sampled(seed) for seed in range(seeds)]) - truth
    method, seconds = "exact", exact_seconds
    ours = np.array([zoorank.silhouette_score(X, y) - truth])  # what float32 is off by
    if exact_seconds > allowed:
        method, tol, seconds = largest_draw(X, y, allowed)
        runs = [
            zoorank.silhouette(X, y, method=method, tol=tol, random_state=s) for s in range(seeds)
        ]
        ours = np.array([r.score for r in runs]) - truth
    return {
        "set": name,
        "sklearn seconds": allowed,
        "sklearn rmse": float(np.sqrt((theirs**2).mean())),
        "sklearn bias": float(theirs.mean()),
        "method": method,
        "zoorank seconds": seconds,
        "zoorank rmse": float(np.sqrt((ours**2).mean())),
        "times smaller": float(np.sqrt((theirs**2).mean() / (ours**2).mean())),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--sets", nargs="*", default=[], help="words of names; all by default")
    parser.add_argument("--skip-costs", action="store_true", help="the first table alone")
    parser.add_argument("--skip-intervals", action="store_true", help="the second table alone")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    covered, costs = [], []
    for name, load in SETS.items():
        if arguments.sets and not any(word in name for word in arguments.sets):
            continue
        X, y = load()
        X = np.ascontiguousarray(X, np.float32)
        # The widest interval, from the first draw alone; and one that the draw has to grow for.
        first = zoorank.silhouette(X, y, method="estimate", tol=2.0, random_state=0)
        tolerances = (2.0, first.half_width / 1.4)
        if not arguments.skip_intervals:
            covered += [coverage(name, X, y, tol, arguments.seeds) for tol in tolerances]
        if not arguments.skip_costs:
            costs.append(per_cost(name, X, y, max(20, arguments.seeds // 20)))
    if covered:
        print(f"Intervals; the first draw is {FIRST_DRAW} rows\n")
        finish(covered, "estimator_coverage", RESULTS)
    if arguments.skip_costs:
        return
    print(f"\nErrors in the time of scikit-learn's sample_size={SAMPLE}\n")
    finish([row for row in costs if row], "estimator_per_cost", RESULTS)


if __name__ == "__main__":
    main()
