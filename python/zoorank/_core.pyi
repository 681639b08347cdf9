from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

__version__: str

class _BuildInfo(TypedDict):
    version: str
    compiler: str
    instruction_set: str
    supported_instruction_sets: list[str]
    threads: int

def build_info() -> _BuildInfo: ...
def arithmetic_rates(threads: int) -> dict[str, tuple[float, float]]: ...
def read_rate(threads: int, n_bytes: int) -> float: ...
def silhouette_samples(
    X: npt.NDArray[Any], labels: npt.NDArray[np.int64], metric: str, threads: int
) -> npt.NDArray[np.float64]: ...
def silhouette_batch(
    Xs: Sequence[npt.NDArray[Any]], labels: npt.NDArray[np.int64], metric: str, threads: int
) -> list[npt.NDArray[np.float64]]: ...
def pairwise_distances(
    X: npt.NDArray[Any], Y: npt.NDArray[Any], metric: str, threads: int
) -> npt.NDArray[Any]: ...
