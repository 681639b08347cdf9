"""Hooks on a network: a pass that records what runs, and passes that end at the deepest cut."""

from __future__ import annotations

import bisect
import contextlib
import io
import itertools
import math
import re
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from zoorank.errors import SourceError
from zoorank.messages import listing
from zoorank.sources.torch.cuts import ModuleCut, Pooler
from zoorank.sources.torch.traces import Call, Operation, Seen, Side, Trace
from zoorank.transforms.base import Batch

# In this order, of those that a mapping holds.
_MEANT = ("last_hidden_state", "logits", "sentence_embedding", "token_embeddings")

Run = Callable[[], Any]
Inputs = Mapping[str, Tensor]
Caller = Callable[[nn.Module, Inputs], Any]


def feed_only(module: nn.Module, inputs: Inputs) -> Any:
    """Call a module with its only input."""
    (value,) = inputs.values()
    return module(value)


def feed_named(module: nn.Module, inputs: Inputs) -> Any:
    """Call a module with its inputs as keyword arguments, as models of transformers want it."""
    return module(**inputs)


def trace(model: nn.Module, run: Run) -> Trace:
    """Run a network once, as a whole, and record modules, operations and weights.

    Parameters
    ----------
    model : nn.Module
    run : callable
        Feeds it one batch.

    Raises
    ------
    Exception
        Whatever the network raises.
    """
    record = Trace()
    with contextlib.ExitStack() as stack:
        counter = stack.enter_context(FlopCounter())
        recorder = _Recorder(model, record, counter)
        for name, module in model.named_modules():
            for remove in recorder.attach(name, module):
                stack.callback(remove)
        stack.enter_context(recorder)
        stack.enter_context(torch.no_grad())
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        run()
        record.flops = counter.total
    outputs = [call.output for calls in record.calls.values() for call in calls]
    record.largest = max(
        (math.prod(each.shape) * each.dtype.itemsize for each in outputs if each), default=0
    )
    return record


class LightMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode that sees every operation, and for whose sake torch loads no compiler.

    torch's own counter of operations loads it at the first of them: more than a second of work that
    no pass has any use for.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # torch keeps its compiler away from such a mode, for which it has to load it.
        return "torch._dynamo" in sys.modules


class FlopCounter(LightMode):
    """Adds up operations by the formulas of torch's own counter.

    Attributes
    ----------
    total : int
        Of all that ran in this mode so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(func.overloadpacket)
        if formula is None and func is not torch.ops.prim.device.default:
            with self:  # in inference mode, what is made of other operations comes whole
                found = func.decompose(*args, **kwargs)
            if found is not NotImplemented:
                return found
        result = func(*args, **kwargs)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=result)
        return result


class _Recorder(LightMode):
    """Sees every operation, and by its hooks every module."""

    def __init__(self, model: nn.Module, record: Trace, counter: FlopCounter) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._record, self._counter = record, counter
        self._clock = itertools.count(1)
        self._running: list[tuple[str, int]] = [("", 1)]
        self._made: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        self._made_at: dict[tuple[int, tuple[int, ...]], int] = {}
        self._starts, self._weights = _places_of_weights(model)
        self._inputs: set[int] = set()

    def attach(self, name: str, module: nn.Module) -> Iterator[Callable[[], None]]:
        """Hook a module; what removes the hooks again is yielded."""
        calls = self._record.calls.setdefault(name, [])

        def before(_module: nn.Module, args: Any, kwargs: Any) -> None:
            if not name:
                self._inputs |= {_address(tensor) for tensor in _tensors((args, kwargs))}
            calls.append(
                Call(
                    start=next(self._clock),
                    flops_before=self._counter.total,
                    input=self._seen(args or kwargs),
                )
            )
            self._running.append((name, len(calls)))

        def after(_module: nn.Module, _args: Any, output: Any) -> None:
            while len(self._running) > 1 and self._running[-1][0] != name:
                self._running.pop()  # a module whose exception somebody has caught
            _, number = self._running.pop()
            call = calls[number - 1]
            call.end = next(self._clock)
            call.flops_after = self._counter.total
            call.output = self._seen(output)

        yield module.register_forward_pre_hook(before, with_kwargs=True).remove
        yield module.register_forward_hook(after).remove

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        tick, record = next(self._clock), self._record
        is_live, made_of, weights = False, [], set()
        for tensor in _tensors((args, kwargs)):
            maker = self._maker(tensor)
            if maker is None:
                weights |= self._weights_in(tensor)
                is_live |= _address(tensor) in self._inputs
            elif record.operations[maker].is_live:
                made_of.append(maker)
            else:
                weights |= record.operations[maker].weights
        for name in weights:
            record.first_use.setdefault(name, tick)
        result = func(*args, **kwargs)
        # In place or not, it is the same operation.
        name, number = func.overloadpacket.__name__.rstrip("_"), len(record.operations)
        record.operations.append(
            Operation(
                name,
                is_live or bool(made_of),
                tuple(made_of),
                frozenset(weights),
                *self._running[-1],
            )
        )
        axis = 1 if _CHANNELS_SECOND.match(name) else -1 if name in _CHANNELS_LAST else None
        if axis is not None:
            for tensor in (*_tensors(args)[:1], *_tensors(result)[:1]):
                record.channels.append((tick, tuple(tensor.shape), axis))
        for tensor in _tensors(result):
            self._made[id(tensor)] = weakref.ref(tensor), number
            self._made_at[_address(tensor), tuple(tensor.shape)] = number
        return result

    def _maker(self, tensor: Tensor) -> int | None:
        held, number = self._made.get(id(tensor), (None, -1))
        if held is not None and held() is tensor:
            return number
        # What comes out of an autograd.Function is another object at the same place.
        return self._made_at.get((_address(tensor), tuple(tensor.shape)))

    def _weights_in(self, tensor: Tensor) -> set[str]:
        place = bisect.bisect_right(self._starts, _address(tensor)) - 1
        if place < 0:
            return set()
        end, names = self._weights[place]
        return set(names) if _address(tensor) < end else set()

    def _seen(self, value: Any) -> Seen | None:
        try:
            tensor = output_tensor(value)
        except ValueError:
            return None
        return Seen(tuple(tensor.shape), tensor.dtype, self._maker(tensor))


# Operations that are defined for channels at one place: convolutions and what goes with them;
# tables of vectors. What a layer normalization is over, its module says.
_CHANNELS_SECOND = re.compile(
    r"(cudnn_|mkldnn_|miopen_|_)*(convolution|native_batch_norm|batch_norm|native_group_norm"
    r"|(adaptive_)?(avg|max)_pool|upsample_|pixel_(un)?shuffle|channel_shuffle)"
)
_CHANNELS_LAST = frozenset({"embedding"})


def _places_of_weights(model: nn.Module) -> tuple[list[int], list[tuple[int, list[str]]]]:
    """Addresses at which weights begin, ascending, and where they end, with their names."""
    by_place: dict[int, tuple[int, list[str]]] = {}
    named = itertools.chain(
        model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    )
    for name, value in named:
        start = _address(value)
        if start:
            end = start + value.numel() * value.element_size()
            before, names = by_place.get(start, (end, []))
            by_place[start] = max(before, end), [*names, name]
    starts = sorted(by_place)
    return starts, [by_place[start] for start in starts]


def _address(tensor: Tensor) -> int:
    try:
        return tensor.data_ptr()
    except (RuntimeError, NotImplementedError):  # of a kind without memory of its own
        return 0


def _tensors(value: Any) -> list[Tensor]:
    return [each for each in tree_leaves(value) if isinstance(each, Tensor)]


class _Stop(BaseException):
    """Ends a forward pass; no ``except Exception`` in a model's code may catch it."""


def run_to(
    model: nn.Module,
    run: Run,
    cuts: Mapping[str, ModuleCut],
    pooler: Pooler,
    batch: Batch,
    inputs: Inputs,
    mode: AbstractContextManager[Any] | None = None,
    *,
    stops: bool = True,
) -> dict[str, Tensor]:
    """Run one batch as far as the deepest of some cuts, and pool what is there.

    Parameters
    ----------
    model : nn.Module
    run : callable
        Feeds it the batch.
    cuts : mapping of str to ModuleCut
        By name.
    pooler : Pooler
        Given the output at a cut at once: a later layer may overwrite it in place.
    batch : Batch
    inputs : mapping of str to Tensor
        Those of the batch, where the model runs.
    mode : context manager, optional
        How torch runs it; inference mode unless something else is said.
    stops : bool
        Whether the pass ends there. What traces a network loses count of its modules when an
        exception leaves them, and drops what nothing needs by itself.

    Returns
    -------
    dict of str to Tensor
        By the name of the cut.

    Raises
    ------
    SourceError
        When there is no tensor at a cut, or none that can be pooled, or it is not reached.
    Exception
        Whatever the network raises.
    """
    found: dict[str, Tensor] = {}
    wanted: dict[tuple[str, Side], list[tuple[str, ModuleCut]]] = {}
    for name, cut in cuts.items():
        wanted.setdefault((cut.place.module, cut.place.side), []).append((name, cut))

    def collect(key: tuple[str, Side], call: int, value: Any) -> None:
        for name, cut in wanted[key]:
            if cut.place.call == call:
                try:
                    found[name] = pooler.pool(output_tensor(value), cut.axes, batch, inputs)
                except ValueError as error:
                    raise SourceError(f"cut {name!r}: {error}") from error
        if stops and len(found) == len(cuts):
            raise _Stop

    with contextlib.ExitStack() as stack:
        for key in wanted:
            stack.callback(_attach(model.get_submodule(key[0]), key, collect).remove)
        stack.enter_context(mode or torch.inference_mode())
        # A model that prints while it runs must not spoil results on standard output.
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        with contextlib.suppress(_Stop):
            run()
    missed = [name for name in cuts if name not in found]
    if missed:
        raise SourceError(f"the forward pass does not reach cut {listing(missed)}")
    return found


def _attach(
    module: nn.Module,
    key: tuple[str, Side],
    collect: Callable[[tuple[str, Side], int, Any], None],
) -> Any:
    calls = itertools.count(1)
    if key[1] == "input":
        return module.register_forward_pre_hook(
            lambda _module, args, kwargs: collect(key, next(calls), args or kwargs),
            with_kwargs=True,
        )
    return module.register_forward_hook(
        lambda _module, _args, output: collect(key, next(calls), output)
    )


def output_tensor(value: Any) -> Tensor:
    """Find the one tensor that a module's output stands for.

    A tuple stands for its first entry, a mapping (so also a Hugging Face ``ModelOutput``)
    for ``last_hidden_state``, ``logits``, the ``sentence_embedding`` of sentence-transformers,
    its ``token_embeddings``, or its only tensor.

    Raises
    ------
    ValueError
        When that does not name one.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        tensors = {key: each for key, each in value.items() if isinstance(each, Tensor)}
        meant = [key for key in _MEANT if key in tensors] or list(tensors)
        if meant and (meant[0] in _MEANT or len(meant) == 1):
            return tensors[meant[0]]
        raise ValueError(f"its output holds {listing(map(str, value)) or 'nothing'}")
    if isinstance(value, tuple | list) and value:
        return output_tensor(value[0])
    raise ValueError(f"its output is a {type(value).__name__}, not a tensor")
