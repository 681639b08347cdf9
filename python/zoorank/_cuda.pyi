from collections.abc import Callable
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

class _Device(TypedDict):
    index: int
    name: str
    compute_capability: tuple[int, int]
    multiprocessors: int
    memory: int

class _Limits(TypedDict):
    bfloat16: float
    float32: float
    float64: float
    copy: float

class DeviceArray:
    def __init__(
        self, address: int, rows: int, cols: int, stride: int, is_double: bool, keeper: object
    ) -> None: ...
    @property
    def address(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def cols(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def is_double(self) -> bool: ...

def from_dlpack(capsule: object, name: str) -> DeviceArray: ...
def device_of(address: int) -> int: ...
def wait_for(device: int, stream: int) -> None: ...
def unavailable_reason() -> str: ...
def devices() -> list[_Device]: ...
def euclidean_kernel(features: int, device: int) -> str: ...
def silhouette_samples(
    X: npt.NDArray[Any] | DeviceArray,
    labels: npt.NDArray[np.int64],
    metric: str,
    device: int,
    stream: int,
) -> npt.NDArray[np.float64]: ...
def silhouette_samples_of(
    X: npt.NDArray[Any] | DeviceArray,
    labels: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int64],
    metric: str,
    device: int,
    stream: int,
    progress: Callable[[float], object] | None,
) -> npt.NDArray[np.float64]: ...
def surrogate_samples(
    X: npt.NDArray[Any] | DeviceArray,
    labels: npt.NDArray[np.int64],
    device: int,
    stream: int,
    progress: Callable[[float], object] | None,
) -> npt.NDArray[np.float64]: ...
def class_radii(
    X: npt.NDArray[Any] | DeviceArray, labels: npt.NDArray[np.int64], device: int, stream: int
) -> npt.NDArray[np.float64]: ...
def reference_samples(
    X: npt.NDArray[Any] | DeviceArray,
    labels: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int64],
    drawn: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    device: int,
    stream: int,
    progress: Callable[[float], object] | None,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
def upload(X: npt.NDArray[Any], device: int) -> DeviceArray: ...
def measure_limits(device: int, effort: float) -> _Limits: ...
def pairwise_distances(
    X: npt.NDArray[Any] | DeviceArray,
    Y: npt.NDArray[Any] | DeviceArray,
    metric: str,
    device: int,
    stream: int,
) -> npt.NDArray[Any]: ...
