"""The smaller Gram matrix of an encoding reduced to tridiagonal form, with its mean and without.

LogME looks at an encoding F, the H-scores at C = F - 1μᵀ, which is centred. One reduction serves
both. Of features, FᵀF = CᵀC + nμμᵀ: in a basis that begins with the direction of μ they differ in
their first entry alone. Of samples, CCᵀ is FFᵀ without its first row and column where the basis
begins with the direction of ones. LAPACK's reduction leaves the first direction as it is. Needs
SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoorank.scores.base import Array
from zoorank.scores.spectrum import Spectrum, Tridiagonal

if TYPE_CHECKING:
    from zoorank.scores.computing import Team
    from zoorank.scores.shared import CentredRows

HELD = 8  # Gram matrices of blocks at a time, before they are added up

Targets = Callable[[slice], Array]
"""What is to be explained, for some rows: float64 of shape ``(rows, k)``."""


@dataclass(frozen=True)
class Basis:
    """An orthogonal matrix B, as reflections: first one, then those of LAPACK's reduction.

    Attributes
    ----------
    normal : ndarray of shape (m,)
        Of the first reflection; of length 1, or 0 where there is none.
    below, factors : ndarray
        As ``dsytrd`` leaves them, of shape (m, m - 1) and (m - 1,). They do not move the first
        direction.
    """

    normal: Array
    below: Array
    factors: Array

    def into(self, vectors: Array) -> Array:
        """BᵀA for A of shape (m, p)."""
        moved = self._reflected(vectors)
        moved[1:] = self._others(moved[1:], "T")
        return moved

    def back(self, vectors: Array) -> Array:
        """BA for A of shape (m, p)."""
        moved = vectors.copy()
        moved[1:] = self._others(vectors[1:], "N")
        return self._reflected(moved)

    def _reflected(self, vectors: Array) -> Array:
        reflected: Array = vectors - 2 * np.outer(self.normal, self.normal @ vectors)
        return reflected

    def _others(self, vectors: Array, transposed: str) -> Array:
        from scipy.linalg.lapack import dormqr

        given = ("L", transposed, self.below, self.factors, np.asfortranarray(vectors))
        _, work, _ = dormqr(*given, -1)
        found, _, _ = dormqr(*given, int(work[0]))
        moved: Array = found
        return moved


@dataclass(frozen=True)
class Spectra:
    """The spectra of an encoding.

    Attributes
    ----------
    rows : CentredRows
    raw, centred : Spectrum
        Of the encoding, and of it less its mean.
    basis : Basis
        That of both.
    """

    rows: CentredRows
    raw: Spectrum
    centred: Spectrum
    basis: Basis

    @classmethod
    def of(cls, rows: CentredRows, targets: Targets, team: Team) -> Spectra:
        """Decompose in O(n d min(n, d)), in memory for a few Gram matrices and blocks of rows."""
        n, d = rows.X.shape
        return (_of_features if d < n else _of_samples)(rows, targets, team)

    def components(self, most: int) -> Array:
        """The first principal components U diag(σ), of shape (n_samples, most) or fewer."""
        gram = self.centred.gram
        first = gram.order - min(most, self.centred.rank)
        values, vectors = gram.eigenvectors(first, gram.order)
        found = self.basis.back(vectors[:, ::-1])
        if not self.centred.of_features:
            return found * np.sqrt(values[::-1])
        across = found[: self.rows.X.shape[1]]
        return np.concatenate([self.rows.take(block) @ across for block in self.rows.blocks()])

    def weights(self, ratio: Array) -> Array:
        """Ridge regression of every target on the centred rows, with a penalty of its own.

        Parameters
        ----------
        ratio : ndarray of shape (k,)
            The t of (CᵀC + tI)⁻¹CᵀY.

        Returns
        -------
        ndarray of shape (n_features, k)
        """
        centred = self.centred
        solved = centred.gram.shifted(centred.coordinates, ratio).solutions
        found = self.basis.back(solved.T)
        if centred.of_features:
            return found[: self.rows.X.shape[1]]
        blocks = map(self.rows.take_columns, self.rows.column_blocks())
        return np.concatenate([block.T @ found for block in blocks])


def _of_features(rows: CentredRows, targets: Targets, team: Team) -> Spectra:
    def part(where: slice) -> tuple[Array, ...]:
        block, Y = rows.take(where), targets(where)
        return block.T @ block, block.T @ Y, Y.sum(axis=0)

    n, d = rows.X.shape
    gram, sums, totals = _summed(part, rows.blocks(), team)
    mean = rows.mean
    if d == 1:  # LAPACK's wrappers want two rows; one of zeros says nothing
        gram, sums, mean = (
            np.pad(gram, (0, 1)),
            np.pad(sums, ((0, 1), (0, 0))),
            np.pad(mean, (0, 1)),
        )
    first, normal = _reflection(mean)
    T, basis = _reduced(_turned(gram, normal), normal)
    coordinates = basis.into(sums).T.copy()
    with_mean = Tridiagonal(T.diagonal.copy(), T.beside)
    with_mean.diagonal[0] += n * first**2
    moved = coordinates.copy()
    moved[:, 0] += first * totals
    return Spectra(
        rows,
        Spectrum(with_mean, moved, True, n, rows.rounding),
        Spectrum(T, coordinates, True, n, rows.rounding, rows.noise),
        basis,
    )


def _of_samples(rows: CentredRows, targets: Targets, team: Team) -> Spectra:
    def part(features: slice) -> tuple[Array, ...]:
        block = rows.take_columns(features)
        return block @ block.T, block @ rows.mean[features]

    n = len(rows.X)
    gram, along_mean = _summed(part, rows.column_blocks(), team)
    first, normal = _reflection(np.ones(n))
    # FFᵀ = CCᵀ + Cμ1ᵀ + 1(Cμ)ᵀ + μᵀμ 11ᵀ, and C has nothing in the direction of 1.
    turned = _turned(gram, normal)
    along_mean = along_mean - 2 * normal * (normal @ along_mean)
    turned[:, 0] = first * along_mean
    turned[0, 0] = n * float(rows.mean @ rows.mean)
    T, basis = _reduced(turned, normal)
    coordinates = basis.into(targets(slice(None))).T.copy()
    without = Tridiagonal(T.diagonal.copy(), T.beside.copy())
    without.diagonal[0] = without.beside[0] = 0
    moved = coordinates.copy()
    moved[:, 0] = 0
    return Spectra(
        rows,
        Spectrum(T, coordinates, False, n, rows.rounding),
        Spectrum(without, moved, False, n, rows.rounding, rows.noise),
        basis,
    )


def _summed(
    part: Callable[[slice], tuple[Array, ...]], blocks: list[slice], team: Team
) -> tuple[Array, ...]:
    """The sums over blocks of each of several arrays, added up in the order of the blocks."""
    totals: tuple[Array, ...] = ()
    for start in range(0, len(blocks), HELD):
        for found in team.map(part, blocks[start : start + HELD]):
            if totals:
                for total, added in zip(totals, found, strict=True):
                    np.add(total, added, out=total)
            else:
                totals = found
    return totals


def _reflection(direction: Array) -> tuple[float, Array]:
    """The first entry of a vector that is reflected on the first axis, and the mirror's normal."""
    length = float(np.linalg.norm(direction))
    if length == 0:
        return 0.0, np.zeros_like(direction)
    normal = direction / length
    first = -math.copysign(1.0, normal[0])
    normal[0] -= first
    return first * length, normal / np.linalg.norm(normal)


def _turned(gram: Array, normal: Array) -> Array:
    """HGH for a reflection H, in the place of G; the lower triangle alone is right."""
    from scipy.linalg.blas import dsyr2

    across = 2 * (gram @ normal)
    across -= (normal @ across) * normal
    turned: Array = dsyr2(-1.0, normal, across, a=gram.T, lower=1, overwrite_a=1)
    return turned


def _reduced(matrix: Array, normal: Array) -> tuple[Tridiagonal, Basis]:
    """The tridiagonal form of a matrix whose lower triangle is given; it takes its place."""
    from scipy.linalg.lapack import dsytrd, dsytrd_lwork

    m = len(matrix)
    room, _ = dsytrd_lwork(m, lower=1)
    reflections, diagonal, beside, factors, _ = dsytrd(
        matrix, lower=1, lwork=int(room), overwrite_a=1
    )
    # The reflectors begin one row further down in each column. From there on, columns of m are
    # again columns of m.
    below = reflections.ravel(order="K")[1 : 1 + m * (m - 1)].reshape((m, m - 1), order="F")
    return Tridiagonal(diagonal, beside), Basis(normal, below, factors)
