"""Samples with labels as a reader found them, and the checks every reader's find must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import inert
from zoorank.targets.base import Modality, Samples, Task, rows_of
from zoorank.targets.labels import to_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

Split = Literal["train", "test", "all"]

# What parts of data are called, by the split that takes them in; the first that there is counts.
SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation", "dev", "eval"),
}


@dataclass(frozen=True)
class Reading:
    """How to read data, where they leave a choice.

    Attributes
    ----------
    split : {"train", "test", "all"}
    modality : Modality or None
    input_columns : tuple of str
        Columns that hold the samples; empty where their names or values tell.
    label_column, group_column : str or None
    task : {"classes", "numbers"} or None
    strict : bool
        Whether to refuse data of which something would have to be left out.
    """

    split: Split = "train"
    modality: Modality | None = None
    input_columns: tuple[str, ...] = ()
    label_column: str | None = None
    group_column: str | None = None
    task: Task | None = None
    strict: bool = False


@dataclass(frozen=True, eq=False)
class Labelled:
    """Samples and labels, not yet checked.

    Attributes
    ----------
    samples : Samples
    labels : array-like of shape (n_rows,)
        In whatever form they were found.
    name : str
        What to call the data.
    notes : tuple of str
        What was left out or changed, a line each.
    groups : ndarray of shape (n_rows,), or None
    task : {"classes", "numbers"} or None
        None where only the labels can tell.
    """

    samples: Samples
    labels: Any
    name: str
    notes: tuple[str, ...] = ()
    groups: NDArray[Any] | None = None
    task: Task | None = None


@dataclass(frozen=True, eq=False)
class Checked:
    """What a reader found, with plain labels; as `Labelled` otherwise."""

    samples: Samples
    labels: NDArray[Any]
    name: str
    task: Task
    notes: tuple[str, ...]
    groups: NDArray[Any] | None


def left_out(
    where: object, noun: str, skipped: Sequence[tuple[str, str]], reading: Reading
) -> tuple[str, ...]:
    """Say how many things were left out, and the first one's name and reason.

    Parameters
    ----------
    where : path or str
        What the message of a refusal begins with.
    noun : str
        Of one of them.
    skipped : sequence of (str, str)
        Name and reason of each.
    reading : Reading

    Returns
    -------
    tuple of str
        One note, or none where nothing was left out.

    Raises
    ------
    DataError
        Where the reading is strict.

    Examples
    --------
    >>> left_out("birds", "file", [("a.txt", "no image"), ("b.txt", "no image")], Reading())
    ('2 files skipped, the first a.txt: no image',)
    """
    if not skipped:
        return ()
    name, reason = skipped[0]
    first = f"{name}: {reason}"
    if reading.strict:
        count = f"; {len(skipped)} such {noun}s" if len(skipped) > 1 else ""
        raise DataError(f"{inert(where)}: {first}{count}")
    if len(skipped) == 1:
        return (f"1 {noun} skipped, {first}",)
    return (f"{len(skipped)} {noun}s skipped, the first {first}",)


def check(data: Labelled, task: Task | None = None) -> Checked:
    """Refuse data on which no score is defined; return them with plain labels.

    Raises
    ------
    DataError
        In one line, naming the first bad row, counted from 0.
    """
    name = data.name
    labels, found, notes = to_labels(data.labels, task or data.task, name)
    n = len(data.samples)
    starts = data.samples.starts
    rows = n if starts is None else int(starts[-1])
    if rows != len(labels):
        noun = "samples" if starts is None else "words"
        raise DataError(f"{name}: {rows} {noun} but {len(labels)} labels")
    if n < 2:
        left_out = "".join(f"; {note}" for note in data.notes)
        raise DataError(f"{name}: {n} sample{'s' * (n != 1)}; a ranking needs at least 3{left_out}")
    _check_spread(name, labels, found)
    if data.groups is not None and len(data.groups) != rows:
        raise DataError(f"{name}: {rows} rows but {len(data.groups)} groups")
    return Checked(data.samples, labels, name, found, (*data.notes, *notes), data.groups)


def _check_spread(name: str, labels: NDArray[Any], task: Task) -> None:
    distinct = len(np.unique(labels))
    if task == "numbers":
        if distinct < 2:
            raise DataError(f"{name}: all labels are {labels[0]}; there is nothing to predict")
        return
    if distinct < 2:
        raise DataError(
            f"{name}: all {len(labels)} samples have the label {inert(labels[0])}; "
            "a ranking needs at least 2 classes"
        )
    if distinct == len(labels):
        numbers = "; task = 'numbers' predicts them" if labels.dtype.kind in "iu" else ""
        raise DataError(
            f"{name}: each of the {len(labels)} samples is a class of its own; "
            f"a ranking needs a class of at least 2{numbers}"
        )


def subset(data: Checked, rows: NDArray[np.int64], samples: Samples | None = None) -> Checked:
    """Some samples, checked once more; ``samples`` where they are already taken out."""
    starts = data.samples.starts
    labels = rows if starts is None else rows_of(starts, rows)
    some = replace(
        data,
        samples=samples or data.samples.subset(rows),
        labels=data.labels[labels],
        groups=None if data.groups is None else data.groups[labels],
    )
    _check_spread(data.name, some.labels, data.task)
    return some
