"""What users bring, turned into the arrays that the C++ library borrows.

Contiguous float32 and float64 input is never copied; whatever has to be
converted is converted here, by a rule that is written down, or refused.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from zoorank.engine.devices import to_host

Matrix = npt.NDArray[np.float32] | npt.NDArray[np.float64]

_DLPACK_HOST_DEVICES = {1, 3, 11}  # plain, CUDA-pinned and ROCm-pinned host memory


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
    array = _convert_dtype(_as_ndarray(X, name), name)
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


def as_pair(X: Any, Y: Any) -> tuple[Matrix, Matrix]:
    """Both arguments of a distance, in float64 unless both are float32."""
    x, y = as_matrix(X, "X"), as_matrix(Y, "Y")
    if x.dtype != y.dtype:
        x, y = x.astype(np.float64, copy=False), y.astype(np.float64, copy=False)
    return x, y


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


def _convert_dtype(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
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
