"""What every kind of source has to show of its cuts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoorank.sources.base import Cut, OpenOptions, Refusal, Source
from zoorank.targets.base import Sample
from zoorank.transforms.base import Batch


def opened(source: Source, modality: Any, **options: Any) -> Any:
    """An encoder on the CPU; nothing may be fetched."""

    def refuse(line: str) -> None:
        raise AssertionError(line)

    return source.resolve(refuse).open(OpenOptions(modality=modality, device="cpu", **options))


def batch_of(encoder: Any, samples: Sequence[Sample]) -> Batch:
    return encoder.transform.collate([encoder.transform.prepare(sample) for sample in samples])


def encode(encoder: Any, batch: Batch, name: str) -> Tensor:
    """The encoding at one cut."""
    (cut,) = encoder.cuts(batch, (name,))
    assert isinstance(cut, Cut), cut
    found = encoder.encode(batch, (cut,))[name]
    assert found.shape[0] == batch.rows
    assert found.dtype == torch.float32
    return found


def refusal(encoder: Any, batch: Batch, name: str) -> str:
    """Why there is no such cut."""
    (found,) = encoder.cuts(batch, (name,))
    assert isinstance(found, Refusal), found
    return found.reason


def modules_run(encoder: Any, batch: Batch, name: str) -> set[str]:
    """Modules that run to their end where a source is cut."""
    ended: set[str] = set()
    module: nn.Module = encoder.module
    (cut,) = encoder.cuts(batch, (name,))
    hooks = [
        part.register_forward_hook(lambda _, __, ___, each=each: ended.add(each))
        for each, part in module.named_modules()
    ]
    encoder.encode(batch, (cut,))
    for hook in hooks:
        hook.remove()
    return ended
