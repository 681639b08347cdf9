"""Word vectors and static embeddings: a text is the mean of its words, or tokens; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from zoorank.frozen import Frozen
from zoorank.sources.base import (
    Encoder,
    Entry,
    EntryError,
    Events,
    Json,
    OpenOptions,
    Source,
    needs,
)
from zoorank.sources.files import FileSource, SourceFile, find_files, named_file, size_of
from zoorank.sources.vectors.static import StaticFiles, find_static
from zoorank.sources.vectors.word_files import find_word_list
from zoorank.targets.base import Modality
from zoorank.transforms.specs import TextPreprocessing


class _Settings(Frozen):
    """Keys of an entry that word vectors have alone.

    Attributes
    ----------
    words : str or None
        The words of a ``.npy`` file, one a row.
    package : str or None
        Installed package that the files are inside of.
    shuffled : int or None
        A control: words, or tokens, get the vectors of others, by this seed.
    """

    words: str | None = None
    package: str | None = None
    shuffled: Annotated[int, Field(ge=0)] | None = None


@dataclass(frozen=True, kw_only=True)
class VectorsSource(FileSource):
    """A file of word vectors, or a directory of a static embedding, not loaded."""

    modalities: frozenset[Modality] = frozenset(("text",))
    file: SourceFile
    preprocessing: TextPreprocessing
    words: SourceFile | None = None
    tokenizer: SourceFile | None = None
    static: StaticFiles | None = None

    def resolve(self, events: Events) -> VectorsSource:  # noqa: ARG002  nothing is fetched
        """Find the files that belong together, and hash them."""
        if self.pins:
            return self
        static = find_static(self.file, self.tokenizer)
        if static is not None:
            first, *others = static.files
            pins = (first.pin(self.sha256), *(each.pin() for each in others))
            return replace(self, static=static, pins=pins)
        words = self.words
        if words is None and self.file.path.suffix == ".npy":
            words = find_word_list(self.file)
        pins = (self.file.pin(self.sha256), *(() if words is None else (words.pin(),)))
        return replace(self, words=words, pins=pins)

    def identity(self) -> Mapping[str, Json]:
        """Digests of all its files, and how texts become words or tokens."""
        pins = self.resolve(lambda _: None).pins
        said = self.preprocessing.model_dump(mode="json")
        said.pop("tokenizer")
        return {
            "kind": "vectors",
            "weights": pins[0].sha256,
            "beside": [pin.sha256 for pin in pins[1:]],
            "preprocessing": said,
            "shuffled": self.shuffled,
        }

    def size(self) -> int | None:
        """Bytes of its file, where it has one."""
        return size_of(self.file.path)

    def open(self, options: OpenOptions) -> Encoder:
        """Open the file; vectors are read when texts ask for them."""
        self.check_takes(options.modality)
        from zoorank.sources.vectors.encoder import open_vectors

        source = self.resolve(lambda _: None)
        for pin in source.pins:
            pin.check()
        with needs("vectors"):
            return open_vectors(source)


def sources(identifier: str, revision: str | None, entry: Entry) -> tuple[Source, ...]:  # noqa: ARG001
    """Give the sources of one file or directory, or of all that a pattern matches.

    Raises
    ------
    EntryError, ValidationError
        When the entry is wrong.
    """
    settings = _Settings.model_validate(dict(entry.settings))
    said = entry.preprocessing
    if said is not None and not isinstance(said, TextPreprocessing):
        raise EntryError("word vectors take texts: say input = 'text'", "preprocessing")
    said = said or TextPreprocessing()
    words, tokenizer = settings.words, said.tokenizer

    def beside(written: str, key: str) -> SourceFile:
        if settings.package is not None:
            return find_files(written, entry, settings.package)[0]
        return named_file(written, entry, key)

    return tuple(
        VectorsSource(
            name=entry.name or f"vectors:{file.written}",
            file=file,
            preprocessing=said,
            words=beside(words, "words") if words else None,
            tokenizer=beside(tokenizer, "preprocessing") if tokenizer else None,
            cuts=entry.cuts,
            trained_on=entry.trained_on,
            licence=entry.licence,
            sha256=entry.sha256,
            shuffled=settings.shuffled,
        )
        for file in find_files(identifier, entry, settings.package)
    )
