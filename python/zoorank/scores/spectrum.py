"""The singular values of an encoding, from the smaller of its two Gram matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoorank.scores.base import Array


@dataclass(frozen=True)
class Spectrum:
    """What several scores need of a matrix X = U diag(σ) Vᵀ.

    Attributes
    ----------
    squares : ndarray of shape (r,)
        σ², largest first. What rounding cannot tell from 0 is left out, so r is
        the numerical rank.
    U : ndarray of shape (n_samples, r)
        Left singular vectors.
    """

    squares: Array
    U: Array

    @classmethod
    def of(cls, X: Array) -> Spectrum:
        """Decompose a float64 matrix in O(n d min(n, d)) and memory for the smaller Gram."""
        n, d = X.shape
        small = X.T @ X if d < n else X @ X.T
        squares, vectors = np.linalg.eigh(small)
        squares, vectors = squares[::-1], vectors[:, ::-1]
        largest = max(float(squares[0]), 0.0)
        kept = squares > largest * max(n, d) * np.finfo(np.float64).eps
        squares, vectors = squares[kept], vectors[:, kept]
        if d < n:
            vectors = (X @ vectors) / np.sqrt(squares)
        return cls(squares, vectors)
