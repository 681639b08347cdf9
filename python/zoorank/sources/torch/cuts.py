"""Where a network can be cut, and what each cut keeps."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from zoorank.errors import SourceError, UsageError
from zoorank.messages import guess, listing
from zoorank.sources.torch.blocks import find_blocks, is_inside_block
from zoorank.sources.torch.trace import Trace, trace

PENULTIMATE = "penultimate"
ALL = "all"
LOGITS = "logits"


from zoorank.sources import base


@dataclass(frozen=True)
class Cut(base.Cut):
    module: str = ""
    side: Literal["input", "output"] = "output"


def list_cuts(model: nn.Module, example: Any) -> tuple[Cut, ...]:
    """List every block boundary and the penultimate cut, in the order in which they run.

    Parameters
    ----------
    model : torch.nn.Module
    example : Tensor
        A batch as the network takes it.

    Returns
    -------
    tuple of Cut

    Raises
    ------
    SourceError
        When the network cannot be fed the example, or has no place to cut it at.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> [(cut.name, cut.shape, cut.parameters_kept) for cut in list_cuts(net, torch.ones(1, 4))]
    [('1', (8,), 40), ('penultimate', (8,), 40)]
    """
    return resolve_cuts(model, example, (ALL,))


def resolve_cuts(model: nn.Module, example: Any, wanted: Sequence[str]) -> tuple[Cut, ...]:
    """Turn the names of cuts into places in this network, deepest last.

    Parameters
    ----------
    model : torch.nn.Module
    example : Tensor
        A batch as the network takes it.
    wanted : sequence of str
        "penultimate", "logits" (what the classifier says), "all", or names of modules.

    Returns
    -------
    tuple of Cut

    Raises
    ------
    UsageError
        For a name that this network does not have, with the nearest and the usual ones.
    SourceError
        For a module whose output cannot serve, or a network that cannot be fed.
    """
    record = trace(model, example)
    found: dict[str, Cut] = {}
    for name in wanted:
        for each in _names(model, record) if name == ALL else (name,):
            found[each] = _cut(model, record, each)
    return tuple(sorted(found.values(), key=lambda cut: cut.order))


def _names(model: nn.Module, record: Trace) -> list[str]:
    names = list(find_blocks(model, record))
    try:
        _classifier(model, record)
    except SourceError:
        if not names:
            raise
        return names
    return [*names, PENULTIMATE]


def _cut(model: nn.Module, record: Trace, name: str) -> Cut:
    side: Literal["input", "output"] = "output"
    module = name
    if name in (PENULTIMATE, LOGITS):
        module = _classifier(model, record)
        side = "input" if name == PENULTIMATE else "output"
    elif not name or name not in dict(model.named_modules()):
        blocks = find_blocks(model, record)
        modules = [each for each, _ in model.named_modules() if each]
        raise UsageError(f"unknown cut {name!r}; {_known(name, blocks, modules)}")
    call = record.calls.get(module)
    if call is None:
        raise SourceError(f"cut {name!r} does not run in a forward pass; choose another module")
    if call.calls > 1:
        raise SourceError(
            f"cut {name!r} runs {call.calls} times in one pass; choose a module that runs once"
        )
    shape = call.input_shape if side == "input" else call.output_shape
    if shape is None:
        raise SourceError(f"cut {name!r}: its {side} is not a tensor; choose a module within it")
    # Children end before their parent does, at the same place: the tie goes to the parent.
    tick = call.start if side == "input" else call.end
    flops = call.flops_before if side == "input" else call.flops_after
    kept, total = _parameters(model, record, tick)
    return Cut(
        name=name,
        module=module,
        side=side,
        shape=shape[1:],
        flops_share=flops / record.flops if record.flops else 1.0,
        parameters_kept=kept,
        parameters_share=kept / total if total else 1.0,
        order=tick,
    )


def _known(name: str, blocks: Iterable[str], modules: Iterable[str]) -> str:
    usual = [PENULTIMATE, LOGITS, ALL, *blocks]
    return f"{guess(name, [*usual, *modules])}allowed: {listing(usual)} or any module"


def _classifier(model: nn.Module, record: Trace) -> str:
    linear = [name for name in record.calls if isinstance(model.get_submodule(name), nn.Linear)]
    if not linear:
        raise SourceError("no Linear layer runs, so there is no penultimate cut; name a module")
    last = max(linear, key=lambda name: record.calls[name].end)
    if is_inside_block(model, last):
        raise SourceError(
            f"the last Linear, {last!r}, is inside a block: this network has no classifier; "
            "name a module to cut at"
        )
    return last


def _parameters(model: nn.Module, record: Trace, tick: int) -> tuple[int, int]:
    kept, seen = 0, set()
    total = sum(parameter.numel() for parameter in model.parameters())
    for name, module in model.named_modules():
        # What a module uses without calling it, such as attention's output projection,
        # runs when the nearest module around it does.
        around = itertools.accumulate(name.split("."), "{}.{}".format) if name else ()
        called = [each for each in ("", *around) if each in record.calls]
        if not called or record.calls[called[-1]].start >= tick:
            continue
        for parameter in module.parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                kept += parameter.numel()
    return kept, total
