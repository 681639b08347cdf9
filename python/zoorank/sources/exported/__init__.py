"""Programs that ``torch.export`` has written, cut at modules or nodes of their graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Annotated, get_args

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
    Trust,
    needs,
)
from zoorank.sources.files import Pin, SourceFile, find_files, named_file
from zoorank.sources.inputs import ROLES
from zoorank.targets.base import Modality
from zoorank.transforms.specs import Preprocessing


class _Settings(Frozen):
    """Keys of an entry that exported programs have alone.

    Attributes
    ----------
    output : str or None
        The output that stands for the whole, of a program that gives several: its node or module.
    inputs : mapping of str to str
        Of a program for texts, which of its inputs takes the ``ids`` of tokens, their
        ``mask``, their ``types`` and their ``positions``, where it has names of its own.
    package : str or None
        Installed package that the file is inside of.
    shuffled : int or None
        A control: the numbers of each weight matrix and kernel change places, by this seed.
    """

    output: str | None = None
    inputs: Mapping[str, str] = Field(default_factory=dict)
    package: str | None = None
    shuffled: Annotated[int, Field(ge=0)] | None = None


@dataclass(frozen=True)
class ExportedSource:
    """A ``.pt2`` file, not loaded."""

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
    trust: Trust = field(default_factory=Trust)
    pins: tuple[Pin, ...] = ()

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
        pins = self.resolve(lambda _: None).pins
        said = None if self.preprocessing is None else self.preprocessing.model_dump(mode="json")
        if said:
            said.pop("tokenizer", None)
        with needs("zoo"):
            import torch  # noqa: F401
        return {
            "kind": "exported",
            "weights": pins[0].sha256,
            "beside": [pin.sha256 for pin in pins[1:]],
            "preprocessing": said,
            "output": self.output,
            "inputs": dict(self.inputs),
            "shuffled": self.shuffled,
            "runtime": f"torch {version('torch')}",
        }

    def known(self) -> Known:
        """Nothing: a program says nothing of itself."""
        return Known()

    @property
    def is_trusted(self) -> bool:
        """Whether it lies in a directory that the user allows code from."""
        place = self.file.path.resolve()
        return any(place.is_relative_to(folder.resolve()) for folder in self.trust.code)

    def open(self, options: OpenOptions) -> Encoder:
        """Load the program, or of one that is not trusted what is harmless of it."""
        if options.modality not in self.modalities:
            takes = " or ".join(sorted(self.modalities))
            raise SourceError(f"takes {takes} samples; the target holds {options.modality} samples")
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
        ExportedSource(
            name=entry.name or f"exported:{file.written}",
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
            trust=entry.trust,
        )
        for file in find_files(identifier, entry, settings.package)
    )
