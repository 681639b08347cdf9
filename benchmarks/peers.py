"""Exact Euclidean silhouettes by others, beside zoorank: time, error and peak memory.

All run in this process on the same float32 arrays with one thread, in turns. Errors are
against the float64 definition on some rows. The memory of each is measured in a
process of its own: the peak of a call beyond what was there before it.

    pip install 'zoorank[bench]' torch
    python benchmarks/peers.py
"""

import importlib
import sys

import numpy as np
from _common import arguments, finish, in_own_process, peak_extra_mb
from _machine import this_machine
from _problems import definition, largest_error, make_problem, sample_rows
from _timing import blas_threads, medians

import zoorank

SHAPES = ((512, 100), (128, 10))  # features, classes
CHECKED_ROWS = 32


def by_zoorank(X, labels):
    return zoorank.silhouette_samples(X, labels, n_threads=1)


def by_sklearn(X, labels):
    from sklearn.metrics import silhouette_samples

    return silhouette_samples(X, labels)


def by_numpy(X, labels, chunk=512):
    """Chunks of rows of the distance matrix, times the indicator of the classes."""
    size = np.bincount(labels)
    indicator = np.eye(len(size), dtype=X.dtype)[labels]
    X = X - X.mean(axis=0)
    norms = np.einsum("ij,ij->i", X, X)
    samples = np.empty(len(X))
    for begin in range(0, len(X), chunk):
        rows = np.arange(begin, min(begin + chunk, len(X)))
        D = norms[rows, None] + norms - 2 * (X[rows] @ X.T)
        D[rows - begin, rows] = 0
        sums = np.sqrt(np.maximum(D, 0)) @ indicator
        samples[rows] = from_sums(sums, labels[rows], size)
    return samples


def by_torch(X, labels):
    """torch.cdist for each pair of classes once, its row sums and its column sums."""
    import torch

    size = np.bincount(labels)
    order = np.argsort(labels, kind="stable")
    classes = torch.split(torch.from_numpy(X[order]), size.tolist())
    begin = np.concatenate([[0], np.cumsum(size)])
    sums = np.empty((len(X), len(size)))
    for a, A in enumerate(classes):
        for b in range(a, len(classes)):
            D = torch.cdist(A, classes[b])
            sums[begin[a] : begin[a + 1], b] = D.sum(1).numpy()
            sums[begin[b] : begin[b + 1], a] = D.sum(0).numpy()
    samples = np.empty(len(X))
    samples[order] = from_sums(sums, labels[order], size)
    return samples


def by_kmedoids(X, labels):
    """It takes a matrix of distances; making that is part of the price."""
    import kmedoids
    from sklearn.metrics import pairwise_distances

    return kmedoids.silhouette(pairwise_distances(X), labels, samples=True, n_cpu=1)[1]


def by_silhouette_scalable(X, labels):
    from silhouette_scalable import compute_exact

    return np.array(compute_exact(X, labels)["local_silhouette"])


def by_silhouette_scalable_estimate(X, labels):
    from silhouette_scalable import compute_local

    return np.array(compute_local(X, labels, t=64, seed=0)["local_silhouette"])


# Name: the modules it needs, and how it is called.
PEERS = {
    "zoorank": ((), by_zoorank),
    "scikit-learn": (("sklearn",), by_sklearn),
    "numpy, chunked": ((), by_numpy),
    "torch, class pairs": (("torch",), by_torch),
    "kmedoids": (("kmedoids", "sklearn"), by_kmedoids),
    "silhouette-scalable": (("silhouette_scalable",), by_silhouette_scalable),
    "silhouette-scalable t=64": (("silhouette_scalable",), by_silhouette_scalable_estimate),
}


def from_sums(sums, labels, size):
    """Silhouettes of rows from their sums of distances to each class."""
    rows = np.arange(len(sums))
    own = sums[rows, labels] / np.maximum(size[labels] - 1, 1)
    means = sums / size
    means[rows, labels] = np.inf
    nearest = means.min(axis=1)
    larger = np.maximum(own, nearest)
    s = np.divide(nearest - own, larger, out=np.zeros_like(larger), where=larger > 0)
    return np.where(size[labels] == 1, 0, s)


def main(argv=None):
    chosen = arguments(__doc__, argv)
    n = 400 if chosen.quick else 4000
    print(f"{this_machine().cpu}, {this_machine().instruction_set}, one thread, n = {n}, float32")
    present = {name: call for name, (needs, call) in PEERS.items() if available(name, needs)}
    print()
    with single_threaded():
        rows = [
            row for d, classes in SHAPES for row in compare(present, n, d, classes, chosen.rounds)
        ]
    finish(rows, "peers", chosen.out)


def available(name, modules):
    try:
        for module in modules:
            importlib.import_module(module)
    except ImportError as error:
        print(f"without {name}: {error}")
        return False
    return True


def single_threaded():
    """Call when all modules are loaded: it holds every runtime that it finds."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    return blas_threads(1)


def compare(present, n, d, classes, rounds):
    problem = make_problem(n, d, classes)
    X, labels = problem.X, problem.labels
    rows = sample_rows(problem, CHECKED_ROWS)
    expected = definition(problem, rows)
    errors = {
        name: largest_error(call(X, labels), rows, expected) for name, call in present.items()
    }
    works = {name: lambda call=call: call(X, labels) for name, call in present.items()}
    taken = medians(works, rounds=rounds)
    for name in present:
        yield {
            "peer": name,
            "n": n,
            "d": d,
            "classes": classes,
            "seconds": taken[name],
            "times_zoorank": taken[name] / taken["zoorank"],
            "error": errors[name],
            "peak_extra_mb": in_own_process(peak_memory, name, n, d, classes),
            "input_mb": X.nbytes / 1e6,
        }


def peak_memory(name, n, d, classes):
    """In MB, of a peer that is warm."""
    needs, call = PEERS[name]
    for module in needs:
        importlib.import_module(module)
    with single_threaded():
        small = make_problem(100, d, 2)
        call(small.X, small.labels)
        problem = make_problem(n, d, classes)
        return peak_extra_mb(lambda: call(problem.X, problem.labels))


if __name__ == "__main__":
    sys.exit(main())
