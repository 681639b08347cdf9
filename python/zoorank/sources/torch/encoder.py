"""A network of torch behind the protocol of encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from zoorank.errors import SourceError
from zoorank.messages import one_line
from zoorank.sources.base import (
    Cut,
    ModelFacts,
    OpenOptions,
    Refusal,
)
from zoorank.sources.torch.calibrate import calibrate
from zoorank.sources.torch.cuts import resolve_cuts
from zoorank.sources.torch.load import load_checked, pin_weights, torch_device
from zoorank.sources.torch.truncate import pooler, run_to_cuts
from zoorank.transforms import transform_of
from zoorank.transforms.base import Batch


class TorchEncoder:
    def __init__(self, spec: Any, options: OpenOptions) -> None:
        self.spec = spec
        where = torch_device(options.device)
        self.model: nn.Module = load_checked(spec, spec.pinned or pin_weights(spec)).to(where)
        self.where = where
        self.device = str(where)
        self.transform = transform_of(spec.preprocessing)
        n = sum(p.numel() for p in self.model.parameters())
        b = sum(p.numel() * p.element_size() for p in self.model.parameters())
        self.facts = ModelFacts(f"torch {torch.__version__}", n, b)
        self.pool = pooler(spec.preprocessing.pooling, spec.preprocessing.input)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def calibrates(self) -> bool:
        return self.spec.weights.calibrates

    def calibrate(self, batch: Batch) -> None:
        calibrate(self.model, self._t(batch))

    def _t(self, batch: Batch):
        return torch.from_numpy(batch.only).to(self.where)

    def cuts(self, batch: Batch, wanted: Sequence[str]) -> tuple[Cut | Refusal, ...]:
        return resolve_cuts(self.model, self._t(batch), wanted)

    def encode(self, batch: Batch, cuts: Sequence[Cut]) -> Mapping[str, Any]:
        try:
            return run_to_cuts(self.model, self._t(batch), cuts, self.pool)
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise MemoryError from error
        except RuntimeError as error:
            if "memory" in str(error):
                raise MemoryError from error
            raise SourceError(one_line(error)) from error

    def empty(self, rows: int, features: int):
        return torch.empty((rows, features), device=self.where)

    def train(self, target, cut, split, options, on_epoch):
        from zoorank.sources.torch.train import fine_tune

        return fine_tune(
            self.spec,
            target,
            cut,
            split,
            seed=options.seed,
            epochs=options.epochs,
            deadline=options.deadline,
        )
