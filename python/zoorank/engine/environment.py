"""What this build can do on this machine, where a call computes, and the variables that decide."""

from __future__ import annotations

import importlib.metadata
import os
from typing import TypedDict

from zoorank import _core
from zoorank.engine import cuda
from zoorank.engine.arrays import on_device
from zoorank.engine.options import check_choice
from zoorank.errors import UsageError


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
    core, reason = _core.build_info(), cuda.unavailable_reason()
    return {
        "version": core["version"],
        "compiler": core["compiler"],
        "instruction_set": core["instruction_set"],
        "supported_instruction_sets": core["supported_instruction_sets"],
        "threads": core["threads"],
        "cuda_built": cuda.is_built(),
        "cuda_available": not reason,
        "cuda_unavailable_reason": reason,
        "cuda_devices": [] if reason else cuda.device_names(),
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
    if computes and wish == "cuda" and (reason := cuda.unavailable_reason()):
        raise UsageError(f"ZOORANK_DEVICE is {wish!r}, but {reason}")


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
    cuda.require()
    return metric != "precomputed"


def _faiss_distribution() -> str | None:
    found = [_installed("faiss-cpu"), _installed("faiss-gpu")]
    return " and ".join(name for name in found if name) or None


def _installed(distribution: str) -> str | None:
    try:
        return f"{distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return None
