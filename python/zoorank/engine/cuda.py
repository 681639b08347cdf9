"""The engine on a CUDA device: which device, which stream, and arrays that live there.

The compiled module is loaded when the first question about a device is asked
(``environment.py``), so a machine without a GPU, or a build without CUDA, pays nothing for it.
Rows that stay on a device have the methods of the classes of :mod:`zoorank._core` that they
stand in for, so that :mod:`zoorank.engine.estimate` need not know where rows are.
"""
# ruff: noqa: ARG002  the signatures are those of what is stood in for

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from zoorank.engine.arrays import Matrix, as_matrix, is_streamed, is_torch, on_device, to_host
from zoorank.engine.environment import cuda_module, require
from zoorank.engine.rows import Floats, Integers, Progress, open_rows

_LEGACY_STREAM = 1  # the default stream, by the name that CUDA and DLPack both know


@dataclass(frozen=True)
class DeviceMatrix:
    """A matrix on a CUDA device, borrowed.

    Attributes
    ----------
    array : zoorank._cuda.DeviceArray
        Where it lies; keeps its owner alive.
    shape : tuple of int
        Samples and features.
    dtype : numpy.dtype
        float32 or float64.
    device : int
        The device it lies on.
    stream : int
        The stream that its contents are ready on.
    """

    array: Any
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    device: int
    stream: int

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """What other libraries need to read it where it lies."""
        itemsize = self.dtype.itemsize
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.array.address, True),
            "strides": (self.array.stride * itemsize, itemsize),
            "stream": self.stream,
            "version": 3,
        }


def as_device_matrix(X: Any, name: str = "X") -> DeviceMatrix:
    """Borrow an array that lives on a device, on the stream it was last used on.

    float32 and float64 with adjacent features are not copied. float16 and bfloat16
    become float32, integers and booleans float64, by the array's own library.

    Raises
    ------
    RuntimeError
        Where no device can be used here, with the reason.
    TypeError, ValueError
        As :func:`zoorank.engine.arrays.as_matrix`.
    """
    if isinstance(X, DeviceMatrix):
        return X
    require()
    if is_torch(X) or hasattr(X, "__cuda_array_interface__"):
        X = _prepared(X, name)
        interface = X.__cuda_array_interface__
        _check_shape(interface["shape"], name)
        array = _borrowed(interface, X, name)
        stream = _stream_of(X, interface)
    else:
        array = cuda_module().from_dlpack(X.__dlpack__(stream=_LEGACY_STREAM), name)
        _check_shape((array.rows, array.cols), name)
        stream = _LEGACY_STREAM
    return DeviceMatrix(
        array=array,
        shape=(array.rows, array.cols),
        dtype=np.dtype(np.float64 if array.is_double else np.float32),
        device=cuda_module().device_of(array.address),
        stream=stream,
    )


def to_device(X: Any, name: str = "X") -> DeviceMatrix:
    """A matrix on a device: where it lies if it lies on one, else a copy on the first.

    Raises
    ------
    RuntimeError, TypeError, ValueError
        As :func:`as_device_matrix`.
    MemoryError
        Where the copy does not fit.
    """
    require()
    if on_device(X):
        return as_device_matrix(X, name)
    matrix = open_rows(X).load() if is_streamed(X) else as_matrix(X, name)
    device = first_device()
    return DeviceMatrix(
        array=cuda_module().upload(matrix, device),
        shape=matrix.shape,
        dtype=matrix.dtype,
        device=device,
        stream=_LEGACY_STREAM,
    )


@cache
def first_device() -> int:
    """The device that host arrays are computed on."""
    return int(cuda_module().devices()[0]["index"])


class DeviceRows:
    """Rows to be computed with on a device, one block; see :class:`zoorank.engine.rows.Rows`.

    Nothing but results comes back to the host.
    """

    def __init__(self, X: Any) -> None:
        self._given = open_rows(X).load() if is_streamed(X) else _matrix(X, "X")
        self.shape: tuple[int, int] = self._given.shape
        self.dtype: np.dtype[Any] = self._given.dtype

    @property
    def matrix(self) -> DeviceMatrix:
        """Where the rows lie on the device; copied there when first asked for."""
        self._given = to_device(self._given)
        return self._given

    def blocks(self) -> Iterator[tuple[int, Any]]:
        """Yield the matrix."""
        yield 0, self.matrix

    def take(self, indices: Integers) -> Any:
        """Name the rows, which stay where they are."""
        return indices

    def silhouettes(self, codes: Integers, metric: str) -> Floats:
        """Exact silhouettes of all rows."""
        device, stream, array = _place(self._given)
        found: Floats = cuda_module().silhouette_samples(array, codes, metric, device, stream)
        return found

    def silhouettes_by_references(
        self,
        codes: Integers,
        indices: Integers,
        bounds: Integers,
        drawn: Integers,
        sizes: Integers,
    ) -> tuple[Floats, Floats]:
        """Estimated Euclidean silhouettes and their standard errors.

        Parameters
        ----------
        codes : ndarray of shape (n,)
        indices : ndarray of shape (n_sets, n_references)
            Rows that are references; set i is for rows ``bounds[i]`` to ``bounds[i + 1] - 1``.
        bounds : ndarray of shape (n_sets + 1,)
        drawn, sizes : ndarray of shape (n_strata,)
            References and rows of each stratum, as the references come.
        """
        X = self.matrix
        found: tuple[Floats, Floats] = cuda_module().reference_samples(
            X.array, codes, indices.ravel(), bounds, drawn, sizes, X.device, X.stream, None
        )
        return found


class DeviceStatistics:
    """Stands in for ``RowStatistics32`` and ``RowStatistics64`` of the C++ module.

    The moments are computed together with the surrogate, and every class is compared.
    """

    def __init__(self, codes: Integers, n_features: int, metric: str) -> None:
        if metric != "euclidean":
            raise ValueError(f"metric {metric!r} is exact on a device; only euclidean is estimated")
        self.codes = codes

    def check(self, block: DeviceMatrix, first_row: int) -> None:
        """Leave it to what follows, which looks at the rows anyway."""

    def add_moments(
        self, block: DeviceMatrix, first_row: int, threads: int, progress: Progress | None
    ) -> None:
        """Leave it to the surrogate."""

    def surrogate(
        self, block: DeviceMatrix, first_row: int, threads: int, progress: Progress | None
    ) -> Floats:
        """Compute the surrogate of every row."""
        found: Floats = cuda_module().surrogate_samples(
            block.array, self.codes, block.device, block.stream, progress
        )
        return found

    def radii(
        self, block: DeviceMatrix, first_row: int, threads: int, progress: Progress | None
    ) -> Floats:
        """Compute the distance of every row to the mean of its class, up to a factor."""
        found: Floats = cuda_module().class_radii(
            block.array, self.codes, block.device, block.stream
        )
        return found


class DeviceExactRows:
    """Stands in for ``ExactRows32`` and ``ExactRows64``."""

    def __init__(self, statistics: DeviceStatistics, rows: Integers, indices: Integers) -> None:
        self._codes, self._indices = statistics.codes, indices
        self._samples = np.empty(0)

    def add(
        self, block: DeviceMatrix, first_row: int, threads: int, progress: Progress | None
    ) -> None:
        """Compare the rows with all."""
        self._samples = cuda_module().silhouette_samples_of(
            block.array,
            self._codes,
            self._indices,
            "euclidean",
            block.device,
            block.stream,
            progress,
        )

    def silhouettes(self, count: int) -> Floats:
        """Hand out what was found."""
        return self._samples


def pairwise_distances(X: Any, Y: Any | None, metric: str) -> Matrix:
    """Distances between rows of which at least one side may live on a device."""
    x = _matrix(X, "X")
    y = x if Y is None else _matrix(Y, "Y")
    if x.dtype != y.dtype:
        x, y = (as_matrix(to_host(side)).astype(np.float64, copy=False) for side in (X, Y))
    (device, stream, left), (device_y, stream_y, right) = _place(x), _place(y)
    if isinstance(x, np.ndarray):
        device, stream = device_y, stream_y
    elif isinstance(y, DeviceMatrix) and device != device_y:
        raise ValueError(f"X lives on CUDA device {device} and Y on {device_y}: move one of them")
    elif isinstance(y, DeviceMatrix) and stream != stream_y:
        cuda_module().wait_for(device_y, stream_y)
    distances: Matrix = cuda_module().pairwise_distances(left, right, metric, device, stream)
    return distances


def _matrix(X: Any, name: str) -> Matrix | DeviceMatrix:
    return as_device_matrix(X, name) if on_device(X) else as_matrix(X, name)


def _place(X: Matrix | DeviceMatrix) -> tuple[int, int, Any]:
    if isinstance(X, DeviceMatrix):
        return X.device, X.stream, X.array
    return first_device(), _LEGACY_STREAM, X


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    if len(shape) != 2:
        hint = "; a single feature is X.reshape(-1, 1)" if len(shape) == 1 else ""
        raise ValueError(f"{name} must have 2 dimensions, got shape {tuple(shape)}{hint}")
    if 0 in shape:
        missing = "samples" if shape[0] == 0 else "features"
        raise ValueError(f"{name} has no {missing}: its shape is {tuple(shape)}")


def _prepared(X: Any, name: str) -> Any:
    """Detach, convert and make contiguous what the engine cannot read as it is."""
    if is_torch(X):
        X = X.detach()
        wanted = _computed_type(str(X.dtype).removeprefix("torch."), name)
        if wanted is not None:
            X = X.float() if wanted == "float32" else X.double()
        scattered = len(X.shape) == 2 and X.shape[1] > 1 and X.stride()[1] != 1
        return X.contiguous() if scattered else X
    interface = X.__cuda_array_interface__
    if interface.get("mask") is not None:
        raise TypeError(f"{name} has a mask; fill or drop what it hides first")
    dtype = np.dtype(interface["typestr"])
    # What NumPy has no word for, such as bfloat16, the array itself has one for.
    known = str(dtype.newbyteorder("=")) if dtype.kind != "V" else str(getattr(X, "dtype", dtype))
    wanted = _computed_type(known, name)
    if wanted is not None or not dtype.isnative:
        X = _by_its_library(X, "astype", wanted or known, name, f"is of {known}")
        interface = X.__cuda_array_interface__
    shape, strides = interface["shape"], interface.get("strides")
    itemsize = int(interface["typestr"][2:])
    if len(shape) != 2 or strides is None or 0 in shape:
        return X
    if (shape[1] > 1 and strides[1] != itemsize) or (shape[0] > 1 and strides[0] % itemsize):
        return _by_its_library(X, "copy", None, name, "has features that are not adjacent")
    return X


def _by_its_library(X: Any, method: str, argument: str | None, name: str, trouble: str) -> Any:
    """`X` converted or copied by a method of its own, on its device."""
    convert = getattr(X, method, None)
    if convert is None:
        raise TypeError(
            f"{name} {trouble}, and {type(X).__name__} has no method {method}(); "
            "pass rows of adjacent float32 or float64"
        )
    return convert() if argument is None else convert(argument)


def _computed_type(dtype: str, name: str) -> str | None:
    """What an element has to be converted to; None for float32 and float64."""
    if dtype in {"float32", "float64"}:
        return None
    if dtype in {"float16", "bfloat16"}:
        return "float32"
    if dtype.startswith(("int", "uint", "bool")):
        return "float64"
    raise TypeError(
        f"{name} has dtype {dtype}; use float32 or float64 (float16, bfloat16, integers and "
        "booleans are converted)"
    )


def _borrowed(interface: dict[str, Any], owner: Any, name: str) -> Any:
    rows, cols = interface["shape"]
    itemsize = int(interface["typestr"][2:])
    strides = interface.get("strides") or (cols * itemsize, itemsize)
    if cols > 1 and strides[1] != itemsize:
        raise ValueError(f"{name} must have adjacent features")
    stride = strides[0] // itemsize if rows > 1 else cols
    return cuda_module().DeviceArray(
        interface["data"][0], rows, cols, stride, itemsize == np.dtype(np.float64).itemsize, owner
    )


def _stream_of(X: Any, interface: dict[str, Any]) -> int:
    if is_torch(X):  # says nothing of its stream; the module is there, or X would not be
        handle = int(sys.modules["torch"].cuda.current_stream(X.device).cuda_stream)
    else:  # a producer that names none has nothing to wait for
        handle = int(interface.get("stream") or 0)
    return handle or _LEGACY_STREAM  # one name for one stream, and the interface knows no 0
