"""Build the network of a manifest's entry and give it its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from zoorank.errors import SourceError
from zoorank.messages import hint
from zoorank.sources.torch.checkpoint import Checkpoint, read_checkpoint, read_weights
from zoorank.sources.torch.factory import build
from zoorank.sources.torch.match import Filled, fill

if TYPE_CHECKING:
    from zoorank.sources.torch.source import TorchSource

__all__ = ["Loaded", "load", "read_weights"]


@dataclass(frozen=True)
class Loaded:
    """A network with its weights.

    Attributes
    ----------
    module : nn.Module
        In evaluation mode, on the CPU, without gradients.
    filled : Filled
        What of it the checkpoint does not hold, and what was found.
    """

    module: nn.Module
    filled: Filled


def load(source: TorchSource) -> Loaded:
    """Build the network of a source and load its weights.

    Weights are read as safetensors, or by ``torch.load(weights_only=True)``; there is no
    other way in.

    Parameters
    ----------
    source : TorchSource

    Raises
    ------
    SourceError
        When the factory, the file or its digest is wrong, or the file holds nothing of the
        network.
    """
    file = source.pin()
    checkpoint = None if file is None else read_checkpoint(file, source.state_dict)
    module = build(source, {**source.arguments, **_lengths(source, checkpoint)})
    filled = Filled({}, ()) if checkpoint is None else fill(module, checkpoint)
    return Loaded(module.eval().requires_grad_(False), filled)


def _lengths(source: TorchSource, checkpoint: Checkpoint | None) -> dict[str, int]:
    """Arguments that are the lengths of tensors in the file."""
    lengths = {}
    for argument, name in source.arguments_from_weights.items():
        length = None if checkpoint is None else checkpoint.length(name)
        if length is None:
            near = hint(name, checkpoint.tensors) if checkpoint else "random weights have no file"
            raise SourceError(f"argument {argument!r} needs the tensor {name!r}; {near}")
        lengths[argument] = length
    return lengths
