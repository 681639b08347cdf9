"""Images that stay on disk until a batch needs them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoorank.errors import DataError
from zoorank.messages import one_line

_KEPT_BYTES = 256 * 2**20
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


class ImageFiles(Sequence[NDArray[np.uint8]]):
    """A sequence of RGB images of any sizes, one file each.

    Every file is decoded once at construction, so that a broken one is found before
    hours of work. The pixels are kept while they fit into 256 MB and decoded again,
    batch by batch, where they do not.

    Parameters
    ----------
    paths : sequence of Path
    kept_bytes : int
        How much to keep in memory.

    Raises
    ------
    DataError
        Naming the first file that is no readable 8-bit image.
    """

    def __init__(self, paths: Sequence[Path], kept_bytes: int = _KEPT_BYTES) -> None:
        self.paths = tuple(paths)
        kept: list[NDArray[np.uint8]] | None = []
        for path in self.paths:
            image = decode(path)
            if kept is not None:
                kept.append(image)
                kept_bytes -= image.nbytes
                kept = kept if kept_bytes >= 0 else None
        self._kept = kept

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> NDArray[np.uint8]:  # type: ignore[override]
        return self._kept[row] if self._kept is not None else decode(self.paths[row])

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self[row] for row in range(len(self)))

    def take(self, rows: Sequence[int]) -> ImageFiles:
        """Select some of the images without decoding any again."""
        subset = ImageFiles(())
        subset.paths = tuple(self.paths[row] for row in rows)
        subset._kept = [self._kept[row] for row in rows] if self._kept is not None else None
        return subset


def decode(path: Path) -> NDArray[np.uint8]:
    """Read one image as ``(height, width, 3)``; grey is repeated, transparency dropped."""
    try:
        from PIL import Image
    except ImportError:
        raise DataError("an image folder needs Pillow: pip install pillow") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.mode not in _MODES:
                    raise DataError(f"{path}: mode {image.mode} is not an 8-bit image")
                return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a readable image: {one_line(error)}") from None
