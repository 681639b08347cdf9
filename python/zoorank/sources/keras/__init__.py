"""Models of Keras: its applications by their names, and its files; on torch or on jax."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated, get_args

from pydantic import Field

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
from zoorank.sources.files import FileSource, SourceFile, find_files, size_of
from zoorank.sources.keras.applications import NAMES, matching
from zoorank.targets.base import Modality
from zoorank.transforms.specs import ImagePreprocessing, Preprocessing, TextPreprocessing

_SUFFIXES = (".keras", ".h5", ".hdf5")
_DISTRIBUTIONS = {"torch": "torch", "jax": "jax", "tensorflow": "tensorflow"}


class _Settings(Frozen):
    """Keys of an entry that models of Keras have alone.

    Attributes
    ----------
    random : int or None
        Of an application: no weights, but initial values by this seed.
    package : str or None
        Installed package that the file is inside of.
    shuffled : int or None
        A control: the numbers of each weight matrix and kernel change places, by this seed.
    """

    random: Annotated[int, Field(ge=0)] | None = None
    package: str | None = None
    shuffled: Annotated[int, Field(ge=0)] | None = None


@dataclass(frozen=True, kw_only=True)
class KerasSource(FileSource):
    """A model of Keras, not loaded.

    Attributes
    ----------
    file : SourceFile or None
        None for an application.
    application : str
        Its name; empty for a file.
    """

    file: SourceFile | None
    application: str
    preprocessing: Preprocessing | None
    random: int | None = None

    def resolve(self, events: Events) -> KerasSource:
        """Hash the file, or the weights of an application, which are fetched where they lack."""
        if self.pins or self.random is not None:
            return self
        file = self.file or self._weights(events)
        return replace(self, pins=(file.pin(self.sha256),))

    def identity(self) -> Mapping[str, Json]:
        """Digest of the weights, what they are fed, and versions of Keras and its backend."""
        source = self.resolve(lambda _: None)
        backend = _backend()
        with needs("keras"):
            if find_spec("keras") is None:
                raise ModuleNotFoundError(name="keras")
        said = self.preprocessing
        return {
            "kind": "keras",
            "application": self.application,
            "weights": source.pins[0].sha256 if source.pins else f"random {self.random}",
            "preprocessing": None
            if said is None
            else said.model_dump(mode="json", exclude_unset=True),
            "shuffled": self.shuffled,
            "runtime": f"keras {version('keras')} {backend} {version(_DISTRIBUTIONS[backend])}",
        }

    def size(self) -> int | None:
        """Bytes of its file, where it has one."""
        return None if self.file is None else size_of(self.file.path)

    def known(self) -> Known:
        """What the manifest says, and what the weights of an application were trained on."""
        said = super().known()
        if not self.application or self.random is not None:
            return said
        return replace(said, training_data="ImageNet-1k", origin="keras.applications")

    def open(self, options: OpenOptions) -> Encoder:
        """Load the model, after a look at what its file holds."""
        self.check_takes(options.modality)
        source = self.resolve(lambda _: None)
        _backend()
        with needs("keras"):
            import keras  # noqa: F401

            from zoorank.sources.keras.opened import open_model
        return open_model(source, options)

    def _weights(self, events: Events) -> SourceFile:
        _backend()
        with needs("keras"):
            import keras

            from zoorank.sources.keras.applications import fetch, published
        weights = published(getattr(keras.applications, self.application))
        if not weights.file.is_file():
            fetch(weights, events)
        return SourceFile(weights.file.name, weights.file)


def sources(identifier: str, revision: str | None, entry: Entry) -> tuple[Source, ...]:  # noqa: ARG001
    """Give the sources of a file, of an application, or of all that a pattern matches.

    Raises
    ------
    EntryError, ValidationError
        When the entry is wrong.
    """
    settings = _Settings.model_validate(dict(entry.settings))
    if isinstance(entry.preprocessing, TextPreprocessing):
        raise EntryError("models of Keras take no texts here", "preprocessing")
    if identifier.lower().endswith(_SUFFIXES):
        if settings.random is not None:
            raise EntryError("is for applications; a file has its weights", "random")
        files = find_files(identifier, entry, settings.package)
        return tuple(_source(entry, settings, file.written, file) for file in files)
    if settings.package is not None:
        raise EntryError(f"needs a file in it, {' or '.join(_SUFFIXES)}", "package")
    names = matching(identifier)
    if not names:
        near = hint(identifier, NAMES)
        raise EntryError(
            f"{brief(identifier)} is neither a file ({', '.join(_SUFFIXES)}) nor a name of "
            f"keras.applications; {near}"
        )
    said = entry.preprocessing
    if said is not None and not isinstance(said, ImagePreprocessing):
        raise EntryError("networks of keras.applications take images", "preprocessing")
    return tuple(_source(entry, settings, name, None) for name in names)


def _source(
    entry: Entry, settings: _Settings, written: str, file: SourceFile | None
) -> KerasSource:
    said = entry.preprocessing
    every: frozenset[Modality] = frozenset(each for each in get_args(Modality) if each != "text")
    modality: Modality | None = "image" if file is None else None if said is None else said.input
    return KerasSource(
        name=entry.name or f"keras:{written}",
        file=file,
        application="" if file else written,
        preprocessing=said,
        modalities=every if modality is None else frozenset((modality,)),
        cuts=entry.cuts,
        trained_on=entry.trained_on,
        licence=entry.licence,
        sha256=entry.sha256,
        random=settings.random,
        shuffled=settings.shuffled,
    )


def _backend() -> str:
    """Choose what Keras runs on, before it is imported; a choice of the user's stands."""
    chosen = os.environ.get("KERAS_BACKEND", "")
    if chosen not in _DISTRIBUTIONS:
        chosen = next((each for each in ("torch", "jax") if find_spec(each)), "torch")
        os.environ["KERAS_BACKEND"] = chosen
    return chosen
