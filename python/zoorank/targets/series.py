"""Time series as the UCR archive and sktime write them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from zoorank.errors import DataError
from zoorank.targets.arrays import Arrays
from zoorank.targets.labelled import Labelled


def read_tsv(path: Path) -> Labelled:
    """Read UCR ``.tsv``: a label, then the values, one series a line."""
    lines = [line for line in _lines(path) if line.strip()]
    rows: list[list[list[float]]] = []
    labels: list[str] = []
    for row, line in enumerate(lines):
        label, *values = line.rstrip("\n").split("\t")
        rows.append([_numbers(path, row, values)])
        labels.append(label.strip())
    return _series(path, rows, labels)


def read_ts(path: Path) -> Labelled:
    """Read sktime's ``.ts``: ``@`` tags, then ``values:...:label`` lines, all of one length."""
    header: dict[str, str] = {}
    rows: list[list[list[float]]] = []
    labels: list[str] = []
    in_data = False
    for line in map(str.strip, _lines(path)):
        if not line or line.startswith("#"):
            continue
        if line.startswith("@"):
            tag, _, value = line[1:].partition(" ")
            in_data = in_data or tag.lower() == "data"
            header[tag.lower()] = value.strip().lower()
            continue
        if not in_data:
            raise DataError(f"{path}: {line[:40]!r} stands before @data")
        if not rows:
            _check_header(path, header)
        *dimensions, label = line.split(":")
        rows.append([_numbers(path, len(rows), values.split(",")) for values in dimensions])
        labels.append(label.strip())
    if not in_data:
        raise DataError(f"{path}: no @data line, so not a .ts file")
    return _series(path, rows, labels)


def _check_header(path: Path, header: dict[str, str]) -> None:
    if header.get("timestamps", "false") != "false":
        raise DataError(f"{path}: @timeStamps true; only series without time stamps are read")
    if header.get("classlabel", "true").split(" ")[0] != "true":
        raise DataError(f"{path}: @classLabel false; a ranking needs labels")
    if header.get("equallength", "true") != "true":
        raise DataError(f"{path}: @equalLength false; only series of one length are read")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file") from None


def _numbers(path: Path, row: int, values: list[str]) -> list[float]:
    numbers = []
    for value in values:
        if value.strip().lower() in ("?", "nan", ""):
            raise DataError(f"{path}: row {row} has a missing value; fill in or drop that series")
        try:
            numbers.append(float(value))
        except ValueError:
            raise DataError(f"{path}: row {row}: {value[:20]!r} is not a number") from None
    if not numbers:
        raise DataError(f"{path}: row {row} has a label but no values")
    return numbers


def _series(path: Path, rows: list[list[list[float]]], labels: list[str]) -> Labelled:
    if not rows:
        raise DataError(f"{path}: holds no series")
    first = [len(values) for values in rows[0]]
    for row, series in enumerate(rows):
        lengths = [len(values) for values in series]
        if lengths != first or len(set(lengths)) > 1:
            raise DataError(
                f"{path}: row {row} has length {_text(lengths)}, row 0 has {_text(first)}; "
                "only series of one length are read"
            )
    X = np.array(rows, dtype=np.float64)
    samples = Arrays(X[:, 0] if X.shape[1] == 1 else X, "series")
    return Labelled(samples, _integers(labels), path.stem)


def _text(lengths: Iterable[int]) -> str:
    return " and ".join(str(length) for length in dict.fromkeys(lengths)) or "0"


def _integers(labels: list[str]) -> np.ndarray:
    # The archive writes some integer labels as 1.0000000e+00.
    try:
        numbers = np.array(labels, dtype=np.float64)
    except ValueError:
        return np.array(labels)
    whole = np.isfinite(numbers).all() and (numbers == np.round(numbers)).all()
    return numbers.astype(np.int64) if whole else np.array(labels)
