"""What a reader is told and what it gives back: samples with labels, as they were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zoorank.errors import DataError
from zoorank.messages import inert
from zoorank.targets.base import Modality, Task
from zoorank.targets.samples import Samples

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
