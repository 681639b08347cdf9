"""What a traced pass of a network is known by: its modules, their calls, its operations, its head.

Where the logits are, and what feeds the last linear map to them, is found by following the
operations back from the network's output, not by the kinds of modules: the last Linear layer
that runs may be one of two heads, a projection within attention, or no layer at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import nn

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
    largest : int
        Bytes of the largest tensor that a module gave.
    """

    calls: dict[str, list[Call]] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    first_use: dict[str, int] = field(default_factory=dict)
    channels: list[tuple[int, tuple[int, ...], int]] = field(default_factory=list)
    flops: int = 0
    largest: int = 0


# Operations that only look at their input in another way.
_VIEWS = frozenset(
    {
        "_reshape_alias", "_unsafe_view", "alias", "as_strided", "contiguous", "detach", "expand",
        "flatten", "permute", "reshape", "select", "slice", "squeeze", "t", "transpose",
        "unsqueeze", "view",
    }
)  # fmt: skip
# Probabilities made of logits.
_SOFTMAX = frozenset(
    {"_log_softmax", "_safe_softmax", "_softmax", "log_softmax", "sigmoid", "softmax"}
)
# Maps that are linear in their input, by weights.
_LINEAR = frozenset(
    {"addbmm", "addmm", "addmv", "baddbmm", "bmm", "convolution", "linear", "matmul", "mm", "mv"}
)
# What may stand between the last linear map and the output: nothing learns features there.
_AFTER = _VIEWS | frozenset(
    {
        "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "_to_copy", "adaptive_avg_pool1d",
        "adaptive_avg_pool2d", "add", "amax", "avg_pool1d", "avg_pool2d", "avg_pool3d",
        "cat", "clamp", "clamp_min", "clone", "copy", "div", "dropout", "index",
        "linalg_vector_norm", "max_pool2d_with_indices", "mean", "mul", "native_dropout",
        "rsub", "stack", "sub", "sum", "upsample_bicubic2d", "upsample_bilinear2d",
        "upsample_nearest2d",
    }
)  # fmt: skip
# Behind a convolution whose maps of scores are pooled to one number a class.
_RECTIFIED = frozenset({"hardtanh", "relu"})
# What makes features: an output of these is that of a network without a head.
_FEATURES = re.compile(
    r"(.*_)?(norm|rnn|lstm|gru|attention|transformer|pool)(_.*|\dd.*)?|embedding|[a-z_]*tanh"
    r"|gelu|silu|mish|elu|leaky_relu|_?prelu\w*|hardswish|hardsigmoid|softplus|erf|max|pow"
)


@dataclass(frozen=True)
class Head:
    """What is known of a network's end.

    Attributes
    ----------
    logits, penultimate : Place or None
        Where they are; None where there are none.
    no_logits, no_penultimate : str
        Then why not.
    start : int or None
        Tick at which the head begins, behind which there are no blocks; None without a head.
    """

    logits: Place | None
    penultimate: Place | None
    no_logits: str = ""
    no_penultimate: str = ""
    start: int | None = None


def find_head(record: Trace, model: nn.Module) -> Head:
    """Find logits and penultimate cut.

    Parameters
    ----------
    record : Trace
    model : nn.Module
        The network; what lies within one of its several like blocks is no head.

    Returns
    -------
    Head
        Of a network without a head the penultimate cut is its output.
    """
    output = Place("", 1, "output")
    seen = record.calls[""][0].output
    if seen is None:
        reason = "the network's own output is no tensor; name a module"
        return Head(None, None, reason, reason)
    ends = _Ends.of(record.operations, seen.made_by, pooled=len(seen.shape) == 2)
    if ends.unknown and not ends.maps:
        reason = f"nothing tells what of its output, made by {ends.unknown!r}, is; name a module"
        return Head(output, None, "", reason)
    maps = ends.maps or ends.rectified
    inside = any(_is_inside_block(model, record.operations[number].module) for number in maps)
    if inside or not maps or (not ends.maps and (len(maps) > 1 or ends.more)):
        reason = "the network has no classifier: its output is no linear map of features"
        return Head(None, output, no_logits=reason)
    start = min(_tick(record, number) for number in maps)
    logits = _before_softmax(record, seen.made_by)
    no_logits = "" if logits else "no module gives what its softmax takes; name a module"
    if len(maps) > 1 or ends.more:
        others = f"{len(maps)} linear maps" if len(maps) > 1 else "a linear map and more"
        reason = f"its output is made of {others}, so none is its classifier; name a module"
        return Head(logits, None, no_logits, reason, start)
    penultimate = _input_of(record, maps[0])
    reason = "" if penultimate else "no module gives what its last linear map takes; name a module"
    return Head(logits, penultimate, no_logits, reason, start)


@dataclass(frozen=True)
class _Ends:
    """What an output is made of, as far as no features are learned behind it.

    Attributes
    ----------
    maps : tuple of int
        Linear maps.
    rectified : tuple of int
        Convolutions whose maps are rectified before they are pooled.
    more : bool
        Whether there is anything else.
    unknown : str
        An operation that says neither.
    """

    maps: tuple[int, ...]
    rectified: tuple[int, ...]
    more: bool
    unknown: str

    @classmethod
    def of(cls, operations: Sequence[Operation], last: int | None, *, pooled: bool) -> _Ends:
        """Follow the operations back from the last."""
        maps: dict[int, bool] = {}
        pending = [] if last is None else [(last, False)]
        known, more, unknown = set(pending), last is None, ""
        while pending:
            number, rectified = pending.pop()
            operation = operations[number]
            is_map = operation.name in _LINEAR and bool(operation.weights)
            if is_map and (not rectified or operation.name == "convolution"):
                maps[number] = rectified
            elif operation.made_of and operation.name in _AFTER | _SOFTMAX | _RECTIFIED:
                after = rectified or operation.name in _RECTIFIED
                before = {(each, after) for each in operation.made_of} - known
                more |= after and not pooled
                pending += before if pooled or not after else ()
                known |= before
            else:
                more = True
                if not is_map and not _FEATURES.fullmatch(operation.name) and operation.made_of:
                    unknown = operation.name
        plain = sorted(number for number, rectified in maps.items() if not rectified)
        others = sorted(number for number, rectified in maps.items() if rectified)
        return cls(tuple(plain), tuple(others), more or bool(plain and others), unknown)


def _tick(record: Trace, number: int) -> int:
    operation = record.operations[number]
    return record.calls[operation.module][operation.call - 1].start


def _before_softmax(record: Trace, last: int | None) -> Place | None:
    """Where the output is before it becomes probabilities: as a rule the output itself."""
    output = Place("", 1, "output")
    number, operations = last, record.operations
    while number is not None and operations[number].name in _VIEWS | {"clone"}:
        number = next(iter(operations[number].made_of), None)
    if number is None or operations[number].name not in _SOFTMAX:
        return output
    softmax = operations[number]
    if _is_alone(record, softmax):
        return Place(softmax.module, softmax.call, "input")
    return _giving(record, softmax.made_of)


def _input_of(record: Trace, number: int) -> Place | None:
    """Where the input of a linear map is: that of its module, or what another module gives."""
    operation = record.operations[number]
    if _is_alone(record, operation):
        return Place(operation.module, operation.call, "input")
    return _giving(record, operation.made_of)


def _is_alone(record: Trace, operation: Operation) -> bool:
    """Whether a module's call does this operation and else only looks at it in other ways."""
    inside = f"{operation.module}." if operation.module else ""
    work = [
        each
        for each in record.operations
        if each.is_live and each.name not in _VIEWS and each.name != "add"
        if (each.module, each.call) == (operation.module, operation.call)
        or each.module.startswith(inside)
    ]
    return work == [operation]


def _giving(record: Trace, made_of: tuple[int, ...]) -> Place | None:
    """The outermost module whose output is what an operation takes, perhaps seen in another way."""
    number = next(iter(made_of), None)
    while number is not None:
        for name, calls in record.calls.items():
            for position, call in enumerate(calls, start=1):
                if name and call.output is not None and call.output.made_by == number:
                    return Place(name, position, "output")
        operation = record.operations[number]
        number = next(iter(operation.made_of), None) if operation.name in _VIEWS else None
    return None


def _is_inside_block(model: nn.Module, name: str) -> bool:
    """Tell whether a module lies within one of several like blocks."""
    path = name.split(".") if name else []
    for depth in range(1, len(path)):
        parent = model.get_submodule(".".join(path[: depth - 1]))
        block = model.get_submodule(".".join(path[:depth]))
        like = [child for child in parent.children() if type(child) is type(block)]
        if is_list(parent) and not is_list(block) and len(like) > 1 and is_composite(block):
            return True
    return False


def is_list(module: nn.Module) -> bool:
    """Whether a module is a list of parts that are made of parts."""
    # A subclass of Sequential is somebody's block; a Sequential of plain layers is one too.
    if type(module) not in (nn.ModuleList, nn.Sequential):
        return False
    return any(is_composite(child) or is_list(child) for child in module.children())


def is_composite(module: nn.Module) -> bool:
    """Whether a module is made of others."""
    return any(True for _ in module.children())
