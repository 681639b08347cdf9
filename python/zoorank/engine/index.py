"""Which points are nearest to which, by FAISS where it is installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoorank import _core
from zoorank.engine.arrays import Matrix

Integers = npt.NDArray[np.int64]

# Of more classes than this an inverted file is searched. Below, looking at all takes little longer
# (benchmarks/estimator_index.py; a graph, HNSW, takes longer than looking at all), misses none, and
# finds the same with FAISS and without.
FLAT_CLASSES = 20_000

# What FAISS finds for one query on a GPU at most.
_MOST_ON_GPU = 2048

# Multiply-adds of one call of FAISS, which nothing can interrupt; and queries at least, for it
# takes them together.
_WORK_OF_A_CALL = 1 << 35
_QUERIES_OF_A_CALL = 1024

# Distances at once.
BLOCK = 1 << 24


@dataclass(frozen=True)
class Cells:
    """An inverted file: lists of points, how many of them are searched, rounds of k-means."""

    lists: int
    probes: int
    rounds: int


def class_cells(classes: int) -> Cells:
    """How the means of so many classes are searched when not all of them are looked at."""
    lists = int(np.sqrt(classes))
    return Cells(lists, -(-lists // 6), 4)


def row_cells(n: int) -> Cells:
    """How so many rows are searched."""
    lists = min(max(1, int(4 * np.sqrt(n))), n // 39 or 1)  # what FAISS wants to train a list on
    return Cells(lists, max(1, lists // 16), 25)


def class_candidates(points: Matrix, count: int, threads: int) -> Integers:
    """The `count` classes nearest to each class, itself left out.

    Parameters
    ----------
    points : ndarray of shape (K, d + 1)
        Means, and in the last column the root of the spread: the squared distance of
        (x, 0) to a point is the mean squared distance of x to the class.
    count : int
        Less than K.
    threads : int

    Returns
    -------
    ndarray of shape (K, count), int64
    """
    queries = points.copy()
    queries[:, -1] = 0
    faiss = load_faiss()
    if faiss is None:
        found = brute_force(queries, points, count + 1, "sqeuclidean", threads)
    else:
        centre = points.mean(axis=0)
        centre[-1] = 0
        around, power = raised(points - centre)
        asked = np.ascontiguousarray(np.ldexp(queries - centre, power), np.float32)
        cells = class_cells(len(points)) if len(points) > FLAT_CLASSES else None
        found = search(faiss, around, asked, count + 1, cells, threads)
    classes = np.arange(len(points))
    # What an approximate search did not find, classes next in number stand in for.
    missing = found < 0
    found[missing] = ((classes[:, None] + 1 + np.arange(count + 1)) % len(points))[missing]
    own = found == classes[:, None]
    own[:, -1] |= ~own.any(axis=1)
    first = own.argmax(axis=1)
    keep = np.arange(count) + (np.arange(count) >= first[:, None])
    candidates = np.take_along_axis(found, keep, axis=1)
    # A stand-in may be the class itself a second time.
    return np.where(
        candidates == classes[:, None], (classes[:, None] + 1) % len(points), candidates
    )


def load_faiss() -> Any:
    """The module faiss, or None where it is not installed.

    Raises
    ------
    RuntimeError
        When two distributions of it are installed: each has overwritten files of the
        other.
    """
    if importlib.util.find_spec("faiss") is None:
        return None
    present = [name for name in ("faiss-cpu", "faiss-gpu") if _is_installed(name)]
    if len(present) > 1:
        raise RuntimeError(
            "faiss-cpu and faiss-gpu are both installed and have overwritten each other's module "
            "faiss; pip uninstall both, then install one"
        )
    import faiss

    return faiss


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def raised(points: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], int]:
    """Points around their middle, moved to where FAISS can multiply them as they come.

    With the largest number at 2^40 the squares of a billion rows add up to a number, and
    those of differences vanish only where they are 2^100 times smaller.
    """
    power = 40 - int(np.frexp(np.abs(points).max())[1])
    return np.ascontiguousarray(np.ldexp(points, power), np.float32), power


def search(
    faiss: Any,
    points: Matrix,
    queries: Matrix,
    k: int,
    cells: Cells | None,
    threads: int,
    *,
    on_gpu: bool = False,
) -> Integers:
    """The `k` points nearest to each query; -1 where `cells` hold fewer."""
    on_gpu = on_gpu and k <= _MOST_ON_GPU and _has_gpu(faiss)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads or len(os.sched_getaffinity(0)))
    try:
        index = faiss.IndexFlatL2(points.shape[1])
        if cells is not None:
            index = faiss.IndexIVFFlat(index, points.shape[1], cells.lists)
            index.cp.niter = cells.rounds
        if on_gpu:
            index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
        if cells is not None:
            index.train(points)
            index.nprobe = cells.probes
        index.add(points)
        found = np.empty((len(queries), k), np.int64)
        step = max(_QUERIES_OF_A_CALL, _WORK_OF_A_CALL // points.size)
        for begin in range(0, len(queries), step):
            found[begin : begin + step] = index.search(queries[begin : begin + step], k)[1]
    finally:
        faiss.omp_set_num_threads(before)
    return found


def _has_gpu(faiss: Any) -> bool:
    """Whether this is faiss-gpu, on a machine that has one."""
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


def brute_force(queries: Matrix, points: Matrix, k: int, metric: str, threads: int) -> Integers:
    """The same by the engine's own distances."""
    found = np.empty((len(queries), k), np.int64)
    if metric == "sqeuclidean":
        metric = "euclidean"  # the same order, of numbers that neither overflow nor vanish
    step = max(1, BLOCK // len(points))
    for begin in range(0, len(queries), step):
        D = _core.pairwise_distances(queries[begin : begin + step], points, metric, threads)
        found[begin : begin + step] = np.argpartition(D, k - 1, axis=1)[:, :k]
    return found
