"""What a traced pass of a network is known by: its modules, their calls, its operations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch

Side = Literal["input", "output"]


class Place(NamedTuple):
    """One end of one call of a module in a pass.

    Attributes
    ----------
    module : str
        Its name; empty for the whole network.
    call : int
        Which of its calls, from 1.
    side : {"input", "output"}
    """

    module: str
    call: int
    side: Side


class Seen(NamedTuple):
    """A tensor that went through a hook.

    Attributes
    ----------
    shape : tuple of int
    dtype : torch.dtype
    made_by : int or None
        Number of the operation that made it; None for what no operation of the pass made.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    made_by: int | None


@dataclass
class Call:
    """What happened in one call of a module.

    Attributes
    ----------
    start, end : int
        Ticks of the clock that all modules and operations share.
    flops_before, flops_after : int
        Operations of the whole network up to its begin and its end.
    input, output : Seen or None
        None where that is no tensor.
    """

    start: int
    end: int = 0
    flops_before: int = 0
    flops_after: int = 0
    input: Seen | None = None
    output: Seen | None = None


class Operation(NamedTuple):
    """One operation of torch.

    Attributes
    ----------
    name : str
        Without the namespace and the sign of operations in place: ``"addmm"``, ``"relu"``.
    is_live : bool
        Whether its result depends on the network's input.
    made_of : tuple of int
        Live operations whose results it takes.
    weights : frozenset of str
        Parameters and buffers that it takes, or what is computed of them alone, by all of
        their names.
    module : str
        The innermost module that was running.
    call : int
        Which of its calls.
    """

    name: str
    is_live: bool
    made_of: tuple[int, ...]
    weights: frozenset[str]
    module: str
    call: int


@dataclass
class Trace:
    """A recorded pass.

    Attributes
    ----------
    calls : dict of str to list of Call
        By module, in the order in which they began; the whole network has the empty name.
    operations : list of Operation
    first_use : dict of str to int
        Tick at which a parameter or buffer was first used.
    channels : list of (int, tuple of int, int)
        Tick and shape of tensors whose channels an operation took to be the second axis, 1,
        or the last, -1.
    flops : int
    """

    calls: dict[str, list[Call]] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    first_use: dict[str, int] = field(default_factory=dict)
    channels: list[tuple[int, tuple[int, ...], int]] = field(default_factory=list)
    flops: int = 0

    def at(self, place: Place) -> Call:
        """The call of a place."""
        return self.calls[place.module][place.call - 1]

    @property
    def largest(self) -> int:
        """Bytes of the largest tensor that a module gave."""
        outputs = [call.output for calls in self.calls.values() for call in calls]
        return max(
            (math.prod(each.shape) * each.dtype.itemsize for each in outputs if each), default=0
        )
