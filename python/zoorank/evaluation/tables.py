"""Scores and true accuracies of many (source, target) pairs, read from tables."""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from zoorank.errors import DataError, UsageError
from zoorank.messages import guess, hint, listing
from zoorank.scores.base import Array
from zoorank.targets.opening import no_pipe

SOURCE_COLUMNS = ("source", "model", "network")
TRUTH_COLUMNS = ("truth", "accuracy", "acc", "finetuned_acc")
SIZE_COLUMNS = ("parameters", "parameters_kept")
NAME_COLUMNS = ("target", "cut", *SOURCE_COLUMNS)

NAMES_SHOWN = 5
_LONGEST_LINE = 2**20  # characters

PathName = str | os.PathLike[str]
Pair = tuple[str, tuple[str, str]]
Values = dict[Pair, float]


@dataclass(frozen=True)
class Candidates:
    """One target with all that could be picked for it, in the order of their names.

    Attributes
    ----------
    target : str
    names : tuple of (str, str)
        Source and cut; the cut is empty where the tables know none.
    truth : ndarray of shape (n_candidates,)
        True accuracy.
    scores : mapping of str to ndarray of shape (n_candidates,)
        Higher is better.
    """

    target: str
    names: tuple[tuple[str, str], ...]
    truth: Array
    scores: Mapping[str, Array]


@dataclass(frozen=True)
class Tables:
    """Two tables, joined.

    Attributes
    ----------
    targets : tuple of Candidates
        In the order of the truth, each with the candidates that have the truth and every
        score.
    note : str
        Which targets, sources and pairs only one of the tables has; empty where none.
    """

    targets: tuple[Candidates, ...]
    note: str


def read_tables(
    scores: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    lower_is_better: Sequence[str] = (),
    truth_column: str | None = None,
) -> Tables:
    """Read two tables and join them.

    Each is CSV in one of three forms. *Long*: columns ``target`` and ``source`` (or
    ``model`` or ``network``), perhaps ``cut``, and numbers. *Matrix*: a row for each
    source and a column for each target; pairs of a name with itself are left out.
    *Ranked lists*, for scores only: a row for each target with the names of the
    sources from best to worst.

    Parameters
    ----------
    scores, truth : path
        May be the same file.
    columns : sequence of str, optional
        Scores to take from a long table; by default every column of numbers that is
        not the truth.
    lower_is_better : sequence of str
        Scores of which less is better.
    truth_column : str, optional
        By default ``truth``, ``accuracy``, ``acc`` or ``finetuned_acc``, else the only
        column of numbers.

    Returns
    -------
    Tables

    Raises
    ------
    DataError
        If a file cannot be read, holds something else or a pair twice, a column of
        numbers has a cell that is none, or nothing is in both.
    UsageError
        If a column does not exist, or none is named.
    """
    if columns is not None and not columns:
        raise UsageError(f"no score is named; name a column of {scores}, or take all by default")
    accuracies = _truth(Path(truth), truth_column)
    values = _scores(Path(scores), columns or (), truth_column)
    for name in lower_is_better:
        if name not in values:
            raise UsageError(f"{scores} has no score {name!r}; {hint(name, values)}")
        values[name] = {pair: -value for pair, value in values[name].items()}
    scored = next(iter(values.values()))  # the pairs are the same for all columns of a table
    note = unmatched(scores, scored, truth, accuracies)
    complete = [pair for pair in accuracies if pair in scored]
    targets = []
    for target in dict.fromkeys(target for target, _ in complete):
        names = sorted(name for of, name in complete if of == target)
        pairs = [(target, name) for name in names]
        if len(pairs) < 2:
            continue
        targets.append(
            Candidates(
                target,
                tuple(names),
                np.array([accuracies[pair] for pair in pairs]),
                {key: np.array([each[pair] for pair in pairs]) for key, each in values.items()},
            )
        )
    if not targets:
        raise DataError(
            f"{scores} and {truth} have no target with two sources in common; "
            f"names must be the same in both{f'; {note}' if note else ''}"
        )
    return Tables(tuple(targets), note)


def _truth(path: Path, column: str | None) -> Values:
    header, rows = _read(path)
    if not _is_long(path, header):
        return _matrix(path, header, rows)
    numeric = _values(header, rows)
    named = [name for name in numeric if name.lower() in TRUTH_COLUMNS]
    chosen = column or (named or numeric if len(named or numeric) == 1 else [""])[0]
    if chosen not in numeric:
        if not numeric:
            raise UsageError(f"{path} has no column of numbers; the true accuracy is needed")
        what = f"no column {chosen!r} of numbers" if chosen else "several columns of numbers"
        raise UsageError(f"{path} has {what}; name the true accuracy, one of {', '.join(numeric)}")
    return _long(path, header, rows, [chosen])[chosen]


def _scores(path: Path, columns: Sequence[str], truth_column: str | None) -> dict[str, Values]:
    header, rows = _read(path)
    if not _is_long(path, header):
        cells = [cell for row in rows for cell in row[1:] if cell]
        lists = 2 * sum(_number(cell) is not None for cell in cells) < len(cells)
        values = _ranked_lists(path, rows) if lists else _matrix(path, header, rows)
        return {path.stem: values}
    numeric = [
        name
        for name in _values(header, rows)
        if name != truth_column and name.lower() not in TRUTH_COLUMNS
    ]
    unknown = [name for name in columns if name not in numeric]
    if unknown or not numeric:
        missing = f"no column {unknown[0]!r} of numbers" if unknown else "no column of numbers"
        raise UsageError(f"{path} has {missing}; {hint(''.join(unknown[:1]), numeric)}")
    return _long(path, header, rows, columns or numeric)


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with no_pipe(path).open(encoding="utf-8-sig", newline="") as stream:
            lines = [row for row in csv.reader(_lines(path, stream)) if row]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not CSV text: {error}") from error
    if len(lines) < 2 or len(lines[0]) < 2:
        raise DataError(f"{path} holds no table: a header and rows are needed")
    for number, row in enumerate(lines, 1):
        if len(row) != len(lines[0]):
            raise DataError(
                f"{path}: row {number} has {len(row)} cells, the header {len(lines[0])}"
            )
    return lines[0], lines[1:]


def _lines(path: Path, stream: TextIO) -> Iterator[str]:
    """Lines of a file, none of which takes a hundred times its length once it is cells."""
    number = 0
    while line := stream.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise DataError(f"{path}: line {number} has over {_LONGEST_LINE:,} characters")
        yield line


def _is_long(path: Path, header: Sequence[str]) -> bool:
    """Whether each row is of one pair; a table that lacks only its targets is refused."""
    has_source = any(name in header for name in SOURCE_COLUMNS)
    if "target" in header:
        return has_source
    # The corner of a matrix may be called as it likes, its targets not like these columns.
    if has_source and {"cut", *SOURCE_COLUMNS, *TRUTH_COLUMNS} & set(header[1:]):
        raise DataError(
            f"{path} has no column 'target', without which its rows are of no known target (a "
            "ranking.csv has none); add one with the target's name, the same in both tables"
        )
    return False


def _values(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns that hold a number, but for names that happen to be numbers."""
    return [
        name
        for position, name in enumerate(header)
        if name not in NAME_COLUMNS and any(_number(row[position]) is not None for row in rows)
    ]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _cell(path: Path, row: int, column: str, text: str) -> float:
    value = _number(text)
    if value is None:
        raise DataError(f"{path}: row {row}, column {column!r}: {text!r} is no number")
    return value


def _long(
    path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[str]
) -> dict[str, Values]:
    _refuse_repeats(path, 1, filter(None, header))
    place = {name: header.index(name) for name in header}
    source = next(place[name] for name in SOURCE_COLUMNS if name in place)
    values: dict[str, Values] = {name: {} for name in columns}
    for number, row in enumerate(rows, 2):
        cut = row[place["cut"]] if "cut" in place else ""
        pair = (row[place["target"]], (row[source], cut))
        if pair in values[columns[0]]:
            raise DataError(f"{path}: row {number} repeats {row[source]} for {pair[0]}")
        for name in columns:
            values[name][pair] = _cell(path, number, name, row[place[name]])
    return values


def _matrix(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Values:
    values: Values = {}
    _refuse_repeats(path, 1, header[1:])
    _refuse_repeats(path, 2, (source for source, *_ in rows), down=True)
    for number, (source, *cells) in enumerate(rows, 2):
        for target, cell in zip(header[1:], cells, strict=True):
            value = _cell(path, number, target, cell)
            if source != target:
                values[target, (source, "")] = value
    return values


def _ranked_lists(path: Path, rows: Sequence[Sequence[str]]) -> Values:
    values: Values = {}
    _refuse_repeats(path, 2, (target for target, *_ in rows), down=True)
    for number, (target, *sources) in enumerate(rows, 2):
        _refuse_repeats(path, number, filter(None, sources))
        for place, source in enumerate(sources, 1):
            if source != target:
                values[target, (source, "")] = -float(place)
    return values


def _refuse_repeats(path: Path, row: int, names: Iterable[str], *, down: bool = False) -> None:
    """Names in a row, or down a column from that row on, have to differ."""
    seen: set[str] = set()
    for place, name in enumerate(names):
        if name in seen:
            raise DataError(f"{path}: row {row + place if down else row} repeats {name!r}")
        seen.add(name)


def unmatched(
    scores: PathName, scored: Collection[Pair], truth: PathName, true: Collection[Pair]
) -> str:
    """Say which targets, sources and single pairs only one of two tables has.

    Parameters
    ----------
    scores, truth : path
        Of the tables, as they are to be named.
    scored, true : collection of (target, (source, cut))
        The pairs that each has.

    Returns
    -------
    str
        Empty where every pair is in both, and every target has two.

    Examples
    --------
    >>> pairs = [("Cars", ("a", "")), ("Cars", ("b", ""))]
    >>> others = [*pairs, ("Car", ("a", ""))]
    >>> unmatched("scores.csv", others, "true.csv", pairs)
    "not compared: target 'Car' of scores.csv alone"
    >>> unmatched("scores.csv", others[2:], "true.csv", pairs).partition("; ")[0]
    "not compared: target 'Car' (did you mean 'Cars'?) of scores.csv alone"
    """
    parts = [*_alone(scores, scored, true), *_alone(truth, true, scored)]
    common = Counter(target for target, _ in {*scored} & {*true})
    single = [repr(target) for target in sorted(common) if common[target] == 1]
    if single:
        parts.append(f"{_counted('target', single)} with one candidate in common")
    return f"not compared: {'; '.join(parts)}" if parts else ""


def _alone(path: PathName, mine: Collection[Pair], other: Collection[Pair]) -> Iterator[str]:
    """What only one table has: whole targets, else whole sources, else pairs."""
    there = {*other}
    left = [pair for pair in mine if pair not in there]
    targets, sources = _targets(other), _sources(other)
    yield from _named("target", path, _targets(left), _targets(mine), targets)
    left = [pair for pair in left if pair[0] in targets]
    yield from _named("source", path, _sources(left), _sources(mine), sources)
    pairs = [
        f"{source}{f' cut at {cut}' if cut else ''} for {target}"
        for target, (source, cut) in left
        if source in sources
    ]
    if pairs:
        yield f"{_counted('pair', pairs)} of {path} alone"


def _named(
    kind: str, path: PathName, left: Iterable[str], mine: Collection[str], others: Collection[str]
) -> Iterator[str]:
    """Names that the other table lacks, and of its own alone the one probably meant."""
    names = [name for name in left if name not in others]
    if names:
        free = [name for name in others if name not in mine]
        meant = {name: guess(name, free).rstrip() for name in names}
        said = [f"{name!r} ({meant[name]})" if meant[name] else repr(name) for name in names]
        yield f"{_counted(kind, said)} of {path} alone"


def _targets(pairs: Iterable[Pair]) -> Collection[str]:
    return dict.fromkeys(target for target, _ in pairs).keys()


def _sources(pairs: Iterable[Pair]) -> Collection[str]:
    return dict.fromkeys(source for _, (source, _) in pairs).keys()


def _counted(kind: str, names: Sequence[str]) -> str:
    return f"{kind}{'s' if len(names) > 1 else ''} {listing(names, NAMES_SHOWN)}"
