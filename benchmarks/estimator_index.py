"""What does an index over the classes save when there are thousands of them?

First table: seconds to find the nearest classes of every class, by index, and how many of them it
finds. Second table: the surrogate by brute force and from those candidates, the deviation of the
exact silhouettes from each, and whether the interval still holds the score; up to 20 000 classes,
for brute force takes minutes then.

    python benchmarks/estimator_index.py [--classes 2500 5000 ...]
"""

import argparse
import time

import numpy as np
from _common import finish, results_of
from _estimator_data import many

import zoorank
from zoorank import _core
from zoorank.engine import cost, index

PER_CLASS, FEATURES = 25, 128
MOST_BRUTE = 20_000  # classes that all rows are compared with
MOST_EXACT = 150_000  # rows of which the exact score is computed, to count intervals that hold it


def clock(call):
    begin = time.perf_counter()
    result = call()
    return result, time.perf_counter() - begin


def moments(X, y):
    statistics = _core.RowStatistics32(y.astype(np.int64), X.shape[1], "euclidean")
    statistics.check(X, 0)
    statistics.add_moments(X, 0, 0, None)
    return statistics


def hnsw(faiss, points, queries, k):
    graph = faiss.IndexHNSWFlat(points.shape[1], 32)
    graph.hnsw.efSearch = 2 * k
    graph.add(points)
    return graph.search(queries, k)[1]


def compare_indices(classes):
    """Seconds and recall of each way to find the candidates of each class."""
    faiss = index.load_faiss()
    X, y = many(PER_CLASS * classes, FEATURES, classes)
    points = moments(X, y).class_points()
    queries = points.copy()
    queries[:, -1] = 0
    k = cost.classes_compared(classes) + 1
    cells = index.class_cells(classes)
    ways = {
        "flat": lambda: index.search(faiss, points, queries, k, None, 0),
        "inverted file": lambda: index.search(faiss, points, queries, k, cells, 0),
        "hnsw": lambda: hnsw(faiss, points, queries, k),
        "no FAISS": lambda: index.brute_force(queries, points, k, "sqeuclidean", 0),
    }
    results = {name: clock(way) for name, way in ways.items()}
    truth = results["flat"][0]
    return [
        {
            "K": classes,
            "index": name,
            "seconds": seconds,
            "recall": float(np.mean([len(np.intersect1d(a, b)) / k for a, b in
                                     zip(truth[::7], found[::7], strict=True)])),
        }
        for name, (found, seconds) in results.items()
    ]  # fmt: skip


def surrogates(statistics, X, classes):
    """Of every row from every class, then from the candidates of its own; and both times."""
    every, slow = clock(lambda: statistics.surrogate(X, 0, 0, None))

    def by_index():
        count = cost.classes_compared(classes)
        statistics.restrict_to(index.class_candidates(statistics.class_points(), count, 0))
        return statistics.surrogate(X, 0, 0, None)

    few, fast = clock(by_index)
    return every, few, {
        "brute seconds": slow,
        "index seconds": fast,
        "times faster": slow / fast,
        "same nearest class": float(np.isclose(every, few, rtol=0, atol=1e-12).mean()),
    }  # fmt: skip


def compare_surrogates(classes, noise):
    X, y = many(PER_CLASS * classes, FEATURES, classes, noise)
    statistics = moments(X, y)
    every, few, times = surrogates(statistics, X, classes)
    rows = np.random.default_rng(0).choice(len(X), 480, replace=False)
    exact = _core.ExactRows32(statistics, X[rows], rows)
    exact.add(X, 0, 0, None)
    s = exact.silhouettes(len(rows))
    row = {
        "K": classes,
        "n": len(X),
        "noise": noise,
        **times,
        "deviation brute": float((s - every[rows]).std()),
        "deviation index": float((s - few[rows]).std()),
        "covered of 20": "not tried",
    }
    if len(X) <= MOST_EXACT:
        exact_score = zoorank.silhouette(X, y, method="exact").score
        runs = [
            zoorank.silhouette(X, y, method="estimate", random_state=seed) for seed in range(20)
        ]
        row["covered of 20"] = sum(abs(r.score - exact_score) <= r.half_width for r in runs)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--classes", type=int, nargs="*", default=[2500, 5000, 20_000, 50_000])
    parser.add_argument("--skip-indices", action="store_true", help="the second table alone")
    arguments = parser.parse_args()
    if index.load_faiss() is None:
        raise SystemExit("this program needs FAISS: pip install 'zoorank[faiss-cpu]'")
    out = results_of(parser, arguments, "classes")
    if not arguments.skip_indices:
        rows = [row for k in arguments.classes for row in compare_indices(k)]
        finish(rows, "estimator_index", out)
        print()
    few = [classes for classes in arguments.classes if classes <= MOST_BRUTE]
    rows = [compare_surrogates(k, noise) for k in few for noise in (0.3, 1.0)]
    finish(rows, "estimator_candidates", out)


if __name__ == "__main__":
    main()
