"""What a source costs on this machine, and which costs and licences a user allows."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from zoorank.encoding.passes import Feed, to_host
from zoorank.errors import UsageError
from zoorank.messages import listing
from zoorank.sources.base import Cut, Known

if TYPE_CHECKING:
    from typing_extensions import Self

# A batch is over in a moment, and a busy machine may double that: only a source that takes so
# many times what is allowed is not run at all. Of the others the whole pass tells.
_SURELY = 1.5
_RESET_PEAK = "5"  # to /proc/self/clear_refs, see proc(5)


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

    def trial_reasons(self, feed: Feed, cuts: Sequence[Cut], batch_size: int) -> dict[str, str]:
        """Why cuts need not be run: too large, or, by a batch, surely too slow.

        Parameters
        ----------
        feed : Feed
            Whose source has just run, so that nothing has to warm up.
        cuts : sequence of Cut
        batch_size : int

        Returns
        -------
        dict of str to str
            By name of the cut.
        """
        reasons = {cut.name: self.cost_reason(cut.parameters_kept, None) for cut in cuts}
        left = [cut for cut in cuts if not reasons[cut.name]]
        if left and self.milliseconds is not None:
            spent = batch_milliseconds(feed, left, batch_size)
            deepest = left[-1].flops_share or 1.0
            for cut in left:
                own = spent * cut.flops_share / deepest
                if own > _SURELY * self.milliseconds:
                    reasons[cut.name] = self.cost_reason(0, own)
        return {name: reason for name, reason in reasons.items() if reason}


def batch_milliseconds(feed: Feed, cuts: Sequence[Cut], batch_size: int) -> float:
    """Milliseconds a sample that the network itself takes for a batch, the better of two."""
    size = min(feed.encoder.facts.batch_size or batch_size, feed.target.n_samples)
    prepared = feed.prepared(range(size))
    best = float("inf")
    for _ in range(2):
        began = time.perf_counter()
        try:
            encoded = feed.encode(prepared, cuts)
            to_host(encoded[cuts[-1].name])  # waits for the device
        except MemoryError:  # the pass will halve its batches
            return 0.0
        best = min(best, time.perf_counter() - began)
    return 1000 * best / size


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


def _most_held() -> int | None:
    """Bytes of main memory that this process held at most since the last reset."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return None
