"""Time series as the UCR archive and sktime write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import inert
from zoorank.targets.forms import stretched
from zoorank.targets.labelled import Labelled, Reading
from zoorank.targets.labels import parse
from zoorank.targets.opening import lines_of, read_text, stem_of
from zoorank.targets.records import filled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MISSING = ("?", "nan", "")
_SEPARATORS = ("\t", ",", ";")

Variables = list["NDArray[np.float64]"]  # of one series, each of shape (length,)


def read_ucr(path: Path, how: Reading) -> Labelled:
    """Read the UCR archive's files: a label, then the values, one series a line.

    Tabs, commas, semicolons or blanks separate; missing values at the end make a series
    shorter.
    """
    text, notes = read_text(path)
    rows: list[Variables] = []
    labels: list[str] = []
    lines = [split_line(line) for line in lines_of(text) if line.strip()]
    if len(lines) > 1 and _is_header(*lines[:2]):
        lines = lines[1:]
        notes = (*notes, "the first line names the columns")
    for cells in lines:
        rows.append([_numbers(path, len(rows), cells[1:])])
        labels.append(cells[0].strip())
    return _series(path, rows, labels, how, notes)


def is_ucr(text: str) -> bool:
    r"""Whether the lines of a text hold several numbers behind the first cell.

    Examples
    --------
    >>> is_ucr("1\t0.5\t0.7\n"), is_ucr("text\tlabel\n"), is_ucr("1\n")
    (True, False, False)
    """
    first = next((line for line in lines_of(text) if line.strip()), "")
    label, *values = split_line(first) or [""]
    # A text beside a number or two is more likely a text.
    enough = 2 if _is_number(label) else 8
    return len(values) >= enough and all(_is_number(cell) for cell in values)


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether a first line names columns: by words, or by counting them behind a word."""
    names = [cell.strip() for cell in first[1:]]
    if not any(map(_is_number, names)):
        return all(map(_is_number, second[1:]))
    if _is_number(first[0]) or not _is_number(second[0]) or not all(map(str.isdecimal, names)):
        return False
    numbers = list(map(int, names))
    return len(names) > 1 and numbers == list(range(numbers[0], numbers[0] + len(names)))


def split_line(line: str) -> list[str]:
    """Cells of a line, whatever separates them; separators at its end count for nothing."""
    mark = next((mark for mark in _SEPARATORS if mark in line), None)
    return line.split() if mark is None else line.rstrip(f"{mark} \r").lstrip().split(mark)


def read_ts(path: Path, how: Reading) -> Labelled:
    """Read sktime's ``.ts``: ``@`` tags, then ``values:...:label`` lines."""
    text, notes = read_text(path)
    header: dict[str, str] = {}
    rows: list[Variables] = []
    labels: list[str] = []
    in_data = False
    for line in map(str.strip, lines_of(text)):
        if not line or line.startswith("#"):
            continue
        if line.startswith("@"):
            tag, _, value = line[1:].partition(" ")
            in_data = in_data or tag.lower() == "data"
            header[tag.lower()] = value.strip().lower()
            continue
        if not in_data:
            raise DataError(f"{path}: {inert(line[:40])!r} stands before @data")
        if not rows:
            _check_header(path, header)
        *dimensions, label = line.split(":")
        rows.append([_numbers(path, len(rows), values.split(",")) for values in dimensions])
        labels.append(label.strip())
    if not in_data:
        raise DataError(f"{path}: no @data line, so not a .ts file")
    predicted = header.get("targetlabel", "false").split(" ")[0] == "true"
    return _series(path, rows, labels, how, notes, predicted=predicted)


def _check_header(path: Path, header: dict[str, str]) -> None:
    if header.get("timestamps", "false") != "false":
        raise DataError(f"{path}: @timeStamps true; only series without time stamps are read")
    known = (header.get(tag, "").split(" ")[0] for tag in ("classlabel", "targetlabel"))
    if "true" not in known and header.get("classlabel", "true") != "true":
        raise DataError(f"{path}: @classLabel false; a ranking needs labels")


def _is_number(cell: str) -> bool:
    cell = cell.strip().lower()
    try:
        # Python would read 1_0 as 10.
        return cell in _MISSING or ("_" not in cell and float(cell) is not None)
    except ValueError:
        return False


def _numbers(path: Path, row: int, cells: Sequence[str]) -> NDArray[np.float64]:
    """Numbers of one series, NaN where they are missing; those at its end are no part of it."""
    try:
        if any("_" in cell for cell in cells):
            raise ValueError
        values = np.array(cells, dtype=np.float64)
    except ValueError:
        # Python strips more than NumPy: separators of ASCII, too.
        known = ["nan" if cell.strip().lower() in _MISSING else cell.strip() for cell in cells]
        bad = next((cell for cell in known if not _is_number(cell)), None)
        if bad is not None:
            raise DataError(f"{path}: row {row}: {inert(bad[:20])!r} is not a number") from None
        values = np.array(known, dtype=np.float64)
    if np.isinf(values).any():
        raise DataError(f"{path}: row {row} holds infinity")
    known_at = np.flatnonzero(~np.isnan(values))
    if not known_at.size:
        raise DataError(f"{path}: row {row} has a label but no values")
    return values[: known_at[-1] + 1]


def _series(
    path: Path,
    rows: list[Variables],
    labels: list[str],
    how: Reading,
    notes: tuple[str, ...],
    *,
    predicted: bool = False,
) -> Labelled:
    if not rows:
        raise DataError(f"{path}: holds no series")
    missing = [row for row, series in enumerate(rows) if any(np.isnan(v).any() for v in series)]
    if missing and how.strict:
        raise DataError(f"{path}: row {missing[0]} has a missing value")
    whole = []
    for row, series in enumerate(rows):
        if not series:
            raise DataError(f"{path}: row {row} has a label but no values")
        if len(series) != len(rows[0]):
            raise DataError(
                f"{path}: row {row} has {len(series)} variables, row 0 has {len(rows[0])}"
            )
        longest = max(map(len, series))
        variables = [filled(values) for values in series]
        even = [
            values if len(values) == longest else _even(values, longest) for values in variables
        ]
        whole.append(np.array(even))
    samples, stretching = stretched(whole, str(path))
    if missing:
        noun = f"{len(missing)} series" if len(missing) > 1 else "1 series"
        note = f"missing values of {noun} filled in from their neighbours"
        notes = (*notes, f"{note}, the first in row {missing[0]}")
    return Labelled(
        samples,
        parse(labels),
        stem_of(path),
        (*notes, *stretching),
        task="numbers" if predicted else None,
    )


def _even(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    return np.interp(np.linspace(0, len(values) - 1, length), np.arange(len(values)), values)
