"""Programs that ``torch.export`` has written, cut at modules or nodes of their graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from zoorank.sources.base import Encoder, Entry, Events, Json, OpenOptions, Source, Trust, needs
from zoorank.sources.programs import ProgramSource

KIND = "exported"


@dataclass(frozen=True, kw_only=True)
class ExportedSource(ProgramSource):
    """A ``.pt2`` file, not loaded."""

    trust: Trust = field(default_factory=Trust)

    def resolve(self, events: Events) -> ExportedSource:  # noqa: ARG002  nothing is fetched
        """Hash the file, and the tokenizer."""
        if self.pins:
            return self
        tokenizer = self.tokenizer
        if tokenizer is not None and tokenizer.path.is_dir():
            tokenizer = tokenizer.inside("tokenizer.json")
        others = () if tokenizer is None else (tokenizer.pin(),)
        return replace(self, tokenizer=tokenizer, pins=(self.file.pin(self.sha256), *others))

    def identity(self) -> Mapping[str, Json]:
        """Digests of its files, what it is fed, and torch's version."""
        with needs("zoo"):
            import torch  # noqa: F401
        pins = self.resolve(lambda _: None).pins
        return self.digests(KIND, pins, f"torch {version('torch')}")

    @property
    def is_trusted(self) -> bool:
        """Whether it lies in a directory that the user allows code from."""
        place = self.file.path.resolve()
        return any(place.is_relative_to(folder.resolve()) for folder in self.trust.code)

    def open(self, options: OpenOptions) -> Encoder:
        """Load the program, or of one that is not trusted what is harmless of it."""
        self.check_takes(options.modality)
        with needs("zoo"):
            from zoorank.sources.exported.opened import open_program
        return open_program(self.resolve(lambda _: None), options)


def sources(identifier: str, revision: str | None, entry: Entry) -> tuple[Source, ...]:  # noqa: ARG001
    """Give the sources of one file, or of all that a pattern matches.

    Raises
    ------
    EntryError, ValidationError
        When the entry is wrong.
    """
    found = ExportedSource.of_entry(KIND, identifier, entry)
    return tuple(replace(source, trust=entry.trust) for source in found)
