"""Which columns hold what: the samples, the labels, and the part that a row belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoorank.errors import DataError, UsageError
from zoorank.messages import hint, inert, listing
from zoorank.targets.labelled import SPLIT_NAMES, Reading
from zoorank.targets.labels import is_missing

_LABELS = (
    *("label", "labels", "class", "target", "category", "classes", "species", "sentiment"),
    *("intent", "topic", "emotion", "genre", "y", "ner_tags", "pos_tags", "tags", "fine_label"),
)
SOUNDS = ("audio", "sound", "speech", "wav", "recording")
_SAMPLES = (
    *("text", "sentence", "review", "content", "document", "body", "comment", "message", "tweet"),
    *("utterance", "image", "img", "picture", "photo", "tokens", "words", *SOUNDS),
    *("file_name", "filename", "file", "path", "filepath", "image_path", "audio_path"),
    *("series", "features", "embedding", "question", "title"),
)
_PAIRS = (
    *(("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2")),
    *(("text1", "text2"), ("text_a", "text_b"), ("query", "passage"), ("question", "sentence")),
)
KNOWN_NAMES = frozenset((*_LABELS, *_SAMPLES, *(name for pair in _PAIRS for name in pair)))
_NUMBERING = ("", "unnamed: 0", "index", "idx", "id", "__index_level_0__")
_SPLITS = ("split", "subset", "partition")
_NO_VALUE = ("", "?", "na", "n/a", "nan", "null", "none")


@dataclass(frozen=True, eq=False)
class Records:
    """Named columns of one length.

    Attributes
    ----------
    columns : mapping of str to sequence or ndarray
        In their order.
    where : str
        The file or object they come from, for messages.
    name : str
        What to call the data.
    folder : Path or None
        Where relative paths among the values start; None where values are no paths.
    classes : mapping of str to sequence of str
        Names of the classes that the integers of a column stand for, where they are known.
    notes : tuple of str
        What was noticed when they were read.
    words : bool
        Whether every value was written as a word and may stand for a number.
    """

    columns: Mapping[str, Any]
    where: str
    name: str
    folder: Path | None = None
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    words: bool = False

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def rows(self, kept: Sequence[int]) -> Records:
        """Some of the rows."""
        columns = {name: [values[row] for row in kept] for name, values in self.columns.items()}
        return replace(self, columns=columns)


@dataclass(frozen=True)
class Choice:
    """Which columns hold what."""

    inputs: tuple[str, ...]
    label: str
    group: str | None


def of_split(records: Records, reading: Reading) -> tuple[Records, str | None]:
    """Keep the rows of the wanted part where a column says which part a row belongs to."""
    named = {name.lower(): name for name in records.columns}
    known = {each for names in SPLIT_NAMES.values() for each in names}
    for candidate in _SPLITS:
        name = named.get(candidate)
        if name is None or name in (*reading.input_columns, reading.label_column):
            continue
        parts = [str(value).strip().lower() for value in records.columns[name]]
        if not set(parts) <= known:
            continue
        if reading.split == "all":
            return records, name
        taken = next((each for each in SPLIT_NAMES[reading.split] if each in parts), None)
        if taken is None:
            have = listing(sorted(set(parts)))
            raise DataError(f"{records.where}: no row is of the part {reading.split!r}, but {have}")
        kept = [row for row, part in enumerate(parts) if part == taken]
        note = f"{len(kept)} of {len(parts)} rows are of the part {taken!r}"
        return replace(records.rows(kept), notes=(*records.notes, note)), name
    return records, None


def choose(records: Records, reading: Reading, split: str | None) -> Choice:
    """Tell by what was asked for, and else by names and values, which columns hold what.

    Parameters
    ----------
    records : Records
    reading : Reading
    split : str or None
        The column that says which part a row belongs to.

    Raises
    ------
    DataError, UsageError
        Where columns are neither named nor recognised, naming them.
    """
    names = list(records.columns)
    for wanted in (*reading.input_columns, reading.label_column, reading.group_column):
        if wanted is not None and wanted not in names:
            raise UsageError(f"{records.where} has no column {wanted!r}; {hint(wanted, names)}")
    given = {*reading.input_columns, reading.label_column, reading.group_column, split}
    free = [name for name in names if name not in given]
    label = reading.label_column or _label(records, free, reading)
    rest = [name for name in free if name != label]
    inputs = reading.input_columns or _inputs(records, rest)
    return Choice(tuple(inputs), label, reading.group_column)


def _label(records: Records, free: Sequence[str], reading: Reading) -> str:
    small = {name.strip().lower(): name for name in reversed(free)}
    for known in (*(name for name in records.classes if name in free), *_LABELS):
        if known in free:
            return known
        if known in small:
            return small[known]
    columns = [name for name in free if name.strip().lower() not in _NUMBERING]
    if reading.input_columns and len(columns) == 1:
        return columns[0]
    if len(columns) == 2 and not reading.input_columns:
        # The labels repeat, the samples hardly ever do.
        distinct = [len(set(map(str, records.columns[name]))) for name in columns]
        return columns[0] if distinct[0] < distinct[1] else columns[1]
    raise DataError(
        f"{records.where}: which column holds the labels? say label_column; "
        f"it has {listing(map(inert, records.columns))}"
    )


def _inputs(records: Records, rest: Sequence[str]) -> Sequence[str]:
    small = {name.strip().lower(): name for name in reversed(rest)}
    for pair in _PAIRS:
        if all(name in small for name in pair):
            return [small[name] for name in pair]
    for known in _SAMPLES:
        if known in small:
            return [small[known]]
    columns = [name for name in rest if name.strip().lower() not in _NUMBERING] or rest
    if are_numbers(records, columns):
        return columns
    numeric = [name for name in columns if kind_of(records, name) == "numbers"]
    others = [name for name in columns if name not in numeric]
    if len(others) == 1 and not numeric:
        return others
    raise DataError(
        f"{records.where}: which columns hold the samples? say input_column; "
        f"{listing(map(inert, numeric), 8) or 'none'} are numbers, "
        f"{listing(map(inert, others), 8) or 'none'} are not"
    )


def are_numbers(records: Records, names: Sequence[str]) -> bool:
    """Whether columns hold numbers; some of them may hold nothing at all."""
    kinds = {kind_of(records, name) for name in names}
    return "numbers" in kinds and "others" not in kinds


def kind_of(records: Records, name: str) -> str:
    """What a column holds: ``"numbers"``, ``"nothing"`` or ``"others"``."""
    values = records.columns[name]
    if isinstance(values, np.ndarray) and values.dtype.kind in "iubf":
        return "nothing" if np.isnan(values).all() else "numbers"
    missing = True
    for value in values:
        number = number_of(value, records.words)
        if number is None:
            return "others"
        missing = missing and np.isnan(number)
    return "nothing" if missing else "numbers"


def number_of(value: Any, words: bool) -> float | None:
    """The number that a value is or stands for, NaN where it is missing; None for no number."""
    if is_missing(value) or (words and value.strip().lower() in _NO_VALUE):
        return float("nan")
    try:
        if isinstance(value, str | bytes) and (not words or "_" in value):  # 1_0 is not 10
            return None
        return float(value)
    except (ValueError, TypeError, OverflowError):
        return None
