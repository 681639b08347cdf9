"""Samples that are one array, in memory or mapped from a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import bad_row, inert
from zoorank.targets.base import Digest, Form, Modality, Rows, Sample, Survey
from zoorank.targets.images import THUMBNAIL, channels_last, is_image, resize
from zoorank.targets.opening import Stamp, stamp_of
from zoorank.targets.packed import spill

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK_BYTES = 32 * 2**20


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
    def shape(self) -> str:
        """Shape of one sample."""
        return str(tuple(self.X.shape[1:])).replace(",)", ")")

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
        digest.update(f"{self.X.dtype.str}{self.X.shape}\0".encode())
        for block in self.blocks():
            digest.update(np.ascontiguousarray(block).data)

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

    def survey(self, name: str) -> Survey:
        """Refuse arrays of other than finite real numbers."""
        X = self.X
        if X.ndim < 2:
            raise DataError(f"{name}: X has shape {X.shape}; (n_samples, ...) is allowed")
        if 0 in X.shape:
            raise DataError(f"{name}: X has shape {X.shape}, which holds no numbers")
        if X.dtype.kind not in "iubf":
            raise DataError(f"{name}: X of type {X.dtype}; integers and real numbers are allowed")
        start = 0
        for block in self.blocks() if X.dtype.kind == "f" else ():
            if not np.isfinite(block).all():
                row, what = bad_row(block)
                raise DataError(f"{name}: row {start + row} holds {what}")
            start += len(block)
        return Survey(self)
