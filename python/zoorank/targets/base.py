"""The labelled data that sources are ranked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Union

import numpy as np

from zoorank.errors import DataError
from zoorank.targets.statistics import Columns, Statistics, of_all, of_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

Modality = Literal["image", "series", "table", "text", "audio"]
Task = Literal["classes", "numbers"]
# One sample, not decoded: an array or a row of one; of an image also its path or its bytes; a
# text, a pair of texts as a tuple, or the words of a sentence as a list; of a sound its path, its
# bytes, or a tuple of waveform and rate.
Sample = Any
Rows = Union[range, "NDArray[np.int64]"]
Matrix = Any  # ndarray of shape (n_rows, n_features)


class Digest(Protocol):
    """What hashes, as hashlib's objects do."""

    def update(self, data: Any, /) -> None:
        """Take in more bytes."""


class Samples(Protocol):
    """The samples of a target in one form, such as arrays, files or texts; picklable."""

    @property
    def modality(self) -> Modality:
        """What they are."""

    @property
    def shape(self) -> str:
        """Shape of one sample, for messages."""

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

    def survey(self, name: str) -> Survey:
        """Look at every sample once, before hours of work are spent on the others.

        Raises
        ------
        DataError
            Beginning with ``name``, for samples that no source can be fed.
        """

    def changed(self) -> str | None:
        """Name of the first file that is not any more as it was when it was surveyed."""


class Form:
    """What most forms of samples have in common: they lie in memory, and each is one row."""

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
            raise DataError(f"its samples are {_PLURAL[self.modality]}, which are no {modality}")
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


@dataclass(frozen=True, eq=False)
class Target:
    """Labelled samples, checked and fingerprinted.

    A row is what has a label: a sample, or a word of one.

    Attributes
    ----------
    name : str
        What to call it in a table.
    samples : Samples
        Arrays, files, texts and so on.
    labels : ndarray of shape (n_rows,)
        Integers or strings; float64 where ``task`` is ``"numbers"``.
    fingerprint : str
        SHA-256 of the content, in hexadecimal.
    source : str
        Where it came from, enough to load it again.
    place : str
        The path or name that it, or the whole that it is part of, was read from; empty for
        arrays.
    task : {"classes", "numbers"}
        Whether labels are classes, or numbers to predict.
    groups : ndarray of shape (n_rows,), or None
        What belongs together, such as the images of one patient.
    notes : tuple of str
        What was left out or changed when it was read: a line each, counted, the first named.
    """

    name: str
    samples: Samples
    labels: NDArray[Any]
    fingerprint: str
    source: str
    place: str = ""
    task: Task = "classes"
    groups: NDArray[Any] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def modality(self) -> Modality:
        """What the samples are."""
        return self.samples.modality

    @cached_property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self)

    @cached_property
    def n_rows(self) -> int:
        """Number of labels, and so of rows of an encoding: samples, or words of sentences."""
        return len(self.labels)

    @property
    def X(self) -> NDArray[Any]:  # noqa: N802
        """The samples as one array.

        Raises
        ------
        DataError
            When they are files or texts.
        """
        array: NDArray[Any] | None = getattr(self.samples, "X", None)
        if array is None:
            raise DataError(f"{self.name}: its samples are no array but {_PLURAL[self.modality]}")
        return array

    def take(self, samples: Rows) -> Sequence[Sample]:
        """Some samples, read lazily and not decoded."""
        return self.samples.take(samples)

    def rows_of(self, samples: Rows) -> NDArray[np.int64]:
        """Rows of the encoding that some samples give, in the order of the samples."""
        wanted = np.asarray(samples, dtype=np.int64)
        return wanted if self.samples.starts is None else rows_of(self.samples.starts, wanted)

    @cached_property
    def classes(self) -> NDArray[Any]:
        """The distinct labels, sorted."""
        return np.unique(self.labels)

    @cached_property
    def shape(self) -> str:
        """Shape of one sample, for messages."""
        return self.samples.shape

    def baseline(self) -> Matrix | None:
        """Return the input itself, one vector a row, as a baseline without any network.

        Returns
        -------
        ndarray of shape (n_rows, n_features), or None
            The numbers of a table or series; the pixels of images, shrunk to 32 by 32 where
            there are more; counts of characters of texts. float64 for float64 and wide
            integer data, else float32. None where there is no such thing.
        """
        return self.samples.baseline()

    def spilled(self, folder: Path) -> Target:
        """Move what lies in memory to a file of a folder, so that the target pickles cheaply.

        Parameters
        ----------
        folder : Path
            Files there are named by the target's fingerprint and used again.

        Returns
        -------
        Target
            The same content.
        """
        return replace(self, samples=self.samples.spilled(folder / self.fingerprint))

    def facts(self) -> TargetFacts:
        """What it is, without its data."""
        return TargetFacts(
            name=self.name,
            source=self.source,
            modality=self.modality,
            n_samples=self.n_samples,
            shape=self.shape,
            classes=() if self.task == "numbers" else tuple(map(str, self.classes)),
            fingerprint=self.fingerprint,
            task=self.task,
            n_rows=self.n_rows,
            notes=self.notes,
        )

    def changed(self) -> str | None:
        """Name of the first file that is not any more as it was when the target was read.

        Returns
        -------
        str or None
            None where every file that is still to be read is the same one, unchanged.
        """
        return self.samples.changed()

    def check_unchanged(self) -> None:
        """See to it that what was read of the target is what its fingerprint stands for.

        Raises
        ------
        DataError
            When a file has changed since: nothing made of it may be kept.
        """
        if changed := self.changed():
            raise DataError(f"{self.name}: {changed} was changed meanwhile; run again")

    @cached_property
    def statistics(self) -> Statistics:
        """Range, mean and deviation over all samples, in float64 and block by block.

        Raises
        ------
        DataError
            When samples are not made of numbers.
        """
        found = of_all(self.samples.blocks)
        if found is None:
            raise DataError(f"{self.name}: {_PLURAL[self.modality]} have no mean and deviation")
        return found

    @cached_property
    def columns(self) -> Columns:
        """Range, mean and deviation of each column of a table, block by block."""
        return of_columns(self.samples.blocks)


@dataclass(frozen=True)
class TargetFacts:
    """What the target is, without its data.

    Attributes
    ----------
    name, source : str
        What to call it, and where it came from.
    modality : Modality
    n_samples : int
    shape : str
        Shape of one sample, such as ``"(8, 8)"``.
    classes : tuple of str
        Class labels, sorted.
    fingerprint : str
        sha256 of its content.
    task : {"classes", "numbers"}
        What its labels are.
    n_rows : int
        Labels, and so rows of an encoding: words of sentences, else samples.
    notes : tuple of str
        What was left out of it.
    """

    name: str
    source: str
    modality: Modality
    n_samples: int
    shape: str
    classes: tuple[str, ...]
    fingerprint: str
    task: Task = "classes"
    n_rows: int = 0
    notes: tuple[str, ...] = ()


_PLURAL: dict[Modality, str] = {
    "image": "image files",
    "series": "series",
    "table": "tables",
    "text": "texts",
    "audio": "sounds",
}


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


def fingerprint(samples: Samples, labels: NDArray[Any]) -> str:
    """Hash the content: values, shapes and types, or the bytes and names of files; labels."""
    digest = hashlib.sha256()
    samples.hash_into(digest)
    digest.update("\0".join(map(str, labels.tolist())).encode(errors="surrogateescape"))
    return digest.hexdigest()
