"""Preprocessing as version 0.1 did it with torch, for arrays that are not resized."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoorank.targets.base import Target
from zoorank.transforms.specs import ImagePreprocessing, SeriesPreprocessing, TablePreprocessing

_LUMA = (0.299, 0.587, 0.114)


def prepared(spec, target: Target, rows) -> Tensor:
    """One float32 entry a row, in the layout that the specification names."""
    match spec:
        case ImagePreprocessing():
            return _images(spec, target, rows)
        case SeriesPreprocessing():
            return _series(spec, target, rows)
        case TablePreprocessing():
            return _table(spec, target, rows)


def _images(spec: ImagePreprocessing, target: Target, rows) -> Tensor:
    batch = _tensor(target.X[rows])
    if batch.ndim == 3:
        batch = batch[:, None]
    elif batch.shape[-1] in (1, 3):
        batch = batch.permute(0, 3, 1, 2)
    scaling = spec.scaling
    if scaling == "auto":
        within = target.statistics.minimum >= 0 and target.statistics.maximum <= 1
        scaling = 255.0 if target.X.dtype == np.uint8 else "none" if within else "minmax"
    if isinstance(scaling, float):
        batch = batch / scaling
    elif scaling != "none":
        low, high, mean, std = target.statistics
        offset, width = (mean, std) if scaling == "standardize" else (low, high - low)
        batch = (batch - offset) / (width or 1.0)
    if batch.shape[1] != spec.channels:
        luma = torch.tensor(_LUMA).view(1, 3, 1, 1)
        expanded = spec.channels == 3
        batch = batch.expand(-1, 3, -1, -1) if expanded else (batch * luma).sum(1, keepdim=True)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (spec.mean, spec.std))
    batch = (batch - mean) / std
    return batch.permute(0, 2, 3, 1).contiguous() if spec.layout == "nhwc" else batch


def _series(spec: SeriesPreprocessing, target: Target, rows) -> Tensor:
    batch = torch.from_numpy(target.X[rows].astype(np.float64))
    batch = batch[:, None] if batch.ndim == 2 else batch
    if spec.scaling == "standardize":
        batch = (batch - target.statistics.mean) / (target.statistics.std or 1.0)
    elif spec.scaling == "standardize_each":
        std, mean = torch.std_mean(batch, dim=(1, 2), correction=0, keepdim=True)
        batch = (batch - mean) / torch.where(std > 0, std, 1.0)
    batch = batch.float()
    if spec.length is not None and spec.length != batch.shape[2]:
        batch = torch.nn.functional.interpolate(
            batch, size=spec.length, mode="linear", align_corners=True
        )
    if spec.layout == "nl":
        return batch[:, 0]
    return batch.transpose(1, 2).contiguous() if spec.layout == "nlc" else batch


def _table(spec: TablePreprocessing, target: Target, rows) -> Tensor:
    batch = target.X[rows].astype(np.float64)
    if spec.scaling != "none":
        X = target.X.astype(np.float64)
        offset, width = (
            (X.min(axis=0), X.max(axis=0) - X.min(axis=0))
            if spec.scaling == "minmax"
            else (X.mean(axis=0), X.std(axis=0))
        )
        batch = (batch - offset) / np.where(width > 0, width, 1.0)
    return _tensor(batch)


def _tensor(X: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(X, dtype=np.float32, order="C"))
