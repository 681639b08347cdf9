"""How a graph is fed: what its inputs tell, and what the manifest says beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoorank.messages import brief, hint, listing
from zoorank.sources.base import Encoder, OpenOptions
from zoorank.sources.batches import GraphFeed
from zoorank.sources.inputs import bare, complete
from zoorank.sources.onnx.cuts import Places
from zoorank.sources.onnx.encoder import OnnxEncoder
from zoorank.sources.onnx.graph import Graph
from zoorank.sources.tokens import MASK, TokenTransform
from zoorank.transforms import transform_of
from zoorank.transforms.base import ONLY
from zoorank.transforms.specs import TextPreprocessing

if TYPE_CHECKING:
    from zoorank.sources.onnx import OnnxSource


def open_graph(source: OnnxSource, graph: Graph, options: OpenOptions) -> Encoder:
    """Make an encoder of a graph that was read.

    Raises
    ------
    SourceError
        When nothing tells how it is to be fed.
    """
    output = _output(source, graph)
    said = bare(options.modality, source.preprocessing)
    if isinstance(said, TextPreprocessing):
        return _texts(source, graph, output, options)
    if len(graph.inputs) != 1:
        inputs = listing(map(str, graph.inputs)) or "none"
        raise source.file.refuse(
            f"takes {len(graph.inputs)} inputs ({inputs}); all but texts goes into one"
        )
    (given,) = graph.inputs
    fed = complete(said, given, source.file.refuse, declared=source.preprocessing is not None)
    return OnnxEncoder(
        places=Places(graph, given.name, output),
        transform=transform_of(fed.preprocessing),
        feed=GraphFeed(
            {given.name: ONLY}, given.dims[0], axis=fed.declared, batch_first=fed.batch_first
        ),
        pooling=fed.preprocessing.pooling,
        axis=fed.axis,
        options=options,
        note=fed.note,
    )


def _texts(source: OnnxSource, graph: Graph, output: str, options: OpenOptions) -> Encoder:
    said = source.preprocessing
    spec = said if isinstance(said, TextPreprocessing) else TextPreprocessing()
    fed = source.token_feed(graph.inputs)
    roles = frozenset(fed.names.values())
    # Padding, or the other texts of a batch, would change a text's encoding.
    alone = MASK not in roles or graph.mixes_samples
    return OnnxEncoder(
        places=Places(graph, fed.ids, output),
        transform=TokenTransform.of(fed.tokenizer, spec, longest=fed.tokens, names=roles),
        feed=GraphFeed(fed.names, 1 if alone else fed.samples, MASK, fed.tokens),
        pooling=spec.pooling,
        axis=None,
        options=options,
        note="" if spec.tokenizer else "its texts become tokens by the tokenizer.json beside it",
    )


def _output(source: OnnxSource, graph: Graph) -> str:
    name = source.output
    if name is not None:
        if name not in graph.outputs:
            near = hint(name, graph.outputs)
            raise source.file.refuse(f"has no output {brief(name)}; {near}")
        return name
    if len(graph.outputs) > 1:
        raise source.file.refuse(
            f"gives {len(graph.outputs)} outputs ({listing(graph.outputs)}): say which one stands "
            "for the whole with output = 'NAME'"
        )
    only: str = graph.outputs[0]
    return only
