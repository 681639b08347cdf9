"""What the scores of one encoding share: it and its labels, checked, and what is made of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zoorank.engine.arrays import as_matrix, number_classes
from zoorank.messages import bad_row
from zoorank.scores.base import Array, Task
from zoorank.scores.reduction import Spectra
from zoorank.scores.spectrum import ROUNDING

if TYPE_CHECKING:
    from zoorank.scores.computing import Team

SPECTRA = "spectra"
BLOCK_BYTES = 64 * 2**20
CACHED_BYTES = 2**20  # of blocks that are not multiplied
MEAN_ROUNDING = 1e-12  # of a mean of many rows
_LARGEST_EXPONENT = 200


@dataclass(frozen=True)
class CentredRows:
    """Rows less their mean, in float64, some at a time.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
        float32 or float64. Features that are 0 in all rows are left out: they have no say.
    mean : ndarray of shape (n_features,)
    n_given : int
        The number of features before any were left out.
    """

    X: Array
    mean: Array
    n_given: int

    @classmethod
    def of(cls, X: Array) -> CentredRows:
        """Centre the rows of a matrix."""
        mean = X.mean(axis=0, dtype=np.float64)
        alive = mean != 0
        alive[~alive] = X[:, ~alive].any(axis=0)
        if alive.all():
            return cls(X, mean, X.shape[1])
        kept = np.flatnonzero(alive) if alive.any() else np.zeros(1, int)
        return cls(X.take(kept, axis=1), mean[kept], X.shape[1])

    @property
    def rounding(self) -> float:
        """What the σ² of the rows may be off by, as a share of the largest."""
        return max(len(self.X), self.n_given) * ROUNDING

    @property
    def noise(self) -> float:
        """What the σ² of equal rows may come to by the rounding of their mean."""
        return len(self.X) * MEAN_ROUNDING**2 * float(self.mean @ self.mean)

    def take(self, rows: slice | Array) -> Array:
        """Some of the rows."""
        return np.subtract(self.X[rows], self.mean, dtype=np.float64)

    def take_columns(self, features: slice) -> Array:
        """Some of the features."""
        return np.subtract(self.X[:, features], self.mean[features], dtype=np.float64)

    def blocks(self, n_bytes: int = BLOCK_BYTES) -> list[slice]:
        """All rows, in blocks of a size in float64."""
        return _slices(len(self.X), self.X.shape[1], n_bytes)

    def column_blocks(self) -> list[slice]:
        """All features likewise."""
        return _slices(self.X.shape[1], len(self.X), BLOCK_BYTES)

    def scales(self) -> Array:
        """What each centred feature is multiplied by to have variance 1; 0 where it is constant."""
        squares = np.zeros(self.X.shape[1])
        for block in map(self.take, self.blocks(CACHED_BYTES)):
            squares += np.einsum("ij,ij->j", block, block)
        deviations = np.sqrt(squares / len(self.X))
        flat = deviations <= MEAN_ROUNDING * np.abs(self.mean)
        return np.where(flat, 0.0, 1 / np.where(flat, 1.0, deviations))

    def standardised(self) -> tuple[Array, Array]:
        """All rows in float32, with features of variance 1, and the scales that made them so."""
        scales = self.scales()
        points = np.empty(self.X.shape, np.float32)
        for block in self.blocks(CACHED_BYTES):
            points[block] = self.take(block) * scales
        return points, scales

    def squares(self) -> Array:
        """The squared length of every row."""
        blocks = map(self.take, self.blocks(CACHED_BYTES))
        return np.concatenate([np.einsum("ij,ij->i", block, block) for block in blocks])


@dataclass(frozen=True)
class Shared:
    """An encoding with the labels of its rows, and what has been computed from both.

    Nothing here is safe against two threads that ask for the same part at once: see
    :meth:`prepare` and ``draws_on`` of a :class:`zoorank.scores.Score`.

    Attributes
    ----------
    X : array_like of shape (n_samples, n_features)
        In host memory or on a CUDA device.
    labels : array_like of shape (n_samples,)
        Classes, or numbers to predict.
    team : Team
        The threads to compute with.
    task : {"classes", "numbers"}
        Which of the two they are.
    groups : array_like of shape (n_samples,) or None
        Samples of one group, such as the pictures of one patient, say nothing of each other:
        no neighbour and no training sample is of the group of the sample that it judges.
    """

    X: Any
    labels: Any
    team: Team
    task: Task = "classes"
    groups: Any = None

    def prepare(self) -> None:
        """Check the encoding and its labels, and make what all scores on the host look at.

        Raises
        ------
        ValueError, TypeError
            For what :attr:`matrix`, :attr:`targets` and :attr:`group_codes` refuse.
        """
        _ = (self.matrix, self.target_lengths, self.group_codes, self.rows)

    @cached_property
    def matrix(self) -> Array:
        """The encoding in host memory, float32 or float64, all of it finite.

        Times a power of two where squares of its numbers would be out of range: no score that
        looks at it minds.
        """
        matrix: Array = as_matrix(self.X)
        refuse_bad_rows(matrix)
        if matrix.dtype == np.float64:
            exponent = int(np.frexp(max(matrix.max(), -matrix.min()))[1])
            if abs(exponent) > _LARGEST_EXPONENT:
                matrix = np.ldexp(matrix, -exponent)
        return matrix

    @property
    def n_samples(self) -> int:
        """The number of rows."""
        return len(self.matrix)

    @cached_property
    def doubles(self) -> Array:
        """The encoding in float64."""
        return np.asarray(self.matrix, dtype=np.float64)

    @cached_property
    def codes(self) -> Array:
        """Classes of the rows, numbered from 0 in the order of the sorted labels; 2 at least."""
        return several_classes(self.labels, self.n_samples)[0]

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.target_lengths)

    @cached_property
    def numbers(self) -> Array:
        """The numbers to predict, in float64."""
        numbers = np.asarray(self.labels)
        if numbers.ndim == 2 and numbers.shape[1] == 1:
            numbers = numbers[:, 0]
        if numbers.shape != (self.n_samples,):
            raise ValueError(
                f"X has {self.n_samples} rows, and the numbers to predict have the shape "
                f"{numbers.shape}"
            )
        try:
            numbers = numbers.astype(np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"labels of dtype {numbers.dtype} are no numbers to predict") from None
        refuse_bad_rows(numbers[:, None], "the numbers to predict")
        if numbers.min() == numbers.max():
            raise ValueError(f"all numbers to predict are {numbers[0]:g}; they must differ")
        return numbers

    @cached_property
    def target_lengths(self) -> Array:
        """‖y‖² of every target: the size of each class, or the number of samples."""
        if self.task == "classes":
            return np.bincount(self.codes).astype(np.float64)
        lengths: Array = np.einsum("ij,ij->j", self._scaled_numbers, self._scaled_numbers)
        return lengths

    def targets(self, rows: slice) -> Array:
        """What is to be explained: a column for each class, or the numbers in units of their own.

        Returns
        -------
        ndarray of float64 of shape (n_rows, k)
            1 in the column of a row's class, else 0; or numbers of mean 0 and variance 1.
        """
        if self.task == "numbers":
            return self._scaled_numbers[rows]
        indicators: Array = self.codes[rows, None] == np.arange(self.n_classes)
        return indicators.astype(np.float64)

    @cached_property
    def _scaled_numbers(self) -> Array:
        # Halved, so that no difference of two of them is out of range.
        halves = self.numbers / 2
        centred = halves - halves.mean()
        centred /= np.abs(centred).max()
        scaled: Array = (centred / centred.std())[:, None]
        return scaled

    @cached_property
    def group_codes(self) -> Array | None:
        """Groups of the rows, numbered from 0; None where every row stands for itself."""
        if self.groups is None:
            return None
        try:
            groups, codes = number_classes(self.groups, self.n_samples)
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).replace("labels", "groups")) from None
        if len(groups) < 2:
            raise ValueError("all samples are of one group; at least 2 are needed")
        return codes

    @cached_property
    def rows(self) -> CentredRows:
        """The rows less their mean."""
        return CentredRows.of(self.matrix)

    @cached_property
    def spectra(self) -> Spectra:
        """Of the encoding and of its centred rows, with the targets."""
        return Spectra.of(self.rows, self.targets, self.team)


def _slices(count: int, width: int, n_bytes: int) -> list[slice]:
    step = max(1, n_bytes // (8 * width))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def checked(X: npt.ArrayLike, labels: npt.ArrayLike, name: str = "X") -> tuple[Array, Array, int]:
    """An encoding and its labels, ready for arithmetic.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
    labels : array_like of shape (n_samples,)
    name : str
        What messages call X.

    Returns
    -------
    X : ndarray of float64
    codes : ndarray of int64
        Classes numbered from 0.
    n_classes : int

    Raises
    ------
    ValueError
        If X holds NaN or infinity, naming the first bad row, or there are fewer
        than 2 classes.
    """
    matrix = np.asarray(as_matrix(X, name), dtype=np.float64)
    codes, n_classes = several_classes(labels, len(matrix))
    refuse_bad_rows(matrix, name)
    return matrix, codes, n_classes


def several_classes(labels: npt.ArrayLike, n_samples: int) -> tuple[Array, int]:
    """Labels numbered from 0, and how many there are; ValueError for fewer than 2."""
    classes, codes = number_classes(labels, n_samples)
    if len(classes) < 2:
        raise ValueError(f"labels have {len(classes)} class; a score needs at least 2")
    return codes, len(classes)


def refuse_bad_rows(X: Array, name: str = "X") -> None:
    """Raise ValueError where X holds NaN or infinity, naming the first bad row."""
    if not np.isfinite(X).all():
        row, what = bad_row(X)
        raise ValueError(f"row {row} of {name} holds {what}")
