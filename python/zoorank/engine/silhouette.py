"""Silhouette coefficients: how well encodings group by class."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoorank import _core
from zoorank.engine import cuda
from zoorank.engine.arrays import as_matrix
from zoorank.engine.labels import number_classes
from zoorank.engine.options import METRICS, check_choice, check_threads, uses_cuda

__all__ = [
    "METRICS",
    "SilhouetteResult",
    "silhouette",
    "silhouette_batch",
    "silhouette_samples",
    "silhouette_score",
]


@dataclass(frozen=True, eq=False)
class SilhouetteResult:
    """A mean silhouette coefficient and what is known about it.

    Attributes
    ----------
    score : float
        The mean silhouette coefficient over all samples, in [-1, 1].
    half_width : float
        Half the width of the confidence interval around `score`; 0.0 when exact.
    method : str
        How it was computed: ``"exact"``.
    metric : str
        The distance between samples.
    per_class : ndarray of shape (K,)
        The mean over the samples of each class, in the order of `classes`.
    classes : ndarray of shape (K,)
        The distinct labels, ascending.
    n_samples : int
        How many samples `score` is the mean of.
    seconds : float
        Wall time of the computation; in a batch, its share by number of encodings.
    """

    score: float
    half_width: float
    method: str
    metric: str
    per_class: npt.NDArray[np.float64]
    classes: npt.NDArray[Any]
    n_samples: int
    seconds: float

    def __float__(self) -> float:
        return self.score


def silhouette_samples(
    X: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    metric: str = "euclidean",
    n_threads: int | None = None,
) -> npt.NDArray[np.float64]:
    r"""Silhouette coefficient of each sample.

    With :math:`a_i` the mean distance of sample i to the others of its class and
    :math:`b_i` the smallest mean distance to another class,
    :math:`s_i = (b_i - a_i) / \max(a_i, b_i)` [1]_. A class of one scores 0, and
    so does 0/0. A drop-in for :func:`sklearn.metrics.silhouette_samples`, except
    that NaN and infinity are errors.

    Parameters
    ----------
    X : array_like of shape (n, d), or (n, n) for ``metric="precomputed"``
        Encodings, or distances between them. float32 is computed in float32, to
        within 5e-6 of the float64 answer; all else in float64. An array that lives on
        a CUDA device is computed there, without a copy.
    labels : array_like of shape (n,)
        Integers or strings.
    metric : {"euclidean", "sqeuclidean", "cosine", "manhattan", "precomputed"}
        ``cosine`` and ``sqeuclidean`` take O(nKd) time, the others O(n²d).
    n_threads : int, optional
        The result has the same bits for any number. By default the environment
        variable ``ZOORANK_NUM_THREADS``, or every available processor.

    Returns
    -------
    ndarray of shape (n,), float64

    Raises
    ------
    ValueError
        For NaN or infinity (naming the first bad row), labels of another length,
        fewer than 2 or more than n - 1 classes, an unknown metric.
    TypeError
        For input that is sparse, complex or on a device that is not CUDA's.
    RuntimeError
        For an array on a CUDA device where none can be used, with the reason.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and
       validation of cluster analysis", J. Comput. Appl. Math. 20, 53-65, 1987.

    Examples
    --------
    >>> import zoorank
    >>> X = [[0.0], [1.0], [10.0], [12.0]]
    >>> zoorank.silhouette_samples(X, ["a", "a", "b", "b"]).round(3)
    array([0.909, 0.9  , 0.789, 0.826])
    """
    check_choice(metric, METRICS, "metric")
    threads = check_threads(n_threads)
    if uses_cuda("auto", X, metric):
        return cuda.silhouettes(X, labels, metric)[0]
    matrix = as_matrix(X)
    _, codes = number_classes(labels, len(matrix))
    return _core.silhouette_samples(matrix, codes, metric, threads)


def silhouette_score(
    X: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    metric: str = "euclidean",
    n_threads: int | None = None,
) -> float:
    """Mean silhouette coefficient of all samples.

    A drop-in for :func:`sklearn.metrics.silhouette_score`. See
    :func:`silhouette_samples` for parameters and errors.

    Returns
    -------
    float
        In [-1, 1]; higher when the classes are better separated.

    Examples
    --------
    >>> import zoorank
    >>> zoorank.silhouette_score([[0.0], [1.0], [10.0], [12.0]], [0, 0, 1, 1], metric="manhattan")
    0.856...
    """
    samples = silhouette_samples(X, labels, metric=metric, n_threads=n_threads)
    return float(samples.mean())


def silhouette(
    X: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    metric: str = "euclidean",
    method: str = "auto",
    tol: float = 1e-3,
    confidence: float = 0.99,
    random_state: int | None = None,  # noqa: ARG001  exact: nothing is drawn
    device: str = "auto",
    precision: str = "auto",
    n_threads: int | None = None,
) -> SilhouetteResult:
    """Mean silhouette coefficient with its error, per-class means and cost.

    Parameters
    ----------
    X, labels, metric, n_threads
        As for :func:`silhouette_samples`.
    method : {"auto", "exact"}
        ``"auto"`` is exact.
    tol : float
        The half width that the result may have; an exact one has 0.
    confidence : float
        The share of intervals that are to hold the exact score, in (0, 1).
    random_state : int, optional
        Seed of whatever is drawn at random; nothing is for an exact result.
    device : {"auto", "cpu", "cuda"}
        Where to compute. ``"auto"`` computes where `X` lives: a torch or CuPy array on a
        CUDA device is not copied. ``"cuda"`` raises where there is no usable device.
    precision : {"auto", "float32"}
        How float32 input is computed.

    Returns
    -------
    SilhouetteResult

    Raises
    ------
    ValueError, TypeError
        As for :func:`silhouette_samples`.
    RuntimeError
        For ``device="cuda"`` without a usable device, with the reason.

    Examples
    --------
    >>> import zoorank
    >>> result = zoorank.silhouette([[0.0], [1.0], [10.0], [12.0]], ["a", "a", "b", "b"])
    >>> round(result.score, 3), result.half_width, result.method
    (0.856, 0.0, 'exact')
    >>> dict(zip(result.classes.tolist(), result.per_class.round(3).tolist()))
    {'a': 0.905, 'b': 0.808}
    """
    check_choice(metric, METRICS, "metric")
    check_choice(method, ("auto", "exact"), "method")
    check_choice(precision, ("auto", "float32"), "precision")
    on_cuda = uses_cuda(device, X, metric)
    if not tol > 0:
        raise ValueError(f"tol must be positive, got {tol!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}")
    threads = check_threads(n_threads)
    if on_cuda:
        begin = time.perf_counter()
        samples, classes, codes = cuda.silhouettes(X, labels, metric)
        return _summarise(samples, classes, codes, metric, time.perf_counter() - begin)
    matrix = as_matrix(X)
    classes, codes = number_classes(labels, len(matrix))
    begin = time.perf_counter()
    samples = _core.silhouette_samples(matrix, codes, metric, threads)
    return _summarise(samples, classes, codes, metric, time.perf_counter() - begin)


def silhouette_batch(
    Xs: Iterable[npt.ArrayLike],
    labels: npt.ArrayLike,
    *,
    metric: str = "euclidean",
    n_threads: int | None = None,
) -> list[SilhouetteResult]:
    """Mean silhouette coefficients of many encodings of the same samples.

    One call is faster than a loop: labels are prepared once, and problems too
    small to occupy all threads are computed side by side.

    Parameters
    ----------
    Xs : iterable of array_like of shape (n, d_i)
        Encodings of the same n samples; widths may differ.
    labels, metric, n_threads
        As for :func:`silhouette_samples`.

    Returns
    -------
    list of SilhouetteResult
        In the order of `Xs`; each equals that of :func:`silhouette` bit for bit.

    Raises
    ------
    ValueError, TypeError
        As for :func:`silhouette_samples`.

    Examples
    --------
    >>> import zoorank
    >>> encodings = [[[0.0], [1.0], [10.0], [12.0]], [[0.0], [5.0], [1.0], [6.0]]]
    >>> [round(r.score, 3) for r in zoorank.silhouette_batch(encodings, [0, 0, 1, 1])]
    [0.856, -0.4]
    """
    check_choice(metric, METRICS, "metric")
    threads = check_threads(n_threads)
    Xs = list(Xs)
    if any(uses_cuda("auto", X, metric) for X in Xs):
        return [silhouette(X, labels, metric=metric, method="exact") for X in Xs]
    matrices = [as_matrix(X, f"Xs[{i}]") for i, X in enumerate(Xs)]
    if not matrices:
        return []
    for i, matrix in enumerate(matrices):
        if len(matrix) != len(matrices[0]):
            raise ValueError(f"Xs[{i}] has {len(matrix)} rows and Xs[0] has {len(matrices[0])}")
    classes, codes = number_classes(labels, len(matrices[0]))
    begin = time.perf_counter()
    samples: dict[int, npt.NDArray[np.float64]] = {}
    for dtype in {matrix.dtype for matrix in matrices}:
        members = [i for i, matrix in enumerate(matrices) if matrix.dtype == dtype]
        scored = _core.silhouette_batch([matrices[i] for i in members], codes, metric, threads)
        samples.update(zip(members, scored, strict=True))
    seconds = (time.perf_counter() - begin) / len(matrices)
    return [_summarise(samples[i], classes, codes, metric, seconds) for i in range(len(matrices))]


def _summarise(
    samples: npt.NDArray[np.float64],
    classes: npt.NDArray[Any],
    codes: npt.NDArray[np.int64],
    metric: str,
    seconds: float,
) -> SilhouetteResult:
    sums = np.bincount(codes, weights=samples, minlength=len(classes))
    return SilhouetteResult(
        score=float(samples.mean()),
        half_width=0.0,
        method="exact",
        metric=metric,
        per_class=sums / np.bincount(codes, minlength=len(classes)),
        classes=classes,
        n_samples=len(samples),
        seconds=seconds,
    )
