"""Encodings that stay in the memory of the device that computed them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

# Where encodings are kept: in files of the store, in memory and nowhere else, or both.
Keep = Literal["store", "memory", "both"]

_BLOCK = 4096


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


def contents(tensors: Mapping[str, Tensor], keys: Mapping[str, str]) -> dict[str, str]:
    """What tells encodings of other numbers apart, as the digests of files do.

    In host memory it is the digest that a file of them would have. On a device nothing is
    copied to be hashed: encodings are compared there with each other, block by block, and
    named by the key of the first that is equal, which a file never is.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        By cut, of one source.
    keys : mapping of str to str
        The key in the store of each.
    """
    found: dict[str, str] = {}
    for name, tensor in tensors.items():
        if tensor.device.type == "cpu":
            found[name] = hashlib.sha256(tensor.numpy().data).hexdigest()
        else:
            first = next((other for other in found if _equal(tensors[other], tensor)), name)
            found[name] = keys[first]
    return found


def _equal(one: Tensor, other: Tensor) -> bool:
    """Whether the bits are the same, found out in little memory."""
    if one.shape != other.shape:
        return False
    a, b = one.view(torch.int32), other.view(torch.int32)
    starts = range(0, len(a), _BLOCK)
    return all(torch.equal(a[i : i + _BLOCK], b[i : i + _BLOCK]) for i in starts)


def give_back(device: torch.device) -> None:
    """Let others have the memory that torch holds and does not use."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
