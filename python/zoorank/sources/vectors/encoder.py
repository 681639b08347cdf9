"""Vectors of words or tokens, averaged over each text."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoorank.errors import SourceError, UsageError
from zoorank.messages import hint
from zoorank.sources.base import ALL, LOGITS, PENULTIMATE, Cut, Encoder, ModelFacts, Refusal
from zoorank.sources.pooling import pool_tokens
from zoorank.sources.tokens import IDS, MASK, FileTokenizer, TokenTransform
from zoorank.sources.vectors.static import StaticFiles, read_static
from zoorank.sources.vectors.word_files import read_words
from zoorank.sources.vectors.words import KeptVectors, Unknown, WordTransform
from zoorank.transforms.base import Batch, Transform

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from zoorank.sources.vectors import VectorsSource
    from zoorank.transforms.specs import TextPreprocessing

VECTORS = "vectors"


@dataclass(frozen=True)
class VectorsEncoder:
    """Vectors, opened.

    Attributes
    ----------
    transform : Transform
    kept : KeptVectors
    pooling : str
    facts : ModelFacts
    normalizes : bool
        Whether every row is scaled to length 1.
    unknown : Unknown
    rows_of : callable or None
        Where a batch holds tokens, what turns their ids into rows of the vectors.
    dropped : int or None
        Id of a token that is left out.
    device : str
    source : VectorsSource or None
        Whose files these are.
    """

    transform: Transform
    kept: KeptVectors
    pooling: str
    facts: ModelFacts
    normalizes: bool = False
    unknown: Unknown = field(default_factory=Unknown)
    rows_of: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None
    dropped: int | None = None
    device: str = "cpu"
    source: VectorsSource | None = None

    @property
    def note(self) -> str:
        """How many words have no vector."""
        return str(self.unknown)

    def cuts(self, batch: Batch, wanted: Sequence[str]) -> tuple[Cut | Refusal, ...]:
        """Find the one cut that there is."""
        found: dict[str, Cut | Refusal] = {}
        shape = (batch.inputs[IDS].shape[1], self.kept.vectors.shape[1])
        for name in wanted:
            own = VECTORS if name == ALL else name
            if own == LOGITS:
                found[own] = Refusal(own, "word vectors have no classifier")
            elif own in (VECTORS, PENULTIMATE):
                found[own] = Cut(own, shape, 0, 1.0, self.facts.parameters, 1.0)
            else:
                usual = (VECTORS, PENULTIMATE, ALL)
                raise UsageError(f"unknown cut {name!r}; {hint(name, usual)}")
        return tuple(found.values())

    def encode(self, batch: Batch, cuts: Sequence[Cut]) -> Mapping[str, NDArray[np.float32]]:
        """Average the vectors of each text, or of each word."""
        ids, mask = batch.inputs[IDS], batch.inputs[MASK]
        if self.dropped is not None:
            mask = mask * (ids != self.dropped)
        rows = ids if self.rows_of is None else self.rows_of(ids)
        encoded = pool_tokens(self.kept.vectors[rows], mask, self.pooling, batch.words)
        if self.normalizes:
            encoded = encoded / (np.linalg.norm(encoded, axis=1, keepdims=True) + 1e-32)
        return {cut.name: encoded for cut in cuts}

    @property
    def written(self) -> tuple[str, str | None, TextPreprocessing]:
        """What `export` writes: vectors, words where these are apart, how they are fed."""
        source = self._exportable()
        text = source.preprocessing.model_copy(update={"tokenizer": None})
        if source.static is not None:
            return ".", None, text
        words = None if source.words is None else source.words.path.name
        return source.file.path.name, words, text

    def export(self, cut: Cut, batch: Batch, folder: Path) -> tuple[Path, ...]:  # noqa: ARG002
        """Copy the files; there is nothing to cut off."""
        source = self._exportable()
        if source.static is None:
            files = {each.path.name: each for each in (source.file, source.words) if each}
        else:
            static = source.static
            files = {"model.safetensors": static.vectors, "tokenizer.json": static.tokenizer}
            files |= {"config.json": static.config} if static.config else {}
            files |= {"modules.json": static.modules} if static.modules else {}
        for name, file in files.items():
            shutil.copyfile(file.path, folder / name)
        return tuple(folder / name for name in files)

    def _exportable(self) -> VectorsSource:
        if self.source is None or self.source.shuffled is not None:
            raise SourceError("shuffled vectors are a control, and not exported")
        return self.source

    def empty(self, rows: int, features: int) -> NDArray[np.float32]:
        """Room for encodings."""
        return np.empty((rows, features), dtype=np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return


def open_vectors(source: VectorsSource) -> Encoder:
    """Make an encoder of a source whose files are known.

    Raises
    ------
    SourceError
        When the files are damaged.
    """
    if source.static is not None:
        return _open_static(source, source.static)
    file = read_words(source.file, source.words)
    kept = KeptVectors(file.dimension, file.find, source.shuffled)
    unknown = Unknown()
    said = source.preprocessing
    transform = WordTransform(kept, unknown, said.prefix)
    return VectorsEncoder(
        transform,
        kept,
        said.pooling,
        _facts(file.count, file.dimension),
        unknown=unknown,
        source=source,
    )


def _open_static(source: VectorsSource, files: StaticFiles) -> Encoder:
    static = read_static(files)
    (pin,) = (each for each in source.pins if each.file == files.tokenizer)
    tokenizer = FileTokenizer.of(files.tokenizer, pin.read(), marked=False)
    tokens = tokenizer.backend_tokenizer.get_vocab_size()
    if tokens > static.tokens:
        vectors = f"{static.tokens} vectors of {files.vectors.written}"
        raise files.tokenizer.refuse(f"has {tokens} tokens for the {vectors}")
    kept = KeptVectors(static.dimension, static.find, source.shuffled)

    def rows_of(ids: NDArray[np.int64]) -> NDArray[np.int64]:
        every, inverse = np.unique(ids, return_inverse=True)
        kept.look_up(every.tolist())
        rows = np.array([kept.row(token) for token in every.tolist()], dtype=np.int64)
        return rows[inverse].reshape(ids.shape)

    said = source.preprocessing
    transform = TokenTransform.of(tokenizer, said, longest=static.longest)
    return VectorsEncoder(
        transform,
        kept,
        said.pooling,
        _facts(static.count, static.dimension),
        normalizes=static.normalizes,
        rows_of=rows_of,
        dropped=tokenizer.unk_token_id if static.drops_unknown else None,
        source=source,
    )


def _facts(count: int, dimension: int) -> ModelFacts:
    numbers = count * dimension
    return ModelFacts(f"numpy {np.__version__}", numbers, 4 * numbers)
