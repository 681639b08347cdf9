"""What a silhouette computation returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoorank.engine.estimate import Estimate


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
        How it was computed: ``"exact"`` or ``"estimate"``.
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
    rows_evaluated : int
        Of how many samples the silhouette was computed exactly; all when exact.
    per_class_half_width : ndarray of shape (K,)
        Half the width of an approximate interval around each mean of `per_class`,
        0.0 when exact. A class from which few rows were drawn is taken to err like
        the others.
    pairs_evaluated : int or None
        How many distances between samples were computed. Of all n (n - 1) / 2 pairs, exact
        Euclidean silhouettes need only those that bounds cannot rule out, and take no others
        where that is faster (``docs/pruning.md``). 0 for metrics that follow from class means.
        None where it is not counted: in a batch, and on a CUDA device.
    """

    score: float
    half_width: float
    method: str
    metric: str
    per_class: npt.NDArray[np.float64]
    classes: npt.NDArray[Any]
    n_samples: int
    seconds: float
    rows_evaluated: int
    per_class_half_width: npt.NDArray[np.float64]
    pairs_evaluated: int | None

    def __float__(self) -> float:
        return self.score


def exact_result(
    samples: npt.NDArray[np.float64],
    classes: npt.NDArray[Any],
    codes: npt.NDArray[np.int64],
    metric: str,
    seconds: float,
    pairs_evaluated: int | None = None,
) -> SilhouetteResult:
    """Sum up the silhouettes of all samples."""
    sums = np.bincount(codes, weights=samples, minlength=len(classes))
    return SilhouetteResult(
        # What mean() does, in a third of its time: that counts in a batch of small problems.
        score=float(np.add.reduce(samples)) / len(samples),
        half_width=0.0,
        method="exact",
        metric=metric,
        per_class=sums / np.bincount(codes, minlength=len(classes)),
        classes=classes,
        n_samples=len(samples),
        seconds=seconds,
        rows_evaluated=len(samples),
        per_class_half_width=np.zeros(len(classes)),
        pairs_evaluated=pairs_evaluated,
    )


def estimated_result(
    found: Estimate, classes: npt.NDArray[Any], n: int, seconds: float
) -> SilhouetteResult:
    """Put together what an estimate of Euclidean silhouettes found."""
    return SilhouetteResult(
        score=found.score,
        half_width=found.half_width,
        method="exact" if found.rows_evaluated == n else "estimate",
        metric="euclidean",
        per_class=found.per_class,
        classes=classes,
        n_samples=n,
        seconds=seconds,
        rows_evaluated=found.rows_evaluated,
        per_class_half_width=found.per_class_half_width,
        pairs_evaluated=found.rows_evaluated * n,
    )
