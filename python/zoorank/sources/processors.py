"""Image processors of transformers: as a specification where one says the same, else themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from zoorank.errors import SourceError
from zoorank.messages import listing, reason
from zoorank.sources.base import Entry
from zoorank.sources.published import override
from zoorank.transforms.base import Transform
from zoorank.transforms.image import ImageTransform, PillowTransform
from zoorank.transforms.specs import LARGEST_SIDE, ImagePreprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

# Pillow's numbers for its filters, in which processors are written down.
_FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "area", "hamming")
# Resizing by another library than Pillow moves a value by a step of 8 bits or two. Another filter,
# or another part of the image, moves them by a tenth of the range.
_MEAN_STEPS, _MOST_STEPS = 1.0, 12.0
# Where the centre lies between two pixels, each library has its own way to round.
_SHIFTS = [(down, right) for down in (0, -1, 1) for right in (0, -1, 1)]
_NOT_OF_PIXELS = {"input", "pooling", "batch_first"}
_WHOLE = {"size", "mean", "std"}
_TRIAL = (301, 447)  # height and width of an image that neither is square nor has even sides


@dataclass(frozen=True)
class ProcessorTransform(PillowTransform):
    """Images as a processor of transformers prepares them, where no specification says it.

    Attributes
    ----------
    processor : transformers.BaseImageProcessor
    """

    processor: Any = field(repr=False)

    @cached_property
    def key(self) -> str:
        """The content of the processor."""
        content = f"{self.name} {self.processor.to_json_string()}"
        return f"processor {hashlib.sha256(content.encode()).hexdigest()}"

    @property
    def name(self) -> str:
        """The class of the processor."""
        return type(self.processor).__qualname__

    def made(self, image: Image) -> NDArray[np.float32]:
        """What the processor makes of an image."""
        return run(self.processor, image)


def transform_of(processor: Any, entry: Entry) -> Transform:
    """Find how images are prepared for a model: what the manifest says, else its processor.

    Parameters
    ----------
    processor : transformers.BaseImageProcessor or None
    entry : Entry

    Returns
    -------
    Transform
        An `ImageTransform` where a specification prepares a trial image as the processor
        does, so that sources with equal settings share prepared images.

    Raises
    ------
    SourceError
        When nothing says how images are prepared, or a part is said of what is only known as
        a whole.
    """
    said = entry.preprocessing
    if processor is None:
        if said is None:
            raise SourceError("it has no preprocessor_config.json; say preprocessing in a manifest")
        return ImageTransform(override(ImagePreprocessing(), entry))
    described = describe(processor)
    if described is not None and agrees(described, processor):
        return ImageTransform(override(described, entry))
    parts = set() if said is None else said.model_fields_set - _NOT_OF_PIXELS
    if not parts:
        return ProcessorTransform(processor)
    if not parts >= _WHOLE:
        raise SourceError(
            f"its {type(processor).__name__} does more than a manifest can say, so no part of it "
            f"can be replaced; say {listing(sorted(_WHOLE))}, which replace the whole"
        )
    return ImageTransform(override(ImagePreprocessing(), entry))


def describe(processor: Any) -> ImagePreprocessing | None:
    """Turn a processor into a specification, or give None where its settings say more."""

    def get(name: str, switch: str = "") -> Any:
        on = not switch or getattr(processor, switch, True)
        return getattr(processor, name, None) if on else None

    size, crop = _sides(get("size", "do_resize")), _sides(get("crop_size", "do_center_crop"))
    part = get("crop_pct", "do_resize")
    fields: dict[str, Any] = {}
    match size, crop:
        case None, _:
            return None
        case (int(), int()), None:
            fields |= {"size": size, "fit": "stretch"}
        case int(), None if part:  # ConvNeXt crops small images, and stretches large ones
            small = size < 384
            fields |= {"size": (size, size), "fit": "crop" if small else "stretch"}
            fields |= {"resize": int(size / part)} if small else {}
        case _, (int(), int()) if part:
            sides = (size, size) if isinstance(size, int) else size
            fields |= {"size": crop, "fit": "crop", "resize": tuple(int(s / part) for s in sides)}
            fields["resize"] = fields["resize"][0] if isinstance(size, int) else fields["resize"]
        case _, (int(), int()):
            fields |= {"size": crop, "fit": "crop", "resize": size}
        case _:
            return None
    factor = get("rescale_factor", "do_rescale")
    mean, std = get("image_mean", "do_normalize"), get("image_std", "do_normalize")
    low, high = 0.0, 255.0 * factor if factor else 255.0
    fields |= {"value_range": (low, high)} if abs(high - 1) > 1e-6 else {}
    fields |= {"mean": mean} if mean else {}
    fields |= {"std": std} if std else {}
    if get("do_flip_channel_order"):
        fields["channel_order"] = "bgr"
    filtering = get("resample")
    fields["interpolation"] = (
        _FILTERS[int(filtering)] if isinstance(filtering, int) else getattr(filtering, "value", "")
    )
    try:
        return ImagePreprocessing.model_validate(fields)
    except ValidationError:
        return None


def agrees(described: ImagePreprocessing, processor: Any) -> bool:
    """Whether a specification prepares a trial image as a processor does."""
    from PIL import Image

    noise = np.random.default_rng(0).normal(size=(*_TRIAL, 3))
    # Structure of a few pixels: less would vanish when it is resized, more would hide a shift.
    smooth = sum(np.roll(noise, shift, axis) for shift in range(5) for axis in (0, 1))
    pixels = np.clip(128 + 20 * smooth, 0, 255).astype(np.uint8)
    transform = ImageTransform(described)
    try:
        theirs = run(processor, Image.fromarray(pixels))
    except SourceError:
        return False
    ours = transform.collate([transform.prepare(pixels)]).only[0]
    if ours.shape != theirs.shape:
        return False
    step = np.ptp(theirs, axis=(1, 2), keepdims=True) / 255 + 1e-12
    for shift in _SHIFTS:
        steps = (np.abs(np.roll(ours, shift, (1, 2)) - theirs) / step)[:, 1:-1, 1:-1]
        if steps.mean() < _MEAN_STEPS and steps.max() < _MOST_STEPS:
            return True
    return False


def run(processor: Any, image: Any) -> NDArray[np.float32]:
    """Prepare one image of Pillow's with a processor: ``(channels, height, width)``.

    Raises
    ------
    SourceError
        When the processor gives no single image.
    """
    name = type(processor).__name__
    if max(_largest(processor), default=0) > LARGEST_SIDE:
        raise SourceError(f"its {name} makes images of more than {LARGEST_SIDE} pixels a side")
    try:
        values = np.asarray(processor(images=image, return_tensors="np")["pixel_values"])
    except Exception as error:  # a processor is a library's code: anything may come
        raise SourceError(f"its {name} cannot prepare an image: {reason(error)}") from error
    if values.ndim != 4 or len(values) != 1:
        raise SourceError(f"its {name} makes {values.shape} of an image, not one image")
    image_values: NDArray[np.float32] = values[0].astype(np.float32)
    return image_values


def _largest(processor: Any) -> Iterator[int]:
    """The larger side of every size that a processor resizes, pads or crops images to."""
    for name in ("size", "crop_size", "pad_size"):
        sides = _sides(getattr(processor, name, None))
        if sides is not None:
            yield sides if isinstance(sides, int) else max(sides)


def _sides(size: Any) -> int | tuple[int, int] | None:
    """The shorter side, or height and width, of a size as processors write it down."""
    if size is None or isinstance(size, int):
        return size
    said = {
        key: getattr(size, key, None) if not isinstance(size, dict) else size.get(key)
        for key in ("height", "width", "shortest_edge", "longest_edge")
    }
    if said["longest_edge"]:
        return None
    if said["height"] and said["width"]:
        return int(said["height"]), int(said["width"])
    return int(said["shortest_edge"]) if said["shortest_edge"] else None
