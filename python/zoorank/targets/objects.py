"""What Python programs hold: pairs, mappings, data frames, data sets of frameworks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoorank.errors import DataError, UsageError
from zoorank.messages import inert
from zoorank.targets.columns import KNOWN_NAMES, Records
from zoorank.targets.forms import Given, samples_of
from zoorank.targets.items import read_items
from zoorank.targets.labelled import Labelled, Reading
from zoorank.targets.numpy_files import from_mapping, read_npy
from zoorank.targets.record_files import read_dataset
from zoorank.targets.records import labelled, labels_of_words, samples_of_columns

_ALLOWED = (
    "a path, (X, labels), a mapping, a data frame, a data set of torch or of datasets, or a name "
    "such as 'sklearn:digits'"
)


def from_object(data: Any, how: Reading) -> Labelled:
    """Take samples and labels out of what is no path and no name.

    Raises
    ------
    UsageError
        For an object of which neither is known how to be found.
    """
    module = type(data).__module__.partition(".")[0]
    if module == "datasets" and hasattr(data, "column_names"):
        return read_dataset(data, how, "data", "data set")
    if _is_frame(data):
        return labelled(Records(columns_of(data), "data", "data frame"), how)
    if isinstance(data, Mapping):
        named = {str(key).lower() for key in data} & (KNOWN_NAMES - {"y", "labels", "label"})
        if named and not {"x", "data", "images", "features", "samples", "inputs"} & named:
            return labelled(Records(dict(data), "data", "columns"), how)
        return from_mapping(data, "arrays", how, "data")
    if isinstance(data, tuple | list) and len(data) == 2:
        return _from_pair(data[0], data[1], how)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not hasattr(data, "dtype"):
        where = type(data).__name__
        samples, labels, notes = read_items(data, Given(where, how.modality))
        return Labelled(samples, labels, where, notes)
    raise UsageError(f"data of type {type(data).__name__}; allowed: {_ALLOWED}")


def _from_pair(X: Any, labels: Any, how: Reading) -> Labelled:
    """Take samples and labels, or the paths of two ``.npy`` files."""
    if isinstance(X, str | Path) and isinstance(labels, str | Path):
        return read_npy(Path(X), how, Path(labels))
    _check_order(X, labels)
    if _is_frame(X):
        records = Records(columns_of(X), "data", "data frame")
        samples, notes = samples_of_columns(records, how)
        return Labelled(samples, labels, "data frame", notes)
    if not hasattr(X, "__len__") and not hasattr(X, "__array__"):
        raise DataError(f"X is not an array of numbers: it is of type {type(X).__name__}")
    samples, notes = samples_of(_plain(X), Given("data", how.modality, Path()))
    return Labelled(samples, labels_of_words(samples, labels, "data"), "arrays", notes)


def _check_order(X: Any, labels: Any) -> None:
    """Refuse a frame and its labels where the names of their rows say that orders differ."""
    one: Any = getattr(X, "index", None)
    other: Any = getattr(labels, "index", None)
    if not hasattr(one, "equals") or not hasattr(other, "equals") or one.equals(other):
        return
    if sorted(map(repr, one)) == sorted(map(repr, other)):
        raise DataError(
            "X and its labels have the same index in two orders; put them into one, "
            "as y.loc[X.index] does"
        )


def _plain(X: Any) -> Any:
    """One array of whatever framework as NumPy's, a list of else."""
    if hasattr(X, "tocsr") or isinstance(X, np.ndarray):
        return X
    if hasattr(X, "__array__"):
        return np.asarray(X.detach().cpu() if hasattr(X, "detach") else X)
    return list(X)


def _is_frame(data: Any) -> bool:
    return hasattr(data, "columns") and hasattr(data, "dtypes") and hasattr(data, "__getitem__")


def columns_of(frame: Any) -> dict[str, Any]:
    """Columns of a data frame of pandas or polars by name.

    Raises
    ------
    DataError
        Where two have one name.
    """
    columns: dict[str, Any] = {}
    names = [str(name) for name in frame.columns]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"data frame: two columns are called {inert(twice)!r}")
    for name in frame.columns:
        column = frame[name]
        values = np.asarray(column)
        columns[str(name)] = values if values.dtype.kind in "iubf" else list(column)
    return columns
