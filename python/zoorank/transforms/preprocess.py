"""Turn rows of a target into the batch a network expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from zoorank.errors import SourceError
from zoorank.targets.base import Target
from zoorank.targets.images import ImageFiles
from zoorank.transforms.specs import ImagePreprocessing, SeriesPreprocessing, TablePreprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LUMA = (0.299, 0.587, 0.114)
AnyPreprocessing = ImagePreprocessing | SeriesPreprocessing | TablePreprocessing
Rows = Union[range, "NDArray[np.int64]"]


def prepare(preprocessing: AnyPreprocessing, target: Target, rows: Rows) -> Tensor:
    """Prepare some samples of a target.

    Whatever a scaling needs to know, it takes from the whole target: a sample comes out the
    same whichever others it is prepared with.

    Parameters
    ----------
    preprocessing : ImagePreprocessing, SeriesPreprocessing or TablePreprocessing
    target : Target
    rows : range or ndarray of int64
        A range steps by 1.

    Returns
    -------
    Tensor
        float32, one entry a row, in the layout the preprocessing names.

    Raises
    ------
    SourceError
        When this kind of network cannot be fed this target.
    """
    match preprocessing:
        case ImagePreprocessing():
            return _images(preprocessing, target, rows)
        case SeriesPreprocessing():
            return _series(preprocessing, target, rows)
        case TablePreprocessing():
            return _table(preprocessing, target, rows)


def _images(spec: ImagePreprocessing, target: Target, rows: Rows) -> Tensor:
    if isinstance(target.X, ImageFiles):
        images = [_to_nchw(target.X[row][None], target) for row in rows]
        if spec.size is None and len({image.shape for image in images}) > 1:
            raise SourceError("the images differ in size; say preprocessing.size")
    else:
        images = [_to_nchw(target.X[_index(rows)], target)]
    scaled = _scaled(images, spec, target)
    batch = torch.cat([_resize(_channels(each, spec), spec) for each in scaled])
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (spec.mean, spec.std))
    batch = (batch - mean) / std
    return batch.permute(0, 2, 3, 1).contiguous() if spec.layout == "nhwc" else batch


def _to_nchw(images: NDArray[Any], target: Target) -> Tensor:
    batch = _tensor(images)
    if batch.ndim == 3:
        return batch[:, None]
    if batch.ndim != 4:
        raise SourceError(f"needs images; the target's samples have shape {target.shape}")
    if batch.shape[-1] in (1, 3):
        return batch.permute(0, 3, 1, 2)
    if batch.shape[1] in (1, 3):
        return batch
    raise SourceError(f"needs 1 or 3 channels; the target's samples have shape {target.shape}")


def _scaled(images: list[Tensor], spec: ImagePreprocessing, target: Target) -> list[Tensor]:
    scaling = spec.scaling
    if scaling == "auto":
        if isinstance(target.X, ImageFiles) or target.X.dtype == np.uint8:
            scaling = 255.0
        else:
            within = target.statistics.minimum >= 0 and target.statistics.maximum <= 1
            scaling = "none" if within else "minmax"
    if scaling == "none":
        return images
    if isinstance(scaling, float):
        return [image / scaling for image in images]
    low, high, mean, std = target.statistics
    offset, width = (mean, std) if scaling == "standardize" else (low, high - low)
    return [(image - offset) / (width or 1.0) for image in images]


def _channels(batch: Tensor, spec: ImagePreprocessing) -> Tensor:
    if batch.shape[1] == spec.channels:
        return batch
    if spec.channels == 3:
        return batch.expand(-1, 3, -1, -1)
    return (batch * torch.tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _resize(batch: Tensor, spec: ImagePreprocessing) -> Tensor:
    if spec.size is None:
        return batch
    height, width = batch.shape[2:]
    new_height, new_width = spec.size
    if spec.fit == "crop":
        ratio = max(new_height / height, new_width / width)
        new_height = max(new_height, round(height * ratio))
        new_width = max(new_width, round(width * ratio))
    if (new_height, new_width) != (height, width):
        smooth = spec.interpolation in ("bilinear", "bicubic")
        batch = interpolate(
            batch,
            size=(new_height, new_width),
            mode=spec.interpolation,
            align_corners=False if smooth else None,
            antialias=smooth,
        )
    top, left = (new_height - spec.size[0]) // 2, (new_width - spec.size[1]) // 2
    return batch[:, :, top : top + spec.size[0], left : left + spec.size[1]].contiguous()


def _series(spec: SeriesPreprocessing, target: Target, rows: Rows) -> Tensor:
    if isinstance(target.X, ImageFiles) or target.X.ndim not in (2, 3):
        raise SourceError(f"needs series; the target's samples have shape {target.shape}")
    batch = torch.from_numpy(target.X[_index(rows)].astype(np.float64))
    batch = batch[:, None] if batch.ndim == 2 else batch
    if batch.shape[1] != spec.channels:
        raise SourceError(
            f"needs {spec.channels} variables a step; the target has {batch.shape[1]}"
        )
    if spec.scaling == "standardize":
        batch = (batch - target.statistics.mean) / (target.statistics.std or 1.0)
    elif spec.scaling == "standardize_each":
        std, mean = torch.std_mean(batch, dim=(1, 2), correction=0, keepdim=True)
        batch = (batch - mean) / torch.where(std > 0, std, 1.0)
    batch = batch.float()
    if spec.length is not None and spec.length != batch.shape[2]:
        batch = interpolate(batch, size=spec.length, mode="linear", align_corners=True)
    if spec.layout == "nl":
        if spec.channels != 1:
            raise SourceError("layout 'nl' holds one variable a step; say 'ncl' or 'nlc'")
        return batch[:, 0]
    return batch.transpose(1, 2).contiguous() if spec.layout == "nlc" else batch


def _table(spec: TablePreprocessing, target: Target, rows: Rows) -> Tensor:
    if isinstance(target.X, ImageFiles) or target.X.ndim != 2:
        raise SourceError(f"needs a table; the target's samples have shape {target.shape}")
    batch = target.X[_index(rows)].astype(np.float64)
    if spec.scaling != "none":
        columns = target.columns
        offset, width = (
            (columns.minimum, columns.maximum - columns.minimum)
            if spec.scaling == "minmax"
            else (columns.mean, columns.std)
        )
        batch = (batch - offset) / np.where(width > 0, width, 1.0)
    return _tensor(batch)


def _index(rows: Rows) -> slice | NDArray[np.int64]:
    """Rows that follow each other are read at once, which counts where X is a file."""
    return slice(rows.start, rows.stop) if isinstance(rows, range) else rows


def _tensor(X: NDArray[Any]) -> Tensor:
    # A copy: the target may be read-only, mapped from a file or of another type.
    return torch.from_numpy(np.array(X, dtype=np.float32, order="C"))
