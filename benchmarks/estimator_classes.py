"""With 20 000 classes, does the interval hold, and what does an index over the classes save?

For two generators, of which the index was tuned on the first alone: the exact silhouettes once (the
long part), the surrogate by brute force and by the index, timed, and then the draws of many seeds,
whose rows are looked up in the exact silhouettes instead of computing them again. Two tolerances:
the first draw alone, and one that it has to grow for.

    python benchmarks/estimator_classes.py [--classes 20000] [--seeds 400] [--cache DIR]
"""

import argparse
import time
from pathlib import Path

import numpy as np
from _common import RESULTS, finish
from _estimator_data import long_tailed, many
from estimator_index import clock, moments

import zoorank
from zoorank.engine import cost, neighbors
from zoorank.engine.estimate import estimate_by_draws

PER_CLASS = 25
GENERATORS = {
    "many, noise 1": lambda k: many(PER_CLASS * k, 128, k, 1.0),
    "long tails": lambda k: long_tailed(PER_CLASS * k, 64, k),
}


def exact_samples(name, X, y, cache):
    path = cache / f"{name.replace(', ', '-').replace(' ', '-')}-{len(X)}.npy" if cache else None
    if path and path.exists():
        return np.load(path)
    samples = zoorank.silhouette_samples(X, y)
    if path:
        np.save(path, samples)
    return samples


def surrogates(X, y, classes):
    statistics = moments(X, y)
    every, slow = clock(lambda: statistics.surrogate(X, 0, 0, None))

    def by_index():
        count = cost.classes_compared(classes)
        statistics.restrict_to(neighbors.class_candidates(statistics.class_points(), count, 0))
        return statistics.surrogate(X, 0, 0, None)

    few, fast = clock(by_index)
    return every, slow, few, fast


def cover(samples, surrogate, y, tol, seeds):
    codes = y.astype(np.int64)
    runs = [
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
    errors = np.array([run.score for run in runs]) - samples.mean()
    widths = np.array([run.half_width for run in runs])
    return runs, errors, widths


def measure(name, classes, seeds, cache):
    X, y = GENERATORS[name](classes)
    every, slow, few, fast = surrogates(X, y, classes)
    samples = exact_samples(name, X, y, cache)
    first = cover(samples, few, y, 2.0, 1)[2][0]
    for tol in (2.0, first / 1.4):
        runs, errors, widths = cover(samples, few, y, tol, seeds)
        yield {
            "set": name,
            "K": classes,
            "n": len(X),
            "d": X.shape[1],
            "exact": float(samples.mean()),
            "brute seconds": slow,
            "index seconds": fast,
            "times faster": slow / fast,
            "same nearest class": float(np.isclose(every, few, rtol=0, atol=1e-12).mean()),
            "deviation brute": float((samples - every).std()),
            "deviation index": float((samples - few).std()),
            "rows": float(np.mean([run.rows_evaluated for run in runs])),
            "half width": float(widths.mean()),
            "rmse": float(np.sqrt((errors**2).mean())),
            "covered": float((abs(errors) <= widths).mean()),
            "bias / se": float(errors.mean() / errors.std(ddof=1) * np.sqrt(seeds)),
            "seeds": seeds,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--classes", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--cache", type=Path, help="where exact silhouettes are kept")
    arguments = parser.parse_args()
    if neighbors.load_faiss() is None:
        raise SystemExit("this program needs FAISS: pip install 'zoorank[faiss-cpu]'")
    begin = time.perf_counter()
    rows = [
        row
        for name in GENERATORS
        for row in measure(name, arguments.classes, arguments.seeds, arguments.cache)
    ]
    finish(rows, "estimator_classes", RESULTS)
    print(f"{time.perf_counter() - begin:.0f} s")
    if min(row["covered"] for row in rows) < 0.97:
        raise SystemExit("fewer than 97 % of the intervals hold the exact score")


if __name__ == "__main__":
    main()
