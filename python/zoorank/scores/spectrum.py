"""The spectrum of a Gram matrix in tridiagonal form: what scores ask of it.

To bring a Gram matrix of order m into this form costs 4/3 m³, all its eigenvectors nearly seven
times as much. What the scores need are solutions, determinants and traces of T + tI, which the
pivots of LDLᵀ give in O(m) as well as eigenvectors would. Needs SciPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zoorank.scores.base import Array

# So many eigenvectors are found one by one, more of them together.
FEW = 32
REFINEMENTS = 4
ROUNDING = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Shifted:
    """What is to be known of some matrices T + tI, and the solution of one system for each.

    Attributes
    ----------
    solutions : ndarray of shape (k, m)
        (T + tI)⁻¹c for the k right sides c and shifts t.
    logarithms : ndarray of shape (k,)
        ln|T + tI|.
    shares : ndarray of shape (k,)
        tr T(T + tI)⁻¹, the number of directions in which t counts for little.
    rests : ndarray of shape (k,)
        tr t(T + tI)⁻¹, which is m less the share.
    """

    solutions: Array
    logarithms: Array
    shares: Array
    rests: Array


@dataclass(frozen=True)
class Tridiagonal:
    """A symmetric matrix T of order 2 at least, positive semidefinite but for rounding.

    Attributes
    ----------
    diagonal : ndarray of shape (m,)
    beside : ndarray of shape (m - 1,)
        The diagonal above, and below.
    """

    diagonal: Array
    beside: Array

    @property
    def order(self) -> int:
        """The number m of rows."""
        return len(self.diagonal)

    @property
    def trace(self) -> float:
        """The sum of the eigenvalues."""
        return float(self.diagonal.sum())

    @property
    def square(self) -> float:
        """The sum of the squares of the eigenvalues."""
        return math.fsum((self.diagonal @ self.diagonal, 2 * (self.beside @ self.beside)))

    @cached_property
    def largest(self) -> float:
        """The largest eigenvalue."""
        from scipy.linalg import eigvalsh_tridiagonal

        last = self.order - 1
        found = eigvalsh_tridiagonal(
            self.diagonal, self.beside, select="i", select_range=(last, last)
        )
        return float(found[0])

    def eigenvalues(self) -> Array:
        """All of them, ascending."""
        from scipy.linalg import eigvalsh_tridiagonal

        found: Array = eigvalsh_tridiagonal(self.diagonal, self.beside, lapack_driver="sterf")
        return found

    def count_up_to(self, bound: float) -> int:
        """How many eigenvalues are at most ``bound``, which lies between both ends.

        There are as many as pivots of T - bound I are negative (Sylvester); LAPACK counts those
        when it is asked for eigenvalues so coarsely that it need not look for them.
        """
        from scipy.linalg.lapack import dstebz

        reach = 2 * self.largest + abs(bound)
        in_interval, of_all = 1, "E"
        found, *_ = dstebz(
            self.diagonal, self.beside, in_interval, -reach, bound, 0, 0, 4 * reach, of_all
        )
        return int(found)

    def eigenvectors(self, first: int, last: int) -> tuple[Array, Array]:
        """Eigenvalues number ``first`` to ``last - 1`` from below, and their vectors.

        Returns
        -------
        values : ndarray of shape (last - first,)
            Ascending.
        vectors : ndarray of shape (m, last - first)
        """
        from scipy.linalg import eigh_tridiagonal

        if first >= last:
            return np.empty(0), np.empty((self.order, 0))
        values, vectors = eigh_tridiagonal(
            self.diagonal,
            self.beside,
            select="i",
            select_range=(first, last - 1),
            lapack_driver="stebz" if last - first <= FEW else "stemr",
        )
        return values, vectors

    def shifted(self, right: Array, shifts: Array) -> Shifted:
        """Solve with T + tI, each right side with a t of its own.

        Parameters
        ----------
        right : ndarray of shape (k, m)
        shifts : ndarray of shape (k,)

        Returns
        -------
        Shifted

        Raises
        ------
        ArithmeticError
            If one of the matrices is not positive definite.
        """
        from scipy.linalg.lapack import dpttrf, dpttrs

        # k matrices side by side are one of three diagonals, which takes one call.
        k, m = right.shape
        if not k:
            none = np.empty(0)
            return Shifted(right, none, none, none)
        diagonal = (self.diagonal + shifts[:, None]).ravel()
        beside = np.tile(np.append(self.beside, 0.0), k)[:-1]
        pivots, factors, failed = dpttrf(diagonal, beside)
        upward, _, failed_upward = dpttrf(diagonal[::-1], beside[::-1])
        if failed or failed_upward:
            raise ArithmeticError("a Gram matrix is not positive definite")
        solutions, _ = dpttrs(pivots, factors, right.reshape(-1, 1))
        # Eliminations from above and from below meet in a row: what they leave of its diagonal
        # is 1 over the entry of the inverse. The entry beside it is less a factor times the next.
        inverse = 1 / (pivots + upward[::-1] - diagonal)
        across = np.append(factors * inverse[1:], 0.0).reshape(k, m)[:, :-1]
        inverse = inverse.reshape(k, m)
        rests = shifts * inverse.sum(axis=1)
        shares = inverse @ self.diagonal - 2 * (across @ self.beside)
        return Shifted(
            solutions.reshape(k, m),
            np.log(pivots).reshape(k, m).sum(axis=1),
            np.where(rests < m / 2, m - rests, shares),  # whichever cancels less
            rests,
        )

    def times(self, vectors: Array) -> Array:
        """Tx for the rows x of an array of shape (k, m)."""
        product: Array = vectors * self.diagonal
        product[:, :-1] += vectors[:, 1:] * self.beside
        product[:, 1:] += vectors[:, :-1] * self.beside
        return product


@dataclass(frozen=True)
class Spectrum:
    """A Gram matrix BTBᵀ, and targets Y in its basis.

    Attributes
    ----------
    gram : Tridiagonal
        T.
    coordinates : ndarray of shape (k, m)
        (BᵀFᵀY)ᵀ where the Gram matrix is FᵀF, (BᵀY)ᵀ where it is FFᵀ.
    of_features : bool
        Which of the two it is.
    n_samples : int
    rounding : float
        Of the largest eigenvalue, which eigenvalues may be off by.
    noise : float
        What they may be off by because the mean of the rows is rounded.
    """

    gram: Tridiagonal
    coordinates: Array
    of_features: bool
    n_samples: int
    rounding: float
    noise: float = 0.0

    @cached_property
    def least(self) -> float:
        """Eigenvalues that are not above it cannot be told from 0."""
        return max(self.gram.largest * self.rounding, self.noise)

    @cached_property
    def null(self) -> int:
        """How many eigenvalues cannot be told from 0."""
        if self.gram.largest <= self.least:
            return self.gram.order
        return self.gram.count_up_to(self.least)

    @property
    def rank(self) -> int:
        """The numerical rank of F."""
        return self.gram.order - self.null

    def explained(self) -> Array:
        """‖UᵀY‖² of every target, with U the left singular vectors of F; shape (k,)."""
        T, c = self.gram, self.coordinates
        if self.null == T.order:
            return np.zeros(len(c))
        if self.null > T.order // 2:
            values, vectors = T.eigenvectors(self.null, T.order)
            squares = np.square(c @ vectors)
            return np.asarray((squares / values if self.of_features else squares).sum(axis=1))
        values, vectors = T.eigenvectors(0, self.null)
        c = c - (c @ vectors) @ vectors.T
        if not self.of_features:
            return np.asarray(np.square(c).sum(axis=1))
        if not self.null:
            return np.asarray((c * T.shifted(c, np.zeros(len(c))).solutions).sum(axis=1))
        # T is singular, or a little below 0, where c has just lost its part. So T + tI is solved
        # with, and what t makes of the rest, which is larger, is put right step by step.
        shifts = np.full(len(c), 2 * max(-float(values[0]), 0.0) + 4 * ROUNDING * T.largest)
        solution = np.zeros_like(c)
        for _ in range(REFINEMENTS):
            left = c - T.times(solution)
            left -= (left @ vectors) @ vectors.T
            solution += T.shifted(left, shifts).solutions
        return np.asarray((c * solution).sum(axis=1))
