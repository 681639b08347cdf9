"""Checks of the arguments that several functions of the engine share."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Sequence
from typing import SupportsIndex

from zoorank import _core

METRICS = ("euclidean", "sqeuclidean", "cosine", "manhattan", "precomputed")


def check_choice(value: object, valid: Sequence[str], what: str) -> str:
    """`value` if it is one of `valid`; a ValueError with the nearest of them otherwise."""
    if isinstance(value, str) and value in valid:
        return value
    near = difflib.get_close_matches(value, valid, n=1) if isinstance(value, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"unknown {what} {value!r}{hint} Valid: {', '.join(valid)}")


def check_threads(n_threads: SupportsIndex | None) -> int:
    """The number for the library, in which 0 is automatic."""
    if n_threads is None:
        return 0
    try:
        threads = operator.index(n_threads)
    except TypeError:
        raise TypeError(f"n_threads must be an integer or None, got {n_threads!r}") from None
    if threads < 1:
        raise ValueError(f"n_threads must be at least 1 or None (automatic), got {threads}")
    return min(threads, 2**31 - 1)  # the library takes no more than it has processors for


def check_device(device: object) -> None:
    """Refuse a device that this build or machine does not have."""
    if check_choice(device, ("auto", "cpu", "cuda"), "device") == "cuda":
        raise RuntimeError(f"device='cuda': {_core.build_info()['cuda_unavailable_reason']}")
