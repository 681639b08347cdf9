"""IDS, inter-dataset similarity (Ismail Fawaz et al., IEEE Big Data, 2018).

"Transfer learning for time series classification". Unlike the other scores it looks at
no network but at the data that one was trained on. A data set is reduced to a prototype
for each class, the barycentre of its series under dynamic time warping (DBA: Petitjean,
Ketterlin and Gançarski, "A global averaging method for dynamic time warping", Pattern
Recognition 44, 2011), and two data sets are as far apart as their closest prototypes:

    IDS(T, S) = min_{p of T, q of S} DTW(p, q),   DTW(p, q)² = min over paths of Σ (pᵢ − qⱼ)².

Paths are not held to a window and series may differ in length. As in the authors' code,
each series has mean 0 and variance 1, and ten rounds of DBA begin at the medoid of a class.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from zoorank.engine.arrays import number_classes
from zoorank.scores.base import Array, Score, ScoreValue
from zoorank.scores.computing import quiet
from zoorank.scores.shared import refuse_bad_rows

ROUNDS = 10
# Of each class, drawn once and for all. The medoid needs all pairs of them; with 50, 100
# or 200 the published ranking comes out equally well.
MOST_SERIES = 100
# Aligning two series takes a table of steps times steps, of 8 bytes each.
MOST_STEPS = 4096


def class_prototypes(X: Array, labels: Array) -> Array:
    """One series for each class, its barycentre under dynamic time warping; needs tslearn.

    Parameters
    ----------
    X : ndarray of shape (n_samples, length) or (n_samples, n_variables, length)
        Time series. Each variable of each is standardised over time; a constant one
        becomes 0.
    labels : ndarray of shape (n_samples,)

    Returns
    -------
    ndarray of float64 of shape (n_classes, n_variables, length)
        In the order of the sorted labels. From at most 100 series of each class.

    Raises
    ------
    ValueError
        If X has another shape, holds nothing, NaN or infinity, or more than 4096 steps.
    ModuleNotFoundError
        If tslearn is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 1, 2, 3, 4]])
    >>> class_prototypes(X, np.array(["bump", "bump", "ramp"])).round(1)[:, 0]
    array([[-0.5,  2. , -0.5, -0.5, -0.5],
           [-1.4, -0.7,  0. ,  0.7,  1.4]])
    """
    series = _standardised(_series(np.asarray(X)), axis=-1).transpose(0, 2, 1)
    _, codes = number_classes(labels, len(series))
    found = np.stack([_barycentre(series[rows]) for rows in _members(codes)])
    prototypes: Array = found.transpose(0, 2, 1)
    return prototypes


def inter_dataset_distance(prototypes: Array, source_prototypes: Array) -> ScoreValue:
    """Distance between the closest prototypes of two data sets; needs tslearn.

    Parameters
    ----------
    prototypes : ndarray of shape (n_classes, n_variables, length)
        Of the target.
    source_prototypes : ndarray of shape (n_source_classes, n_variables, source_length)
        Of the data that the source was trained on.

    Returns
    -------
    ScoreValue
        Less is better; 0 for the same data. With the distance of each class of the target.

    Raises
    ------
    ValueError
        If the series differ in their number of variables.
    ModuleNotFoundError
        If tslearn is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> early, late = np.array([[[0.0, 1, 0, 0]]]), np.array([[[0.0, 0, 0, 0, 1, 0]]])
    >>> inter_dataset_distance(early, late).value
    0.0
    >>> inter_dataset_distance(early, 1 + late).value
    2.0
    """
    if prototypes.shape[1] != source_prototypes.shape[1]:
        raise ValueError(
            f"the target has {prototypes.shape[1]} variables at each step, the source's data "
            f"{source_prototypes.shape[1]}"
        )
    metrics, _ = _tslearn()
    near = metrics.cdist_dtw(
        prototypes.transpose(0, 2, 1), source_prototypes.transpose(0, 2, 1)
    ).min(axis=1)
    return ScoreValue(float(near.min()), per_class=tuple(near.tolist()))


def _series(X: Array) -> Array:
    """Time series as (n_samples, n_variables, length), or why these are none."""
    if X.ndim not in (2, 3):
        raise ValueError(
            f"X has shape {X.shape}; series of shape (n_samples, length) or "
            "(n_samples, n_variables, length) are allowed"
        )
    if 0 in X.shape:
        raise ValueError(f"X holds no values: its shape is {X.shape}")
    if X.shape[-1] > MOST_STEPS:
        raise ValueError(f"series of {X.shape[-1]} steps; at most {MOST_STEPS} are aligned")
    series: Array = np.asarray(X, dtype=np.float64).reshape(len(X), -1, X.shape[-1])
    refuse_bad_rows(series)
    return series


def _members(codes: Array) -> Iterator[Array]:
    """Rows of each class, or of a draw from a large one."""
    for code in range(codes.max() + 1):
        rows = np.flatnonzero(codes == code)
        if len(rows) > MOST_SERIES:
            drawn = np.random.default_rng(0).choice(rows, MOST_SERIES, replace=False)
            rows = np.sort(drawn)
        yield rows


def _barycentre(series: Array) -> Array:
    metrics, barycenters = _tslearn()
    medoid: Array = series[(metrics.cdist_dtw(series) ** 2).sum(axis=0).argmin()]
    if len(series) == 1:
        return medoid
    # tslearn's other way to the same barycentre keeps two matrices of steps times steps
    # for every series.
    found: Array = barycenters.dtw_barycenter_averaging_petitjean(
        series, init_barycenter=medoid, max_iter=ROUNDS
    )
    return found


def _tslearn() -> tuple[ModuleType, ModuleType]:
    try:
        # It says at every import that HDF5 files cannot be written without h5py.
        with quiet(("h5py", UserWarning)):
            from tslearn import barycenters, metrics
    except ModuleNotFoundError as error:
        if error.name != "tslearn":
            raise
        raise ModuleNotFoundError(
            "score 'ids' needs tslearn: pip install 'zoorank[ids]'", name="tslearn"
        ) from None
    return metrics, barycenters


def _standardised(values: Array, axis: int) -> Array:
    """Values of mean 0 and variance 1 along an axis; those that are all equal become 0."""
    centred = values - values.mean(axis=axis, keepdims=True)
    deviation = centred.std(axis=axis, keepdims=True)
    flat = deviation <= 1e-12 * np.abs(values).max(axis=axis, keepdims=True)
    scaled: Array = np.where(flat, 0.0, centred / np.where(flat, 1.0, deviation))
    return scaled


SCORES = (
    Score(
        "ids",
        None,
        "IDS",
        inter_dataset_distance,
        higher_is_better=False,
        needs=("prototypes", "source_prototypes"),
        cost="O(KZL²) for series of length L, and once for each data set O(Km²L²), m ≤ 100",
    ),
)
