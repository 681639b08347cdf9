"""ONNX files, run by onnxruntime; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from zoorank.sources.base import Encoder, Entry, Events, Json, OpenOptions, Source, needs
from zoorank.sources.programs import ProgramSource

KIND = "onnx"


@dataclass(frozen=True, kw_only=True)
class OnnxSource(ProgramSource):
    """An ONNX file, not loaded."""

    def resolve(self, events: Events) -> OnnxSource:  # noqa: ARG002  nothing is fetched
        """Hash the file, the files with weights beside it, and the tokenizer."""
        if self.pins:
            return self
        with needs("onnx"):
            from zoorank.sources.onnx.graph import read_graph

        file = self.file.pin(self.sha256)
        graph = read_graph(file.read(), self.file)
        tokenizer = self.tokenizer
        if tokenizer is None and "text" in self.modalities and graph.takes_tokens:
            tokenizer = self.file.beside("tokenizer.json")
            tokenizer = tokenizer if tokenizer.path.is_file() else None
        others = {each.path: each for each in graph.external.values()}
        if tokenizer is not None:
            if tokenizer.path.is_dir():
                tokenizer = tokenizer.inside("tokenizer.json")
            others[tokenizer.path] = tokenizer
        pins = (file, *(each.pin() for each in others.values()))
        return replace(self, tokenizer=tokenizer, pins=pins)

    def identity(self) -> Mapping[str, Json]:
        """Digests of all its files, what it is fed, and the runtime's version."""
        with needs("onnx"):
            import onnxruntime

        pins = self.resolve(lambda _: None).pins
        return self.digests(KIND, pins, str(onnxruntime.__version__))

    def open(self, options: OpenOptions) -> Encoder:
        """Load the graph and find out how to feed it."""
        with needs("onnx"):
            from zoorank.sources.onnx.graph import read_graph
            from zoorank.sources.onnx.opened import open_graph

        source = self.resolve(lambda _: None)
        self.check_takes(options.modality)
        graph = read_graph(source.pins[0].read(), self.file, self.shuffled)
        for pin in source.pins[1:]:
            pin.check()
        return open_graph(source, graph, options)


def sources(identifier: str, revision: str | None, entry: Entry) -> tuple[Source, ...]:  # noqa: ARG001
    """Give the sources of one file, or of all that a pattern matches.

    Raises
    ------
    EntryError, ValidationError
        When the entry is wrong.
    """
    return OnnxSource.of_entry(KIND, identifier, entry)
