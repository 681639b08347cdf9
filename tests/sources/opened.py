"""A network and a batch of tensors behind the protocol of encoders, for tests of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoorank.sources.base import Cut, OpenOptions
from zoorank.sources.torch.cuts import AxisPooling, ModuleCut
from zoorank.sources.torch.encoder import TorchEncoder
from zoorank.targets.base import Rows, Target
from zoorank.transforms import transform_of
from zoorank.transforms.base import ONLY, Batch


def batch_of(example: Tensor) -> Batch:
    return Batch({ONLY: np.array(example.numpy())}, len(example))


def prepared(preprocessing: Any, target: Target, rows: Rows) -> Tensor:
    transform = transform_of(preprocessing).fitted(target)
    samples = [transform.prepare(sample) for sample in target.take(rows)]
    return torch.from_numpy(transform.collate(samples).only)


def opened(
    model: nn.Module,
    pooling: str | None = None,
    batch_first: bool | None = None,
    layout: str = "",
    **settings: Any,
) -> TorchEncoder:
    declared = settings.pop("is_declared", True)
    pooler = settings.pop("pooler", AxisPooling(pooling, declared, batch_first, layout))
    options = OpenOptions("image", device="cpu", **settings.pop("options", {}))
    return TorchEncoder(model, None, options, pooler=pooler, **settings)


def find(
    model: nn.Module, example: Tensor, wanted: Sequence[str], **settings: Any
) -> tuple[ModuleCut, ...]:
    found = opened(model, **settings).cuts(batch_of(example), wanted)
    refused = [each for each in found if not isinstance(each, ModuleCut)]
    assert not refused, refused
    return found


def run(
    model: nn.Module, example: Tensor, cuts: Sequence[Cut], **settings: Any
) -> Mapping[str, Tensor]:
    return opened(model, **settings).encode(batch_of(example), cuts)
