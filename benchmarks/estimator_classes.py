"""With 20 000 classes, does the interval hold, and what does an index over the classes save?

For two generators, of which the index was tuned on the first alone: the exact silhouettes once (the
long part), the surrogate by brute force and by the index, timed, and then the draws of many seeds,
whose rows are looked up in the exact silhouettes instead of computing them again. Two tolerances:
the first draw alone, and one that it has to grow for.

    python benchmarks/estimator_classes.py [--seeds 400] [--sets ...] [--cache DIR]
"""

import argparse
import time
from pathlib import Path

import numpy as np
from _common import finish, results_of
from _estimator_data import long_tailed, many
from estimator_coverage import draws, summary
from estimator_index import moments, surrogates

import zoorank
from zoorank.engine.index import load_faiss

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


def measure(name, classes, seeds, cache):
    X, y = GENERATORS[name](classes)
    every, few, times = surrogates(moments(X, y), X, classes)
    samples = exact_samples(name, X, y, cache)
    codes = y.astype(np.int64)
    (first,), _ = draws(samples, few, codes, 2.0, 1)
    for tol in (2.0, first.half_width / 1.4):
        runs, _ = draws(samples, few, codes, tol, seeds)
        yield {
            "set": name,
            "K": classes,
            "n": len(X),
            "d": X.shape[1],
            "exact": float(samples.mean()),
            **times,
            "deviation brute": float((samples - every).std()),
            "deviation index": float((samples - few).std()),
            **summary(runs, samples.mean()),
            "seeds": seeds,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--classes", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--sets", nargs="*", choices=GENERATORS, default=list(GENERATORS))
    parser.add_argument("--cache", type=Path, help="where exact silhouettes are kept")
    arguments = parser.parse_args()
    if load_faiss() is None:
        raise SystemExit("this program needs FAISS: pip install 'zoorank[faiss-cpu]'")
    begin = time.perf_counter()
    rows = [
        row
        for name in arguments.sets
        for row in measure(name, arguments.classes, arguments.seeds, arguments.cache)
    ]
    finish(rows, "estimator_classes", results_of(parser, arguments, "classes", "sets"))
    print(f"{time.perf_counter() - begin:.0f} s")
    if min(row["covered"] for row in rows) < 0.97:
        raise SystemExit("fewer than 97 % of the intervals hold the exact score")


if __name__ == "__main__":
    main()
