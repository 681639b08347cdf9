"""The labelled data that sources are ranked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union

import numpy as np

from zoorank.targets.images import ImageFiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

Modality = Literal["image", "series", "table", "text", "audio"]
Kind = Literal["image", "series", "table"]
# One sample, not decoded: an array or a row of one; of an image also its path or its bytes; a
# text, a pair of texts, or the words of a sentence; of a sound its path or (waveform, rate).
Sample = Any
Rows = Union[range, "NDArray[np.int64]"]

_BLOCK_BYTES = 32 * 2**20
_RAW_IMAGE_SIDE = 32


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

    Attributes
    ----------
    name : str
        What to call it in a table.
    X : ndarray of shape (n_samples, ...) or ImageFiles
        Images ``(n, height, width)``, ``(n, height, width, channels)`` or ``(n, channels,
        height, width)``; series ``(n, length)`` or ``(n, variables, length)``; tables
        ``(n, columns)``; or a folder of images of any sizes.
    labels : ndarray of shape (n_samples,)
        Integers or strings.
    kind : {"image", "series", "table"}
    fingerprint : str
        SHA-256 of the content, in hexadecimal.
    source : str
        Where it came from, enough to load it again.
    place : str
        The path or name that it, or the whole that it is part of, was read from; empty for
        arrays.
    """

    name: str
    X: NDArray[Any] | ImageFiles
    labels: NDArray[Any]
    kind: Kind
    fingerprint: str
    source: str
    place: str = ""

    @property
    def modality(self) -> Modality:
        """What the samples are."""
        return self.kind

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.X)

    @property
    def n_rows(self) -> int:
        """Number of labels, and so of rows of an encoding: samples, or words of sentences."""
        return len(self.labels)

    def take(self, samples: Rows) -> Sequence[Sample]:
        """Some samples, read lazily and not decoded."""
        if isinstance(self.X, ImageFiles):
            return [self.X[int(row)] for row in samples]
        wanted = slice(samples.start, samples.stop) if isinstance(samples, range) else samples
        taken: Sequence[Sample] = self.X[wanted]  # type: ignore[assignment]
        return taken

    def rows_of(self, samples: Rows) -> NDArray[np.int64]:
        """Rows of the encoding that some samples give, in the order of the samples."""
        return np.asarray(samples, dtype=np.int64)

    @cached_property
    def classes(self) -> NDArray[Any]:
        """The distinct labels, sorted."""
        return np.unique(self.labels)

    @property
    def shape(self) -> str:
        """Shape of one sample, for messages."""
        if isinstance(self.X, ImageFiles):
            return "(height, width, 3)"
        return str(tuple(self.X.shape[1:])).replace(",)", ")")

    def baseline(self) -> NDArray[np.floating[Any]]:
        """Return the input itself, one row a sample, as a baseline without any network.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            float64 for float64 and wide integer data, else float32. Images of a folder,
            which may differ in size, are shrunk to 32 by 32 pixels.
        """
        if isinstance(self.X, ImageFiles):
            return np.stack([_thumbnail(image) for image in self.X])
        wide = np.result_type(self.X.dtype, np.float32) == np.float64
        flat = self.X.reshape(len(self.X), -1)
        return np.ascontiguousarray(flat, dtype=np.float64 if wide else np.float32)

    @cached_property
    def statistics(self) -> Statistics:
        """Range, mean and deviation over all samples, in float64 and block by block."""
        low, high, count, total = np.inf, -np.inf, 0, 0.0
        for block in self._blocks():
            low, high = min(low, float(block.min())), max(high, float(block.max()))
            count += block.size
            total += float(block.sum(dtype=np.float64))
        mean = total / count
        squares = sum(float(np.square(block - mean).sum()) for block in self._blocks())
        return Statistics(low, high, mean, float(np.sqrt(squares / count)))

    @cached_property
    def columns(self) -> Columns:
        """Range, mean and deviation of each column of a table."""
        X = np.asarray(self.X, dtype=np.float64)
        return Columns(X.min(axis=0), X.max(axis=0), X.mean(axis=0), X.std(axis=0))

    def _blocks(self) -> Iterator[NDArray[np.float64]]:
        if isinstance(self.X, ImageFiles):
            yield from (image.astype(np.float64) for image in self.X)
        else:
            yield from (block.astype(np.float64) for block in blocks(self.X))


def blocks(X: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Cut an array into row blocks of about 32 MB, so that a file is not read at once."""
    rows = max(1, _BLOCK_BYTES // max(1, X[:1].nbytes))
    for start in range(0, len(X), rows):
        yield X[start : start + rows]


def fingerprint(X: NDArray[Any] | ImageFiles, labels: NDArray[Any], names: Sequence[str]) -> str:
    """Hash the content: values, shapes and types, or the bytes and names of image files."""
    digest = hashlib.sha256()
    if isinstance(X, ImageFiles):
        for name, path in zip(names, X.paths, strict=True):
            digest.update(f"{name}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    else:
        digest.update(f"{X.dtype.str}{X.shape}\0".encode())
        for block in blocks(X):
            digest.update(np.ascontiguousarray(block).data)
    digest.update("\0".join(map(str, labels.tolist())).encode())
    return digest.hexdigest()


def _thumbnail(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    from PIL import Image

    side = (_RAW_IMAGE_SIDE, _RAW_IMAGE_SIDE)
    small = Image.fromarray(image).resize(side, Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.float32).ravel()
