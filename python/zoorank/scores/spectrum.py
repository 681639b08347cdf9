"""The singular values of an encoding, from the smaller of its two Gram matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoorank.scores.base import Array


@dataclass(frozen=True)
class Spectrum:
    """What several scores need of a matrix X = U diag(σ) Vᵀ.

    U is never made as a whole where V is at hand: what the scores need of it are a few
    columns, or its product with as many vectors as there are classes.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
    squares : ndarray of shape (r,)
        σ², largest first. What rounding cannot tell from 0 is left out, so r is
        the numerical rank.
    vectors : ndarray
        V, of shape (n_features, r), where there are fewer features than samples;
        else U, of shape (n_samples, r).
    """

    X: Array
    squares: Array
    vectors: Array

    @classmethod
    def of(cls, X: Array) -> Spectrum:
        """Decompose a float64 matrix in O(n d min(n, d)) and memory for the smaller Gram."""
        squares, vectors = np.linalg.eigh(smaller_gram(X))
        squares, vectors = squares[::-1], vectors[:, ::-1]
        kept = squares > max(float(squares[0]), 0.0) * least_share(X)
        return cls(X, squares[kept], vectors[:, kept])

    @property
    def has_right(self) -> bool:
        """Whether ``vectors`` are V and not U."""
        return bool(self.X.shape[1] < self.X.shape[0])

    def projected(self, targets: Array) -> Array:
        """UᵀY for Y of shape (n_samples, k)."""
        if not self.has_right:
            return np.asarray(self.vectors.T @ targets)
        right = self.vectors.T @ (self.X.T @ targets)
        return np.asarray(right / np.sqrt(self.squares)[:, None])

    def components(self, most: int) -> Array:
        """The first principal components U diag(σ), of shape (n_samples, most) or fewer."""
        if self.has_right:
            return np.asarray(self.X @ self.vectors[:, :most])
        return np.asarray(self.vectors[:, :most] * np.sqrt(self.squares[:most]))


def smaller_gram(X: Array) -> Array:
    """XᵀX or XXᵀ, whichever is smaller."""
    n, d = X.shape
    gram: Array = X.T @ X if d < n else X @ X.T
    return gram


def least_share(X: Array) -> float:
    """Of the largest σ²: what is smaller cannot be told from 0."""
    return float(max(X.shape) * np.finfo(np.float64).eps)
