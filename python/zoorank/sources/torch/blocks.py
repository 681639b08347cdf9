"""Find the blocks that a network is made of.

Architectures agree on little but this: blocks that repeat are the entries of a
``ModuleList`` or a ``Sequential``, each made of several layers. EfficientNet's
``_blocks``, torchvision's ``layer1``, timm's ``blocks`` and Hugging Face's
``encoder.layer`` all read so; networks without any, such as a plain stack of layers,
are cut before each layer that has weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from torch import nn

from zoorank.sources.torch.trace import Trace


def find_blocks(model: nn.Module, record: Trace) -> tuple[str, ...]:
    """Name the outermost blocks that run once in a pass, in the order in which they end.

    A block around or after the last Linear is the head, and no place to cut at.
    """
    linear = [name for name in record.calls if isinstance(model.get_submodule(name), nn.Linear)]
    outside = [name for name in linear if not is_inside_block(model, name)]
    last = max((record.calls[name].start for name in outside), default=2**62)
    names = [
        name
        for name in _composite(model)
        if _runs_once(record, name) and record.calls[name].end < last
    ]
    names = names or [name for name in _flat(model, record) if record.calls[name].end < last]
    return tuple(sorted(names, key=lambda name: record.calls[name].end))


def is_inside_block(model: nn.Module, name: str) -> bool:
    """Tell whether a module lies within one of several like blocks."""
    path = name.split(".")
    for depth in range(1, len(path)):
        parent = model.get_submodule(".".join(path[: depth - 1]))
        block = model.get_submodule(".".join(path[:depth]))
        like = [child for child in parent.children() if type(child) is type(block)]
        if _is_list(parent) and not _is_list(block) and len(like) > 1 and _is_composite(block):
            return True
    return False


def _composite(module: nn.Module, prefix: str = "") -> Iterator[str]:
    """Yield composite parts, looking into lists and into a wrapper around the blocks."""
    for child_name, child in module.named_children():
        name = f"{prefix}{child_name}"
        if _is_list(child) or _is_wrapper(child, module):
            yield from _composite(child, f"{name}.")
        elif _is_composite(child):
            yield name


def _flat(model: nn.Module, record: Trace) -> Iterator[str]:
    """Yield the last layer that runs before each layer with weights."""
    leaves = [name for name in record.calls if name and _is_leaf(model.get_submodule(name))]
    leaves = [name for name in leaves if _runs_once(record, name)]
    for name, following in itertools.pairwise(leaves):
        if _has_weights(model.get_submodule(following)):
            yield name


def _is_list(module: nn.Module) -> bool:
    # A subclass of Sequential is somebody's block; a Sequential of plain layers is one too.
    if type(module) not in (nn.ModuleList, nn.Sequential):
        return False
    return any(_is_composite(child) or _is_list(child) for child in module.children())


def _is_wrapper(module: nn.Module, parent: nn.Module) -> bool:
    # Hugging Face keeps its blocks in model.vit.encoder.layer: look into what holds most.
    if _is_list(parent) or not any(_is_list(part) for part in module.modules()):
        return False
    size = sum(parameter.numel() for parameter in module.parameters())
    return 2 * size > sum(parameter.numel() for parameter in parent.parameters())


def _is_composite(module: nn.Module) -> bool:
    return any(True for _ in module.children())


def _is_leaf(module: nn.Module) -> bool:
    return not _is_composite(module)


def _has_weights(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))


def _runs_once(record: Trace, name: str) -> bool:
    return name in record.calls and record.calls[name].calls == 1
