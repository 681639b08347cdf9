"""Images that stay on disk until a batch needs them; decoding and resizing by Pillow."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoorank.errors import DataError
from zoorank.messages import one_line
from zoorank.targets.base import Digest, Modality, Rows

if TYPE_CHECKING:
    from PIL.Image import Image

Interpolation = Literal["bilinear", "bicubic", "lanczos", "nearest", "area", "hamming"]
Pixels = NDArray[Any]  # (height, width) or (height, width, channels)

THUMBNAIL = 32  # height and width that images are shrunk to for a baseline

_FILTERS = {"area": "BOX"}  # the others have Pillow's names
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images of any sizes, one file each.

    Attributes
    ----------
    root : Path
        Folder that they lie in.
    names : tuple of str
        Of the files, relative to the folder.
    """

    root: Path
    names: tuple[str, ...]
    modality: Modality = "image"

    @property
    def shape(self) -> str:
        """Shape of one sample, for messages."""
        return "(height, width, 3)"

    @property
    def starts(self) -> None:
        """Every sample is a row."""
        return

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the files lie."""
        return tuple(self.root / name for name in self.names)

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Rows) -> Sequence[Path]:
        """Paths of some images."""
        return [self.root / self.names[row] for row in rows]

    def subset(self, rows: NDArray[np.int64]) -> ImageFiles:
        """Some of the images."""
        return ImageFiles(self.root, tuple(self.names[row] for row in rows))

    def hash_into(self, digest: Digest) -> None:
        """Feed the name and the bytes of every file to a digest."""
        for name, path in zip(self.names, self.paths, strict=True):
            digest.update(os.fsencode(name) + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())

    def blocks(self) -> Iterator[Pixels]:
        """Every image as ``(1, height, width, 3)``."""
        return (np.asarray(decode(path).convert("RGB"))[None] for path in self.paths)

    def baseline(self) -> NDArray[np.float32]:
        """Every image shrunk to 32 by 32 pixels, in one row."""
        return np.stack([_thumbnail(path) for path in self.paths])

    def spilled(self, path: Path) -> ImageFiles:  # noqa: ARG002
        """Return the same: nothing lies in memory."""
        return self

    def read_as(self, modality: Modality) -> ImageFiles:
        """Refuse to take images for anything else."""
        if modality != "image":
            raise DataError(f"{self.root}: holds image files, which are no {modality}")
        return self

    def check(self, name: str) -> None:
        """Accept them all: the reader has decoded them."""

    def decode_all(self) -> None:
        """Decode every image once, so that a broken one is found before hours of work."""
        for path in self.paths:
            decode(path, least=THUMBNAIL).load()


def decode(file: Path, least: int | None = None) -> Image:
    """Open one image and decode it, grey as ``L`` and all else as ``RGB``.

    Parameters
    ----------
    file : Path
    least : int or None
        A JPEG may be decoded at a half, quarter or eighth of its size as long as no side
        falls below so many pixels; None decodes every pixel.

    Raises
    ------
    DataError
        Naming the file that is no readable 8-bit image.
    """
    try:
        from PIL import Image
    except ImportError:
        raise DataError("images need Pillow: pip install pillow") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                if image.mode not in _MODES:
                    raise DataError(f"{file}: mode {image.mode} is not an 8-bit image")
                if least is not None:
                    image.draft(None, (least, least))
                decoded: Image.Image = image.convert("L" if image.mode in ("1", "L") else "RGB")
                return decoded
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        raise DataError(f"{file}: not a readable image: {one_line(error)}") from None


def is_image(array: NDArray[Any]) -> bool:
    """Whether an array has the axes of a grey or a colour image."""
    return array.ndim == 2 or (array.ndim == 3 and not {1, 3}.isdisjoint(array.shape[::2]))


def channels_last(image: Pixels) -> Pixels:
    """Turn ``(channels, height, width)`` into ``(height, width, channels)``.

    Examples
    --------
    >>> channels_last(np.zeros((3, 8, 10))).shape, channels_last(np.zeros((8, 10))).shape
    ((8, 10, 3), (8, 10))
    """
    return image if image.ndim == 2 or image.shape[2] in (1, 3) else image.transpose(1, 2, 0)


def resize(image: Pixels, size: tuple[int, int], interpolation: Interpolation) -> Pixels:
    """Resize an image as Pillow does, and so torchvision's and timm's own transforms.

    Parameters
    ----------
    image : ndarray of shape (height, width) or (height, width, channels)
        uint8 stays uint8; everything else becomes float32, a channel at a time.
    size : (int, int)
        New height and width.
    interpolation : str
        All but nearest smooth when they shrink.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, channels)
    """
    if image.shape[:2] == size:
        return image
    if image.ndim == 3 and (image.dtype != np.uint8 or image.shape[2] != 3):
        channels = [resize(image[:, :, k], size, interpolation) for k in range(image.shape[2])]
        return np.stack(channels, axis=2)
    from PIL import Image

    kept = image if image.dtype == np.uint8 else image.astype(np.float32)
    picture = Image.fromarray(np.ascontiguousarray(kept))
    return np.asarray(resize_image(picture, size, interpolation))


def resize_image(image: Image, size: tuple[int, int], interpolation: Interpolation) -> Image:
    """Resize a Pillow image to a height and a width."""
    from PIL.Image import Resampling

    name = _FILTERS.get(interpolation, interpolation.upper())
    return image.resize((size[1], size[0]), Resampling[name])


def _thumbnail(path: Path) -> NDArray[np.float32]:
    size = (THUMBNAIL, THUMBNAIL)
    small = resize_image(decode(path, least=2 * THUMBNAIL).convert("RGB"), size, "bilinear")
    return np.asarray(small, dtype=np.float32).ravel()
