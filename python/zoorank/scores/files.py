"""Score an encoding that lies in a file, whoever made it."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoorank.engine.environment import check_environment
from zoorank.errors import DataError, UsageError
from zoorank.messages import inert, not_loaded
from zoorank.scores.base import CLASSES, NUMBERS, Array, Facts, Score, Task
from zoorank.scores.computing import compute

X_NAMES = ("X", "encodings", "features", "X_train")
LABEL_NAMES = ("y", "labels", "y_train")
# Beyond both an archive would take far more memory than its size says.
_MOST_UNPACKED, _MOST_RATIO = 512 * 2**20, 100


@dataclass(frozen=True)
class FileScore:
    """The score of an encoding in a file.

    Attributes
    ----------
    score : str
        Its name.
    metric : str or None
    value, half_width : float
        The score, and half its confidence interval, 0.0 when exact.
    per_class : dict of str to float
        The score of each class.
    n_samples, n_features : int
    seconds : float
        Without reading the file.
    """

    score: str
    metric: str | None
    value: float
    half_width: float
    per_class: dict[str, float]
    n_samples: int
    n_features: int
    seconds: float


def score_file(
    X: str | os.PathLike[str], labels: str | os.PathLike[str] | None, score: Score
) -> FileScore:
    """Score an encoding and labels from ``.npy`` files, or both from one ``.npz``.

    Parameters
    ----------
    X : path
        ``.npy`` of shape ``(n_samples, n_features)``; or ``.npz`` with X and y.
    labels : path or None
        ``.npy`` of shape ``(n_samples,)``; None where X is a ``.npz``. Numbers with fractions are
        to be predicted, if the score can do that; all others are classes.
    score : Score

    Returns
    -------
    FileScore

    Raises
    ------
    DataError
        If a file cannot be read or the score is undefined on it.
    UsageError
        If labels are missing, or given twice, or the score needs more than a file has; or
        if an environment variable of the engine's is wrong.
    """
    check_environment()
    if len(score.needs) != 2 or score.needs[1] != "labels":
        raise UsageError(f"score {score.name!r} needs more than an encoding and labels: see `rank`")
    if (Path(X).suffix == ".npz") == (labels is not None):
        if not Path(X).exists():
            raise DataError(f"{os.fspath(X)} cannot be read: {os.strerror(errno.ENOENT)}")
        raise UsageError("give X.npy and labels.npy, or one .npz that holds X and y")
    if labels is None:
        matrix, classes = _npz(Path(X))
    else:
        matrix, classes = _npy(Path(X)), _npy(Path(labels))
    start = time.perf_counter()
    task = _task(score, classes)
    looked_at: dict[str, Any] = {score.needs[0]: matrix}
    computed = compute((score,), Facts(classes, task=task, **looked_at))
    if computed.refused:
        raise DataError(f"{os.fspath(X)}: {computed.refused[score.key].reason}")
    value = computed.values[score.key]
    names = map(str, np.unique(classes)) if task == "classes" else ()
    return FileScore(
        score=score.name,
        metric=score.metric,
        value=value.value,
        half_width=value.half_width,
        per_class=dict(zip(names, value.per_class, strict=False)),
        n_samples=matrix.shape[0],
        n_features=matrix.shape[1] if matrix.ndim > 1 else 1,
        seconds=time.perf_counter() - start,
    )


def _task(score: Score, labels: Array) -> Task:
    if score.tasks == NUMBERS:
        return "numbers"
    fractions = labels.dtype.kind == "f" and bool((labels % 1 != 0).any())
    return "numbers" if fractions and score.tasks != CLASSES else "classes"


def _npy(path: Path) -> Array:
    _check_file(path)
    try:
        with np.errstate(over="ignore"):  # of a shape that NumPy cannot multiply, and refuses
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged header is parsed as Python, which may raise anything
        refusal = not_loaded(error)
        raise DataError(f"{path} is not a .npy file of numbers or strings: {refusal}") from error
    if not isinstance(array, np.ndarray):
        with array:
            members = array.zip.namelist()
        if any(name.endswith(".npy") for name in members):
            raise DataError(f"{path} holds several arrays; name it with the ending .npz")
        raise DataError(f"{path} is neither a .npy nor a .npz file but another kind of archive")
    return array


def _check_file(path: Path) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():  # nobody waits for a pipe
        raise DataError(f"{path} is no file")


def _npz(path: Path) -> tuple[Array, Array]:
    _check_file(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            _check_sizes(path, archive)
            return _entry(path, archive, X_NAMES), _entry(path, archive, LABEL_NAMES)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except DataError:
        raise
    except Exception as error:  # of zipfile, zlib or NumPy
        refusal = not_loaded(error)
        raise DataError(f"{path} is not a .npz file of numbers or strings: {refusal}") from error


def _check_sizes(path: Path, archive: np.lib.npyio.NpzFile) -> None:
    """Refuse an archive that would fill the memory from a small file."""
    for member in archive.zip.infolist() if archive.zip else ():
        packed = max(1, member.compress_size)
        if member.file_size > _MOST_UNPACKED and member.file_size > _MOST_RATIO * packed:
            raise DataError(
                f"{path}: {inert(member.filename)} unpacks to {member.file_size:,} bytes from "
                f"{member.compress_size:,}; save it as .npy"
            )


def _entry(path: Path, archive: np.lib.npyio.NpzFile, names: tuple[str, ...]) -> Array:
    for name in names:
        if name in archive:
            try:
                return np.asarray(archive[name])
            except ValueError as error:
                raise DataError(f"{path}: array {name!r}: {not_loaded(error)}") from error
    held = ", ".join(archive) or "nothing"
    raise DataError(f"{path} holds {held}; it needs one of {', '.join(names)}")
