"""Read labelled target data, check it and fingerprint it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from zoorank.errors import DataError, UsageError
from zoorank.messages import guess, hint
from zoorank.targets.base import Modality, Target, fingerprint
from zoorank.targets.folder import read_folder
from zoorank.targets.labelled import Labelled, check
from zoorank.targets.named import read_named
from zoorank.targets.numpy_files import SPLITS, from_mapping, from_pair, read_npy, read_npz
from zoorank.targets.paths import is_named
from zoorank.targets.series import read_ts, read_tsv
from zoorank.targets.texts import read_csv

_EXTENSIONS = (".npz", ".npy", ".tsv", ".ts", ".csv")


def load_target(
    data: Any,
    *,
    split: str = "train",
    limit: int | None = None,
    modality: Modality | None = None,
    name: str | None = None,
) -> Target:
    """Read labelled data, check that it can be ranked for, and fingerprint it.

    Parameters
    ----------
    data : path-like, str, mapping or (X, labels)
        A ``.npz`` file (``X``, ``y`` or ``X_train``, ...), a ``.npy`` file with labels beside
        it, a ``.tsv`` (UCR) or ``.ts`` (sktime) file, a ``.csv`` file of texts and labels, a
        folder of such files or of images by class, ``"sklearn:digits"``, arrays, or a mapping
        with the keys of a ``.npz``.
    split : {"train", "test", "all"}
        Which part, where the data come in two.
    limit : int or None
        Keep at most so many samples, drawn in proportion to the classes; the same each time.
    modality : {"image", "series", "table", "text", "audio"} or None
        What the samples are, where their shape does not tell.
    name : str or None
        What to call the data.

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
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}; {hint(split, SPLITS)}")
    if modality is not None and modality not in get_args(Modality):
        raise UsageError(
            f"unknown modality {modality!r}; {hint(str(modality), get_args(Modality))}"
        )
    if limit is not None and limit < 2:
        raise UsageError(f"limit is {limit}; at least 2 samples are needed")
    found, place = _read(data, split)
    if modality is not None:
        found = replace(found, samples=found.samples.read_as(modality))
    found = check(replace(found, name=name or found.name))
    if limit is not None and limit < len(found.samples):
        rows = _stratified(found.labels, limit)
        samples, labels = found.samples.subset(rows), found.labels[rows]
        found = check(replace(found, samples=samples, labels=labels))
    return Target(
        name=found.name,
        samples=found.samples,
        labels=found.labels,
        fingerprint=fingerprint(found.samples, found.labels),
        source=(place or "arrays") if limit is None else f"{place or 'arrays'} (limit {limit})",
        place=place,
        notes=found.notes,
    )


def _read(data: Any, split: str) -> tuple[Labelled, str]:
    if isinstance(data, Mapping):
        return from_mapping(data, "arrays", split, "data"), ""
    if isinstance(data, tuple | list) and len(data) == 2:
        return from_pair(*data), ""
    if not isinstance(data, str | os.PathLike):
        allowed = "a path, (X, labels), a mapping or a name such as 'sklearn:digits'"
        raise UsageError(f"data of type {type(data).__name__}; allowed: {allowed}")
    if isinstance(data, str) and is_named(data):
        return read_named(data), data
    if not os.fspath(data):
        raise DataError("data '' names nothing; give a path, or a name such as 'sklearn:digits'")
    path = Path(data).expanduser()
    if not path.exists():
        raise DataError(f"data {path} does not exist{_neighbour(path)}")
    return _read_path(path, split), str(path)


def _read_path(path: Path, split: str) -> Labelled:
    if path.is_dir():
        return read_folder(path, split)
    match path.suffix.lower():
        case ".npz":
            return read_npz(path, split)
        case ".npy":
            return read_npy(path)
        case ".tsv":
            return read_tsv(path)
        case ".ts":
            return read_ts(path)
        case ".csv":
            return read_csv(path)
    allowed = f"{', '.join(_EXTENSIONS)}, a folder or 'sklearn:NAME'"
    raise DataError(f"{path}: unknown kind of file {path.suffix!r}; allowed: {allowed}")


def _neighbour(path: Path) -> str:
    folder = path.parent
    names = [other.name for other in folder.iterdir()] if folder.is_dir() else []
    near = guess(path.name, names).rstrip()
    return f"; {near}" if near else ""


def _stratified(labels: np.ndarray, limit: int) -> np.ndarray:
    # Rank every sample within its class, at random, as a fraction of the class: the
    # smallest fractions are a sample in proportion to the classes.
    order = np.random.default_rng(0).permutation(len(labels))
    fraction = np.empty(len(labels))
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        fraction[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.sort(np.argsort(fraction, kind="stable")[:limit])
