"""Samples with labels as a reader found them, and the checks every reader's find must pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import DataError
from zoorank.targets.base import Samples

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Labelled:
    """Samples and labels, not yet checked.

    Attributes
    ----------
    samples : Samples
    labels : ndarray
    name : str
        What to call the data.
    notes : tuple of str
        What was left out or changed, a line each.
    """

    samples: Samples
    labels: NDArray[Any]
    name: str
    notes: tuple[str, ...] = ()


def check(data: Labelled) -> Labelled:
    """Refuse data on which no silhouette is defined; return it with plain labels.

    Raises
    ------
    DataError
        In one line, naming the first bad row, counted from 0.
    """
    labels = _check_labels(data.name, np.asarray(data.labels))
    n = len(data.samples)
    if n != len(labels):
        raise DataError(f"{data.name}: {n} samples but {len(labels)} labels")
    if n < 2:
        raise DataError(f"{data.name}: {n} sample{'s' * (n != 1)}; a ranking needs at least 3")
    n_classes = len(np.unique(labels))
    if n_classes < 2:
        raise DataError(
            f"{data.name}: all {n} samples have the label {labels[0]!s}; "
            "a ranking needs at least 2 classes"
        )
    if n_classes == n:
        raise DataError(
            f"{data.name}: each of the {n} samples is a class of its own; "
            "a ranking needs a class of at least 2"
        )
    data.samples.check(data.name)
    return replace(data, labels=labels)


def _check_labels(name: str, labels: NDArray[Any]) -> NDArray[Any]:
    if labels.ndim != 1:
        raise DataError(f"{name}: labels have shape {labels.shape}; one label a sample is allowed")
    if labels.dtype.kind == "f":
        bad = np.flatnonzero(labels != np.round(labels))
        if bad.size:
            raise DataError(
                f"{name}: label {labels[bad[0]]} of row {bad[0]} is neither an integer nor a string"
            )
        return labels.astype(np.int64)
    if labels.dtype.kind in "OT" and all(isinstance(label, str) for label in labels.tolist()):
        return labels.astype(np.str_)
    if labels.dtype.kind not in "iubU":
        raise DataError(f"{name}: labels of type {labels.dtype}; integers and strings are allowed")
    return labels
