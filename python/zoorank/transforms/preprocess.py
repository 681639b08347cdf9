"""Samples of a target as one torch batch, for callers that hold no transform yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoorank.targets.base import Rows, Target
from zoorank.transforms import transform_of

if TYPE_CHECKING:
    from zoorank.transforms.specs import Preprocessing

__all__ = ["Rows", "prepare"]


def prepare(preprocessing: Preprocessing, target: Target, rows: Rows) -> torch.Tensor:
    """Prepare some samples of a target; each comes out the same whichever others there are.

    Raises
    ------
    SourceError
        When this kind of network cannot be fed this target.
    """
    transform = transform_of(preprocessing).fitted(target)
    batch = transform.collate([transform.prepare(sample) for sample in target.take(rows)])
    return torch.from_numpy(batch.only)
