"""Texts for ONNX graphs: which inputs take the ids of tokens, and the tokenizer's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoorank.sources.base import Encoder, OpenOptions
from zoorank.sources.batches import Feed
from zoorank.sources.inputs import token_inputs
from zoorank.sources.onnx.cuts import Places
from zoorank.sources.onnx.encoder import OnnxEncoder
from zoorank.sources.onnx.graph import Graph
from zoorank.sources.tokens import IDS, MASK, FileTokenizer, TokenTransform
from zoorank.transforms.specs import TextPreprocessing

if TYPE_CHECKING:
    from zoorank.sources.onnx import OnnxSource


def open_texts(source: OnnxSource, graph: Graph, output: str, options: OpenOptions) -> Encoder:
    """Make an encoder of a graph that takes tokens.

    Raises
    ------
    SourceError
        When its inputs or its tokenizer cannot be told.
    """
    said = source.preprocessing
    spec = said if isinstance(said, TextPreprocessing) else TextPreprocessing()
    file = source.tokenizer
    if file is None:
        raise source.file.refuse(
            "takes texts, and nothing says how they become tokens: say preprocessing = "
            "{ input = 'text', tokenizer = 'tokenizer.json' }"
        )
    names = token_inputs(graph.inputs, source.inputs, source.file.refuse)
    by_role = {role: name for name, role in names.items()}
    (tokenizer_pin,) = (pin for pin in source.pins if pin.file == file)
    ids = next(each for each in graph.inputs if names[each.name] == IDS)
    if len(ids.dims) != 2:
        raise source.file.refuse(f"its input is {ids}, which is no batch of token ids")
    samples, tokens = ids.dims
    transform = TokenTransform.of(
        FileTokenizer.of(tokenizer_pin.file, tokenizer_pin.read()),
        spec,
        longest=tokens,
        names=frozenset(by_role),
    )
    if MASK not in by_role or graph.mixes_samples:
        samples = 1  # padding, or the other texts of a batch, would change a text's encoding
    return OnnxEncoder(
        places=Places(graph, ids.name, output),
        transform=transform,
        feed=Feed(names, samples, MASK, tokens),
        pooling=spec.pooling,
        axis=None,
        options=options,
        note="" if spec.tokenizer else "its texts become tokens by the tokenizer.json beside it",
    )
