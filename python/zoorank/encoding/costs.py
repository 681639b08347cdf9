"""What a source costs on this machine: seconds by stage, memory; and what a user allows."""

from __future__ import annotations

import contextlib
import ctypes
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field, fields
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zoorank.errors import UsageError
from zoorank.messages import listing
from zoorank.sources.base import Encoder, Known, Metered

if TYPE_CHECKING:
    from typing_extensions import Self

_RESET_PEAK = "5"  # to /proc/self/clear_refs, see proc(5)

# Up to this many bytes the GNU C library can be told to keep; it takes no larger threshold.
KEPT = 2**25
_TRIM, _TRIM_AFTERWARDS = 2**30, 2**26  # the latter is where it ends up by itself

# For processes that are about to be started: how they are told to keep memory from the start.
MEMORY_KEPT = {"MALLOC_MMAP_THRESHOLD_": str(KEPT), "MALLOC_TRIM_THRESHOLD_": str(_TRIM)}

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

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


@dataclass
class Clock:
    """Adds up wall time by stage; a stage inside of another is not the outer one's.

    Attributes
    ----------
    stages : Stages

    Examples
    --------
    >>> clock = Clock()
    >>> with clock.timing("network"):
    ...     with clock.timing("preparing"):
    ...         pass
    >>> clock.stages.seconds < 1
    True
    """

    stages: Stages = Stages()
    _inner: float = field(default=0.0, init=False, repr=False)

    @contextlib.contextmanager
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


@dataclass(frozen=True)
class Filters:
    """What a source may cost, as it is cut, and under which licences it may be.

    Attributes
    ----------
    parameters : float or None
        At most, up to the cut.
    milliseconds : float or None
        At most, for one sample up to the cut.
    licences : tuple of str
        Names or patterns such as ``"Apache-*"``, of which one must fit; empty for all. Upper
        and lower case are the same.
    """

    parameters: float | None = None
    milliseconds: float | None = None
    licences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("parameters", "milliseconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"max_{name} must be more than 0, not {value}")

    def licence_reason(self, known: Known) -> str:
        """Why a source is left out for its licence; empty where it is not.

        Examples
        --------
        >>> filters = Filters(licences=("MIT", "Apache-*"))
        >>> filters.licence_reason(Known(licence="apache-2.0"))
        ''
        >>> filters.licence_reason(Known(licence="CC-BY-NC-4.0"))
        'its licence is CC-BY-NC-4.0; allowed: MIT, Apache-*'
        >>> filters.licence_reason(Known())
        'its licence is not known; allowed: MIT, Apache-*'
        """
        licence = known.licence.lower()
        if not self.licences or any(fnmatchcase(licence, each.lower()) for each in self.licences):
            return ""
        return f"its licence is {known.licence or 'not known'}; allowed: {listing(self.licences)}"

    def cost_reason(self, parameters: int, milliseconds: float | None) -> str:
        """Why a cut is left out for what it costs; empty where it is not.

        Examples
        --------
        >>> Filters(parameters=1e7).cost_reason(11_689_512, None)
        '11,689,512 parameters up to the cut; allowed: 10,000,000'
        """
        if self.parameters is not None and parameters > self.parameters:
            return f"{parameters:,} parameters up to the cut; allowed: {self.parameters:,.0f}"
        most = self.milliseconds
        if most is not None and milliseconds is not None and milliseconds > most:
            return f"{milliseconds:.3g} ms a sample up to the cut; allowed: {most:g}"
        return ""


class PeakMemory:
    """Measures the main memory that this process comes to hold at most; Linux alone tells."""

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).malloc_trim(0)  # or what was freed before is found again, and free
        self._start: int | None = None
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
            self._start = _most_held()
        return self

    def __exit__(self, *_: object) -> None:
        return

    @property
    def bytes(self) -> int | None:
        """Beyond what was held at the start; None where the system does not tell."""
        most = _most_held()
        return None if most is None or self._start is None else max(0, most - self._start)

    def with_device(self, encoder: Encoder) -> int | None:
        """The same, and what an encoder took of the memory that its device has of its own."""
        most = self.bytes
        if most is None or encoder.device == "cpu" or not isinstance(encoder, Metered):
            return most
        return most + encoder.peak_memory


def _most_held() -> int | None:
    """Bytes of main memory that this process held at most since the last reset."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return None


@contextlib.contextmanager
def memory_kept() -> Iterator[None]:
    """Keep memory that this process frees, and return it at the end.

    Networks free and ask for the same memory batch after batch. Where the C library returns it
    to the system in between, most of a pass on a CPU may go into page faults. Where the C library
    is not GNU's, nothing changes.
    """
    library = _gnu()
    if library is None:
        yield
        return
    library.mallopt(_M_MMAP_THRESHOLD, KEPT)
    library.mallopt(_M_TRIM_THRESHOLD, _TRIM)
    try:
        yield
    finally:
        library.mallopt(_M_TRIM_THRESHOLD, _TRIM_AFTERWARDS)
        library.malloc_trim(0)


@cache
def _gnu() -> ctypes.CDLL | None:
    """The C library, if it is GNU's."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


@contextlib.contextmanager
def memory_watched() -> Iterator[PeakMemory]:
    """Keep memory while a source runs, and measure what it takes at most."""
    with PeakMemory() as peak, memory_kept():
        yield peak
