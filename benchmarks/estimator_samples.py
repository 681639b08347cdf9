"""How far off are estimated silhouettes of single samples, and is that what is said of them?

Root mean square errors over the rows of a set, over several seeds: of the estimate with 16, 64 and
256 references a class; of the standard errors returned with it; of plain sampling, the mean
distances to the same number of random rows of every class; of roots of mean squares; and of the
estimate with references drawn from whole classes, without strata or rows that are always taken.
Fails where said and true errors are more than a third apart.

    python benchmarks/estimator_samples.py [--sets digits mnist5k ...]

With --sets nothing is written.
"""

import argparse
import sys
import time
from unittest import mock

import numpy as np
from _common import finish, results_of
from _estimator_data import SETS

import zoorank
from zoorank.engine import samples as samples_engine
from zoorank.engine.arrays import MemoryRows
from zoorank.engine.surrogate import silhouettes_by_means

SEEDS = 5
PLAIN_ROWS = 500
COUNTS = (16, 64, 256)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def plainly(X, codes, count, seed):
    """Some rows, and their silhouettes from mean distances to `count` random rows of each class."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(X))
    order = order[np.argsort(codes[order], kind="stable")]
    sizes = np.bincount(codes)
    rank = np.arange(len(X)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = order[rank < count]
    rows = rng.choice(len(X), PLAIN_ROWS, replace=False)
    D = zoorank.pairwise_distances(X[rows], X[chosen])
    used = np.bincount(codes[chosen])
    means = np.add.reduceat(D, np.cumsum(used) - used, axis=1, dtype=np.float64)
    at, own_class = np.arange(len(rows)), codes[rows]
    # A row is none of its own references.
    own = means[at, own_class] / np.maximum(used[own_class] - np.isin(rows, chosen), 1)
    means /= used
    means[at, own_class] = np.inf
    nearest = means.min(axis=1)
    return rows, (nearest - own) / np.maximum(own, nearest)


def estimated(X, y, count, seed):
    return zoorank.silhouette_samples(
        X, y, method="estimate", references=count, return_error=True, random_state=seed
    )


def from_whole_classes(X, y, count, seed):
    with (
        mock.patch.object(samples_engine, "_SHARE_ALWAYS", count + 1),
        mock.patch.object(samples_engine, "_OF_A_STRATUM", count),
    ):
        return estimated(X, y, count, seed)[0]


def measure(name, X, y):
    X = np.ascontiguousarray(X, np.float32)
    codes = np.unique(y, return_inverse=True)[1].astype(np.int64)
    exact = zoorank.silhouette_samples(X, y)
    by_roots = rms(silhouettes_by_means(MemoryRows(X), codes, "euclidean", 0) - exact)
    for count in COUNTS:
        off, said, within, seconds, plain, unstratified = [], [], [], [], [], []
        for seed in range(SEEDS):
            begin = time.perf_counter()
            samples, errors = estimated(X, y, count, seed)
            seconds.append(time.perf_counter() - begin)
            off.append(rms(samples - exact))
            said.append(rms(errors))
            rows, sampled = plainly(X, codes, count, seed)
            plain.append(rms(sampled - exact[rows]))
            unstratified.append(rms(from_whole_classes(X, y, count, seed) - exact))
            within.append(np.mean(abs(samples - exact) <= 2 * errors + 5e-6))
        yield {
            "set": name,
            "n": len(X),
            "d": X.shape[1],
            "K": int(codes.max()) + 1,
            "references": count,
            "rms error": rms(off),
            "from whole classes": rms(unstratified),
            "said": rms(said),
            "within twice": float(np.mean(within)),
            "plain sampling": rms(plain),
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
    finish(rows, "estimator_samples", results_of(parser, arguments, "sets"))
    apart = [max(r["said"] / r["rms error"], r["rms error"] / r["said"]) for r in rows if r["said"]]
    print(f"\nSaid and true errors are at most {max(apart, default=1):.2f} times apart")
    return 0 if max(apart, default=1) < 4 / 3 else "that is more than a third"


if __name__ == "__main__":
    sys.exit(main())
