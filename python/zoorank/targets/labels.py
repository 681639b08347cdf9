"""Labels of every form: classes or numbers to predict, kept exactly or refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import inert

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoorank.targets.base import Task

_EXACT = 2**53  # above it float64 has no room for every integer
_MOST_CHARACTERS = 2**26  # of all labels together, padded to the longest
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MISSING = ("NAType", "NaTType")
_PLAIN = {str, bytes, bool, int, float, type(None)}
_SEVERAL = "each sample has several labels (multi-label); one label a sample is allowed"


class Labels(NamedTuple):
    """Labels as a target holds them.

    Attributes
    ----------
    values : ndarray of shape (n_rows,)
        Integers, booleans or strings; float64 for numbers to predict.
    task : {"classes", "numbers"}
    notes : tuple of str
        What a reader should know, such as names that look alike.
    """

    values: NDArray[Any]
    task: Task
    notes: tuple[str, ...] = ()


def to_labels(labels: Any, task: Task | None, where: str) -> Labels:
    """Make plain labels of arrays, lists, series, categoricals and what else holds some.

    Parameters
    ----------
    labels : array-like of shape (n_rows,), (n_rows, 1) or, one-hot, (n_rows, n_classes)
        Integers, strings, bytes, booleans or real numbers.
    task : {"classes", "numbers"} or None
        None takes real numbers that are no integers as numbers to predict, all else as classes.
    where : str
        What a message begins with.

    Returns
    -------
    Labels

    Raises
    ------
    DataError
        For labels that are missing, masked, several a sample, of mixed types, or that would
        not be told apart any more, naming the first such row.

    Examples
    --------
    >>> to_labels([1.0, 2.0, 1.0], None, "data").values
    array([1, 2, 1])
    >>> to_labels([1.5, 2.0, 1.0], None, "data").task
    'numbers'
    """
    array = _flat(_as_array(labels, where), where)
    if task == "numbers":
        return Labels(_numbers(array, where), "numbers")
    if array.dtype.kind == "O":
        array = _of_objects(array, where)
    if array.dtype.kind == "f":
        rounded = _whole(array, where)
        if rounded is None and task is None:
            return Labels(_numbers(array, where), "numbers")
        if rounded is None:
            bad = int(np.argmax(array != np.round(array)))
            raise DataError(
                f"{where}: label {array[bad]} of row {bad} is neither an integer nor a string; "
                "task = 'numbers' predicts numbers"
            )
        array = rounded
    if array.dtype.kind == "S":
        array = _decoded(array, where)
    if array.dtype.kind not in "iubU":
        raise DataError(f"{where}: labels of type {array.dtype}; integers and strings are allowed")
    return Labels(array, "classes", look_alikes(array))


def parse(words: Sequence[str]) -> NDArray[Any]:
    """Take labels out of a text file: numbers where all are, and no two of them merge.

    Examples
    --------
    >>> parse(["1.0e+00", "2.0e+00"]), parse(["1", "01"]), parse(["0.5", "2"])
    (array([1, 2]), array(['1', '01'], dtype='<U2'), array([0.5, 2. ]))
    """
    distinct = set(words)
    if all(NUMBER.fullmatch(word) for word in distinct):
        numbers = {word: _number(word) for word in distinct}
        if len(set(numbers.values())) == len(distinct):
            whole = all(isinstance(number, int) for number in numbers.values())
            if whole:
                return _integers([int(numbers[word]) for word in words])
            if max(map(abs, numbers.values())) <= _EXACT:
                return np.array([numbers[word] for word in words], dtype=np.float64)
    return np.array(words, dtype=np.str_)


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN or pandas' NA.

    Examples
    --------
    >>> [is_missing(value) for value in (None, float("nan"), "", 0)]
    [True, True, False, False]
    """
    if value is None or type(value).__name__ in _MISSING:
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def look_alikes(labels: NDArray[Any]) -> tuple[str, ...]:
    """Say which class names differ only in how Unicode spells them, or in blanks and case."""
    if labels.dtype.kind != "U":
        return ()
    seen: dict[str, str] = {}
    notes = []
    for label in np.unique(labels).tolist():
        plain = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
        other = seen.setdefault(plain, label)
        if other != label:
            notes.append(f"classes {other!a} and {label!a} look alike and are kept apart")
    if len(notes) > 1:
        return (f"{notes[0]}, and {len(notes) - 1} more such pairs",)
    return tuple(notes)


def order_by_class(codes: NDArray[np.int64], random_state: int = 0) -> NDArray[np.float64]:
    """Place every row within its class, at random: 0 to 1, evenly in each class.

    The rows with the smallest places are a sample in proportion to the classes.

    Examples
    --------
    >>> order_by_class(np.array([0, 0, 1, 1])).tolist()
    [0.25, 0.75, 0.25, 0.75]
    """
    order = np.random.default_rng(random_state).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    sizes = np.bincount(codes)
    within = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    places = np.empty(len(codes))
    places[order] = (within + 0.5) / np.repeat(sizes, sizes)
    return places


def _as_array(labels: Any, where: str) -> NDArray[Any]:
    if isinstance(labels, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(labels)
        if mask.any():
            raise DataError(f"{where}: the label of row {int(np.argmax(mask))} is masked")
        return np.asarray(labels.data)
    if isinstance(labels, list | tuple) and {*map(type, labels)} <= _PLAIN:
        # NumPy would make one type of several: 1, "1" and True would become one class.
        return np.array([*labels, None], dtype=object)[:-1]
    try:
        return np.asarray(labels)
    except ValueError:
        raise DataError(f"{where}: {_SEVERAL}") from None
    except Exception as error:  # noqa: BLE001 - of whatever object this is
        raise DataError(f"{where}: labels are no array: {inert(error)}") from None


def _flat(array: NDArray[Any], where: str) -> NDArray[Any]:
    if array.ndim == 1:
        return array
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim == 2 and array.dtype.kind in "biuf" and np.isin(array, (0, 1)).all():
        if (array.sum(axis=1) == 1).all():
            return np.asarray(array.argmax(axis=1))
        raise DataError(f"{where}: {_SEVERAL}")
    raise DataError(f"{where}: labels have shape {array.shape}; one label a sample is allowed")


def _of_objects(array: NDArray[Any], where: str) -> NDArray[Any]:
    """Make a plain array of Python objects of one type."""
    values = array.tolist()
    first = _type(values[0], 0, where) if values else "a string"
    for row, value in enumerate(values):
        found = _type(value, row, where)
        if found != first and {found, first} != {"an integer", "a real number"}:
            raise DataError(
                f"{where}: labels are of several types: row 0 is {first}, row {row} {found}"
            )
        first = found if found == "a real number" else first
    match first:
        case "a string":
            return _strings(values, where)
        case "bytes":
            return _decoded(values, where)
        case "a boolean":
            return np.array(values, dtype=bool)
        case "a real number":
            return np.array(values, dtype=np.float64)
    return _integers(values)


def _type(value: Any, row: int, where: str) -> str:
    if is_missing(value):
        raise DataError(f"{where}: the label of row {row} is missing")
    for types, name in (
        (str, "a string"),
        (bytes, "bytes"),
        (bool | np.bool_, "a boolean"),
        (int | np.integer, "an integer"),
        (float | np.floating, "a real number"),
    ):
        if isinstance(value, types):
            return name
    if isinstance(value, list | tuple | set | frozenset | dict | np.ndarray):
        raise DataError(f"{where}: {_SEVERAL}")
    raise DataError(
        f"{where}: the label of row {row} is of type {type(value).__name__}; "
        "integers and strings are allowed"
    )


def _integers(values: Sequence[int]) -> NDArray[Any]:
    for dtype in (np.int64, np.uint64):
        if np.iinfo(dtype).min <= min(values) and max(values) <= np.iinfo(dtype).max:
            return np.array(values, dtype=dtype)
    return np.array([str(value) for value in values])  # as many digits as it takes


def _strings(values: Sequence[str], where: str) -> NDArray[np.str_]:
    longest = max(map(len, values), default=0)
    if longest * len(values) > _MOST_CHARACTERS:
        raise DataError(f"{where}: labels of up to {longest:,} characters are no names of classes")
    for row, value in enumerate(values):
        if value.endswith("\0"):
            raise DataError(f"{where}: the label of row {row} ends with a NUL character")
    return np.array(values, dtype=np.str_)


def _decoded(values: Any, where: str) -> NDArray[np.str_]:
    words: list[str] = []
    try:
        words += (value.decode("utf-8") for value in np.asarray(values, dtype=object).tolist())
    except UnicodeDecodeError as error:
        row = len(words)
        raise DataError(f"{where}: the label of row {row} is no UTF-8: {error.object!r}") from None
    return _strings(words, where)


def _whole(array: NDArray[Any], where: str) -> NDArray[np.int64] | None:
    """The integers that floats stand for; None where they are no integers."""
    _finite(array, where)
    if (array != np.round(array)).any():
        return None
    large = np.abs(array.astype(np.float64)) > _EXACT
    if large.any():
        row = int(np.argmax(large))
        raise DataError(
            f"{where}: label {array[row]} of row {row} is too large for an exact integer; "
            "save labels as integers or strings"
        )
    return array.astype(np.int64)


def _numbers(array: NDArray[Any], where: str) -> NDArray[np.float64]:
    try:
        values = array.astype(np.float64)
    except (ValueError, TypeError):
        kinds = "strings" if array.dtype.kind in "OUST" else f"of type {array.dtype}"
        raise DataError(f"{where}: labels are {kinds}; numbers are needed to predict") from None
    if array.dtype.kind == "c":
        raise DataError(f"{where}: labels of type {array.dtype}; real numbers are allowed")
    _finite(values, where)
    return values


def _finite(array: NDArray[Any], where: str) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        row = int(np.argmin(finite))
        what = "missing" if np.isnan(array[row]) else "infinite"
        raise DataError(f"{where}: the label of row {row} is {what}")


def _number(word: str) -> int | float:
    try:
        return int(word)
    except ValueError:
        value = float(word)
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


def members_of(codes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each class, ascending, found in one pass however many classes there are.

    Examples
    --------
    >>> [rows.tolist() for rows in members_of(np.array([1, 0, 1]))]
    [[1], [0, 2]]
    """
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes))[:-1])


def drawn(codes: NDArray[np.int64], samples: int, seed: int) -> NDArray[np.int64]:
    """Rows of a draw that has every class in its share, in an order of chance."""
    rng = np.random.default_rng(seed)
    # Place of each sample in its class, as a share: sorting by it keeps classes in step.
    share = np.empty(len(codes))
    for each in members_of(codes):
        members = rng.permutation(each)
        share[members] = (np.arange(len(members)) + 0.5) / len(members)
    order: NDArray[np.int64] = np.argsort(share, kind="stable")
    return order[:samples]
