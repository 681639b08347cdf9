"""Class labels of any kind, turned into numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from zoorank.engine.devices import to_host

_EXACT_FLOATS = 2.0**53


def number_classes(labels: Any, n_samples: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Sort the distinct labels and number them.

    Parameters
    ----------
    labels : array_like of shape (n,) or (n, 1)
        Integers, strings, booleans, or floats without a fraction; on the host or on a
        CUDA device.
    n_samples : int
        How many there have to be.

    Returns
    -------
    classes : ndarray of shape (K,)
        The distinct labels in ascending order, in their own type.
    codes : ndarray of shape (n,), int64
        ``classes[codes]`` are the labels.

    Raises
    ------
    TypeError
        For labels that cannot be ordered, such as a mix of numbers and strings.
    ValueError
        For another shape or length, missing labels, or labels with fractions.
    """
    array = _as_array(to_host(labels))
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"labels must have 1 dimension, got shape {array.shape}")
    if len(array) != n_samples:
        raise ValueError(f"X has {n_samples} rows and there are {len(array)} labels")
    if array.dtype.kind == "f":
        bad = np.flatnonzero(~(np.isfinite(array) & (array == np.floor(array))))
        if len(bad):
            raise ValueError(
                f"labels must be classes, not measurements; the first bad one is {array[bad[0]]!s} "
                f"in row {bad[0]}"
            )
        if (np.abs(array) >= _EXACT_FLOATS).any():
            raise ValueError("labels of 2**53 and more are not told apart as floats; use strings")
    elif array.dtype.kind == "O":
        missing = [i for i, label in enumerate(array) if label is None or label != label]  # noqa: PLR0124  NaN
        if missing:
            raise ValueError(f"labels are missing, the first one in row {missing[0]}")
    elif array.dtype.kind not in "iubUS":
        raise TypeError(f"labels must be integers or strings, not {array.dtype}")
    try:
        classes, codes = np.unique(array, return_inverse=True)
    except TypeError:
        kinds = sorted({type(label).__name__ for label in array})
        raise TypeError(f"labels mix kinds that have no common order: {', '.join(kinds)}") from None
    return classes, np.ascontiguousarray(codes, dtype=np.int64)


def _as_array(labels: Any) -> npt.NDArray[Any]:
    if hasattr(labels, "detach"):
        labels = labels.detach()
    if isinstance(labels, list | tuple):
        text = sum(isinstance(label, str | bytes) for label in labels)
        if 0 < text < len(labels):  # NumPy would turn the others into text
            return np.asarray(labels, dtype=object)
    return np.asarray(labels)
