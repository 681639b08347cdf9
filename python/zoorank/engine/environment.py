"""Environment variables that decide how the engine runs."""

from __future__ import annotations

from zoorank import _core
from zoorank.engine import cuda
from zoorank.engine.options import device_wish
from zoorank.errors import UsageError


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
