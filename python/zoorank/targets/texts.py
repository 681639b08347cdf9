"""Texts, pairs of texts, and sentences whose words have labels of their own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from zoorank.errors import DataError
from zoorank.targets.base import Modality, Rows
from zoorank.targets.packed import Packed
from zoorank.targets.samples import Digest, Form, Survey

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A text, a pair of texts as a tuple, or the words of a sentence as a list.
Text = str | tuple[str, ...] | list[str]

_GRAMS = (2, 3, 4)
_TEXT_COLUMNS = 1024
_WORD_COLUMNS = 256  # there are far more words than texts, and each has fewer runs


@dataclass(frozen=True, eq=False)
class Texts(Form, Sequence[Text]):
    """One text a sample, or one pair of texts, or one sentence in words.

    Attributes
    ----------
    content : tuple of str or of tuple of str, or Packed
        In memory, or each as JSON.
    counts : ndarray of int64, shape (n_samples,), or None
        How many words each sentence has, where every word is a row.
    """

    content: tuple[Text, ...] | Packed
    counts: NDArray[np.int64] | None = None
    modality: Modality = "text"

    @property
    def shape(self) -> str:
        """Shape of one sample, for messages."""
        if self.counts is not None:
            return "(words)"
        return "(text)" if len(self) == 0 or isinstance(self[0], str) else "(text, text)"

    @cached_property
    def starts(self) -> NDArray[np.int64] | None:  # type: ignore[override]
        """First row of each sentence; None where every text is one row."""
        if self.counts is None:
            return None
        return np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)

    def __len__(self) -> int:
        return len(self.content)

    @overload
    def __getitem__(self, row: int) -> Text: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Text]: ...
    def __getitem__(self, row: int | slice) -> Text | Sequence[Text]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        text = self.content[row]
        if isinstance(text, bytes):
            text = json.loads(text)
        if isinstance(text, str):
            return text
        return tuple(text) if self.counts is None else list(text)

    def take(self, rows: Rows) -> Sequence[Text]:
        """Some texts."""
        return [self[int(row)] for row in rows]

    def subset(self, rows: NDArray[np.int64]) -> Texts:
        """Some of the texts."""
        counts = None if self.counts is None else self.counts[rows]
        return Texts(tuple(self.take(rows)), counts)

    def hash_into(self, digest: Digest) -> None:
        """Feed every text, with its length before it, to a digest."""
        digest.update(f"{self.shape}\0".encode())
        for text in self:
            content = _packed(text)
            digest.update(len(content).to_bytes(8, "little") + content)

    def baseline(self) -> NDArray[np.float32]:
        """Weighted counts of the runs of two to four characters in every text, or word."""
        if self.counts is None:
            return character_counts([" ".join(_parts(text)) for text in self], _TEXT_COLUMNS)
        # Most words come again and again.
        words = [word for sentence in self for word in sentence]
        distinct = {word: number for number, word in enumerate(dict.fromkeys(words))}
        counts = character_counts(list(distinct), _WORD_COLUMNS)
        return counts[[distinct[word] for word in words]]

    def spilled(self, path: Path) -> Texts:
        """The same with the texts in one file."""
        if isinstance(self.content, Packed):
            return self
        return replace(self, content=Packed.of(map(_packed, self.content)).spilled(path))

    def changed(self) -> str | None:
        """Name of the file that the texts are in, if it is not any more as it was."""
        return self.content.changed() if isinstance(self.content, Packed) else None

    def survey(self, name: str, digest: Digest) -> Survey:
        """Leave out texts that hold nothing, and refuse those of which none is left."""
        full = [any(part.strip() for part in _parts(text)) for text in self]
        if not any(full):
            raise DataError(f"{name}: all its texts are empty")
        if self.counts is not None or all(full):
            self.hash_into(digest)
            return Survey(self)
        skipped = tuple((f"row {row}", "an empty text") for row, has in enumerate(full) if not has)
        rows = np.flatnonzero(full)
        kept = self.subset(rows)
        kept.hash_into(digest)
        return Survey(kept, rows, skipped, noun="row")


def sentences(words: Iterable[Sequence[str]]) -> Texts:
    """Sentences whose every word is a row."""
    content = tuple(tuple(sentence) for sentence in words)
    return Texts(content, np.array([len(sentence) for sentence in content], dtype=np.int64))


def character_counts(texts: Sequence[str], columns: int = _TEXT_COLUMNS) -> NDArray[np.float32]:
    """Count runs of characters, hashed into columns and weighted by how rare they are.

    Parameters
    ----------
    texts : sequence of str
    columns : int
        A power of 2.

    Returns
    -------
    ndarray of shape (n_texts, columns)
        Rows of length 1, or of zeros for an empty text: ``1 + log(count)``, times the
        logarithm of the inverse share of texts that have the run (tf-idf).

    Examples
    --------
    >>> counts = character_counts(["the cat", "The cat", "a dog"])
    >>> (counts @ counts[0]).round(2)
    array([1., 1., 0.], dtype=float32)
    """
    shift = np.uint64(64 - (columns.bit_length() - 1))
    counts = np.zeros((len(texts), columns), dtype=np.float32)
    for row, text in enumerate(texts):
        spaced = " ".join(["", *text.lower().split(), ""])
        codes = np.frombuffer(spaced.encode("utf-32-le", "surrogatepass"), np.uint32)
        codes = codes.astype(np.uint64)
        for length in _GRAMS:
            hashed = np.full(max(0, len(codes) - length + 1), length, dtype=np.uint64)
            for k in range(length):
                hashed = hashed * np.uint64(1_000_003) + codes[k : k + len(hashed)]
            places = (hashed * np.uint64(0x9E3779B97F4A7C15)) >> shift
            counts[row] += np.bincount(places.astype(np.int64), minlength=columns)
    found = counts > 0
    rare = np.log((1 + len(texts)) / (1 + found.sum(axis=0))) + 1
    np.log(counts, out=counts, where=found)
    counts += found
    counts *= rare.astype(np.float32)
    lengths = np.linalg.norm(counts, axis=1, keepdims=True)
    counts /= np.where(lengths > 0, lengths, 1.0)
    return counts


def _parts(text: Text) -> Sequence[str]:
    return (text,) if isinstance(text, str) else text


def _packed(text: Text) -> bytes:
    return json.dumps(text).encode()  # ASCII, so that half of a surrogate pair is none too
