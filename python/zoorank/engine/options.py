"""Checks of the arguments that several functions of the engine share."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np

from zoorank import _core
from zoorank.messages import hint

PRECISIONS = ("auto", "float32", "bf16x3")
METRICS = _core.METRICS


def check_choice(value: object, valid: Sequence[str], what: str) -> str:
    """`value` if it is one of `valid`; a ValueError with the nearest of them otherwise."""
    if isinstance(value, str) and value in valid:
        return value
    raise ValueError(f"unknown {what} {value!r}; {hint(str(value), valid)}")


# What scikit-learn calls some of them too.
_SYNONYMS = {"l2": "euclidean", "l1": "manhattan", "cityblock": "manhattan"}


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
