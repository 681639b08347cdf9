"""Arrays of several shapes, and sounds, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import bad_row
from zoorank.targets import audio
from zoorank.targets.base import Modality, Rows, Sample
from zoorank.targets.images import THUMBNAIL, channels_last, is_image, resize
from zoorank.targets.packed import Packed
from zoorank.targets.samples import Digest, Form, Survey

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Ragged(Form):
    """Arrays of one type and several shapes: images of any sizes, or sounds with their rates.

    Attributes
    ----------
    packed : Packed
        Their values.
    dtype : dtype
    shapes : tuple of tuple of int
    modality : {"image", "audio"}
    rates : tuple of int
        Of sounds, samples a second.
    """

    packed: Packed
    dtype: np.dtype[Any]
    shapes: tuple[tuple[int, ...], ...]
    modality: Modality
    rates: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, arrays: Sequence[NDArray[Any]], modality: Modality, rates: Sequence[int] = ()
    ) -> Ragged:
        """Put arrays one behind the other."""
        dtype = np.result_type(*{array.dtype for array in arrays})
        packed = Packed.of(np.ascontiguousarray(array, dtype=dtype).tobytes() for array in arrays)
        shapes = tuple(array.shape for array in arrays)
        return cls(packed, dtype, shapes, modality, tuple(rates))

    @property
    def shape(self) -> str:
        """Shape of one sample, for messages."""
        return "(time)" if self.modality == "audio" else "(height, width, channels)"

    def __len__(self) -> int:
        return len(self.shapes)

    def array(self, row: int) -> NDArray[Any]:
        """The values of one sample."""
        return np.frombuffer(self.packed[row], dtype=self.dtype).reshape(self.shapes[row])

    def take(self, rows: Rows) -> Sequence[Sample]:
        """Some arrays, or pairs of a waveform and its rate."""
        if self.rates:
            return [(self.array(row), self.rates[row]) for row in map(int, rows)]
        return [self.array(int(row)) for row in rows]

    def subset(self, rows: NDArray[np.int64]) -> Ragged:
        """Some of the samples."""
        return replace(
            self,
            packed=self.packed.subset(rows),
            shapes=tuple(self.shapes[row] for row in rows),
            rates=tuple(self.rates[row] for row in rows) if self.rates else (),
        )

    def hash_into(self, digest: Digest) -> None:
        """Feed types, shapes, rates and values to a digest."""
        digest.update(f"{self.dtype.str}{self.shapes}{self.rates}\0".encode())
        for content in self.packed:
            digest.update(content)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """The values of one sample after the other, behind an axis of length 1."""
        return (self.array(row)[None] for row in range(len(self)))

    def baseline(self) -> NDArray[np.float32]:
        """Every image shrunk to 32 by 32 pixels, or the spectrum of every sound, in one row."""
        if self.modality == "audio":
            spectra = [audio.spectrum(*sound) for sound in self.take(range(len(self)))]
            return np.stack(spectra)
        size = (THUMBNAIL, THUMBNAIL)
        small = [resize(channels_last(self.array(row)), size, "area") for row in range(len(self))]
        colours = [image if image.ndim == 3 else image[..., None] for image in small]
        wide = max(image.shape[2] for image in colours)
        rows = [np.broadcast_to(image, (*size, wide)).ravel() for image in colours]
        return np.stack(rows).astype(np.float32)

    def spilled(self, path: Path) -> Ragged:
        """The same with the values in one file."""
        return replace(self, packed=self.packed.spilled(path))

    def changed(self) -> str | None:
        """Name of the file that the values are in, if it is not any more as it was."""
        return self.packed.changed()

    def survey(self, name: str, digest: Digest) -> Survey:
        """Refuse what is no image or sound, or holds other than finite numbers."""
        for row, shape in enumerate(self.shapes):
            values = self.array(row)
            fits = values.ndim == 1 if self.modality == "audio" else is_image(values)
            if not fits or not values.size:
                raise DataError(f"{name}: row {row} has shape {shape}, which is no {self.modality}")
            if values.dtype.kind not in "iubf":
                raise DataError(f"{name}: values of type {values.dtype}; real numbers are allowed")
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise DataError(f"{name}: row {row} holds {bad_row(values[None])[1]}")
        self.hash_into(digest)
        return Survey(self)
