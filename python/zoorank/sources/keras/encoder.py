"""A model of Keras, traced and run as far as its cuts."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from zoorank.errors import SourceError, UsageError
from zoorank.messages import guess, listing, one_line
from zoorank.sources.base import ALL, LOGITS, PENULTIMATE, Cut, ModelFacts, Refusal
from zoorank.sources.batches import in_parts
from zoorank.sources.heads import NoCutError
from zoorank.sources.inputs import Fed
from zoorank.sources.keras.calls import (
    Call,
    Place,
    blocks,
    head,
    operations,
    run_to,
    trace,
)
from zoorank.sources.pooling import pooled_axes
from zoorank.transforms import transform_of
from zoorank.transforms.base import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

_MEMORY = ("out of memory", "allocate", "resource_exhausted")


@dataclass(frozen=True)
class KerasCut(Cut):
    """A cut at one call of a layer."""

    place: Place


class KerasEncoder:
    """A model of Keras.

    Parameters
    ----------
    model : keras.Model
    fed : Fed
    place : str
        Device, as Keras calls it.
    batch_size : int or None
        The only one that it takes.
    name : str
        For messages.
    """

    def __init__(self, model: Any, fed: Fed, place: str, batch_size: int | None, name: str) -> None:
        self.transform = transform_of(fed.preprocessing)
        self.note = fed.note
        self.device = place.replace("gpu", "cuda").replace("cpu:0", "cpu")
        self._model, self._fed, self._place, self._name = model, fed, place, name
        self._compiled: dict[tuple[Place, ...], Any] = {}
        first = any(
            getattr(each, "data_format", "") == "channels_first" for _, each in operations(model)
        )
        self._axis = 1 if first else -1
        sizes = [
            (int(np.prod(each.shape)), np.dtype(each.dtype).itemsize) for each in model.weights
        ]
        self.facts = ModelFacts(
            framework=f"keras {keras.__version__} on {keras.config.backend()}",
            parameters=sum(count for count, _ in sizes),
            bytes=sum(count * size for count, size in sizes),
            batch_size=batch_size,
        )

    def cuts(self, batch: Batch, wanted: Sequence[str]) -> tuple[Cut | Refusal, ...]:
        """Find the cuts that were asked for; the model runs once on the batch."""
        part, _ = next(in_parts(batch, self.facts.batch_size))
        with self._running(), _flops() as flops:
            calls, outputs = trace(self._model, self._tensor(part), flops)
            total = flops()
        if total:
            self.facts = replace(self.facts, flops=total // part.samples)
        ends: tuple[Place | NoCutError, Place | NoCutError]
        if len(outputs) == 1:
            ends = head(calls, outputs[0])
            inner = blocks(calls, outputs[0])
        else:
            reason = NoCutError(f"the model gives {len(outputs)} outputs; name a layer")
            ends, inner = (reason, reason), []
        found: dict[str, Cut | Refusal] = {}
        for name in wanted:
            every = self._every(calls, inner, ends[0]) if name == ALL else {name: None}
            for each, place in every.items():
                found[each] = self._found(each, place, calls, ends, total, part.samples)
        made = [each for each in found.values() if isinstance(each, Cut)]
        refused = [each for each in found.values() if isinstance(each, Refusal)]
        return (*refused, *sorted(made, key=lambda cut: cut.order))

    def encode(self, batch: Batch, cuts: Sequence[Cut]) -> Mapping[str, NDArray[np.float32]]:
        """Run the model as far as the deepest cut."""
        own = [cut for cut in cuts if isinstance(cut, KerasCut)]
        places = tuple(dict.fromkeys(cut.place for cut in own))
        encoded: dict[str, list[NDArray[np.float32]]] = {cut.name: [] for cut in own}
        for part, rows in in_parts(batch, self.facts.batch_size):
            with self._running():
                found = self._run(self._tensor(part), places)
            for cut in own:
                encoded[cut.name].append(as_numpy(found[cut.place])[:rows])
        return {name: np.concatenate(parts) for name, parts in encoded.items()}

    def export(self, cut: Cut, batch: Batch, folder: Path) -> tuple[Path, ...]:
        """Write the model up to a cut; see :func:`zoorank.sources.keras.export.export`."""
        from zoorank.sources.keras.export import export

        if not isinstance(cut, KerasCut):
            raise SourceError(f"{cut.name!r} is no cut of this model")
        part, _ = next(in_parts(batch, self.facts.batch_size))
        return export(self._model, cut.place, self._pooled, self._tensor(part), folder)

    def empty(self, rows: int, features: int) -> NDArray[np.float32]:
        """Room for encodings."""
        return np.empty((rows, features), dtype=np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._model, self._compiled = None, {}

    def _every(
        self, calls: Sequence[Call], inner: Sequence[Place], last: Place | NoCutError
    ) -> dict[str, Place | None]:
        """The cuts that "all" stands for: blocks, and the penultimate one behind them."""
        found: dict[str, Place | None] = {}
        if isinstance(last, Place):
            end, (same, *_) = _tick(calls, last), _values(calls, last)
            # Dropout and its like give what they read: then it is the penultimate value itself.
            inner = [
                place
                for place in inner
                if _tick(calls, place) < end and _values(calls, place)[0] is not same
            ]
        found.update({_named(calls, place): place for place in inner})
        if isinstance(last, Place) or not found:
            found[PENULTIMATE] = None
        return found

    def _found(
        self,
        name: str,
        place: Place | None,
        calls: Sequence[Call],
        ends: tuple[Place | NoCutError, Place | NoCutError],
        total: int,
        samples: int,
    ) -> Cut | Refusal:
        if name in (PENULTIMATE, LOGITS):
            end = ends[0 if name == PENULTIMATE else 1]
            if isinstance(end, NoCutError):
                return Refusal(name, str(end))
            place = end
        place = place or self._place_of(name, calls)
        call, tensors = _call(calls, place), _values(calls, place)
        if len(tensors) != 1:
            side = "reads" if place.side == "input" else "gives"
            return Refusal(name, f"it {side} {len(tensors)} tensors; choose another layer")
        shape = tuple(map(int, tensors[0].shape))
        if not shape or shape[0] != samples:
            return Refusal(name, f"its output has shape {shape} for {samples} samples")
        try:
            pooled_axes(shape, self._fed.preprocessing.pooling, self._axis)
        except ValueError as error:
            return Refusal(name, str(error))
        tick = call.start if place.side == "input" else call.end
        flops = call.flops_before if place.side == "input" else call.flops_after
        kept = _parameters(calls, tick)
        share = kept / self.facts.parameters if self.facts.parameters else 1.0
        done = flops / total if total else share
        return KerasCut(name, shape[1:], tick, done, kept, share, place)

    def _place_of(self, name: str, calls: Sequence[Call]) -> Place:
        names = {_named(calls, Place(each.path, each.number)): each for each in calls}
        if name in names:
            return Place(names[name].path, names[name].number)
        usual = [PENULTIMATE, LOGITS, ALL]
        near = guess(name, [*usual, *names])
        raise UsageError(f"unknown cut {name!r}; {near}allowed: {listing([*usual, *names])}")

    def _run(self, inputs: Any, places: tuple[Place, ...]) -> Mapping[Place, Any]:
        if keras.config.backend() != "jax":
            return run_to(self._model, inputs, places, self._pooled)
        if places not in self._compiled:
            import jax

            def passed(values: Any) -> list[Any]:
                found = run_to(self._model, values, places, self._pooled)
                return [found[place] for place in places]

            self._compiled[places] = jax.jit(passed)
        return dict(zip(places, self._compiled[places](inputs), strict=True))

    def _pooled(self, output: Any) -> Any:
        pooling = self._fed.preprocessing.pooling
        axes = pooled_axes(output.shape, pooling, self._axis)
        output = keras.ops.cast(output, "float32")
        if axes is None:
            flat = len(output.shape) == 2
            return output if flat else keras.ops.reshape(output, (-1, math.prod(output.shape[1:])))
        if pooling == "first_token":
            tokens = (-1, math.prod(output.shape[1:-1]), output.shape[-1])
            return keras.ops.reshape(output, tokens)[:, 0]
        reduce = keras.ops.max if pooling == "max" else keras.ops.mean
        return reduce(output, axis=axes)

    def _tensor(self, part: Batch) -> Any:
        dtype = keras.backend.standardize_dtype(self._model.inputs[0].dtype)
        return keras.ops.convert_to_tensor(part.only, dtype=dtype)

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")  # of Keras, of what its own code does
            stack.enter_context(keras.device(self._place))
            if keras.config.backend() == "torch":
                import torch

                stack.enter_context(torch.inference_mode())
            try:
                yield
            except (MemoryError, SourceError):
                raise
            except Exception as error:
                said = one_line(error)
                if any(word in said.lower() for word in _MEMORY):
                    raise MemoryError(said) from error
                raise SourceError(f"{self._name}: cannot be run: {one_line(error, 200)}") from error


@contextlib.contextmanager
def _flops() -> Iterator[Any]:
    """Count operations where the backend can: gives what tells the sum so far."""
    if keras.config.backend() != "torch":
        yield lambda: 0
        return
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        yield counter.get_total_flops


def _named(calls: Sequence[Call], place: Place) -> str:
    several = sum(call.path == place.path for call in calls) > 1
    return f"{place.path}@{place.call}" if several else place.path


def _call(calls: Sequence[Call], place: Place) -> Call:
    (call,) = (each for each in calls if (each.path, each.number) == (place.path, place.call))
    return call


def _values(calls: Sequence[Call], place: Place) -> list[Any]:
    call = _call(calls, place)
    return call.reads if place.side == "input" else call.gives


def _tick(calls: Sequence[Call], place: Place) -> int:
    call = _call(calls, place)
    return call.start if place.side == "input" else call.end


def _parameters(calls: Sequence[Call], tick: int) -> int:
    """Count the weights of what has begun before a tick, each once."""
    seen: dict[int, int] = {}
    for call in calls:
        if call.start < tick and not call.inner:
            for weight in getattr(call.operation, "weights", ()):
                seen[id(weight)] = int(np.prod(weight.shape))
    return sum(seen.values())


def as_numpy(values: Any) -> NDArray[Any]:
    """Copy a tensor of the backend to the host."""
    if keras.config.backend() == "torch":
        values = values.detach().cpu().numpy()
    array: NDArray[Any] = np.asarray(values)
    return array
