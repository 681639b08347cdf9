"""ONNX files, run by onnxruntime; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, get_args

from pydantic import Field

from zoorank.errors import SourceError
from zoorank.frozen import Frozen
from zoorank.messages import brief, hint
from zoorank.sources.base import (
    Encoder,
    Entry,
    EntryError,
    Events,
    Json,
    Known,
    OpenOptions,
    Source,
    needs,
)
from zoorank.sources.files import Pin, SourceFile, find_files, named_file
from zoorank.sources.inputs import ROLES
from zoorank.targets.base import Modality

if TYPE_CHECKING:
    from zoorank.transforms.specs import Preprocessing


class _Settings(Frozen):
    """Keys of an entry that ONNX files have alone.

    Attributes
    ----------
    output : str or None
        The output that stands for the whole, of a graph that has several.
    inputs : mapping of str to str
        Of a graph for texts, which of its inputs takes the ``ids`` of tokens, their
        ``mask``, their ``types`` and their ``positions``, where it has names of its own.
    package : str or None
        Installed package that the file is inside of.
    shuffled : int or None
        A control, what the architecture alone is worth: the numbers of each weight matrix
        and kernel change places, by this seed.
    """

    output: str | None = None
    inputs: Mapping[str, str] = Field(default_factory=dict)
    package: str | None = None
    shuffled: Annotated[int, Field(ge=0)] | None = None


@dataclass(frozen=True)
class OnnxSource:
    """An ONNX file, not loaded."""

    name: str
    file: SourceFile
    preprocessing: Preprocessing | None
    modalities: frozenset[Modality]
    tokenizer: SourceFile | None = None
    cuts: tuple[str, ...] | None = None
    trained_on: str | None = None
    sha256: str | None = None
    output: str | None = None
    inputs: tuple[tuple[str, str], ...] = ()
    shuffled: int | None = None
    pins: tuple[Pin, ...] = ()

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
        said = None if self.preprocessing is None else self.preprocessing.model_dump(mode="json")
        if said:
            said.pop("tokenizer", None)
        return {
            "kind": "onnx",
            "weights": pins[0].sha256,
            "beside": [pin.sha256 for pin in pins[1:]],
            "preprocessing": said,
            "output": self.output,
            "inputs": dict(self.inputs),
            "shuffled": self.shuffled,
            "runtime": str(onnxruntime.__version__),
        }

    def known(self) -> Known:
        """Nothing: a graph says nothing of itself."""
        return Known()

    def open(self, options: OpenOptions) -> Encoder:
        """Load the graph and find out how to feed it."""
        with needs("onnx"):
            from zoorank.sources.onnx.graph import read_graph
            from zoorank.sources.onnx.opened import open_graph

        source = self.resolve(lambda _: None)
        if options.modality not in self.modalities:
            takes = " or ".join(sorted(self.modalities))
            raise SourceError(f"takes {takes} samples; the target holds {options.modality} samples")
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
    settings = _Settings.model_validate(dict(entry.settings))
    unknown = [role for role in settings.inputs if role not in ROLES]
    if unknown:
        raise EntryError(f"unknown role {brief(unknown[0])}; {hint(unknown[0], ROLES)}", "inputs")
    said = entry.preprocessing
    tokenizer = getattr(said, "tokenizer", None)
    modalities: frozenset[Modality] = (
        frozenset(get_args(Modality)) if said is None else frozenset((said.input,))
    )
    return tuple(
        OnnxSource(
            name=entry.name or f"onnx:{file.written}",
            file=file,
            preprocessing=said,
            modalities=modalities,
            tokenizer=named_file(tokenizer, entry, "preprocessing") if tokenizer else None,
            cuts=entry.cuts,
            trained_on=entry.trained_on,
            sha256=entry.sha256,
            output=settings.output,
            inputs=tuple(sorted(settings.inputs.items())),
            shuffled=settings.shuffled,
        )
        for file in find_files(identifier, entry, settings.package)
    )
