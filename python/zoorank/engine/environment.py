"""What a call may ask for, and what this build can do for it on this machine."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import math
import numbers
import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import SupportsIndex, TypedDict

import numpy as np

from zoorank import _core
from zoorank.engine.arrays import on_device
from zoorank.errors import UsageError
from zoorank.messages import hint

METRICS = _core.METRICS
METHODS = ("auto", "exact", "estimate")
PRECISIONS = ("auto", "float32", "bf16x3")

# What scikit-learn calls some of the metrics too.
_SYNONYMS = {"l2": "euclidean", "l1": "manhattan", "cityblock": "manhattan"}


class BuildInfo(TypedDict):
    """See :func:`build_info`."""

    version: str
    compiler: str
    instruction_set: str
    supported_instruction_sets: list[str]
    threads: int
    cuda_built: bool
    cuda_available: bool
    cuda_unavailable_reason: str
    cuda_devices: list[str]
    faiss: str | None


def build_info() -> BuildInfo:
    """Facts about the build and the machine that decide what runs.

    Returns
    -------
    BuildInfo
        A dict: ``version``; ``compiler``; ``instruction_set`` in use (the best of
        ``supported_instruction_sets``, or what ``ZOORANK_ISA`` names);
        ``threads`` used by default; ``cuda_built`` and ``cuda_available``, with
        ``cuda_unavailable_reason``, and ``cuda_devices``, each with its compute
        capability; ``faiss``, the installed distribution of
        FAISS with its version, or None. FAISS is not imported to find out.

    Examples
    --------
    >>> import zoorank
    >>> info = zoorank.build_info()
    >>> info["instruction_set"] in info["supported_instruction_sets"]
    True
    """
    core, reason = _core.build_info(), unavailable_reason()
    return {
        "version": core["version"],
        "compiler": core["compiler"],
        "instruction_set": core["instruction_set"],
        "supported_instruction_sets": core["supported_instruction_sets"],
        "threads": core["threads"],
        "cuda_built": is_built(),
        "cuda_available": not reason,
        "cuda_unavailable_reason": reason,
        "cuda_devices": [] if reason else device_names(),
        "faiss": _faiss_distribution(),
    }


def check_environment(*, computes: bool = True) -> None:
    """Refuse a mistaken variable before it looks like the fault of a file or a model.

    The engine's functions read the variables when they need them and raise ValueError.
    Whoever calls them with what the user named asks here first.

    Parameters
    ----------
    computes : bool
        Whether silhouettes come next, so that the device of ``ZOORANK_DEVICE`` must be there.

    Raises
    ------
    UsageError
        Naming ``ZOORANK_NUM_THREADS``, ``ZOORANK_ISA`` or ``ZOORANK_DEVICE``, its value and
        what is allowed.
    """
    try:
        _core.build_info()
        wish = device_wish()
    except ValueError as error:
        raise UsageError(str(error)) from None
    if computes and wish == "cuda" and (reason := unavailable_reason()):
        raise UsageError(f"ZOORANK_DEVICE is {wish!r}, but {reason}")


@dataclass(frozen=True)
class MeanSettings:
    """What a call of :func:`zoorank.silhouette` asks for, checked."""

    metric: str
    method: str
    precision: str
    on_cuda: bool
    tol: float
    confidence: float
    generator: np.random.Generator
    threads: int

    @classmethod
    def checked(
        cls,
        X: object,
        *,
        metric: str,
        method: str,
        precision: str,
        device: str,
        tol: float,
        confidence: float,
        random_state: int | np.random.Generator | None,
        n_threads: int | None,
    ) -> MeanSettings:
        """Check every argument beside the data, whose place decides where to compute.

        Raises
        ------
        ValueError, TypeError
            For what is not allowed, with what is.
        RuntimeError
            Where a CUDA device is asked for and none can be used, with the reason.
        """
        metric = check_metric(metric)
        return cls(
            metric=metric,
            method=check_choice(method, METHODS, "method"),
            precision=check_precision(precision),
            on_cuda=uses_cuda(device, X, metric),
            tol=check_between(tol, "tol", 0, math.inf),
            confidence=check_between(confidence, "confidence", 0, 1),
            generator=check_random_state(random_state),
            threads=check_threads(n_threads),
        )


def check_choice(value: object, valid: Sequence[str], what: str) -> str:
    """`value` if it is one of `valid`; a ValueError with the nearest of them otherwise."""
    if isinstance(value, str) and value in valid:
        return value
    raise ValueError(f"unknown {what} {value!r}; {hint(str(value), valid)}")


def check_metric(metric: object) -> str:
    """The name of a metric, which may go by another one of scikit-learn's."""
    if isinstance(metric, str):
        metric = _SYNONYMS.get(metric, metric)
    return check_choice(metric, METRICS, "metric")


def check_precision(precision: object) -> str:
    """How Euclidean distances between float32 rows are to be computed, if that can be done here.

    Raises
    ------
    ValueError
        For an unknown name, and for ``"bf16x3"`` where the instruction set in use has none.
    """
    chosen = check_choice(precision, PRECISIONS, "precision")
    in_use = _core.build_info()["instruction_set"] if chosen == "bf16x3" else ""
    if chosen == "bf16x3" and in_use != "amx":
        raise ValueError(
            f"precision 'bf16x3' needs the instruction set amx; in use is {in_use}: "
            "use 'auto' or 'float32'"
        )
    return chosen


def check_integer(value: SupportsIndex, what: str, allowed: str = "an integer") -> int:
    """`value` as an int of Python's, whichever kind of integer it is."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{what} must be {allowed}, got {value!r}") from None


def check_between(value: object, what: str, low: float, high: float) -> float:
    """`value` as a float above `low` and below `high`."""
    bounds = f"lie between {low:g} and {high:g}" if math.isfinite(high) else f"be above {low:g}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{what} must be a number, got {value!r}; it must {bounds}")
    number = float(value)
    if not (low < number and (number < high or high == math.inf)):
        raise ValueError(f"{what} must {bounds}, got {value!r}")
    return number


def check_random_state(
    random_state: int | np.random.Generator | None,
) -> np.random.Generator:
    """What all draws of a call come from; the same one where it is given one."""
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise type(error)(
            "random_state must be None, an integer of at least 0 or a numpy.random.Generator, "
            f"got {random_state!r}"
        ) from None


def check_threads(n_threads: SupportsIndex | None) -> int:
    """The number for the library, in which 0 is automatic."""
    if n_threads is None:
        return 0
    threads = check_integer(n_threads, "n_threads", "an integer or None")
    if threads < 1:
        raise ValueError(f"n_threads must be at least 1 or None (automatic), got {threads}")
    return min(threads, 2**31 - 1)  # the library takes no more than it has processors for


def device_wish() -> str:
    """Where ``ZOORANK_DEVICE`` wants arrays of the host to be computed on."""
    wish = os.environ.get("ZOORANK_DEVICE", "cpu")
    return check_choice(wish, ("cpu", "cuda"), "device in ZOORANK_DEVICE")


def uses_cuda(device: object, X: object, metric: str) -> bool:
    """Whether a call computes on a CUDA device.

    ``"auto"`` follows the array: what lives on a device is computed there, what lives
    on the host wherever the environment variable ``ZOORANK_DEVICE`` says, by default
    there too. Precomputed distances are added up on the host in less time than it
    takes to copy them.

    Raises
    ------
    RuntimeError
        Where that would be a device and none can be used, with the reason.
    """
    if check_choice(device, ("auto", "cpu", "cuda"), "device") == "auto":
        device = "cuda" if on_device(X) else device_wish()
    if device == "cpu":
        return False
    require()
    return metric != "precomputed"


def is_built() -> bool:
    """Whether this installation has the CUDA module at all; asks no device."""
    return importlib.util.find_spec("zoorank._cuda") is not None


@cache
def unavailable_reason() -> str:
    """Why no CUDA device can be used, in one line; empty when one can."""
    if not is_built():
        return "this build of zoorank has no CUDA kernels; build it where nvcc works"
    reason: str = cuda_module().unavailable_reason()
    return reason


def require() -> None:
    """Raise a RuntimeError with the reason where no CUDA device can be used."""
    if reason := unavailable_reason():
        raise RuntimeError(f"device='cuda': {reason}")


def device_names() -> list[str]:
    """Every CUDA device with its compute capability, where one can be used."""
    return [
        "{} ({}.{})".format(device["name"], *device["compute_capability"])
        for device in cuda_module().devices()
    ]


@cache
def cuda_module() -> ModuleType:
    """The compiled CUDA code, loaded when the first question about a device is asked."""
    return importlib.import_module("zoorank._cuda")


def _faiss_distribution() -> str | None:
    found = [_installed("faiss-cpu"), _installed("faiss-gpu")]
    return " and ".join(name for name in found if name) or None


def _installed(distribution: str) -> str | None:
    try:
        return f"{distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return None
