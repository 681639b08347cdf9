"""Encodings that stay in the memory of the device that computed them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

# Where encodings are kept: in files of the store, in memory and nowhere else, or both.
Keep = Literal["store", "memory", "both"]


class Rows:
    """Rows of several cuts, written in order into one tensor a cut.

    Parameters
    ----------
    n_samples : int
    dims : mapping of str to int
        Numbers a sample, by cut.
    device : torch.device

    Raises
    ------
    torch.OutOfMemoryError, RuntimeError
        When they do not fit.
    """

    def __init__(self, n_samples: int, dims: Mapping[str, int], device: torch.device) -> None:
        self.tensors = {
            name: torch.empty((n_samples, dim), dtype=torch.float32, device=device)
            for name, dim in dims.items()
        }
        self._at = 0

    def write(self, encoded: Mapping[str, Tensor]) -> None:
        """Append one batch of every cut."""
        stop = self._at
        for name, tensor in self.tensors.items():
            stop = self._at + len(encoded[name])
            tensor[self._at : stop] = encoded[name]
        self._at = stop


def give_back(device: torch.device) -> None:
    """Let others have the memory that torch holds and does not use."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
