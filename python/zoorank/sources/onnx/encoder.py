"""An ONNX graph that is run as far as its cuts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from zoorank.errors import SourceError, UsageError
from zoorank.messages import guess, listing, one_line
from zoorank.sources.base import ALL, LOGITS, PENULTIMATE, Cut, ModelFacts, OpenOptions, Refusal
from zoorank.sources.batches import GraphFeed, in_parts, lengthened
from zoorank.sources.heads import NoCutError
from zoorank.sources.onnx.costs import counted, operations
from zoorank.sources.onnx.cuts import Places
from zoorank.sources.onnx.graph import Graph, shape_outputs
from zoorank.sources.pooling import one_sample, pool, pool_tokens, sample_axis
from zoorank.transforms.base import Batch, Transform

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    Arrays = Mapping[str, NDArray[Any]]

_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)", "tensor(bfloat16)")
_MEMORY = ("allocate", "bad_alloc", "out of memory")


@dataclass(frozen=True)
class OnnxCut(Cut):
    """A cut at a value of the graph.

    Attributes
    ----------
    value : str
        Its name in the file.
    axis : int or None
        Of its channels, where the graph tells.
    """

    value: str
    axis: int | None


class OnnxEncoder:
    """A graph, opened.

    Parameters
    ----------
    places : Places
    transform : Transform
    feed : GraphFeed
    pooling : str
    axis : int or None
        Of the input's channels.
    options : OpenOptions
    note : str
        What a reader of the table should know of how it is fed.
    """

    def __init__(
        self,
        places: Places,
        transform: Transform,
        feed: GraphFeed,
        pooling: str,
        axis: int | None,
        options: OpenOptions,
        note: str = "",
    ) -> None:
        self.transform, self.note = transform, note
        self._places, self._feed, self._pooling = places, feed, pooling
        self._graph = places.graph
        self._axes = places.channel_axes(axis)
        self._runtime = _Runtime(places.graph, options)
        weights = places.graph.trained(range(len(places.graph.nodes)))
        self.facts = ModelFacts(
            framework=f"onnxruntime {onnxruntime.__version__}",
            parameters=weights.parameters,
            bytes=weights.bytes,
            batch_size=feed.batch_size,
        )

    @property
    def device(self) -> str:
        """Where the graph runs; encodings are NumPy arrays wherever that is."""
        return self._runtime.device

    def cuts(self, batch: Batch, wanted: Sequence[str]) -> tuple[Cut | Refusal, ...]:
        """Find the cuts that were asked for; the graph runs once on the batch."""
        names = dict.fromkeys(each for one in wanted for each in self._meant(one))
        places = {name: self._value(name) for name in names}
        values = {name: each for name, each in places.items() if isinstance(each, str)}
        found = [each for each in places.values() if isinstance(each, Refusal)]
        part, _ = next(self._parts(batch))
        shapes = self._shapes(part, [*values.values(), *counted(self._graph)])
        costs = operations(self._graph, shapes, part.samples)
        whole = set(self._graph.needed([self._places.output, *values.values()]))
        if costs is not None:
            self.facts = replace(self.facts, flops=sum(costs.get(each, 0) for each in whole))
        made = [
            self._cut(name, value, one_sample(shapes[value], part.samples), costs, whole)
            for name, value in values.items()
        ]
        tried = self._tried(made, part)
        stretched = self._stretched(made, part)
        tried = [
            Refusal(cut.name, "its last axis is as long as the text, and no feature's")
            if isinstance(cut, OnnxCut) and cut.value in stretched
            else cut
            for cut in tried
        ]
        refused = (each for each in (*found, *tried) if isinstance(each, Refusal))
        usable = (each for each in tried if isinstance(each, OnnxCut))
        return (*refused, *sorted(usable, key=lambda cut: cut.order))

    def encode(self, batch: Batch, cuts: Sequence[Cut]) -> Mapping[str, NDArray[np.float32]]:
        """Run the graph as far as the deepest cut; what lies behind is not even loaded."""
        places = {cut.name: cut for cut in cuts if isinstance(cut, OnnxCut)}
        names = list(dict.fromkeys(cut.value for cut in places.values()))
        encoded: dict[str, list[NDArray[np.float32]]] = {name: [] for name in places}
        for part, rows in self._parts(batch):
            outputs = self._run(names, part)
            for name, cut in places.items():
                try:
                    pooled = self._pooled(cut, outputs[cut.value], part)
                except ValueError as error:
                    raise SourceError(f"cut {name!r}: {error}") from None
                encoded[name].append(pooled[:rows])
        return {name: np.concatenate(parts) for name, parts in encoded.items()}

    def export(self, cut: Cut, batch: Batch, folder: Path) -> tuple[Path, ...]:
        """Write the graph up to a cut, pooled, as ``encoder.onnx``.

        Raises
        ------
        SourceError
            For texts, and where samples lie along another axis than the first.
        """
        from zoorank.sources.onnx.export import export

        if not isinstance(cut, OnnxCut) or self._feed.mask is not None:
            raise SourceError("only models that take one input, such as an image, are exported yet")
        part, _ = next(self._parts(batch))
        (output,) = self._run([cut.value], part).values()
        if sample_axis(output.shape, part.samples, self._feed.batch_first):
            raise SourceError("its samples lie along the second axis; such a graph is not exported")
        path = folder / "encoder.onnx"
        return (export(self._graph, cut.value, output.shape, self._pooling, cut.axis, path),)

    def empty(self, rows: int, features: int) -> NDArray[np.float32]:
        """Room for encodings."""
        return np.empty((rows, features), dtype=np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runtime.close()

    def _meant(self, name: str) -> Sequence[str]:
        if name != ALL:
            return (name,)
        blocks = self._places.blocks()
        if blocks and isinstance(self._places.penultimate, NoCutError):
            return blocks
        return (*blocks, PENULTIMATE)

    def _value(self, name: str) -> str | Refusal:
        if name in (PENULTIMATE, LOGITS):
            places = self._places
            value = places.penultimate if name == PENULTIMATE else places.logits
            return Refusal(name, str(value)) if isinstance(value, NoCutError) else value
        if name in self._graph.producer:
            return name
        usual = [PENULTIMATE, LOGITS, ALL, *self._places.blocks()]
        near = guess(name, [*usual, *self._graph.producer])
        raise UsageError(
            f"unknown cut {name!r}; {near}allowed: {listing(usual)} or any value of the graph"
        )

    def _cut(
        self,
        name: str,
        value: str,
        shape: tuple[int, ...],
        costs: Mapping[int, int] | None,
        whole: set[int],
    ) -> OnnxCut:
        graph = self._graph
        kept = graph.needed([value])
        weights, total = graph.trained(kept).parameters, graph.trained(whole).parameters
        share = weights / total if total else 1.0
        flops = share
        if costs is not None and self.facts.flops:
            flops = sum(costs.get(number, 0) for number in kept) / self.facts.flops
        return OnnxCut(
            name=name,
            shape=shape,
            order=graph.producer[value],
            flops_share=min(1.0, flops),
            parameters_kept=weights,
            parameters_share=min(1.0, share),
            value=value,
            axis=self._axes.get(value, self._feed.axis),
        )

    def _tried(self, cuts: Sequence[OnnxCut], part: Batch) -> list[OnnxCut | Refusal]:
        outputs = self._run(list(dict.fromkeys(cut.value for cut in cuts)), part)
        return [self._usable(cut, outputs[cut.value], part) for cut in cuts]

    def _usable(self, cut: OnnxCut, output: NDArray[Any], part: Batch) -> OnnxCut | Refusal:
        if self._places.is_constant(cut.value):
            return Refusal(cut.name, "it does not depend on the samples' content")
        try:
            self._pooled(cut, output, part)
        except ValueError as error:
            return Refusal(cut.name, str(error))
        return cut

    def _stretched(self, cuts: Sequence[OnnxCut], part: Batch) -> set[str]:
        """Values whose last axis grows with the text, such as how tokens look at each other."""
        if self._feed.mask is None or self._feed.tokens is not None:
            return set()
        length = part.inputs[self._feed.mask].shape[1]
        doubtful = [cut.value for cut in cuts if cut.shape[1:] == (length,)]
        if not doubtful:
            return set()
        longer = lengthened(part, length + 1)
        shapes = self._shapes(longer, doubtful)
        return {value for value in doubtful if shapes[value][-1] != length}

    def _pooled(self, cut: OnnxCut, output: NDArray[Any], part: Batch) -> NDArray[np.float32]:
        if output.dtype.kind != "f" and output.dtype.name != "bfloat16":
            raise ValueError(f"it holds {output.dtype}, not real numbers")
        if sample_axis(output.shape, part.samples, self._feed.batch_first):
            output = np.swapaxes(output, 0, 1)
        if self._feed.mask is None:
            return pool(output, self._pooling, cut.axis)
        return pool_tokens(output, part.inputs[self._feed.mask], self._pooling, part.words)

    def _shapes(self, part: Batch, values: Sequence[str]) -> dict[str, tuple[int, ...]]:
        names = list(dict.fromkeys(values))
        outputs = self._runtime.run((), names, self._fed(part))
        return {name: tuple(map(int, each)) for name, each in zip(names, outputs, strict=True)}

    def _run(self, values: Sequence[str], part: Batch) -> dict[str, NDArray[Any]]:
        return dict(zip(values, self._runtime.run(values, (), self._fed(part)), strict=True))

    def _parts(self, batch: Batch) -> Iterator[tuple[Batch, int]]:
        for part, rows in in_parts(batch, self._feed.batch_size):
            yield self._feed.filled(part), rows

    def _fed(self, part: Batch) -> dict[str, NDArray[Any]]:
        given = self._feed.given(part)
        return {
            each.name: _as_type(given[each.name], each.dtype, each.name)
            for each in self._graph.inputs
        }


class _Runtime:
    """Sessions of one graph, each as far as its values; the last one is kept."""

    def __init__(self, graph: Graph, options: OpenOptions) -> None:
        self._graph = graph
        self._key: tuple[Sequence[str], Sequence[str]] | None = None
        self._session: Any = None
        self.device, self._providers = _providers(options.device)
        self._threads = options.threads or 0

    def run(
        self, values: Sequence[str], shapes: Sequence[str], inputs: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[Any]]:
        key = (tuple(values), tuple(shapes))
        if not any(key):
            return []
        try:
            if self._key != key:
                self.close()
                self._session, self._key = self._load(*key), key
            given = {each.name for each in self._session.get_inputs()}
            fed = {name: array for name, array in inputs.items() if name in given}
            outputs: list[NDArray[Any]] = self._session.run([*values, *shape_outputs(shapes)], fed)
        except (MemoryError, SourceError):
            raise
        except Exception as error:
            said = one_line(error)
            if any(word in said.lower() for word in _MEMORY):
                raise MemoryError(said) from error
            raise self._graph.file.refuse(f"cannot be run: {said}") from error
        return outputs

    def close(self) -> None:
        self._session, self._key = None, None

    def _load(self, values: Sequence[str], shapes: Sequence[str]) -> Any:
        model = self._graph.cut_off(values, shapes)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = self._threads
        # Threads that spin while they wait cost a busy machine more than they save a quiet one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_ENABLE_ALL
        if self._graph.is_quantized:  # what is fused rounds elsewhere than the graph says
            options.graph_optimization_level = levels.ORT_DISABLE_ALL
        large = self._graph.large_weights(model)
        if large:
            arrays = [
                onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, kind)
                for array, kind in large.values()
            ]
            options.add_external_initializers(list(large), arrays)
        content = model.SerializeToString()
        return onnxruntime.InferenceSession(content, options, providers=self._providers)


def _providers(device: str) -> tuple[str, list[Any]]:
    cpu = "CPUExecutionProvider"
    there = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "cpu" or (device == "auto" and not there):
        return "cpu", [cpu]
    if not there:
        raise SourceError("the installed onnxruntime runs on the CPU alone; say device 'cpu'")
    number = int(device.partition(":")[2] or 0) if device.startswith("cuda") else 0
    return f"cuda:{number}", [("CUDAExecutionProvider", {"device_id": number}), cpu]


def _as_type(array: NDArray[Any], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    if dtype.kind in "iu" and array.dtype.kind == "f":
        limits = np.iinfo(dtype)
        whole = np.rint(array)
        if not np.allclose(array, whole, atol=1e-3) or not (
            limits.min <= whole.min(initial=0) and whole.max(initial=0) <= limits.max
        ):
            raise SourceError(
                f"its input {name!r} takes {dtype}, and the prepared samples are not whole numbers "
                f"of {limits.min} to {limits.max}: say preprocessing.scaling = 'none'"
            )
        array = whole
    return np.ascontiguousarray(array, dtype=dtype)
