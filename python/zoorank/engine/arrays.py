"""What users bring, turned into the arrays that the C++ library borrows.

Contiguous float32 and float64 input is never copied; whatever has to be
converted is converted here, by a rule that is written down, or refused.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard, cast

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32] | npt.NDArray[np.float64]

_DLPACK_HOST_DEVICES = {1, 3, 11}  # plain, CUDA-pinned and ROCm-pinned host memory
_DLPACK_CUDA_DEVICES = {2, 13}  # plain and managed

_EXACT_FLOATS = 2.0**53


def as_matrix(X: Any, name: str = "X") -> Matrix:
    """View or convert `X` as a 2-d float array whose features are adjacent.

    float32 and float64 keep their type, float16 and bfloat16 become float32,
    integers and booleans float64. Rows may be any number of elements apart, so
    ``X[::2]`` or ``X[:, :64]`` of a C-ordered array is not copied.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Anything NumPy can view, DLPack, or a torch tensor. What lives on a CUDA device
        is copied to the host.
    name : str
        How error messages call it.

    Returns
    -------
    ndarray of shape (n, d)

    Raises
    ------
    TypeError
        For a path, and input that is sparse, on another device, or not of real numbers.
    ValueError
        For input that has not two dimensions, or lacks samples or features.
    """
    if isinstance(X, str | os.PathLike):
        raise TypeError(
            f"{name} is the path {os.fspath(X)!r}; this function reads no files: pass an array, "
            'such as np.load(path, mmap_mode="r")'
        )
    array = convert_dtype(_as_ndarray(X, name), name)
    if array.ndim != 2:
        hint = "; a single feature is X.reshape(-1, 1)" if array.ndim == 1 and array.size else ""
        raise ValueError(f"{name} must have 2 dimensions, got shape {array.shape}{hint}")
    if 0 in array.shape:
        missing = "samples" if array.shape[0] == 0 else "features"
        raise ValueError(f"{name} has no {missing}: its shape is {array.shape}")
    itemsize = array.itemsize
    adjacent = array.strides[1] == itemsize or array.shape[1] == 1
    if not (adjacent and array.strides[0] % itemsize == 0 and array.flags.aligned):
        array = np.ascontiguousarray(array)
    return array


class MemoryRows:
    """Rows of an array: one block."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self.shape: tuple[int, int] = (matrix.shape[0], matrix.shape[1])
        self.dtype: np.dtype[Any] = matrix.dtype

    def blocks(self) -> Iterator[tuple[int, Matrix]]:
        """As of :class:`zoorank.engine.rows.Rows`."""
        yield 0, self.matrix

    def take(self, indices: npt.NDArray[np.int64]) -> Matrix:
        """As of :class:`zoorank.engine.rows.Rows`."""
        return self.matrix[indices]

    def load(self) -> Matrix:
        """Hand out the array."""
        return self.matrix


def memory_rows(X: Any) -> MemoryRows | None:
    """Rows of an array in memory; None for a sparse matrix, files and what is mapped from one.

    Raises
    ------
    TypeError, ValueError
        As :func:`as_matrix`.
    """
    return None if is_sparse(X) or is_streamed(X) else MemoryRows(as_matrix(X))


def is_streamed(X: Any) -> TypeGuard[Any]:
    """Whether `X` names files, lies in one, or is a list of shards."""
    if isinstance(X, (str, os.PathLike)):
        return True
    if isinstance(X, np.memmap):
        return mapping_of(X) is not None
    return (
        isinstance(X, (list, tuple))
        and len(X) > 0
        and all(
            isinstance(part, (str, os.PathLike))
            or (isinstance(part, np.ndarray) and part.ndim == 2)
            for part in X
        )
    )


def mapping_of(array: npt.NDArray[Any]) -> np.memmap[Any, Any] | None:
    """The map of which `array` is a view, unless it may differ from its file."""
    root: Any = array
    while isinstance(root.base, np.memmap):
        root = root.base
    mapped = isinstance(root, np.memmap) and isinstance(root.base, mmap.mmap)
    if not mapped or root.mode == "c" or not root.filename:
        return None
    return root if Path(cast("str", root.filename)).is_file() else None


def as_pair(X: Any, Y: Any) -> tuple[Matrix, Matrix]:
    """Both arguments of a distance, in float64 unless both are float32."""
    x, y = as_matrix(X, "X"), as_matrix(Y, "Y")
    if x.dtype != y.dtype:
        x, y = x.astype(np.float64, copy=False), y.astype(np.float64, copy=False)
    return x, y


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
    array = _label_array(to_host(labels))
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


def silhouette_classes(
    labels: Any, n_samples: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Number the classes as :func:`number_classes` does, and refuse those without silhouettes.

    Raises
    ------
    TypeError, ValueError
        As :func:`number_classes`; for fewer than two classes, or as many as samples, in words
        that scikit-learn uses too.
    """
    classes, codes = number_classes(labels, n_samples)
    if not 2 <= len(classes) < len(codes):
        raise ValueError(
            f"Number of labels is {len(classes)}. Valid values are 2 to n_samples - 1 (inclusive), "
            f"and n_samples is {len(codes)}"
        )
    return classes, codes


def on_device(X: Any) -> bool:
    """Whether an array lives on a CUDA device; loads nothing."""
    if isinstance(X, np.ndarray):
        return False
    if is_torch(X):
        return bool(X.is_cuda)
    if hasattr(X, "__cuda_array_interface__"):
        return True
    return hasattr(X, "__dlpack_device__") and X.__dlpack_device__()[0] in _DLPACK_CUDA_DEVICES


def to_host(X: Any) -> Any:
    """An array of any library in host memory; what is there already stays.

    Raises
    ------
    TypeError
        For one whose library offers no way there.
    """
    if not on_device(X):
        return X
    if is_torch(X):
        return X.detach().cpu()
    for way in ("get", "copy_to_host"):  # of CuPy, whose arrays refuse asarray, and of Numba
        if hasattr(X, way):
            return getattr(X, way)()
    if hasattr(X, "__array__"):
        return np.asarray(X)
    raise TypeError(
        f"a {type(X).__name__} on a CUDA device offers no copy in host memory; pass a NumPy array"
    )


def is_sparse(X: Any) -> bool:
    """Whether this is a sparse matrix or array of SciPy, which is not imported to find out."""
    return hasattr(X, "tocsr") and any(
        kind.__module__.startswith("scipy.sparse") for kind in type(X).__mro__
    )


def check_distance_matrix(matrix: Any) -> None:
    """Refuse another shape, and distances of rows to themselves beyond rounding."""
    n, width = matrix.shape
    if n != width:
        raise ValueError(f"a precomputed distance matrix must be square, got {n} x {width}")
    bad = np.flatnonzero(np.abs(matrix.diagonal()) > 100 * np.finfo(matrix.dtype).eps)
    if len(bad):
        raise ValueError(
            "the precomputed distance matrix contains non-zero elements on the diagonal "
            f"(np.fill_diagonal(X, 0) sets them to 0); the first bad row is {bad[0]}"
        )


def is_torch(X: Any) -> bool:
    """Whether this is a torch tensor; torch is not imported to find out."""
    return type(X).__module__.split(".")[0] == "torch" and hasattr(X, "is_cuda")


def _as_ndarray(X: Any, name: str) -> npt.NDArray[Any]:
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise TypeError(f"{name} has masked values; fill or drop them first")
    if isinstance(X, np.ndarray):
        return np.asarray(X)
    X = to_host(X)
    if hasattr(X, "tocsr"):
        raise TypeError(f"{name} is sparse; pass {name}.toarray()")
    if hasattr(X, "__dlpack_device__") and X.__dlpack_device__()[0] not in _DLPACK_HOST_DEVICES:
        raise TypeError(f"{name} is on another device; pass {name}.cpu() or the like")
    if type(X).__module__.split(".")[0] == "torch":
        X = X.detach()
        if str(X.dtype) == "torch.bfloat16":  # NumPy has no such type
            X = X.float()
    if hasattr(X, "__dlpack__") and not hasattr(X, "__array__"):
        return np.from_dlpack(X)
    try:
        return np.asarray(X)
    except ValueError as error:
        raise ValueError(f"{name} is not a matrix of numbers: {error}") from None


def convert_dtype(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """float32 or float64 values, of whatever real numbers can become such."""
    dtype = array.dtype.newbyteorder("=")
    if dtype in (np.float32, np.float64):
        return array.astype(dtype, copy=False)
    if dtype == np.float16:
        return array.astype(np.float32)
    if dtype.kind in "iub":
        return array.astype(np.float64)
    if dtype.kind == "O":
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} is not a matrix of numbers: {error}") from None
    raise TypeError(
        f"{name} has dtype {dtype}; use float32 or float64 (float16, integers and booleans "
        "are converted)"
    )


def _label_array(labels: Any) -> npt.NDArray[Any]:
    if hasattr(labels, "detach"):
        labels = labels.detach()
    if isinstance(labels, list | tuple):
        text = sum(isinstance(label, str | bytes) for label in labels)
        if 0 < text < len(labels):  # NumPy would turn the others into text
            return np.asarray(labels, dtype=object)
    return np.asarray(labels)
