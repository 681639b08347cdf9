"""What is said of samples on which a source fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoorank.errors import SourceError
from zoorank.messages import bad_row, one_line, reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoorank.targets.base import Target


def refuse_no_number(cut: str, encoded: NDArray[Any], rows: NDArray[np.int64]) -> None:
    """Raise for NaN or infinity in what a cut gives for some rows of a target."""
    if bad := bad_row(encoded):
        place, what = bad
        raise SourceError(f"cut {cut!r} gives {what} for row {rows[place]}")


def failed(target: Target, samples: NDArray[np.int64], error: BaseException) -> SourceError:
    """Why samples of a target could not be prepared or encoded, with their numbers."""
    said = one_line(error) if isinstance(error, SourceError) else reason(error)
    noun = "row" if target.samples.starts is None else "sentence"
    return SourceError(f"failed on {_numbered(noun, samples)}: {said}")


def _numbered(noun: str, samples: NDArray[np.int64]) -> str:
    if len(samples) == 1:
        return f"{noun} {samples[0]}"
    first, last = int(samples.min()), int(samples.max())
    part = "" if last - first + 1 == len(samples) else f"{len(samples)} of the "
    return f"{part}{noun}s {first} to {last}"
