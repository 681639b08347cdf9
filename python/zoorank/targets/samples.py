"""What samples answer, whatever their form, and what became of them when they were looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from zoorank.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from zoorank.targets.base import Matrix, Modality, Rows, Sample

PLURAL: dict[Modality, str] = {
    "image": "image files",
    "series": "series",
    "table": "tables",
    "text": "texts",
    "audio": "sounds",
}


class Digest(Protocol):
    """What hashes, as hashlib's objects do."""

    def update(self, data: Any, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """What came of all that was taken in."""


class Samples(Protocol):
    """The samples of a target in one form, such as arrays, files or texts; picklable."""

    @property
    def modality(self) -> Modality:
        """What they are."""

    @property
    def shape(self) -> tuple[int, ...] | str:
        """Shape of one sample; words where they are no arrays, or not all of one shape."""

    @property
    def starts(self) -> NDArray[np.int64] | None:
        """First row of each sample and, last, the number of rows; None where each is one row."""

    def __len__(self) -> int: ...

    def take(self, rows: Rows) -> Sequence[Sample]:
        """Some samples, read lazily and not decoded."""

    def subset(self, rows: NDArray[np.int64]) -> Samples:
        """The same form with some samples only."""

    def hash_into(self, digest: Digest) -> None:
        """Feed the content of every sample to a digest."""

    def blocks(self) -> Iterator[NDArray[Any]]:
        """The numbers of all samples, some samples at a time; nothing where there are none."""

    def baseline(self) -> Matrix | None:
        """One vector of numbers a row that no network is needed for, or None."""

    def spilled(self, path: Path) -> Samples:
        """The same with what lies in memory moved to a file, so that it pickles cheaply.

        ``path`` has no suffix; each form adds its own.
        """

    def read_as(self, modality: Modality) -> Samples:
        """The same taken for another modality; DataError where that makes no sense."""

    def survey(self, name: str, digest: Digest) -> Survey:
        """Look at every sample once, before hours of work are spent on the others.

        The content of all that can be used goes into the digest, as `hash_into` feeds it.

        Raises
        ------
        DataError
            Beginning with ``name``, for samples that no source can be fed.
        """

    def changed(self) -> str | None:
        """Name of the first file that is not any more as it was when it was surveyed."""


class Form:
    """What most forms of samples have in common: each is one row, and nothing has to be moved."""

    modality: Modality
    starts: NDArray[np.int64] | None = None

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Give nothing: no numbers."""
        return iter(())

    def spilled(self, path: Path) -> Self:  # noqa: ARG002
        """Return the same: it pickles as it is."""
        return self

    def read_as(self, modality: Modality) -> Self:
        """Refuse to take samples for anything but what they are."""
        if modality != self.modality:
            raise DataError(f"its samples are {PLURAL[self.modality]}, which are no {modality}")
        return self

    def changed(self) -> str | None:
        """Nothing changes what lies in memory."""
        return None


@dataclass(frozen=True, eq=False)
class Survey:
    """What became of the samples when all of them were looked at.

    Attributes
    ----------
    samples : Samples
        Those that can be used.
    rows : ndarray of int64, or None
        Where they stood among all; None where all can be used.
    skipped : tuple of (str, str)
        Name and reason of each of the others.
    notes : tuple of str
        What is done to some of them when they are decoded, counted, the first one named.
    noun : str
        What one that was skipped is called.
    """

    samples: Samples
    rows: NDArray[np.int64] | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    noun: str = "file"


def rows_of(starts: NDArray[np.int64], samples: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of some samples that give several each.

    Examples
    --------
    >>> rows_of(np.array([0, 2, 5]), np.array([1, 0]))
    array([2, 3, 4, 0, 1])
    """
    counts = starts[samples + 1] - starts[samples]
    # Of every row, its number within its sample, and where that sample begins.
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    rows: NDArray[np.int64] = np.repeat(starts[samples], counts) + within
    return rows
