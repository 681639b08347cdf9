"""Figures as people read them: to the digits that matter, in units that fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from zoorank.ranking.columns import Unit


def count(number: float) -> str:
    """A count in three digits.

    Examples
    --------
    >>> [count(number) for number in (0, 950, 4_652_008, 25_600_000, 999_999)]
    ['0', '950', '4.65M', '25.6M', '1.00M']
    """
    if number < 1000:
        return str(round(number))
    power = min(int(math.log10(float(f"{number:.3g}"))) // 3, 4)
    return f"{number / 1000**power:#.3g}".rstrip(".") + " kMGT"[power]


def size(number: float) -> str:
    """A number of bytes in three digits and decimal units.

    Examples
    --------
    >>> [size(number) for number in (512, 4_652_008, 1.5e9)]
    ['512 B', '4.65 MB', '1.50 GB']
    """
    text = count(number)
    return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"


def seconds(duration: float) -> str:
    """A duration to the digits that matter.

    Examples
    --------
    >>> [seconds(duration) for duration in (0.0004, 0.123, 4.56, 312.4)]
    ['<0.01', '0.12', '4.6', '312']
    """
    if duration < 0.01:
        return "<0.01"
    digits = 2 if duration < 1 else 1 if duration < 99.95 else 0
    return f"{duration:.{digits}f}"


def milliseconds(duration: float) -> str:
    """A duration in milliseconds, in two digits or more.

    Examples
    --------
    >>> [milliseconds(duration) for duration in (0.0123, 3.14159, 250.4)]
    ['0.012', '3.1', '250']
    """
    return f"{duration:.0f}" if duration >= 99.5 else f"{duration:#.2g}".rstrip(".")


def significant(score: float) -> str:
    """A score in three decimals, or in fewer where it is large.

    Examples
    --------
    >>> [significant(score) for score in (0.78125, -0.0301, 8.6303, 123.4, 1.2e6)]
    ['0.781', '-0.030', '8.630', '123.4', '1.2e+06']
    """
    if abs(score) >= 1e5:
        return f"{score:.3g}"
    return f"{score:.1f}" if abs(score) >= 100 else f"{score:.3f}"


# How each unit of a fact is written.
FORMS: Mapping[Unit, Callable[[Any], str]] = {
    "number": str,
    "count": count,
    "bytes": size,
    "milliseconds": milliseconds,
    "share": "{:.1%}".format,
    "words": str,
}
