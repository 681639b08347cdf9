"""The labelled data that sources are ranked for, and the samples of most: one array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import bad_row, inert
from zoorank.targets.facts import TargetFacts
from zoorank.targets.images import THUMBNAIL, channels_last, is_image, resize
from zoorank.targets.opening import Stamp, stamp_of
from zoorank.targets.packed import spill
from zoorank.targets.samples import PLURAL, Digest, Form, Samples, Survey, rows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

Modality = Literal["image", "series", "table", "text", "audio"]
Task = Literal["classes", "numbers"]
# One sample, not decoded: an array or a row of one; of an image also its path or its bytes; a
# text, a pair of texts as a tuple, or the words of a sentence as a list; of a sound its path, its
# bytes, or a tuple of waveform and rate.
Sample = Any
Rows = Union[range, "NDArray[np.int64]"]
Matrix = Any  # ndarray of shape (n_rows, n_features)
_BLOCK_BYTES = 32 * 2**20


class Statistics(NamedTuple):
    """Of all the numbers of a target together."""

    minimum: float
    maximum: float
    mean: float
    std: float


class Columns(NamedTuple):
    """Of each column of a table, shape ``(columns,)``."""

    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]


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
            raise DataError(f"{self.name}: its samples are no array but {PLURAL[self.modality]}")
        return array

    def take(self, samples: Rows) -> Sequence[Sample]:
        """Some samples, read lazily and not decoded."""
        return self.samples.take(samples)

    def rows_of(self, samples: Rows) -> NDArray[np.int64]:
        """Rows of the encoding that some samples give, in the order of the samples."""
        wanted = np.asarray(samples, dtype=np.int64)
        return wanted if self.samples.starts is None else rows_of(self.samples.starts, wanted)

    def samples_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Samples that some rows, ascending, are of: these themselves, or sentences of words."""
        starts = self.samples.starts
        return rows if starts is None else np.unique(np.searchsorted(starts, rows, "right") - 1)

    @cached_property
    def classes(self) -> NDArray[Any]:
        """The distinct labels, sorted."""
        return np.unique(self.labels)

    @cached_property
    def sample_shape(self) -> tuple[int, ...] | str:
        """Shape of one sample; words where they are no arrays, or not all of one shape."""
        return self.samples.shape

    @cached_property
    def shape(self) -> str:
        """Shape of one sample, for messages."""
        return str(self.sample_shape).replace(",)", ")")

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
        return Statistics(*map(float, self._summarised(axis=None)))

    @cached_property
    def columns(self) -> Columns:
        """Range, mean and deviation of each column of a table, block by block."""
        return Columns(*self._summarised(axis=0))

    def _summarised(self, axis: int | None) -> tuple[Any, Any, Any, Any]:
        """Least, largest, mean and deviation of all numbers, or along an axis."""
        low, high, total, count = np.inf, -np.inf, 0.0, 0
        for block in self._wide_blocks():
            low, high = np.minimum(low, block.min(axis)), np.maximum(high, block.max(axis))
            total += block.sum(axis)
            count += block.size if axis is None else len(block)
        if not count:
            raise DataError(f"{self.name}: {PLURAL[self.modality]} have no mean and deviation")
        mean = total / count
        squares = sum(np.square(block - mean).sum(axis) for block in self._wide_blocks())
        return low, high, mean, np.sqrt(squares / count)

    def _wide_blocks(self) -> Iterator[NDArray[np.float64]]:
        return (block.astype(np.float64) for block in self.samples.blocks())


@dataclass(frozen=True, eq=False)
class Arrays(Form):
    """Samples along the first axis of an array.

    Attributes
    ----------
    X : ndarray of shape (n_samples, ...)
        Images ``(n, height, width)``, ``(n, height, width, channels)`` or ``(n, channels,
        height, width)``; series ``(n, length)`` or ``(n, variables, length)``; tables
        ``(n, columns)``.
    given : {"image", "series", "table"} or None
        What they are; None lets the number of axes tell.
    file : Path or None
        The ``.npy`` file that X is mapped from, as a whole.
    stamp : tuple of int or None
        By which it is seen that the file has changed.
    """

    X: NDArray[Any]
    given: Modality | None = None
    file: Path | None = None
    stamp: Stamp | None = None

    @property
    def modality(self) -> Modality:  # type: ignore[override]
        """What was given, or else what is most often meant by so many axes."""
        if self.given is not None:
            return self.given
        # (n, height, width) is far more common than (n, variables, length) in array files.
        return "image" if self.X.ndim >= 3 else "table"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.X.shape[1:]

    def __len__(self) -> int:
        return len(self.X)

    def __getstate__(self) -> dict[str, Any]:
        # Pickling a memory map would copy the file.
        X = None if self.file is not None else np.asarray(self.X)
        return {**self.__dict__, "X": X}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["file"] is not None:
            state = {**state, "X": np.load(state["file"], mmap_mode="r", allow_pickle=False)}
        self.__dict__.update(state)

    def take(self, rows: Rows) -> Sequence[Sample]:
        """Some samples; views where they follow each other."""
        wanted = slice(rows.start, rows.stop) if isinstance(rows, range) else rows
        taken: Sequence[Sample] = self.X[wanted]  # type: ignore[assignment]
        return taken

    def subset(self, rows: NDArray[np.int64]) -> Arrays:
        """A copy of some samples."""
        return Arrays(self.X[rows], self.given)

    def hash_into(self, digest: Digest) -> None:
        """Feed type, shape and values to a digest."""
        for _ in self._fed(digest):
            pass

    def _fed(self, digest: Digest) -> Iterator[NDArray[Any]]:
        """Row blocks that a digest has been fed, so that a file is read once for both."""
        digest.update(f"{self.X.dtype.str}{self.X.shape}\0".encode())
        for block in self.blocks():
            digest.update(np.ascontiguousarray(block).data)
            yield block

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Row blocks of about 32 MB, so that a file is not read at once."""
        rows = max(1, _BLOCK_BYTES // max(1, self.X[:1].nbytes))
        for start in range(0, len(self.X), rows):
            yield self.X[start : start + rows]

    def baseline(self) -> NDArray[np.floating[Any]]:
        """The numbers themselves, a row a sample; images shrunk."""
        wide = np.result_type(self.X.dtype, np.float32) == np.float64
        dtype = np.float64 if wide else np.float32
        size = (THUMBNAIL, THUMBNAIL)
        if self.modality == "image" and self.X[0].size > 3 * THUMBNAIL**2 and is_image(self.X[0]):
            small = [resize(channels_last(image), size, "area").ravel() for image in self.X]
            return np.stack(small).astype(dtype)
        return np.ascontiguousarray(self.X.reshape(len(self.X), -1), dtype=dtype)

    def spilled(self, path: Path) -> Arrays:
        """The same, mapped from ``path.npy``, which is written once."""
        if self.file is not None:
            return self
        file = spill(self.X, path)
        X = np.load(file, mmap_mode="r", allow_pickle=False)
        return Arrays(X, self.given, file, stamp_of(file))

    def changed(self) -> str | None:
        """Name of the file that X is mapped from, if it is not any more as it was."""
        same = self.file is None or stamp_of(self.file) == self.stamp
        return None if same else inert(self.file)

    def read_as(self, modality: Modality) -> Arrays:
        """The same array taken for images, series or a table."""
        if modality not in ("image", "series", "table"):
            raise DataError(f"an array of numbers is no {modality}; allowed: image, series, table")
        return replace(self, given=modality)

    def survey(self, name: str, digest: Digest) -> Survey:
        """Refuse arrays of other than finite real numbers."""
        X = self.X
        if X.ndim < 2:
            raise DataError(f"{name}: X has shape {X.shape}; (n_samples, ...) is allowed")
        if 0 in X.shape:
            raise DataError(f"{name}: X has shape {X.shape}, which holds no numbers")
        if X.dtype.kind not in "iubf":
            raise DataError(f"{name}: X of type {X.dtype}; integers and real numbers are allowed")
        start = 0
        for block in self._fed(digest):
            if X.dtype.kind == "f" and not np.isfinite(block).all():
                row, what = bad_row(block)
                raise DataError(f"{name}: row {start + row} holds {what}")
            start += len(block)
        return Survey(self)
