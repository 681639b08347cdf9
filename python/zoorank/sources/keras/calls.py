"""What runs in a model of Keras, in which order; a pass that ends at its deepest cut."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from zoorank.sources.bottlenecks import Step, block_ends
from zoorank.sources.heads import NoCutError

_ENDS = ("softmax", "sigmoid", "log_softmax")
_PASSED = ("Dropout", "Flatten", "Reshape", "Identity", "SpatialDropout1D", "SpatialDropout2D")
_POOLS = (
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
)


class _Stop(BaseException):
    """Ends a pass; no ``except Exception`` of a layer may catch it."""


@dataclass(frozen=True)
class Place:
    """Where one call of a layer is cut.

    Attributes
    ----------
    path : str
        The layer, below the models that it is in: ``outer/inner``.
    call : int
        Which of its calls, from 1.
    side : {"input", "output", "linear"}
        "linear" is the output before the layer's own activation.
    """

    path: str
    call: int = 1
    side: str = "output"


@dataclass
class Call:
    """One call of a layer, or of an operation between layers.

    Attributes
    ----------
    operation : keras.Operation
    reads, gives : list
        Tensors.
    inner : bool
        Whether layers of its own ran in it.
    start, end : int
        Ticks of the clock that all calls share.
    flops_before, flops_after : int
    """

    path: str
    number: int
    operation: Any
    reads: list[Any]
    start: int
    flops_before: int
    gives: list[Any] = field(default_factory=list)
    inner: bool = False
    end: int = 0
    flops_after: int = 0


def operations(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Everything that runs in a model, below the models that it is in."""
    own = getattr(model, "operations", None) or model.layers
    for each in own:
        if isinstance(each, keras.layers.InputLayer):
            continue
        yield f"{prefix}{each.name}", each
        if isinstance(each, keras.Model):
            yield from operations(each, f"{prefix}{each.name}/")


@contextlib.contextmanager
def watched(
    model: Any,
    before: Callable[[str, Any, list[Any]], Any],
    after: Callable[[Any, Any], Any],
) -> Iterator[None]:
    """Have two functions called around every call in a model.

    Parameters
    ----------
    model : keras.Model
    before : callable
        Told path, operation and the tensors that it reads; what it gives is told `after`.
    after : callable
        Told that, and the output; gives the output that the model goes on with.
    """
    seen: dict[int, str] = {}
    patched: list[tuple[Any, Any]] = []

    def wrap(path: str, operation: Any) -> Callable[..., Any]:
        plain = operation.call

        def call(*args: Any, **kwargs: Any) -> Any:
            token = before(path, operation, _tensors((args, kwargs)))
            return after(token, plain(*args, **kwargs))

        return call

    try:
        for path, operation in operations(model):
            if id(operation) not in seen:  # one that is in several places goes by the first
                seen[id(operation)] = path
                patched.append((operation, vars(operation).get("call")))
                vars(operation)["call"] = wrap(path, operation)
        # A layer that prints while it runs must not spoil results on standard output.
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for operation, own in patched:
            if own is None:
                del vars(operation)["call"]
            else:
                vars(operation)["call"] = own


def trace(model: Any, batch: Any, flops: Callable[[], int]) -> tuple[list[Call], list[Any]]:
    """Run the whole model once and record every call, in the order in which they end.

    Returns
    -------
    list of Call
    list
        The outputs of the model.
    """
    found: list[Call] = []
    open_calls: list[Call] = []
    counts: dict[str, int] = {}
    clock = iter(range(1, 2**62))

    def before(path: str, operation: Any, reads: list[Any]) -> Call:
        counts[path] = counts.get(path, 0) + 1
        for each in open_calls:
            each.inner = True
        call = Call(path, counts[path], operation, reads, next(clock), flops())
        open_calls.append(call)
        return call

    def after(call: Call, output: Any) -> Any:
        open_calls.remove(call)
        call.gives, call.end, call.flops_after = _tensors(output), next(clock), flops()
        found.append(call)
        return output

    with watched(model, before, after):
        outputs = _tensors(model(batch, training=False))
    return found, outputs


def run_to(
    model: Any, batch: Any, places: Sequence[Place], pool: Callable[[Any], Any]
) -> dict[Place, Any]:
    """Run a model as far as the last of some places, and pool what is there."""
    collector = _Collector(places, pool)
    with watched(model, collector.before, collector.after), contextlib.suppress(_Stop):
        model(batch, training=False)
    return collector.found


class _Collector:
    """Takes what is at some places of one pass, and stops it at the last of them."""

    def __init__(self, places: Sequence[Place], pool: Callable[[Any], Any]) -> None:
        self.found: dict[Place, Any] = {}
        self._pool, self._left = pool, set(places)
        self._counts: dict[str, int] = {}

    def before(self, path: str, operation: Any, reads: list[Any]) -> tuple[str, Any, Any]:
        self._counts[path] = self._counts.get(path, 0) + 1
        self._take(path, "input", reads)
        own = None
        if self._place(path, "linear") in self._left:
            own, operation.activation = operation.activation, keras.activations.linear
        return path, operation, own

    def after(self, token: tuple[str, Any, Any], output: Any) -> Any:
        path, operation, own = token
        if own is not None:
            operation.activation = own
            self._take(path, "linear", _tensors(output))
            output = own(output)
        self._take(path, "output", _tensors(output))
        return output

    def _place(self, path: str, side: str) -> Place:
        return Place(path, self._counts[path], side)

    def _take(self, path: str, side: str, tensors: list[Any]) -> None:
        place = self._place(path, side)
        if place in self._left:
            self.found[place] = self._pool(tensors[0])
            self._left.discard(place)
        if not self._left:
            raise _Stop


def head(calls: Sequence[Call], output: Any) -> tuple[Place | NoCutError, Place | NoCutError]:
    """Find the penultimate cut and the logits of a model by its one output."""
    makers = {id(each): call for call in calls if not call.inner for each in call.gives}
    last = makers.get(id(output))
    linear, softmax, averaged = None, False, False
    before: Place | None = None
    call = last
    while call is not None:
        kind, activation = type(call.operation).__name__, _activation(call.operation)
        pointwise = kind.startswith("Conv") and all(side == 1 for side in call.reads[0].shape[1:-1])
        if kind in ("Dense", "EinsumDense") or pointwise or (kind.startswith("Conv") and averaged):
            if activation in (*_ENDS, "linear"):
                linear = call
                softmax |= activation in _ENDS
            break
        if kind in ("Softmax", "Activation") and (kind == "Softmax" or activation in _ENDS):
            softmax, before = True, Place(call.path, call.number, "input")
        elif kind in _POOLS:
            averaged = True
        elif kind not in _PASSED and not (kind == "Activation" and activation == "linear"):
            break
        call = makers.get(id(call.reads[0])) if call.reads else None
    if linear is not None:
        own = _activation(linear.operation) in _ENDS
        logits = before or Place(linear.path, linear.number, "linear" if own else "output")
        return Place(linear.path, linear.number, "input"), logits
    no_classifier = NoCutError("its output is no linear map's: it has no classifier")
    if softmax:
        kind = "an input" if call is None else f"a {type(call.operation).__name__}"
        return NoCutError(
            f"its softmax reads {kind} and no linear map; name a layer"
        ), no_classifier
    if last is None:
        return NoCutError("its output is none of its layers'; name a layer"), no_classifier
    return Place(last.path, last.number), no_classifier


def blocks(calls: Sequence[Call], output: Any) -> list[Place]:
    """Find the calls whose outputs end a block, before the model's head."""
    leaves = [call for call in calls if not call.inner]
    makers = {id(each): call for call in leaves for each in call.gives}
    steps = [
        Step(tuple(map(id, call.reads)), tuple(map(id, call.gives)), has_weights(call.operation))
        for call in leaves
    ]
    start = id(leaves[0].reads[0]) if leaves and leaves[0].reads else 0
    found = [makers[each] for each in block_ends(steps, start, id(output)) if each in makers]
    return [Place(call.path, call.number) for call in found]


def has_weights(operation: Any) -> bool:
    """Whether a layer multiplies by a matrix, or a kernel, of its own."""
    return any(len(each.shape) > 1 for each in getattr(operation, "weights", ()))


def _activation(operation: Any) -> str:
    return str(getattr(getattr(operation, "activation", None), "__name__", ""))


def _tensors(values: Any) -> list[Any]:
    return [each for each in keras.tree.flatten(values) if keras.ops.is_tensor(each)]
