"""Samples of a target, small enough to be shown many at a time."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zoorank.messages import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

THUMBNAIL_SIDE = 64
TEXT_LENGTH = 240
SERIES_POINTS = 60
SHOWN_COLUMNS = 8


@dataclass(frozen=True)
class Preview:
    """One sample, small.

    Attributes
    ----------
    kind : {"image", "series", "text"}
    content : str or tuple of int
        A ``data:`` address of an image; a series between 0 and 100; or text.
    """

    kind: Literal["image", "series", "text"]
    content: str | tuple[int, ...]


def previews(samples: Sequence[Any], modality: str) -> tuple[Preview, ...]:
    """Samples, small; one that cannot be read says so.

    Parameters
    ----------
    samples : sequence
        Not decoded: arrays, paths or bytes of images; arrays of series and of tables; texts,
        pairs of texts, or lists of words.
    modality : {"image", "series", "table", "text", "audio"}
    """
    arrays = [np.asarray(sample) for sample in samples if isinstance(sample, np.ndarray)]
    numbers = [each for each in arrays if each.size and each.dtype.kind in "uif"]
    low = min((float(each.min()) for each in numbers), default=0.0)
    high = max((float(each.max()) for each in numbers), default=1.0)
    return tuple(_preview(sample, modality, low, high) for sample in samples)


def _preview(sample: Any, modality: str, low: float, high: float) -> Preview:
    try:
        if modality == "image":
            return Preview("image", thumbnail(sample, low, high))
        if modality == "series":
            return Preview("series", curve(np.asarray(sample)))
        if modality == "audio" and isinstance(sample, tuple):
            return Preview("series", curve(np.asarray(sample[0])))
    except (OSError, ValueError, TypeError) as error:
        return Preview("text", f"cannot be shown: {one_line(error)}")
    return Preview("text", in_words(sample))


def thumbnail(sample: Any, low: float, high: float) -> str:
    """An image of at most 64 pixels a side as a ``data:`` address.

    Parameters
    ----------
    sample : ndarray, path or bytes
    low, high : float
        Black and white of arrays that are not of bytes.
    """
    from PIL import Image, ImageOps

    if isinstance(sample, np.ndarray):
        image = Image.fromarray(_pixels(sample, low, high))
    else:
        file = io.BytesIO(sample) if isinstance(sample, bytes) else os.fspath(sample)
        with Image.open(file) as opened:
            opened.draft("RGB", (2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE))
            image = ImageOps.exif_transpose(opened).convert("RGB")
    small = max(image.size) <= THUMBNAIL_SIDE // 2
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    out = io.BytesIO()
    if small:
        image.save(out, "PNG", optimize=True)
    else:
        image.convert("RGB").save(out, "JPEG", quality=70, optimize=True)
    mime = "png" if small else "jpeg"
    return f"data:image/{mime};base64,{base64.b64encode(out.getvalue()).decode()}"


def _pixels(sample: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Grey or RGB bytes of an array (height, width), channels first or last."""
    values = sample
    if values.ndim == 3 and values.shape[0] in (1, 3) and values.shape[-1] not in (1, 3):
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.dtype != np.uint8:
        scaled = (values.astype(np.float64) - low) / max(high - low, 1e-12)
        values = np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
    return np.ascontiguousarray(values[..., :3] if values.ndim == 3 else values)


def curve(values: NDArray[Any]) -> tuple[int, ...]:
    """A series between 0 and 100 at a few points; of several variables the first.

    Examples
    --------
    >>> curve(np.array([[0.0, 1.0, 0.5]]))
    (0, 100, 50)
    """
    line = values.astype(np.float64).reshape(-1, values.shape[-1])[0]
    at = np.linspace(0, len(line) - 1, min(len(line), SERIES_POINTS)).round().astype(int)
    points = np.nan_to_num(line[at])
    span = max(float(np.ptp(points)), 1e-12)
    return tuple(np.rint(100 * (points - points.min()) / span).astype(int).tolist())


def in_words(sample: Any) -> str:
    """A text, the words of a sentence, the first numbers of a table's row, the name of a file.

    Examples
    --------
    >>> in_words(["to", "be"]), in_words(np.arange(9) / 2), in_words(("premise", "claim"))
    ('to be', '0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, …', 'premise / claim')
    """
    if isinstance(sample, np.ndarray):
        numbers = [f"{each:.4g}" for each in sample.ravel()[:SHOWN_COLUMNS].tolist()]
        return ", ".join([*numbers, *(["…"] if sample.size > SHOWN_COLUMNS else [])])
    if isinstance(sample, tuple):
        text = " / ".join(map(str, sample))
    elif isinstance(sample, list):
        text = " ".join(map(str, sample))
    else:
        text = os.fspath(sample) if isinstance(sample, os.PathLike) else str(sample)
    return text if len(text) <= TEXT_LENGTH else f"{text[: TEXT_LENGTH - 1]}…"
