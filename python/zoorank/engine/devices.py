"""Where an array lives, found out without loading anything."""

from __future__ import annotations

from typing import Any

import numpy as np

_DLPACK_CUDA_DEVICES = {2, 13}  # plain and managed


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


def is_torch(X: Any) -> bool:
    """Whether this is a torch tensor; torch is not imported to find out."""
    return type(X).__module__.split(".")[0] == "torch" and hasattr(X, "is_cuda")
