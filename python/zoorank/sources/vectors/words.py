"""Texts to words, for files that have a vector for each word."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import SourceError
from zoorank.sources.tokens import IDS, MASK
from zoorank.targets.base import Sample, Target
from zoorank.transforms.base import Batch, Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_PART = re.compile(r"\w+|[^\w\s]")
_AT_ONCE = 4096  # texts


class KeptVectors:
    """Vectors that were asked for so far, each read once.

    Parameters
    ----------
    dimension : int
    find : callable
        Told keys, yields those that there are, with their vectors.
    shuffled : int or None
        Seed by which the numbers of each vector change places, in each in another order: what
        words have in common is lost.
    """

    def __init__(
        self,
        dimension: int,
        find: Callable[[Collection[Any]], Iterator[tuple[Any, Vector]]],
        shuffled: int | None = None,
    ) -> None:
        self._find, self._shuffled = find, shuffled
        self._rows: dict[Any, int] = {}
        self.vectors = np.zeros((1, dimension), dtype=np.float32)

    def look_up(self, keys: Iterable[Any]) -> None:
        """Read what is not known yet, in one pass."""
        new = {key for key in keys if key not in self._rows}
        if not new:
            return
        self._rows.update(dict.fromkeys(new, 0))
        vectors = [self.vectors]
        for row, (key, vector) in enumerate(self._find(new), start=len(self.vectors)):
            self._rows[key] = row
            vectors.append(self._mixed(key, vector)[None])
        self.vectors = np.concatenate(vectors)

    def row(self, key: Any) -> int:
        """Where the vector of a key is; 0, a row of zeros, where there is none."""
        return self._rows.get(key, 0)

    def _mixed(self, key: Any, vector: Vector) -> Vector:
        if self._shuffled is None:
            return vector
        return np.random.default_rng([self._shuffled, zlib.crc32(repr(key).encode())]).permutation(
            vector
        )


@dataclass
class Unknown:
    """How many words of a target have no vector.

    Attributes
    ----------
    words, of : int
        Such words, among all.
    first : str
        The first of them.
    texts : int
        Texts all of whose words are such.
    """

    words: int = 0
    of: int = 0
    first: str = ""
    texts: int = 0

    def __str__(self) -> str:
        if not self.words:
            return ""
        text = f"{self.words} of {self.of} words have no vector, the first is {self.first!r}"
        zeros = f"; {self.texts} texts have none that has one, and are zeros" if self.texts else ""
        return text + zeros


@dataclass(frozen=True)
class Words:
    """The words of one sample.

    Attributes
    ----------
    words : tuple of str
    separate : bool
        Whether each is a row of the encoding.
    """

    words: tuple[str, ...]
    separate: bool


@dataclass(frozen=True)
class WordTransform:
    """Texts to words, and these to rows of the vectors that are kept.

    A word is looked for as it is, then in lower case, then in parts where it has an apostrophe.

    Attributes
    ----------
    kept : KeptVectors
        By word in UTF-8.
    unknown : Unknown
        Of the target that it was fitted to.
    prefix : str
        Put before every text.
    """

    kept: KeptVectors = field(repr=False)
    unknown: Unknown
    prefix: str = ""

    @property
    def key(self) -> str:
        """What `prepare` depends on."""
        return f"words {self.prefix!r}"

    def fitted(self, target: Target) -> WordTransform:
        """Return the same, once the vectors of all words of the target are read."""
        if target.modality != "text":
            raise SourceError(f"needs texts; the target holds {target.modality} samples")
        every = range(target.n_samples)
        parts = [every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE)]
        words = {
            word for rows in parts for text in target.take(rows) for word in self._of(text).words
        }
        self._look_up(words)
        found = Unknown()
        for rows in parts:
            for text in target.take(rows):
                self._count(self._of(text).words, found)
        vars(self.unknown).update(vars(found))
        return self

    def prepare(self, sample: Sample) -> Prepared:
        """Split one text, or the two of a pair, into words; a list holds words already."""
        words = self._of(sample)
        return Prepared(words, max(1, len(words.words)))

    def collate(self, prepared: Sequence[Prepared]) -> Batch:
        """Put the rows of the words of several samples side by side."""
        every: list[Words] = [each.value for each in prepared]
        self._look_up({word for each in every for word in each.words})
        rows = [[self._rows(word) for word in each.words] for each in every]
        flat = [[row for word in words for row in word] for words in rows]
        ids = np.zeros((len(flat), max(1, *map(len, flat))), dtype=np.int64)
        for place, each in enumerate(flat):
            ids[place, : len(each)] = each
        spans = None
        if every and every[0].separate:
            ends = [np.cumsum([0, *map(len, words)]) for words in rows]
            spans = tuple(np.stack([each[:-1], each[1:]], axis=1) for each in ends)
        return Batch({IDS: ids, MASK: (ids > 0).astype(np.int64)}, len(flat), spans)

    def _of(self, sample: Sample) -> Words:
        if isinstance(sample, list):
            return Words(tuple(sample), separate=True)
        texts = sample if isinstance(sample, tuple) else (sample,)
        return Words(tuple(_WORD.findall(self.prefix + " ".join(texts))), separate=False)

    def _look_up(self, words: Iterable[str]) -> None:
        forms = (form for word in words for part in (word, *_parts(word)) for form in _forms(part))
        self.kept.look_up(forms)

    def _rows(self, word: str) -> list[int]:
        """Rows of a word: one, those of its parts, or none."""
        for parts in ((word,), _parts(word)):
            rows = [next(filter(None, map(self.kept.row, _forms(part))), 0) for part in parts]
            if found := [row for row in rows if row]:
                return found
        return []

    def _count(self, words: Sequence[str], found: Unknown) -> None:
        absent = [word for word in words if not self._rows(word)]
        found.of += len(words)
        found.words += len(absent)
        found.texts += len(absent) == len(words)
        found.first = found.first or (absent[0] if absent else "")


def _forms(word: str) -> tuple[bytes, ...]:
    every = dict.fromkeys((word, word.lower()))
    return tuple(each.encode("utf-8", "replace") for each in every)


def _parts(word: str) -> tuple[str, ...]:
    parts = tuple(_PART.findall(word))
    return parts if len(parts) > 1 else ()
