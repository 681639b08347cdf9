"""Images as a network wants them: decoded and resized by Pillow, scaled by NumPy."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import SourceError
from zoorank.targets.base import Sample, Target
from zoorank.targets.images import channels_last, decode, is_image, resize
from zoorank.transforms.base import ONLY, Batch, Prepared
from zoorank.transforms.specs import ImagePreprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image
    from typing_extensions import Self

_LUMA = (0.299, 0.587, 0.114)
# A JPEG is decoded at a fraction of its size as long as this many times the size asked for is
# left, which is Pillow's own measure for a result that hardly differs from that of all pixels.
_GAP = 2
# Of a picture that is far longer than wide most would be resized to be cropped away: only
# twice as much as is kept, where the whole would take hundreds of megabytes.
_MOST_PIXELS = 2**26
_MARGIN = 64


@dataclass(frozen=True)
class ImageTransform:
    """Decode, resize, crop, scale and lay out images.

    Attributes
    ----------
    spec : ImagePreprocessing
    offset, width : float or None
        Of the whole target, once fitted: a value is taken minus the one over the other. None
        where 8-bit pixels are divided by 255 or the specification says a number.
    """

    spec: ImagePreprocessing
    offset: float | None = None
    width: float | None = None

    @property
    def key(self) -> str:
        """What `prepare` depends on; scaling, colours and layout come with the batch."""
        spec = self.spec
        if spec.size is None:
            return "image"
        before = spec.resize if spec.crop_pct is None else f"/{spec.crop_pct}"
        return f"image {spec.size} {spec.fit} {before} {spec.interpolation}"

    def fitted(self, target: Target) -> ImageTransform:
        """The same with range or mean and deviation of the target, where its scaling asks."""
        if target.modality not in ("image", "series", "table"):
            raise SourceError(f"needs images; the target's samples have shape {target.shape}")
        first = target.take(range(1))[0]
        if isinstance(first, np.ndarray) and not is_image(first):
            needs = "1 or 3 channels" if first.ndim == 3 else "images"
            raise SourceError(f"needs {needs}; the target's samples have shape {target.shape}")
        scaling = self.spec.scaling
        if scaling == "auto" and isinstance(first, np.ndarray) and first.dtype != np.uint8:
            within = target.statistics.minimum >= 0 and target.statistics.maximum <= 1
            scaling = "none" if within else "minmax"
        if scaling == "none":
            return replace(self, offset=0.0, width=1.0)
        if isinstance(scaling, float) or scaling == "auto":
            return self
        low, high, mean, std = target.statistics
        offset, width = (mean, std) if scaling == "standardize" else (low, high - low)
        return replace(self, offset=offset, width=width or 1.0)

    def prepare(self, sample: Sample) -> Prepared:
        """Make one image of the network's size: uint8 stays uint8, all else becomes float32.

        Grey images are ``(height, width)``, others ``(height, width, channels)``.
        """
        size = self.spec.size
        if isinstance(sample, np.ndarray):
            image = channels_last(sample)
            if image.dtype != np.uint8:
                image = image.astype(np.float32)
        else:
            whole = size is None
            image = np.asarray(decode(sample, None if whole else _GAP * max(self._before_crop())))
        if size is None:
            return Prepared(image)
        if math.prod(self._resized(image.shape[:2])) > max(_MOST_PIXELS, 4 * math.prod(size)):
            image = self._middle(image, size)
        resized = resize(image, self._resized(image.shape[:2]), self.spec.interpolation)
        # Halves are rounded as torchvision's CenterCrop rounds them.
        top, left = (round((resized.shape[axis] - size[axis]) / 2) for axis in (0, 1))
        return Prepared(resized[top : top + size[0], left : left + size[1]])

    def collate(self, prepared: Sequence[Prepared]) -> Batch:
        """Make float32 of several, with the network's channels, scale and layout."""
        spec = self.spec
        pixels = self._scaled(_stacked([each.value for each in prepared]))
        if spec.channels == 1 and pixels.ndim == 4:
            red, green, blue = (pixels[..., k] * np.float32(_LUMA[k]) for k in range(3))
            pixels = red + green + blue
        if pixels.ndim == 3:
            pixels = np.broadcast_to(pixels[..., None], (*pixels.shape, spec.channels))
        if spec.channel_order == "bgr":
            pixels = pixels[..., ::-1]
        if spec.layout == "nchw":
            pixels = pixels.transpose(0, 3, 1, 2)
        batch = np.array(pixels, order="C")
        low, high = spec.value_range
        if (low, high) != (0.0, 1.0):
            batch *= high - low
            batch += low
        axes = (-1, 1, 1) if spec.layout == "nchw" else (-1,)
        batch -= np.array(spec.mean, dtype=np.float32).reshape(axes)
        batch /= np.array(spec.std, dtype=np.float32).reshape(axes)
        return Batch({ONLY: batch}, len(prepared))

    def _scaled(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        scaling = self.spec.scaling
        if self.offset is not None and self.width is not None:
            return (pixels.astype(np.float32) - self.offset) / self.width
        if isinstance(scaling, float):
            return pixels.astype(np.float32) / scaling
        if scaling == "auto" and pixels.dtype == np.uint8:
            return pixels.astype(np.float32) / 255.0
        raise ValueError(f"scaling {scaling!r} needs a transform that was fitted to a target")

    def _before_crop(self) -> tuple[int, int]:
        """Height and width that an image has to cover when it is resized."""
        spec = self.spec
        size = spec.size or (1, 1)
        if spec.crop_pct is not None:
            return math.floor(size[0] / spec.crop_pct), math.floor(size[1] / spec.crop_pct)
        if spec.resize is None:
            return size
        return spec.resize if isinstance(spec.resize, tuple) else (spec.resize, spec.resize)

    def _middle(self, image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
        """Take about twice as much of an image's middle as the crop needs."""
        parts = []
        for side, resized, kept in zip(
            image.shape, self._resized(image.shape[:2]), size, strict=False
        ):
            needed = min(side, math.ceil(side * (2 * kept + _MARGIN) / resized))
            start = (side - needed) // 2  # both ways, so that the centre stays
            parts.append(slice(start, side - start))
        return image[tuple(parts)]

    def _resized(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Height and width that an image of some shape is resized to before it is cropped."""
        height, width = self._before_crop()
        if self.spec.fit == "stretch" or isinstance(self.spec.resize, tuple):
            return height, width
        # The longer side is rounded down, as torchvision's Resize does.
        if height * shape[1] >= width * shape[0]:
            return height, max(width, shape[1] * height // shape[0])
        return max(height, shape[0] * width // shape[1]), width


class PillowTransform(ABC):
    """Images as code of others prepares them, which takes one image of Pillow's in colours."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What the code is called in messages."""

    @abstractmethod
    def made(self, image: Image) -> NDArray[Any]:
        """What it makes of an image, such as ``(channels, height, width)``."""

    def fitted(self, target: Target) -> Self:
        """Return the same, once the target holds images."""
        if target.modality != "image":
            raise SourceError(f"needs images; the target holds {target.modality} samples")
        return self

    def prepare(self, sample: Sample) -> Prepared:
        """Decode an image and have it prepared."""
        if not isinstance(sample, np.ndarray):
            return Prepared(self.made(decode(sample).convert("RGB")))
        if sample.dtype != np.uint8:
            raise SourceError(
                f"its {self.name} takes 8-bit images; the target's are {sample.dtype}: say the "
                "whole preprocessing instead"
            )
        from PIL import Image

        pixels = channels_last(sample)
        grey = pixels[..., 0] if pixels.shape[2:] == (1,) else pixels
        return Prepared(self.made(Image.fromarray(np.ascontiguousarray(grey)).convert("RGB")))

    def collate(self, prepared: Sequence[Prepared]) -> Batch:
        """Stack what was made of several images."""
        values = [each.value for each in prepared]
        if len({value.shape for value in values}) > 1:
            raise SourceError(f"its {self.name} gives images of several sizes: say their size")
        return Batch({ONLY: np.stack(values)}, len(values))


def _stacked(images: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Put images into one array: ``(n, height, width)`` where all are grey, else with colours."""
    if len({image.shape[:2] for image in images}) > 1:
        raise SourceError("the images differ in size; say preprocessing.size")
    grey = [image[..., 0] if image.shape[2:] == (1,) else image for image in images]
    if all(image.ndim == 2 for image in grey):
        return np.stack(grey)
    return np.stack([_colour(image) for image in grey])


def _colour(image: NDArray[Any]) -> NDArray[Any]:
    return image if image.ndim == 3 else np.broadcast_to(image[..., None], (*image.shape, 3))
