"""Where the time of a run goes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from typing import Literal

Stage = Literal["opening", "preparing", "network", "writing", "scoring"]


@dataclass(frozen=True)
class Stages:
    """Seconds by what they went into.

    Attributes
    ----------
    opening : float
        Loading sources, finding their cuts and trying them on two samples.
    preparing : float
        Waiting for samples, and putting them into batches.
    network : float
    writing : float
        Encodings to the store.
    scoring : float

    Examples
    --------
    >>> both = Stages(network=3.0) + Stages(network=3.0, scoring=2.0)
    >>> both.shares()
    {'network': 0.75, 'scoring': 0.25}
    """

    opening: float = 0.0
    preparing: float = 0.0
    network: float = 0.0
    writing: float = 0.0
    scoring: float = 0.0

    def __add__(self, other: Stages) -> Stages:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Stages(*(one + another for one, another in pairs))

    @property
    def seconds(self) -> float:
        """All of them."""
        return math.fsum(astuple(self))

    def shares(self) -> dict[str, float]:
        """What part of all each is; without those that are nothing."""
        return {
            each.name: getattr(self, each.name) / self.seconds
            for each in fields(self)
            if getattr(self, each.name) > 0
        }


class Clock:
    """Adds up wall time by stage; a stage inside of another is not the outer one's.

    Examples
    --------
    >>> clock = Clock()
    >>> with clock.timing("network"):
    ...     with clock.timing("preparing"):
    ...         pass
    >>> clock.stages.seconds < 1
    True
    """

    def __init__(self) -> None:
        self.stages = Stages()
        self._inner = 0.0

    @contextmanager
    def timing(self, stage: Stage) -> Iterator[None]:
        """Count what is done meanwhile as a stage."""
        began, before = time.perf_counter(), self._inner
        self._inner = 0.0
        try:
            yield
        finally:
            taken = time.perf_counter() - began
            self.stages += Stages(**{stage: taken - self._inner})
            self._inner = before + taken
