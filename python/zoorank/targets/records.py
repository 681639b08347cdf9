"""Samples, labels and groups out of columns with names, from whatever file or object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import DataError, UsageError
from zoorank.messages import hint, inert, listing
from zoorank.targets.base import Arrays
from zoorank.targets.columns import (
    SOUNDS,
    Choice,
    Records,
    are_numbers,
    choose,
    kind_of,
    number_of,
    of_split,
)
from zoorank.targets.forms import Given, samples_of
from zoorank.targets.labelled import Labelled, Reading, left_out
from zoorank.targets.labels import is_missing, parse
from zoorank.targets.samples import Samples
from zoorank.targets.texts import Texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FILES = ("file", "path", "image", "img", "picture", "photo")


def labelled(records: Records, reading: Reading) -> Labelled:
    """Take samples, labels and groups out of columns.

    Parameters
    ----------
    records : Records
    reading : Reading

    Returns
    -------
    Labelled

    Raises
    ------
    DataError, UsageError
        Where columns are neither named nor recognised, naming them.
    """
    records, split = of_split(records, reading)
    if not len(records):
        raise DataError(f"{records.where}: holds no rows")
    choice = choose(records, reading, split)
    records, dropped = _without_gaps(records, choice, reading)
    samples, remarks = _samples(records, choice, reading)
    labels: Any = records.columns[choice.label]
    group = None if choice.group is None else [str(each) for each in records.columns[choice.group]]
    if samples.starts is not None:
        labels = labels_of_words(samples, labels, records.where)
        counts = np.diff(samples.starts)
        group = None if group is None else np.repeat(group, counts).tolist()
    if names := records.classes.get(choice.label):
        labels = [names[label] for label in labels]
    elif records.words:
        remarks = (*remarks, *_merged(labels))
        labels = parse([label.strip() for label in labels])
    columns = (
        _columns_taken(records, choice, split)
        if not (reading.input_columns and reading.label_column)
        else ()
    )
    notes = (*records.notes, *columns, *dropped, *remarks)
    groups = None if group is None else np.array(group, dtype=np.str_)
    return Labelled(samples, labels, records.name, notes, groups)


def _merged(labels: Sequence[str]) -> tuple[str, ...]:
    """Say which labels differ in the blanks around them alone, which are left out."""
    first: dict[str, str] = {}
    pairs = {}
    for label in dict.fromkeys(labels):
        other = first.setdefault(label.strip(), label)
        if other != label:
            pairs[label.strip()] = f"{other!a} and {label!a}"
    if not pairs:
        return ()
    more = f", and {len(pairs) - 1} more such classes" if len(pairs) > 1 else ""
    return (f"blanks around labels are left out: {next(iter(pairs.values()))} are one class{more}",)


def samples_of_columns(records: Records, how: Reading) -> tuple[Samples, tuple[str, ...]]:
    """Take all columns, or those that were chosen, for the samples."""
    names = how.input_columns or tuple(records.columns)
    for name in names:
        if name not in records.columns:
            raise UsageError(
                f"{records.where} has no column {name!r}; {hint(name, records.columns)}"
            )
    return _samples(records, Choice(names, "", None), how)


def _without_gaps(
    records: Records, choice: Choice, reading: Reading
) -> tuple[Records, tuple[str, ...]]:
    """Leave out rows that lack a label or, unless they hold numbers, a sample."""

    def lacks(name: str) -> list[bool]:
        values = records.columns[name]
        if isinstance(values, np.ndarray) and values.dtype.kind not in "Of":
            return [False] * len(values)
        blank = [isinstance(value, str) and not value.strip() for value in values]
        return [is_missing(value) or empty for value, empty in zip(values, blank, strict=True)]

    wanted = {choice.label: "no label"}
    if len(choice.inputs) <= 2 and not are_numbers(records, choice.inputs):
        wanted |= dict.fromkeys(choice.inputs, "no sample")
    if choice.group is not None:
        wanted[choice.group] = "no group"
    reasons: dict[int, str] = {}
    for name, reason in wanted.items():
        for row, missing in enumerate(lacks(name)):
            if missing:
                reasons.setdefault(row, f"{reason} in column {inert(name)!r}")
    if not reasons:
        return records, ()
    if len(reasons) == len(records):
        raise DataError(f"{records.where}: no row has both a sample and a label")
    skipped = [(f"row {row}", reasons[row]) for row in sorted(reasons)]
    kept = [row for row in range(len(records)) if row not in reasons]
    return records.rows(kept), left_out(records.where, "row", skipped, reading)


def _samples(records: Records, choice: Choice, reading: Reading) -> tuple[Samples, tuple[str, ...]]:
    values = [records.columns[name] for name in choice.inputs]
    if are_numbers(records, choice.inputs):
        return _table(records, choice, reading)
    if len(values) == 1:
        name = choice.inputs[0].lower()
        sounds = any(known in name for known in SOUNDS)
        paths = sounds or any(known in name for known in _FILES)
        given = Given(records.where, reading.modality, records.folder, sounds, paths)
        return samples_of(values[0], given)
    texts = [all(isinstance(each, str) for each in column) for column in values]
    if len(values) == 2 and all(texts):
        return Texts(tuple(zip(*values, strict=True))), ()
    other = next(name for name in choice.inputs if kind_of(records, name) != "numbers")
    raise DataError(
        f"{records.where}: samples are two columns of texts, or columns of numbers alone; "
        f"{inert(other)!r} does not fit"
    )


def _table(records: Records, choice: Choice, reading: Reading) -> tuple[Samples, tuple[str, ...]]:
    """Make a table of columns of numbers; a missing one becomes the mean of its column."""
    X = np.empty((len(records), len(choice.inputs)))
    for k, name in enumerate(choice.inputs):
        values = records.columns[name]
        if not (isinstance(values, np.ndarray) and values.dtype.kind in "iubf"):
            values = [number_of(value, records.words) for value in values]
        X[:, k] = values
    missing = np.isnan(X)
    given = reading.modality
    if not missing.any():
        return Arrays(X, given), ()
    rows = np.flatnonzero(missing.any(axis=1))
    first = f"row {rows[0]}"
    if reading.strict:
        raise DataError(f"{records.where}: {first} has a missing value")
    empty = missing.all(axis=0)
    notes = [f"{missing.sum()} missing values filled in, the first in {first}"]
    if given == "series":
        X = np.stack([filled(series) for series in X])
        notes[0] += ": from their neighbours in time"
        return Arrays(X, given), tuple(notes)
    if empty.any():
        names = [inert(choice.inputs[k]) for k in np.flatnonzero(empty)]
        notes.append(f"columns without any value are left out: {listing(names, 8)}")
    X, missing = X[:, ~empty], missing[:, ~empty]
    means = np.nanmean(X, axis=0)
    notes[0] = f"{missing.sum()} missing values filled in, the first in {first}: means of columns"
    return Arrays(np.where(missing, means, X), given), tuple(notes)


def filled(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate missing values of one series linearly; its ends continue the nearest value.

    Examples
    --------
    >>> filled(np.array([np.nan, 1.0, np.nan, 3.0]))
    array([1., 1., 2., 3.])
    """
    known = np.flatnonzero(~np.isnan(series))
    if not known.size:
        return np.zeros_like(series)
    return np.interp(np.arange(len(series)), known, series[known])


def labels_of_words(samples: Samples, labels: Any, where: str) -> Any:
    """One label a row where samples are sentences and labels a list for each of them.

    Raises
    ------
    DataError
        Naming the first sentence that has not as many labels as words.
    """
    if samples.starts is None or len(labels) != len(samples) or not _is_list(labels[0]):
        return labels
    for row, count in enumerate(np.diff(samples.starts).tolist()):
        found = len(labels[row]) if _is_list(labels[row]) else 1
        if found != count:
            raise DataError(f"{where}: row {row} has {count} words but {found} labels")
    return [label for sentence in labels for label in sentence]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray) and np.ndim(value) == 1


def _columns_taken(records: Records, choice: Choice, split: str | None) -> tuple[str, ...]:
    """Say which columns hold what, and which are not used."""
    few = len(choice.inputs) <= 3
    inputs = listing(map(inert, choice.inputs)) if few else f"{len(choice.inputs)} columns"
    used = {*choice.inputs, choice.label, choice.group, split}
    unused = [inert(name) or "one without a name" for name in records.columns if name not in used]
    note = f"samples: {inputs}; labels: {inert(choice.label)}"
    if choice.group is not None:
        note += f"; groups: {inert(choice.group)}"
    return (f"{note}; not used: {listing(unused, 8)}",) if unused else (note,)
