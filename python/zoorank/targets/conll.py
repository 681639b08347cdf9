"""Sentences whose words are tagged, a word a line, as CoNLL files have them."""

from __future__ import annotations

import re
from pathlib import Path

from zoorank.errors import DataError, UsageError
from zoorank.messages import hint, inert
from zoorank.targets.labelled import Labelled, Reading
from zoorank.targets.opening import lines_of, read_text, stem_of, suffix_of
from zoorank.targets.texts import sentences

SUFFIXES = (".conll", ".conllu", ".conllx", ".iob", ".iob2", ".bio")

_UNIVERSAL = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_CHECKED = 20  # lines that tell whether a file is tagged at all
_BLANKS = re.compile(" +")  # other blanks, such as those that do not break, are part of a word


def read_conll(path: Path, how: Reading) -> Labelled:
    """Read a word and its tag from every line; an empty line ends a sentence.

    Columns are separated by tabs or blanks. The word is the first and the tag the last; in
    ``.conllu`` files the word is ``form`` and the tag ``upos``. Columns may be chosen by their
    number from 0, from the end as -1, or in ``.conllu`` by their name.

    Raises
    ------
    DataError
        Naming the first line that does not have the columns.
    UsageError
        For a column that there is not.
    """
    text, notes = read_text(path)
    universal = suffix_of(path) in (".conllu", ".conllx")
    word, tag = ("form", "upos") if universal else ("0", "-1")
    word = how.input_columns[0] if how.input_columns else word
    tag = how.label_column or tag
    names = _UNIVERSAL if universal else ()
    places = [_place(name, names, path) for name in (word, tag)]
    words: list[list[str]] = [[]]
    tags: list[str] = []
    width = None
    for number, line in enumerate(lines_of(text), start=1):
        if not line.strip():
            if words[-1]:
                words.append([])
            continue
        cells = line.split("\t") if "\t" in line else _BLANKS.split(line.strip(" "))
        comment = line.startswith("#") and (universal or len(cells) != width)
        if comment or cells[0].startswith("-DOCSTART-"):
            continue
        if universal and not cells[0].isdecimal():  # a range of words, or one left out in writing
            continue
        width = width or len(cells)
        if len(cells) != width or width < 2:
            raise DataError(
                f"{path}: line {number} has {len(cells)} columns"
                + (f", the first word {width}" if width >= 2 else "; a word and a tag are needed")
            )
        for name, place in zip((word, tag), places, strict=True):
            if not -width <= place < width:
                raise UsageError(f"{path} has no column {name!r}; allowed: 0 to {width - 1}")
        words[-1].append(cells[places[0]].strip(" "))
        tags.append(cells[places[1]].strip(" "))
    if not words[-1]:
        words.pop()
    if not words:
        raise DataError(f"{path}: holds no words")
    return Labelled(sentences(words), tags, stem_of(path), notes)


def is_tagged(text: str) -> bool:
    r"""Whether a text file without a telling suffix has a word and tags in every line.

    Examples
    --------
    >>> is_tagged("Anna B-PER\nsleeps O\n\nBob B-PER\n"), is_tagged("Anna sleeps.\n")
    (True, False)
    """
    lines = [line.split() for line in lines_of(text)[: 10 * _CHECKED]]
    widths = {len(cells) for cells in lines if cells and cells[0] != "-DOCSTART-"}
    return len(widths) == 1 and widths.pop() >= 2 and [] in lines


def _place(name: str, names: tuple[str, ...], path: Path) -> int:
    if name in names:
        return names.index(name)
    try:
        return int(name)
    except ValueError:
        known = hint(name, names) if names else "a number from 0 is allowed"
        raise UsageError(f"{path} has no column {inert(name)!r}; {known}") from None
