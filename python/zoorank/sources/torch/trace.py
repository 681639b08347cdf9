"""One full pass that records what runs, in which order, at what cost."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from zoorank.errors import SourceError
from zoorank.messages import one_line
from zoorank.sources.torch.truncate import output_tensor


@dataclass
class Call:
    """What happened to one module in the pass.

    Attributes
    ----------
    calls : int
        How often it ran.
    start, end : int
        Ticks of the clock that all modules share, at its first begin and last end.
    flops_before, flops_after : int
        Operations of the whole network up to its first begin and its last end.
    input_shape, output_shape : tuple of int or None
        None where that is not a tensor.
    """

    calls: int = 0
    start: int = 0
    end: int = 0
    flops_before: int = 0
    flops_after: int = 0
    input_shape: tuple[int, ...] | None = None
    output_shape: tuple[int, ...] | None = None


@dataclass
class Trace:
    """A recorded pass: calls by module name, in the order in which they ended."""

    calls: dict[str, Call] = field(default_factory=dict)
    flops: int = 0


def trace(model: nn.Module, example: Any) -> Trace:
    """Run ``example`` through the whole network and record every module.

    Raises
    ------
    SourceError
        When the network cannot be fed this example, with its reason.
    """
    record = Trace()
    clock = _ticks()
    with contextlib.ExitStack() as stack:
        counter = stack.enter_context(FlopCounterMode(display=False))
        for name, module in model.named_modules():
            before, after = _recorders(record, name, clock, counter)
            stack.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(after).remove)
        stack.enter_context(torch.no_grad())
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        try:
            model(example)
        except Exception as error:
            shape = tuple(getattr(example, "shape", ()))
            raise SourceError(
                f"cannot be fed a batch of shape {shape}: {one_line(error, 200)}"
            ) from error
        record.flops = counter.get_total_flops()
    ended = sorted((name for name in record.calls), key=lambda name: record.calls[name].end)
    return Trace({name: record.calls[name] for name in ended}, record.flops)


def _ticks() -> Iterator[int]:
    return iter(range(1, 2**62))


def _recorders(record: Trace, name: str, clock: Iterator[int], counter: FlopCounterMode) -> Any:
    def before(_module: nn.Module, args: Any, kwargs: Any) -> None:
        call = record.calls.setdefault(name, Call())
        call.calls += 1
        if call.calls == 1:
            call.start = next(clock)
            call.flops_before = counter.get_total_flops()
            call.input_shape = _shape(args or kwargs)

    def after(_module: nn.Module, _args: Any, output: Any) -> None:
        call = record.calls[name]
        call.end = next(clock)
        call.flops_after = counter.get_total_flops()
        call.output_shape = _shape(output)

    return before, after


def _shape(value: Any) -> tuple[int, ...] | None:
    try:
        return tuple(output_tensor(value).shape)
    except ValueError:
        return None
