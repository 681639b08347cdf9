"""What ``encoder.json`` holds: where an exported encoder comes from, and how it is fed.

A transform is written down as plain data, with files beside it where it needs some: a
tokenizer, the settings of an image processor, word vectors.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from zoorank.errors import SourceError
from zoorank.frozen import Frozen
from zoorank.sources.files import SourceFile
from zoorank.sources.processors import ProcessorTransform
from zoorank.sources.tokens import FileTokenizer, TokenTransform
from zoorank.transforms import transform_of
from zoorank.transforms.base import Transform
from zoorank.transforms.specs import Preprocessing, TextPreprocessing

TOKENIZER = "tokenizer.json"
Numbers = float | tuple[float, ...]


class Statistics(Frozen):
    """What values are scaled by: minus the one, over the other; of the target, by column or one.

    Attributes
    ----------
    offset, width : float, tuple of float, or None
        None where the preprocessing asks for none.
    """

    offset: Numbers | None = None
    width: Numbers | None = None


class Tokens(Frozen):
    """Texts to token ids.

    Attributes
    ----------
    tokenizer : str
        Name of the file.
    prefix, max_length, padding_side
        As of :class:`~zoorank.transforms.specs.TextPreprocessing`.
    filler : int
        Id of what fills shorter texts up.
    inputs : tuple of str
        That the model takes beside ids and mask.
    """

    input: Literal["tokens"] = "tokens"
    tokenizer: str
    prefix: str
    max_length: int
    padding_side: Literal["right", "left"]
    filler: int
    inputs: tuple[str, ...]


class Processor(Frozen):
    """Images as an image processor of transformers prepares them.

    Attributes
    ----------
    file : str
        Name of the file with its settings.
    """

    input: Literal["processor"] = "processor"
    file: str


class Vectors(Frozen):
    """Texts to the mean of the vectors of their words, or tokens.

    Attributes
    ----------
    file : str
        With the vectors; ``"."`` for a static embedding, whose files have fixed names.
    words : str or None
        With the words of a ``.npy`` file.
    text : TextPreprocessing
    """

    input: Literal["vectors"] = "vectors"
    file: str
    words: str | None = None
    text: TextPreprocessing


class Exported(Frozen):
    """What was written, and how it is fed.

    Attributes
    ----------
    source, cut : str
    dim : int
        Numbers in an encoding.
    files : tuple of str
        Names of the files in the folder; the first is in the source's own framework.
    inputs : tuple of str
        Names of what a batch holds, in the order in which the files take it.
    preprocessing : Preprocessing, Tokens, Processor or Vectors
    statistics : Statistics
    batch_size : int or None
        The only number of samples that the files take at once; None where any will do.
    licence : str
        Of the weights, where it is known.
    deviation : float
        The largest difference from the source's own encodings, of some samples, over their
        largest number.
    """

    format: Literal[2] = 2
    source: str
    cut: str
    dim: int
    files: tuple[str, ...] = Field(min_length=1)
    inputs: tuple[str, ...]
    preprocessing: Preprocessing | Tokens | Processor | Vectors
    statistics: Statistics = Statistics()
    batch_size: int | None = None
    licence: str = ""
    deviation: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """All the files that belong to it."""
        said = self.preprocessing
        beside: tuple[str | None, ...] = ()
        if isinstance(said, Tokens):
            beside = (said.tokenizer,)
        elif isinstance(said, Processor):
            beside = (said.file,)
        elif isinstance(said, Vectors) and said.file != ".":
            beside = (said.file, said.words)
        return (*self.files, *(name for name in beside if name is not None))


def write_transform(
    transform: Transform, folder: Path
) -> tuple[Preprocessing | Tokens | Processor, Statistics]:
    """Write a fitted transform down.

    Raises
    ------
    SourceError
        For one that is code alone.
    """
    if isinstance(transform, TokenTransform):
        return _write_tokens(transform, folder), Statistics()
    if isinstance(transform, ProcessorTransform):
        (path, *_) = transform.processor.save_pretrained(folder)
        return Processor(file=Path(path).name), Statistics()
    spec = getattr(transform, "spec", None)
    if spec is None or getattr(spec, "input", "text") == "text":
        kind = type(transform).__name__
        raise SourceError(
            f"its preprocessing, {kind}, is code alone: say preprocessing in a manifest"
        )
    known = (getattr(transform, name, None) for name in ("offset", "width"))
    offset, width = (
        tuple(value.tolist()) if isinstance(value, np.ndarray) else value for value in known
    )
    return spec, Statistics(offset=offset, width=width)


def read_transform(record: Exported, folder: Path) -> Transform:
    """Make a transform of what was written.

    Raises
    ------
    SourceError
        When a file beside the record is missing or damaged.
    """
    said = record.preprocessing
    if isinstance(said, Tokens):
        return _read_tokens(said, folder)
    if isinstance(said, Processor):
        from zoorank.sources.huggingface import read_processor

        return ProcessorTransform(read_processor(folder))
    if isinstance(said, Vectors):
        raise SourceError("word vectors are opened with their transform")
    transform = transform_of(said)
    known = {
        name: np.array(value) if isinstance(value, tuple) else value
        for name, value in record.statistics
        if value is not None
    }
    return replace(transform, **known) if known else transform  # type: ignore[type-var]


def _write_tokens(transform: TokenTransform, folder: Path) -> Tokens:
    content = transform.content
    if content is None:
        name = type(transform.tokenizer).__name__
        raise SourceError(f"its tokenizer, {name}, cannot be written as a {TOKENIZER}")
    (folder / TOKENIZER).write_text(content, encoding="utf-8")
    return Tokens(
        tokenizer=TOKENIZER,
        prefix=transform.prefix,
        max_length=transform.max_length,
        padding_side="left" if transform.padding_side == "left" else "right",
        filler=transform.filler,
        inputs=tuple(sorted(transform.names)),
    )


def _read_tokens(said: Tokens, folder: Path) -> TokenTransform:
    file = SourceFile(said.tokenizer, folder / said.tokenizer)
    tokenizer = FileTokenizer.of(file, file.read())
    return TokenTransform(
        replace(tokenizer, pad_token_id=said.filler),
        said.prefix,
        said.max_length,
        said.padding_side,
        frozenset(said.inputs),
    )
