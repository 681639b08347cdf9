"""What ONNX files and exported programs share: keys of their entries, files, identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple, get_args

from pydantic import Field

from zoorank.frozen import Frozen
from zoorank.messages import brief, hint
from zoorank.sources.base import Entry, EntryError, Json
from zoorank.sources.files import FileSource, Pin, SourceFile, find_files, named_file, size_of
from zoorank.sources.inputs import ROLES, Input, token_inputs
from zoorank.sources.tokens import IDS, FileTokenizer
from zoorank.targets.base import Modality
from zoorank.transforms.specs import Preprocessing

if TYPE_CHECKING:
    from typing_extensions import Self


class ProgramSettings(Frozen):
    """Keys of an entry that these kinds have alone.

    Attributes
    ----------
    output : str or None
        The output that stands for the whole, of a program that gives several: by its name, or
        of an exported program its node or module.
    inputs : mapping of str to str
        Of a program for texts, which of its inputs takes the ``ids`` of tokens, their
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


class TokenFeed(NamedTuple):
    """How a program for texts is fed.

    Attributes
    ----------
    names : mapping of str to str
        By input of the program, what it takes of a batch of tokens.
    ids : str
        The input that takes the ids.
    samples, tokens : int or None
        How many it takes; None where any number will do.
    tokenizer : FileTokenizer
    """

    names: Mapping[str, str]
    ids: str
    samples: int | None
    tokens: int | None
    tokenizer: FileTokenizer


@dataclass(frozen=True, kw_only=True)
class ProgramSource(FileSource):
    """A network with its weights in one file, not loaded."""

    file: SourceFile
    preprocessing: Preprocessing | None
    tokenizer: SourceFile | None = None
    output: str | None = None
    inputs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_entry(cls, kind: str, identifier: str, entry: Entry) -> tuple[Self, ...]:
        """Give the sources of one file, or of all that a pattern matches.

        Raises
        ------
        EntryError, ValidationError
            When the entry is wrong.
        """
        settings = ProgramSettings.model_validate(dict(entry.settings))
        unknown = [role for role in settings.inputs if role not in ROLES]
        if unknown:
            message = f"unknown role {brief(unknown[0])}; {hint(unknown[0], ROLES)}"
            raise EntryError(message, "inputs")
        said = entry.preprocessing
        tokenizer = getattr(said, "tokenizer", None)
        modalities: frozenset[Modality] = (
            frozenset(get_args(Modality)) if said is None else frozenset((said.input,))
        )
        return tuple(
            cls(
                name=entry.name or f"{kind}:{file.written}",
                file=file,
                preprocessing=said,
                modalities=modalities,
                tokenizer=named_file(tokenizer, entry, "preprocessing") if tokenizer else None,
                cuts=entry.cuts,
                trained_on=entry.trained_on,
                licence=entry.licence,
                sha256=entry.sha256,
                output=settings.output,
                inputs=tuple(sorted(settings.inputs.items())),
                shuffled=settings.shuffled,
            )
            for file in find_files(identifier, entry, settings.package)
        )

    def size(self) -> int | None:
        """Bytes of its file, where it has one."""
        return size_of(self.file.path)

    def token_feed(self, given: Sequence[Input]) -> TokenFeed:
        """Tell what each input takes of a batch of tokens, and read the tokenizer.

        Raises
        ------
        SourceError
            When the inputs or the tokenizer cannot be told.
        """
        if self.tokenizer is None:
            raise self.file.refuse(
                "takes texts, and nothing says how they become tokens: say preprocessing = "
                "{ input = 'text', tokenizer = 'tokenizer.json' }"
            )
        names = token_inputs(given, self.inputs, self.file.refuse)
        ids = next(each for each in given if names[each.name] == IDS)
        if len(ids.dims) != 2:
            raise self.file.refuse(f"its input is {ids}, which is no batch of token ids")
        (pin,) = (each for each in self.pins if each.file == self.tokenizer)
        tokenizer = FileTokenizer.of(self.tokenizer, pin.read())
        return TokenFeed(names, ids.name, *ids.dims, tokenizer)

    def digests(self, kind: str, pins: tuple[Pin, ...], runtime: str) -> Mapping[str, Json]:
        """Digests of all files, what the program is fed, and what runs it."""
        said = None if self.preprocessing is None else self.preprocessing.model_dump(mode="json")
        if said:
            said.pop("tokenizer", None)
        return {
            "kind": kind,
            "weights": pins[0].sha256,
            "beside": [pin.sha256 for pin in pins[1:]],
            "preprocessing": said,
            "output": self.output,
            "inputs": dict(self.inputs),
            "shuffled": self.shuffled,
            "runtime": runtime,
        }
