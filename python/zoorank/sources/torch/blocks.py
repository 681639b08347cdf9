"""The blocks of a network, between which it is cut when all cuts are asked for.

Architectures agree on little but this: blocks that repeat are the entries of a
``ModuleList`` or a ``Sequential``, each made of several layers. EfficientNet's
``_blocks``, torchvision's ``layer1``, timm's ``blocks`` and Hugging Face's
``encoder.layer`` all read so; networks without any, such as a plain stack of layers,
are cut before each layer that has weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from torch import nn

from zoorank.sources.torch.traces import Trace, is_composite, is_list

# A loop over time runs its block as often as there are steps; a network that shares one block
# between its layers, some dozens of times.
_MOST_CALLS = 64


def outermost_blocks(model: nn.Module, record: Trace, head: int | None) -> tuple[str, ...]:
    """Name the outermost blocks, call by call, in the order in which they end.

    A block around or after the head, which begins at a tick, is no place to cut at.
    """
    head = 2**62 if head is None else head
    names = _ending(record, _composite(model), head)
    return tuple(names or _ending(record, _flat(model, record), head))


def _ending(record: Trace, modules: Iterable[str], head: int) -> list[str]:
    """Calls of modules that end before the head begins."""
    found = []
    for name in modules:
        calls = [call for call in record.calls.get(name, ()) if call.end]
        if not 0 < len(calls) <= _MOST_CALLS:
            continue
        for number, call in enumerate(calls, start=1):
            if call.end < head:
                found.append((call.end, name if len(calls) == 1 else f"{name}@{number}"))
    return [name for _, name in sorted(found)]


def _flat(model: nn.Module, record: Trace) -> Iterator[str]:
    """Yield the last layer that runs before each layer with weights."""
    began = [
        (call.start, name)
        for name, module in model.named_modules()
        if name and not is_composite(module)
        for call in record.calls.get(name, ())
    ]
    leaves = [name for _, name in sorted(began) if len(record.calls[name]) == 1]
    for name, following in itertools.pairwise(leaves):
        if _has_weights(model.get_submodule(following)):
            yield name


def _composite(module: nn.Module, prefix: str = "") -> Iterator[str]:
    """Yield composite parts, looking into lists and into a wrapper around the blocks."""
    for child_name, child in module.named_children():
        name = f"{prefix}{child_name}"
        if is_list(child) or _is_wrapper(child, module):
            yield from _composite(child, f"{name}.")
        elif is_composite(child):
            yield name


def _is_wrapper(module: nn.Module, parent: nn.Module) -> bool:
    # Hugging Face keeps its blocks in model.vit.encoder.layer: look into what holds most.
    if is_list(parent) or not any(is_list(part) for part in module.modules()):
        return False
    return 2 * _size(module) > _size(parent)


def _size(module: nn.Module) -> int:
    """Parameters without those of a vocabulary, which may outweigh all the layers."""
    tables = {id(part.weight) for part in module.modules() if isinstance(part, nn.Embedding)}
    return sum(each.numel() for each in module.parameters() if id(each) not in tables)


def _has_weights(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
