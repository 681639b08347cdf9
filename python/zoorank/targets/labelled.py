"""Samples with labels as a reader found them, and the checks every reader's find must pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import bad_row
from zoorank.targets.base import Kind, blocks
from zoorank.targets.images import ImageFiles

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Labelled:
    """Samples and labels, not yet checked.

    Attributes
    ----------
    X : ndarray or ImageFiles
    labels : ndarray
    name : str
        What to call the data.
    kind : {"image", "series", "table"} or None
        None where only the shape can tell.
    names : tuple of str
        Relative names of image files, in order.
    """

    X: NDArray[Any] | ImageFiles
    labels: NDArray[Any]
    name: str
    kind: Kind | None = None
    names: tuple[str, ...] = ()


def check(data: Labelled) -> Labelled:
    """Refuse data on which no silhouette is defined; return it with plain labels.

    Raises
    ------
    DataError
        In one line, naming the first bad row, counted from 0.
    """
    labels = _check_labels(data.name, np.asarray(data.labels))
    n = len(data.X)
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
    if not isinstance(data.X, ImageFiles):
        _check_numbers(data.name, data.X)
    return Labelled(data.X, labels, data.name, data.kind, data.names)


def kind_of(data: Labelled) -> Kind:
    """Tell what the samples are, by their reader or else by their shape."""
    if data.kind is not None:
        return data.kind
    if isinstance(data.X, ImageFiles) or data.X.ndim >= 4:
        return "image"
    # (n, height, width) is far more common than (n, variables, length) in array files.
    return "image" if data.X.ndim == 3 else "table"


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


def _check_numbers(name: str, X: NDArray[Any]) -> None:
    if X.ndim < 2:
        raise DataError(f"{name}: X has shape {X.shape}; (n_samples, ...) is allowed")
    if 0 in X.shape:
        raise DataError(f"{name}: X has shape {X.shape}, which holds no numbers")
    if X.dtype.kind not in "iubf":
        raise DataError(f"{name}: X of type {X.dtype}; integers and real numbers are allowed")
    if X.dtype.kind != "f":
        return
    start = 0
    for block in blocks(X):
        if bad := bad_row(block):
            row, what = bad
            raise DataError(f"{name}: row {start + row} holds {what}")
        start += len(block)
