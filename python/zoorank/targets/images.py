"""Decoding and resizing of images by Pillow: upright, opaque, of 8 bits, grey or RGB."""

from __future__ import annotations

import warnings
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoorank.errors import DataError
from zoorank.targets.opening import reading, regular

if TYPE_CHECKING:
    from PIL.Image import Image

Interpolation = Literal["bilinear", "bicubic", "lanczos", "nearest", "area", "hamming"]
Pixels = NDArray[Any]  # (height, width) or (height, width, channels)

THUMBNAIL = 32  # height and width that images are shrunk to for a baseline

_FILTERS = {"area": "BOX"}  # the others have Pillow's names
# EPS and WMF run programs, and of the others Pillow reads the header alone.
_UNREAD = ("EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG")
_BACKGROUND = (255, 255, 255)
FRAMES = "with several frames, of which the first is taken"
TRANSPARENT = "transparent and laid over white"
DEEP = "of 16 bits, divided by 257"


def decode(file: Path | bytes | Image, least: int | None = None) -> Image:
    """Open one image and make 8-bit grey (``L``) or ``RGB`` of it, as a viewer shows it.

    Parameters
    ----------
    file : Path, bytes or PIL.Image.Image
    least : int or None
        A JPEG may be decoded at a half, quarter or eighth of its size as long as no side
        falls below so many pixels; None decodes every pixel.

    Raises
    ------
    DataError
        Naming the file that cannot be read.
    """
    return decode_and_remark(file, least)[0]


def decode_and_remark(
    file: Path | bytes | Image, least: int | None = None
) -> tuple[Image, tuple[str, ...]]:
    """Decode one image and say what was done to it beside: `FRAMES`, `TRANSPARENT`, `DEEP`."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DataError("images need Pillow: pip install 'zoorank[zoo]'") from None
    if isinstance(file, Image.Image):
        return _plain(file)
    name = "a file" if isinstance(file, bytes) else str(file)
    source = BytesIO(file) if isinstance(file, bytes) else regular(file)
    suffix = "" if isinstance(file, bytes) else file.suffix.lower()
    with reading(name, "image"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            opened = Image.open(source, formats=_formats(suffix in known_suffixes()))
        except UnidentifiedImageError:  # whose message names the file once more
            raise ValueError("of no format that Pillow reads here") from None
        with opened as image:
            if least is not None:
                image.draft(None, (least, least))
            return _plain(image)


@cache
def known_suffixes() -> frozenset[str]:
    """Suffixes of the image files that Pillow reads here, in small letters with their dot."""
    from PIL import Image

    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in known if name in Image.OPEN and name not in _UNREAD)


@cache
def _formats(by_suffix: bool) -> list[str]:
    """Formats to try: without a suffix that tells, only those that their first bytes tell."""
    from PIL import Image

    Image.init()
    read = [name for name in Image.ID if name not in _UNREAD]
    return read if by_suffix else [name for name in read if Image.OPEN[name][1] is not None]


def _plain(image: Image) -> tuple[Image, tuple[str, ...]]:
    from PIL import Image as pillow  # noqa: N813

    remarks = [FRAMES] if getattr(image, "n_frames", 1) > 1 else []
    upright = _upright(image)
    if upright.mode.startswith("I"):
        upright = _shallow(upright)
        remarks.append(DEEP)
    elif upright.mode == "F":
        raise ValueError("its pixels are real numbers, whose range is not known")
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info:
        layered = upright.convert("RGBA")
        alpha = layered.getchannel("A")
        if alpha.getextrema() != (255, 255):
            remarks.append(TRANSPARENT)
            opaque = pillow.new("RGB", layered.size, _BACKGROUND)
            opaque.paste(layered, mask=alpha)
            return opaque, tuple(remarks)
    grey = upright.mode in ("1", "L", "LA", "La")
    return upright.convert("L" if grey else "RGB"), tuple(remarks)


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - damaged EXIF data rotate nothing
        return image


def _shallow(image: Image) -> Image:
    """Make 8 bits of 16, which Pillow also holds as 32."""
    from PIL import Image as pillow  # noqa: N813

    pixels = np.asarray(image).astype(np.int64)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError("its pixels are 32-bit integers, whose range is not known")
    return pillow.fromarray(((pixels + 128) // 257).astype(np.uint8))


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


def thumbnail(image: Image) -> NDArray[np.uint8]:
    """Shrink an image to 32 by 32 pixels in one row of three colours each."""
    small = resize_image(image.convert("RGB"), (THUMBNAIL, THUMBNAIL), "bilinear")
    return np.asarray(small).ravel()
