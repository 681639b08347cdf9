"""What the scores of one encoding share: its labels, and what has been computed from both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from zoorank.engine.arrays import as_matrix, number_classes
from zoorank.scores.base import Array, ScoreValue, Task, refuse_bad_rows, several_classes
from zoorank.scores.spectrum import CentredRows, Spectra
from zoorank.scores.threads import Team, one_blas_thread

SPECTRA = "spectra"
_LARGEST_EXPONENT = 200


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
    task : {"classes", "numbers"}
        Which of the two they are.
    groups : array_like of shape (n_samples,) or None
        Samples of one group, such as the pictures of one patient, say nothing of each other:
        no neighbour and no training sample is of the group of the sample that it judges.
    team : Team
        The threads to compute with.
    """

    X: Any
    labels: Any
    task: Task = "classes"
    groups: Any = None
    team: Team = field(default_factory=Team)

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
    def _classes(self) -> tuple[Array, int]:
        return several_classes(self.labels, self.n_samples)

    @property
    def codes(self) -> Array:
        """Classes of the rows, numbered from 0 in the order of the sorted labels."""
        return self._classes[0]

    @property
    def n_classes(self) -> int:
        """How many classes there are: 2 at least."""
        return self._classes[1]

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


def alone(
    of_shared: Callable[[Shared], ScoreValue],
    X: Any,
    labels: Any,
    *,
    task: Task = "classes",
    groups: Any = None,
) -> ScoreValue:
    """Compute one score, with what is else made for all.

    Parameters
    ----------
    of_shared : callable
        As of a :class:`zoorank.scores.Score`.
    X, labels, task, groups
        As of :class:`Shared`.
    """
    with one_blas_thread():
        return of_shared(Shared(X, labels, task, groups))
