"""Samples of a data set of a framework, asked for one by one when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import bad_row, one_line
from zoorank.targets.base import Modality, Rows
from zoorank.targets.forms import Given, plain, samples_of
from zoorank.targets.images import THUMBNAIL, channels_last, is_image, resize
from zoorank.targets.packed import spill_pieces
from zoorank.targets.ragged import Ragged
from zoorank.targets.samples import Digest, Form, Samples, Survey

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Items(Form):
    """Images that ``source[row]`` gives, with their labels behind them.

    Attributes
    ----------
    source : object
        As a map-style ``torch.utils.data.Dataset`` is.
    rows : ndarray of int64
        Of the source.
    digests : tuple of bytes
        SHA-256 of each sample when all were looked at.
    vectors : ndarray of shape (n_samples, n_features), or None
        The samples shrunk, for a baseline.
    """

    source: Any
    rows: NDArray[np.int64]
    digests: tuple[bytes, ...] = field(default=(), repr=False)
    vectors: NDArray[Any] | None = field(default=None, repr=False)
    modality: Modality = "image"

    @property
    def shape(self) -> str:
        """Shape of one sample, for messages."""
        return "(height, width, channels)"

    def __len__(self) -> int:
        return len(self.rows)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "vectors": None}

    def take(self, rows: Rows) -> Sequence[NDArray[Any]]:
        """Some samples."""
        return [item(self.source, int(self.rows[row]))[0] for row in rows]

    def subset(self, rows: NDArray[np.int64]) -> Items:
        """Some of the samples."""
        digests = tuple(self.digests[row] for row in rows)
        vectors = None if self.vectors is None else self.vectors[rows]
        return Items(self.source, self.rows[rows], digests, vectors)

    def hash_into(self, digest: Digest) -> None:
        """Feed what was hashed of every sample to a digest."""
        for each in self.digests:
            digest.update(each)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """One sample after the other, behind an axis of length 1."""
        return (self.take(range(row, row + 1))[0][None] for row in range(len(self)))

    def baseline(self) -> NDArray[np.float32]:
        """Every image shrunk to 32 by 32 pixels, in one row."""
        vectors = self.vectors
        if vectors is None:
            vectors = np.stack([_shrunk(block[0]) for block in self.blocks()])
        return vectors.astype(np.float32)

    def spilled(self, path: Path) -> Ragged:  # type: ignore[override]
        """The same as arrays in one file, which needs the source no more."""
        first = self.take(range(1))[0].dtype
        shapes: list[tuple[int, ...]] = []

        def pieces() -> Iterator[bytes]:
            shapes.clear()
            for (image,) in self.blocks():
                shapes.append(image.shape)
                yield np.ascontiguousarray(image, dtype=first).tobytes()

        packed = spill_pieces(pieces, path)
        return Ragged(packed, first, tuple(shapes), "image")

    def survey(self, name: str, digest: Digest) -> Survey:  # noqa: ARG002
        """Accept them all: they were looked at when their labels were read."""
        self.hash_into(digest)
        return Survey(self)


def read_items(source: Any, given: Given) -> tuple[Samples, list[Any], tuple[str, ...]]:
    """Ask a data set for every sample and its label once.

    Parameters
    ----------
    source : object
        ``source[row]`` gives a sample and its label.
    given : Given

    Returns
    -------
    samples : Samples
        `Items` of images, and what holds the samples themselves of all else.
    labels : list
    notes : tuple of str

    Raises
    ------
    DataError
        For a source that gives other samples each time, as one that augments at random does.
    """
    total = len(source)
    if not total:
        raise DataError(f"{given.where}: holds no samples")
    first, label = item(source, 0)
    again = item(source, 0)[0]
    image = isinstance(first, np.ndarray) and is_image(first) and given.modality in (None, "image")
    if not image:
        values, labels = [first], [label]
        for row in range(1, total):
            value, label = item(source, row)
            values.append(value)
            labels.append(label)
        samples, notes = samples_of(values, given)
        return samples, labels, notes
    if _hash(first) != _hash(again):
        raise DataError(
            f"{given.where}: gives another sample each time it is asked for row 0; "
            "take random augmentation off"
        )
    labels, digests, vectors = [], [], []
    for row in range(total):
        value, label = item(source, row)
        if not (isinstance(value, np.ndarray) and is_image(value)):
            raise DataError(f"{given.where}: row {row} is no image as row 0 is")
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise DataError(f"{given.where}: row {row} holds {bad_row(value[None])[1]}")
        labels.append(label)
        digests.append(_hash(value))
        vectors.append(_shrunk(value))
    found = Items(source, np.arange(total), tuple(digests), np.stack(vectors))
    return found, labels, ()


def item(source: Any, row: int) -> tuple[Any, Any]:
    """One sample, as NumPy's where it is an array or image, and its label.

    Raises
    ------
    DataError
        When the source raises, or gives other than a sample and a label.
    """
    try:
        found = source[row]
    except Exception as error:  # noqa: BLE001 - whatever a stranger's data set raises
        raise DataError(f"{type(source).__name__}: row {row}: {one_line(error)}") from None
    if isinstance(found, Mapping) or not isinstance(found, Sequence) or len(found) != 2:
        raise DataError(
            f"{type(source).__name__}: row {row} is a {type(found).__name__}; "
            "(sample, label) is allowed"
        )
    label = plain(found[1])
    return plain(found[0]), label.item() if isinstance(
        label, np.ndarray
    ) and label.ndim == 0 else label


def _hash(image: NDArray[Any]) -> bytes:
    digest = hashlib.sha256(f"{image.dtype.str}{image.shape}\0".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def _shrunk(image: NDArray[Any]) -> NDArray[Any]:
    small = resize(channels_last(image), (THUMBNAIL, THUMBNAIL), "area")
    colours = small if small.ndim == 3 else small[..., None]
    return np.broadcast_to(colours, (THUMBNAIL, THUMBNAIL, max(3, colours.shape[2]))).ravel()
