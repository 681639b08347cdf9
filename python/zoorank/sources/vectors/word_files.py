"""Files of word vectors: a word and its numbers, as GloVe, fastText and word2vec write them.

Of a file only the words that are asked for are kept. Text is scanned a line at a time and
numbers of other words are not even parsed; arrays are mapped.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from zoorank.errors import SourceError
from zoorank.messages import listing, not_loaded, one_line
from zoorank.sources.files import SourceFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

WORDS_BESIDE = (
    "{stem}.txt",
    "{stem}.vocab",
    "{stem}.words",
    "{stem}.json",
    "words.txt",
    "vocab.txt",
)
_LONGEST_LINE = 2**20
_LONGEST_WORD = 2**12
_FASTTEXT_MODEL = (793712314).to_bytes(4, "little")
_BLOCK = 2**20
_COUNTED = re.compile(rb"(\S+)[ \t]\d+")


@dataclass(frozen=True)
class WordFile:
    """Word vectors in a file.

    Attributes
    ----------
    count : int
        Words in it.
    dimension : int
        Numbers a word.
    find : callable
        Told words in UTF-8, yields those that the file has, each once, with its vector.
    """

    count: int
    dimension: int
    find: Callable[[Collection[bytes]], Iterator[tuple[bytes, Vector]]]


def read_words(file: SourceFile, words: SourceFile | None) -> WordFile:
    """Recognise a file of word vectors by its content.

    Parameters
    ----------
    file : SourceFile
        GloVe or fastText text, word2vec binary, either also packed by gzip; or ``.npy``.
    words : SourceFile or None
        The words of a ``.npy`` file, one a row.

    Raises
    ------
    SourceError
        When it is none.
    """
    file.check()
    try:
        with _opened(file) as stream:
            head = stream.read(2**16)
    except (OSError, EOFError, zlib.error) as error:
        raise file.refuse(f"cannot be read: {one_line(error)}") from None
    if head.startswith(b"\x93NUMPY"):
        return _array(file, words)
    if head.startswith(_FASTTEXT_MODEL):
        raise file.refuse("is a model of fastText; its .vec file beside it holds the vectors")
    line, _, rest = head.partition(b"\n")
    counts = line.split()
    if len(counts) == 2 and all(each.isdigit() for each in counts):
        count, dimension = (int(each) for each in counts)
        if not 0 < dimension <= 2**16:
            raise file.refuse(f"says that its vectors have {dimension} numbers")
        if _numbers_behind_a_word(rest.partition(b"\n")[0]) >= dimension:
            return WordFile(count, dimension, lambda wanted: _scan(file, wanted, dimension, count))
        return WordFile(count, dimension, lambda wanted: _unpack(file, wanted, count, dimension))
    dimension = _numbers_behind_a_word(line)
    if dimension < 2 or len(line) == len(head):
        raise file.refuse("is no file of word vectors: a word and its numbers a line, or .npy")
    return WordFile(_lines(file), dimension, lambda wanted: _scan(file, wanted, dimension))


@contextmanager
def _opened(file: SourceFile) -> Iterator[IO[bytes]]:
    with file.path.open("rb") as plain:
        if plain.read(2) == b"\x1f\x8b":
            plain.seek(0)
            with gzip.open(plain) as unpacked:
                yield cast("IO[bytes]", unpacked)
            return
        plain.seek(0)
        yield plain


def _numbers_behind_a_word(line: bytes) -> int:
    """How many numbers end a line, at most all of it but one word."""
    count = 0
    for part in reversed(line.split()[1:]):
        try:
            float(part)
        except ValueError:
            break
        count += 1
    return count


def _lines(file: SourceFile) -> int:
    with _opened(file) as stream:
        last, count = b"\n", 0
        while block := stream.read(_BLOCK):
            count += block.count(b"\n")
            last = block[-1:]
    return count + (last != b"\n")


def _scan(
    file: SourceFile, wanted: Collection[bytes], dimension: int, count: int | None = None
) -> Iterator[tuple[bytes, Vector]]:
    """Read the lines of some words; a word may itself hold spaces.

    ``count`` is how many a first line says that there are.
    """
    left, header = set(wanted), 0 if count is None else 1
    with _opened(file) as stream:
        for number in range(1, 2**62):
            line = stream.readline(_LONGEST_LINE)
            if not left:
                return
            if not line:
                found = number - 1 - header
                if count is not None and found < count:
                    raise file.refuse(f"is cut off: it says that it has {count} words, not {found}")
                return
            if len(line) == _LONGEST_LINE:
                raise file.refuse(f"line {number} is longer than {_LONGEST_LINE:,} bytes")
            start = line.partition(b" ")[0].partition(b"\t")[0]
            if number <= header or (start not in left and line.count(b" ") <= dimension + 1):
                continue
            parts = line.rsplit(None, dimension)
            if len(parts) <= dimension or parts[0] not in left:
                continue
            try:
                vector = np.array(parts[1:], dtype=np.float32)
            except ValueError:
                raise file.refuse(f"line {number} does not end in {dimension} numbers") from None
            left.discard(parts[0])
            yield parts[0], vector


def _unpack(
    file: SourceFile, wanted: Collection[bytes], count: int, dimension: int
) -> Iterator[tuple[bytes, Vector]]:
    """Read word2vec's binary form: after a header, a word, a space and its float32 numbers."""
    left, size = set(wanted), 4 * dimension
    with _opened(file) as stream:
        stream.readline(_LONGEST_WORD)
        read, at = b"", 0
        for number in range(1, count + 1):
            if not left:
                return
            end = read.find(b" ", at)
            while end < 0 or len(read) < end + 1 + size:
                block = stream.read(_BLOCK)
                if not block or (end < 0 and len(read) - at > _LONGEST_WORD):
                    raise file.refuse(f"ends, or is damaged, at word {number} of {count}")
                read, at = read[at:] + block, 0
                end = read.find(b" ")
            word = read[at:end].lstrip(b"\n")
            at = end + 1 + size
            if word in left:
                left.discard(word)
                yield word, np.frombuffer(read, "<f4", dimension, end + 1)


def _array(file: SourceFile, words: SourceFile | None) -> WordFile:
    try:
        array = np.load(file.path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header is parsed as Python, which may raise anything
        raise file.refuse(f"is no readable .npy file: {not_loaded(error)}") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiu":
        raise file.refuse("holds no table of numbers, a row for each word")
    listed = words or find_word_list(file)
    if listed is None:
        names = listing(WORDS_BESIDE).format(stem=file.path.name.rpartition(".")[0])
        raise file.refuse(f"no words beside it ({names}): say words = 'FILE', one word a row")
    count = sum(1 for _ in _listed(listed))
    if count != len(array):
        raise listed.refuse(f"has {count} words for the {len(array)} rows of {file.written}")

    def find(wanted: Collection[bytes]) -> Iterator[tuple[bytes, Vector]]:
        left = set(wanted)
        for row, word in enumerate(_listed(listed)):
            if word in left:
                left.discard(word)
                yield word, array[row].astype(np.float32)

    return WordFile(len(array), array.shape[1], find)


def find_word_list(file: SourceFile) -> SourceFile | None:
    """Find the words of a ``.npy`` file beside it."""
    stem = file.path.name.rpartition(".")[0]
    beside = (file.beside(name.format(stem=stem)) for name in WORDS_BESIDE)
    return next((each for each in beside if each.path.is_file()), None)


def _listed(file: SourceFile) -> Iterator[bytes]:
    """Give the words of a list, in its order."""
    file.check()
    suffix = file.path.suffix.lower()
    try:
        if suffix == ".json":
            yield from _from_json(file)
        elif suffix == ".npy":
            array = np.load(file.path, mmap_mode="r", allow_pickle=False)
            yield from (str(word).encode() for word in array.ravel())
        elif suffix == ".parquet":
            yield from _from_parquet(file)
        else:
            yield from _from_text(file)
    except SourceError:
        raise
    except Exception as error:  # of whatever reads the file
        raise file.refuse(f"is no list of words: {not_loaded(error)}") from error


def _from_text(file: SourceFile) -> Iterator[bytes]:
    """A word a line; where all of the first lines end in a count, as GloVe's do, without it."""
    with file.path.open("rb") as stream:
        first = [line.rstrip(b"\r\n") for line in islice(stream, 1000)]
        counted = bool(first) and all(_COUNTED.fullmatch(line) for line in first)
        for line in chain(first, stream):
            word = line.rstrip(b"\r\n")
            match = _COUNTED.fullmatch(word) if counted else None
            yield word if match is None else match[1]


def _from_json(file: SourceFile) -> Iterator[bytes]:
    content = json.loads(file.read())
    if isinstance(content, dict):  # a word's row, as a vocabulary has it
        if sorted(content.values()) != list(range(len(content))):
            raise file.refuse("does not number its words from 0")
        content = sorted(content, key=content.__getitem__)
    if not isinstance(content, list):
        raise file.refuse("is neither a list of words nor their rows")
    yield from (str(word).encode("utf-8", "replace") for word in content)


def _from_parquet(file: SourceFile) -> Iterator[bytes]:
    try:
        arrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise file.refuse("needs pyarrow to be read; a text with a word a line does not") from None
    try:
        table = parquet.ParquetFile(file.path)
        texts = [each.name for each in table.schema_arrow if arrow.types.is_string(each.type)]
        if len(texts) != 1:
            raise file.refuse(f"has {len(texts)} columns of texts; words need one")
        for batch in table.iter_batches(columns=texts):
            yield from (str(word).encode() for word in batch.column(0).to_pylist())
    except arrow.ArrowException as error:
        raise file.refuse(f"is no readable .parquet file: {one_line(error)}") from None
