from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeAlias, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

__version__: str
METRICS: tuple[str, ...]
METRICS_OF_ROWS: tuple[str, ...]
METRICS_FROM_MEANS: tuple[str, ...]

class _BuildInfo(TypedDict):
    version: str
    compiler: str
    instruction_set: str
    supported_instruction_sets: list[str]
    threads: int

def build_info() -> _BuildInfo: ...
def arithmetic_rates(threads: int) -> dict[str, tuple[float, float, float]]: ...
def read_rate(threads: int, n_bytes: int) -> float: ...

# Rows are float32 or float64.
_Value = TypeVar("_Value", np.float32, np.float64)
_Progress: TypeAlias = Callable[[float], object] | None

def exact_silhouettes(
    X: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    metric: str,
    threads: int,
    progress: _Progress,
    precision: str = ...,
    pairs: str = ...,
) -> tuple[npt.NDArray[np.float64], int]: ...
def silhouette_batch(
    Xs: Sequence[npt.NDArray[Any]],
    labels: npt.NDArray[np.int64],
    metrics: Sequence[str],
    threads: int,
    precision: str = ...,
) -> list[npt.NDArray[np.float64]]: ...
def pairwise_distances(
    X: npt.NDArray[Any], Y: npt.NDArray[Any], metric: str, threads: int, precision: str = ...
) -> npt.NDArray[Any]: ...

class _RowStatistics(Generic[_Value]):
    def __init__(self, labels: npt.NDArray[np.int64], n_features: int, metric: str) -> None: ...
    def check(self, block: npt.NDArray[Any], first_row: int) -> None: ...
    def add_moments(
        self, block: npt.NDArray[Any], first_row: int, threads: int, progress: _Progress
    ) -> None: ...
    def class_points(self) -> npt.NDArray[_Value]: ...
    def radii(
        self, block: npt.NDArray[Any], first_row: int, threads: int, progress: _Progress
    ) -> npt.NDArray[np.float64]: ...
    def restrict_to(self, candidates: npt.NDArray[np.int64]) -> None: ...
    def surrogate(
        self, block: npt.NDArray[Any], first_row: int, threads: int, progress: _Progress
    ) -> npt.NDArray[np.float64]: ...

class _ExactRows(Generic[_Value]):
    def __init__(
        self,
        statistics: _RowStatistics[_Value],
        rows: npt.NDArray[Any],
        indices: npt.NDArray[np.int64],
    ) -> None: ...
    def add(
        self, block: npt.NDArray[Any], first_row: int, threads: int, progress: _Progress
    ) -> None: ...
    def silhouettes(self, count: int) -> npt.NDArray[np.float64]: ...

class _ReferenceRows(Generic[_Value]):
    def __init__(
        self,
        statistics: _RowStatistics[_Value],
        rows: npt.NDArray[Any],
        indices: npt.NDArray[np.int64],
        drawn: npt.NDArray[np.int64],
        sizes: npt.NDArray[np.int64],
    ) -> None: ...
    def estimate(
        self, block: npt.NDArray[Any], first_row: int, threads: int, progress: _Progress
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...

class RowStatistics32(_RowStatistics[np.float32]): ...
class ExactRows32(_ExactRows[np.float32]): ...
class ReferenceRows32(_ReferenceRows[np.float32]): ...
class RowStatistics64(_RowStatistics[np.float64]): ...
class ExactRows64(_ExactRows[np.float64]): ...
class ReferenceRows64(_ReferenceRows[np.float64]): ...
