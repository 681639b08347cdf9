"""Read labelled target data, check it and fingerprint it."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from zoorank.errors import DataError, UsageError
from zoorank.messages import guess, hint, inert, listing
from zoorank.targets.base import Arrays, Modality, Target, Task
from zoorank.targets.conll import SUFFIXES as TAGGED
from zoorank.targets.conll import is_tagged, read_conll
from zoorank.targets.folder import read_folder
from zoorank.targets.labelled import Labelled, Reading, Split, left_out
from zoorank.targets.labels import order_by_class, to_labels
from zoorank.targets.numpy_files import read_npy, read_npz
from zoorank.targets.objects import from_object
from zoorank.targets.opening import exists, read_start, suffix_of
from zoorank.targets.paths import expand
from zoorank.targets.record_files import SUFFIXES as RECORDS
from zoorank.targets.record_files import read_hub, read_records
from zoorank.targets.samples import Digest, Samples, rows_of
from zoorank.targets.series import is_ucr, read_ts, read_ucr

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NAMED = re.compile(r"\w{2,}:")  # not the one letter of a drive
_SETS = ("digits", "iris", "wine", "breast_cancer", "diabetes")  # that come with scikit-learn
_SPLITS = ("train", "test", "all")
_READERS: dict[str, Callable[[Path, Reading], Labelled]] = {
    ".npz": read_npz,
    ".npy": read_npy,
    ".ts": read_ts,
    **dict.fromkeys(RECORDS, read_records),
    **dict.fromkeys(TAGGED, read_conll),
}
_READ_PACKED = {"", ".txt", *_READERS} - {".npz", ".npy", ".parquet"}


@dataclass(frozen=True, eq=False)
class _Checked:
    """What a reader found, with plain labels; as `Labelled` otherwise."""

    samples: Samples
    labels: NDArray[Any]
    name: str
    task: Task
    notes: tuple[str, ...]
    groups: NDArray[Any] | None


def load_target(
    data: Any,
    *,
    split: Split = "train",
    limit: int | None = None,
    modality: Modality | None = None,
    name: str | None = None,
    input_column: str | Sequence[str] = (),
    label_column: str | None = None,
    group_column: str | None = None,
    groups: Any = None,
    task: Task | None = None,
    strict: bool = False,
) -> Target:
    """Read labelled data, check that it can be ranked for, and fingerprint it.

    Parameters
    ----------
    data : path-like, str, (X, labels), mapping, data frame, data set or Target
        Whatever form the data have: docs/targets.md lists them all.
    split : {"train", "test", "all"}
        Which part, where the data come in several.
    limit : int or None
        Keep at most so many samples, drawn in proportion to the classes; the same each time.
    modality : {"image", "series", "table", "text", "audio"} or None
        What the samples are, where they leave a choice.
    name : str or None
        What to call the data.
    input_column : str or sequence of str
        Column of the samples, or both of a pair of texts, or all of a table; empty where
        names or values tell.
    label_column, group_column : str or None
        Column of the labels, and of what belongs together, such as a patient.
    groups : array-like of shape (n_rows,), or None
        The same for data without columns.
    task : {"classes", "numbers"} or None
        Whether labels are classes, or numbers to predict; None takes real numbers that are
        no integers as numbers to predict.
    strict : bool
        Refuse data of which a file or a row would have to be left out.

    Returns
    -------
    Target

    Raises
    ------
    DataError
        Naming the file and the first bad row, or what is allowed.
    UsageError
        For an argument that does not exist.

    Examples
    --------
    >>> target = load_target("sklearn:digits")
    >>> len(target), target.modality, len(target.classes)
    (1797, 'image', 10)
    """
    _check_choice("split", split, _SPLITS)
    _check_choice("modality", modality, get_args(Modality))
    _check_choice("task", task, get_args(Task))
    if limit is not None and limit < 2:
        raise UsageError(f"limit is {limit}; at least 2 samples are needed")
    if isinstance(data, Target):
        said = (input_column, label_column, group_column, groups, modality, task, name)
        if split != "train" or any(each is not None and each != () for each in said):
            raise UsageError("the data are a Target already; say how to read them to load_target")
        return _drawn(data, limit)
    columns = (input_column,) if isinstance(input_column, str) else tuple(input_column)
    how = Reading(split, modality, columns, label_column, group_column, task, strict)
    found, place = _read(data, how)
    if modality is not None:
        found = replace(found, samples=found.samples.read_as(modality))
    if groups is not None:
        found = replace(found, groups=np.asarray(groups))
    plain = _limited(_check(replace(found, name=name or found.name), task), limit)
    digest = hashlib.sha256()
    checked = _surveyed(plain, how, digest)
    return Target(
        name=checked.name,
        samples=checked.samples,
        labels=checked.labels,
        fingerprint=_fingerprint(digest, checked.labels),
        source=(place or "arrays") if limit is None else f"{place or 'arrays'} (limit {limit})",
        place=place,
        task=checked.task,
        groups=checked.groups,
        notes=checked.notes,
    )


def _drawn(target: Target, limit: int | None) -> Target:
    """Some samples of a target that was read before."""
    if limit is None or limit >= len(target):
        return target
    some = _limited(
        _Checked(
            target.samples, target.labels, target.name, target.task, target.notes, target.groups
        ),
        limit,
    )
    digest = hashlib.sha256()
    some.samples.hash_into(digest)
    return replace(
        target,
        samples=some.samples,
        labels=some.labels,
        groups=some.groups,
        fingerprint=_fingerprint(digest, some.labels),
        source=f"{target.source} (limit {limit})",
    )


def _check_choice(what: str, given: Any, allowed: Sequence[str]) -> None:
    if given is not None and given not in allowed:
        raise UsageError(f"unknown {what} {given!r}; {hint(str(given), allowed)}")


def _check(data: Labelled, task: Task | None) -> _Checked:
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
        noted = "".join(f"; {note}" for note in data.notes)
        raise DataError(f"{name}: {n} sample{'s' * (n != 1)}; a ranking needs at least 3{noted}")
    _check_spread(name, labels, found)
    if data.groups is not None and len(data.groups) != rows:
        raise DataError(f"{name}: {rows} rows but {len(data.groups)} groups")
    return _Checked(data.samples, labels, name, found, (*data.notes, *notes), data.groups)


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


def _subset(data: _Checked, rows: NDArray[np.int64], samples: Samples | None = None) -> _Checked:
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


def _limited(data: _Checked, limit: int | None) -> _Checked:
    """Draw samples in proportion to the classes, or plainly where rows are words or numbers."""
    if limit is None or limit >= len(data.samples):
        return data
    starts = data.samples.starts
    codes = np.zeros(len(data.samples), dtype=np.int64)
    if starts is None and data.task == "classes":
        codes = np.unique(data.labels, return_inverse=True)[1].ravel()
    samples = np.sort(np.argsort(order_by_class(codes), kind="stable")[:limit])
    return _subset(data, samples)


def _surveyed(data: _Checked, how: Reading, digest: Digest) -> _Checked:
    """Look at every sample, leave out what cannot be read, and feed all else to a digest."""
    survey = data.samples.survey(data.name, digest)
    if survey.rows is None:
        return replace(data, samples=survey.samples, notes=(*data.notes, *survey.notes))
    notes = (*data.notes, *left_out(data.name, survey.noun, survey.skipped, how), *survey.notes)
    try:
        kept = _subset(replace(data, notes=notes), survey.rows, survey.samples)
    except DataError as error:
        raise DataError("; ".join([str(error), *notes])) from None
    gone = np.setdiff1d(data.labels, kept.labels) if data.task == "classes" else ()
    if len(gone):
        names = listing([inert(label) for label in gone], 8)
        kept = replace(kept, notes=(*notes, f"no sample is left of the classes {names}"))
    return kept


def _fingerprint(digest: Digest, labels: NDArray[Any]) -> str:
    """Hash of the content: values, shapes and types, or the bytes and names of files; labels."""
    digest.update("\0".join(map(str, labels.tolist())).encode(errors="surrogateescape"))
    return digest.hexdigest()


def _read(data: Any, how: Reading) -> tuple[Labelled, str]:
    if not isinstance(data, str | os.PathLike):
        return from_object(data, how), ""
    if isinstance(data, str) and is_named(data):
        return _read_named(data, how), data
    if not os.fspath(data):
        raise DataError("data '' names nothing; give a path, or a name such as 'sklearn:digits'")
    path = Path(os.path.expanduser(data))
    if not exists(path):
        raise DataError(f"data {inert(path)} does not exist{_neighbour(path)}")
    return _read_path(path, how), str(path)


def is_named(text: str) -> bool:
    """Whether a data set is named, as ``sklearn:digits`` is, and no path."""
    return _NAMED.match(text) is not None


def expand_data(text: str, folder: Path) -> str:
    """Make the path of a data set absolute, as :func:`expand` does; a name is left alone.

    Examples
    --------
    >>> expand_data("sklearn:digits", Path("/zoo"))
    'sklearn:digits'
    """
    return text if is_named(text) else str(expand(text, folder))


def same_place(one: str, other: str) -> bool:
    """Whether two data sets are the same name, or the same path with links followed.

    Examples
    --------
    >>> same_place("birds/../birds/X.npy", "birds/X.npy"), same_place("sklearn:wine", "wine")
    (True, False)
    """
    if not one or not other or is_named(one) or is_named(other):
        return bool(one) and one == other
    return Path(os.path.expanduser(one)).resolve() == Path(os.path.expanduser(other)).resolve()


def _read_path(path: Path, how: Reading) -> Labelled:
    if path.is_dir():
        return read_folder(path, how)
    suffix = suffix_of(path)
    if suffix not in _READ_PACKED:  # which alone are read packed
        suffix = path.suffix.lower()
    if suffix in (".txt", ".tsv", ""):
        text = read_start(path)
        if how.modality in (None, "series") and is_ucr(text):
            return read_ucr(path, how)
        if suffix != ".tsv" and is_tagged(text):
            return read_conll(path, how)
    if suffix in _READERS:
        return _READERS[suffix](path, how)
    allowed = f"{', '.join(_READERS)}, a folder or a name such as 'sklearn:digits'"
    raise DataError(f"{inert(path)}: unknown kind of file {inert(suffix)!r}; allowed: {allowed}")


def _read_named(text: str, how: Reading) -> Labelled:
    """Read ``"sklearn:digits"`` and its like, or ``"hf:ORG/NAME"`` from its hub or cache."""
    library, _, name = text.partition(":")
    if library == "hf" and name:
        return read_hub(text, how)
    known = [f"sklearn:{each}" for each in _SETS]
    if library != "sklearn" or name not in _SETS:
        raise DataError(f"unknown data set {text!r}; {hint(text, known)}")
    try:
        datasets: Any = importlib.import_module("sklearn.datasets")
    except ImportError:
        raise DataError(f"{text} needs scikit-learn: pip install 'zoorank[demo]'") from None
    bunch = getattr(datasets, f"load_{name}")()
    if name == "digits":
        return Labelled(Arrays(np.asarray(bunch.images), "image"), np.asarray(bunch.target), name)
    if name == "diabetes":
        numbers = np.asarray(bunch.target)
        return Labelled(Arrays(np.asarray(bunch.data), "table"), numbers, name, task="numbers")
    labels = np.asarray(bunch.target_names)[bunch.target]
    return Labelled(Arrays(np.asarray(bunch.data), "table"), labels, name)


def _neighbour(path: Path) -> str:
    folder = path.parent
    names = [other.name for other in folder.iterdir()] if folder.is_dir() else []
    near = guess(path.name, names).rstrip()
    return f"; {near}" if near else ""
