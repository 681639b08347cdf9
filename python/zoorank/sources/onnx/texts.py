"""Texts for ONNX graphs: which inputs take the ids of tokens, and the tokenizer's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoorank.messages import listing
from zoorank.sources.base import Encoder, OpenOptions
from zoorank.sources.onnx.cuts import Places
from zoorank.sources.onnx.encoder import Feed, OnnxEncoder
from zoorank.sources.onnx.graph import Graph
from zoorank.sources.tokens import IDS, MASK, POSITIONS, TYPES, FileTokenizer, TokenTransform
from zoorank.transforms.specs import TextPreprocessing

if TYPE_CHECKING:
    from zoorank.sources.onnx import OnnxSource

# What exporters call the inputs, by the names that batches of tokens have.
_USUAL = {
    IDS: ("input_ids", "ids", "input_word_ids", "tokens"),
    MASK: ("attention_mask", "input_mask", "mask"),
    TYPES: ("token_type_ids", "segment_ids", "input_type_ids", "types"),
    POSITIONS: ("position_ids", "positions"),
}
_ROLES = {"ids": IDS, "mask": MASK, "types": TYPES, "positions": POSITIONS}


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
    names = _inputs(source, graph)
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


def _inputs(source: OnnxSource, graph: Graph) -> dict[str, str]:
    """What each input of the graph takes, as batches of tokens call it."""
    own = {name: _ROLES[role] for role, name in source.inputs}
    names = [each.name for each in graph.inputs]
    absent = [name for name in own if name not in names]
    if absent:
        raise source.file.refuse(f"has no input {absent[0]!r}; it has {listing(names)}")
    usual = {name: role for role, every in _USUAL.items() for name in every}
    found = {name: own.get(name, usual.get(name.partition(":")[0], "")) for name in names}
    unknown = [name for name, role in found.items() if not role]
    if unknown or IDS not in found.values() or len(set(found.values())) < len(found):
        raise source.file.refuse(
            f"takes {listing(map(str, graph.inputs))}: say which is which with "
            "inputs = { ids = 'NAME', mask = 'NAME', types = 'NAME' }"
        )
    return found
