"""How far off are estimated silhouettes of single samples, and is that what is said of them?

Root mean square errors over the rows of a set, over several seeds: of the estimate with 16, 64 and
256 references a class; of the standard errors returned with it; of plain sampling, the mean
distances to the same number of random rows of every class; and of roots of mean squares. Fails
where said and true errors are more than a third apart.

    python benchmarks/estimator_samples.py [--sets digits mnist5k ...]
"""

import argparse
import sys
import time

import numpy as np
from _common import RESULTS, finish
from _estimator_data import SETS

import zoorank
from zoorank import _core

SEEDS = 5
COUNTS = (16, 64, 256)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def plainly(X, codes, count, seed):
    """Silhouettes from the mean distance to `count` random rows of each class, the row left out."""
    order = np.random.default_rng(seed).permutation(len(X))
    order = order[np.argsort(codes[order], kind="stable")]
    sizes = np.bincount(codes)
    rank = np.arange(len(X)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = order[rank < count]
    D = zoorank.pairwise_distances(X, X[chosen]).astype(np.float64)
    used = np.bincount(codes[chosen])
    means = np.add.reduceat(D, np.cumsum(used) - used, axis=1)
    rows = np.arange(len(X))
    itself = np.zeros(len(X))
    itself[chosen] = 1
    own = means[rows, codes] / np.maximum(used[codes] - itself, 1)
    means /= used
    means[rows, codes] = np.inf
    nearest = means.min(axis=1)
    return (nearest - own) / np.maximum(own, nearest)


def surrogate(X, codes):
    statistics = _core.RowStatistics32(codes, X.shape[1], "euclidean")
    statistics.check(X, 0)
    statistics.add_moments(X, 0, 0, None)
    return statistics.surrogate(X, 0, 0, None)


def measure(name, X, y):
    X = np.ascontiguousarray(X, np.float32)
    codes = np.unique(y, return_inverse=True)[1].astype(np.int64)
    exact = zoorank.silhouette_samples(X, y)
    by_roots = rms(surrogate(X, codes) - exact)
    for count in COUNTS:
        off, said, within, seconds = [], [], [], []
        for seed in range(SEEDS):
            begin = time.perf_counter()
            samples, errors = zoorank.silhouette_samples(
                X, y, method="estimate", references=count, return_error=True, random_state=seed
            )
            seconds.append(time.perf_counter() - begin)
            off.append(rms(samples - exact))
            said.append(rms(errors))
            within.append(np.mean(abs(samples - exact) <= 2 * errors + 5e-6))
        yield {
            "set": name,
            "n": len(X),
            "d": X.shape[1],
            "K": int(codes.max()) + 1,
            "references": count,
            "rms error": rms(off),
            "said": rms(said),
            "within twice": float(np.mean(within)),
            "plain sampling": rms([rms(plainly(X, codes, count, s) - exact) for s in range(SEEDS)]),
            "roots of mean squares": by_roots,
            "seconds": float(np.median(seconds)),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", nargs="*", default=[], help="words of names; all by default")
    arguments = parser.parse_args()
    rows = [
        row
        for name, load in SETS.items()
        if not arguments.sets or any(word in name for word in arguments.sets)
        for row in measure(name, *load())
    ]
    finish(rows, "estimator_samples", RESULTS)
    apart = [max(r["said"] / r["rms error"], r["rms error"] / r["said"]) for r in rows if r["said"]]
    print(f"\nSaid and true errors are at most {max(apart):.2f} times apart")
    return 0 if max(apart) < 4 / 3 else "that is more than a third"


if __name__ == "__main__":
    sys.exit(main())
