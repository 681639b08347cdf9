"""Texts, and the CSV files that people keep them in."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import one_line
from zoorank.targets.base import Digest, Modality, Rows
from zoorank.targets.labelled import Labelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GRAMS = (2, 3, 4)
_COLUMNS = 1024
_LABEL_NAMES = ("label", "labels", "class", "category", "target", "y")


@dataclass(frozen=True, eq=False)
class Texts:
    """One text a sample.

    Attributes
    ----------
    texts : tuple of str
    """

    texts: tuple[str, ...]
    modality: Modality = "text"

    @property
    def shape(self) -> str:
        """Shape of one sample, for messages."""
        return "(text)"

    @property
    def starts(self) -> None:
        """Every text is a row."""
        return

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Rows) -> Sequence[str]:
        """Some texts."""
        return [self.texts[row] for row in rows]

    def subset(self, rows: NDArray[np.int64]) -> Texts:
        """Some of the texts."""
        return Texts(tuple(self.take(rows)))

    def hash_into(self, digest: Digest) -> None:
        """Feed every text, with its length before it, to a digest."""
        digest.update(b"texts\0")
        for text in self.texts:
            content = text.encode("utf-8", "surrogatepass")
            digest.update(len(content).to_bytes(8, "little") + content)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Give nothing: a text holds no numbers."""
        return iter(())

    def baseline(self) -> NDArray[np.float32]:
        """Weighted counts of the runs of two to four characters in every text."""
        return character_counts(self.texts)

    def spilled(self, path: Path) -> Texts:  # noqa: ARG002
        """Return the same: texts pickle as they are."""
        return self

    def read_as(self, modality: Modality) -> Texts:
        """Refuse to take texts for anything else."""
        if modality != "text":
            raise DataError(f"its samples are texts, which are no {modality}")
        return self

    def check(self, name: str) -> None:
        """Refuse texts that are all empty."""
        if not any(map(str.strip, self.texts)):
            raise DataError(f"{name}: all its texts are empty")


def character_counts(texts: Sequence[str]) -> NDArray[np.float32]:
    """Count runs of characters, hashed into 1024 columns and weighted by how rare they are.

    Parameters
    ----------
    texts : sequence of str

    Returns
    -------
    ndarray of shape (n_texts, 1024)
        Rows of length 1, or of zeros for an empty text: ``1 + log(count)``, times the
        logarithm of the inverse share of texts that have the run (tf-idf).

    Examples
    --------
    >>> counts = character_counts(["the cat", "The cat", "a dog"])
    >>> (counts @ counts[0]).round(2)
    array([1., 1., 0.], dtype=float32)
    """
    counts = np.zeros((len(texts), _COLUMNS), dtype=np.float32)
    for row, text in enumerate(texts):
        spaced = " ".join(["", *text.lower().split(), ""])
        codes = np.frombuffer(spaced.encode("utf-32-le", "surrogatepass"), np.uint32)
        codes = codes.astype(np.uint64)
        for length in _GRAMS:
            hashed = np.full(max(0, len(codes) - length + 1), length, dtype=np.uint64)
            for k in range(length):
                hashed = hashed * np.uint64(1_000_003) + codes[k : k + len(hashed)]
            columns = (hashed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(54)
            counts[row] += np.bincount(columns.astype(np.int64), minlength=_COLUMNS)
    found = counts > 0
    rare = np.log((1 + len(texts)) / (1 + found.sum(axis=0))) + 1
    np.log(counts, out=counts, where=found)
    counts += found
    counts *= rare.astype(np.float32)
    lengths = np.linalg.norm(counts, axis=1, keepdims=True)
    counts /= np.where(lengths > 0, lengths, 1.0)
    return counts


def read_csv(path: Path) -> Labelled:
    """Read two columns, a text and its label; a first line that names them is recognised."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = [line for line in csv.reader(stream, strict=True) if line]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable .csv file: {one_line(error)}") from None
    if not lines:
        raise DataError(f"{path}: holds no lines")
    for row, line in enumerate(lines):
        if len(line) != 2:
            raise DataError(
                f"{path}: row {row} has {len(line)} columns; two are read: text and label"
            )
    names = [name.strip().lower() for name in lines[0]]
    header = next((k for k in (1, 0) if names[k] in _LABEL_NAMES), None)
    label = 1 if header is None else header
    rows = lines if header is None else lines[1:]
    texts = Texts(tuple(row[1 - label] for row in rows))
    return Labelled(texts, np.array([row[label].strip() for row in rows], dtype=np.str_), path.stem)
