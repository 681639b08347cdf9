"""Gram matrices in tridiagonal form, against dense matrices and singular values."""

import numpy as np
import pytest
from scipy.linalg import toeplitz

from zoorank.scores.computing import Team
from zoorank.scores.reduction import Spectra
from zoorank.scores.shared import CentredRows
from zoorank.scores.spectrum import FEW, Tridiagonal

rng = np.random.default_rng(0)


def dense(T):
    return np.diag(T.diagonal) + np.diag(T.beside, 1) + np.diag(T.beside, -1)


@pytest.fixture(params=[2, 3, 50])
def form(request):
    m = request.param
    L = np.diag(rng.uniform(0.5, 2, m)) + np.diag(rng.standard_normal(m - 1), -1)
    T = L @ L.T
    return Tridiagonal(np.diag(T).copy(), np.diag(T, 1).copy())


class TestTridiagonal:
    def test_shifted_solves_and_knows_determinant_and_traces(self, form):
        T, m = dense(form), form.order
        right, shifts = rng.standard_normal((4, m)), np.array([1e-3, 0.5, 1e3, 1e9])
        found = form.shifted(right, shifts)
        for i, t in enumerate(shifts):
            A = T + t * np.eye(m)
            np.testing.assert_allclose(found.solutions[i], np.linalg.solve(A, right[i]), rtol=1e-9)
            assert found.logarithms[i] == pytest.approx(np.linalg.slogdet(A)[1], rel=1e-12)
            s = np.linalg.eigvalsh(T)
            assert found.shares[i] == pytest.approx((s / (s + t)).sum(), rel=1e-9)
            assert found.rests[i] == pytest.approx((t / (s + t)).sum(), rel=1e-9)

    def test_nothing_to_solve_is_no_trouble(self, form):
        found = form.shifted(np.empty((0, form.order)), np.empty(0))
        assert found.solutions.shape == (0, form.order)
        assert len(found.logarithms) == len(found.shares) == len(found.rests) == 0

    def test_what_is_not_positive_is_refused(self, form):
        with pytest.raises(ArithmeticError, match="not positive definite"):
            form.shifted(np.ones((1, form.order)), np.array([-2 * form.largest]))

    def test_eigenvalues_and_their_number(self, form):
        s = np.linalg.eigvalsh(dense(form))
        np.testing.assert_allclose(form.eigenvalues(), s, rtol=1e-12)
        assert form.largest == pytest.approx(s[-1])
        assert form.trace == pytest.approx(s.sum())
        assert form.square == pytest.approx((s**2).sum())
        for bound in (0.0, *((s[1:] + s[:-1]) / 2), 2 * s[-1]):
            assert form.count_up_to(bound) == (s <= bound).sum()

    @pytest.mark.parametrize("count", [0, 1, FEW, FEW + 10])
    def test_eigenvectors(self, form, count):
        first, m = max(0, form.order - count), form.order
        values, vectors = form.eigenvectors(first, m)
        np.testing.assert_allclose(values, np.linalg.eigvalsh(dense(form))[first:], rtol=1e-10)
        np.testing.assert_allclose(dense(form) @ vectors, vectors * values, atol=1e-10)
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(m - first), atol=1e-10)

    def test_times(self, form):
        vectors = rng.standard_normal((3, form.order))
        np.testing.assert_allclose(form.times(vectors), vectors @ dense(form), atol=1e-12)


def encoding(kind):
    X = np.maximum(rng.standard_normal((80, 20)) + 0.5, 0)
    return {
        "tall": X,
        "wide": np.maximum(rng.standard_normal((30, 70)), 0),
        "square": X[:20],
        "one feature": X[:, :1],
        "two samples": X[:2],
        "dead features": np.where(np.arange(20) % 3 == 0, 0, X),
        "constant feature": np.hstack([X, np.full((80, 1), 3.7)]),
        "far from 0": X + 1e4,
        "centred": X - X.mean(axis=0),
        "odd and even": np.vstack([X, -X]),  # whose mean is 0 to the last bit
        "equal rows": np.repeat(X[:1] + 0.1, 80, axis=0),
        "copies of rows": X[np.arange(80) // 4],
        "copies, wide": np.tile(X[:10], (2, 2)),
        "low rank": X[:, :4] @ rng.standard_normal((4, 30)),
        "zeros": np.zeros((9, 4)),
        "float32": X.astype(np.float32),
        "Toeplitz": toeplitz(0.9 ** np.arange(40))[:, :25],
    }[kind]


KINDS = ["tall", "wide", "square", "one feature", "two samples", "dead features"]
KINDS += ["constant feature", "far from 0", "centred", "odd and even", "equal rows"]
KINDS += ["copies of rows", "copies, wide", "low rank", "zeros", "float32", "Toeplitz"]


@pytest.mark.parametrize("kind", KINDS)
class TestSpectra:
    def decomposed(self, kind):
        X = encoding(kind)
        Y = rng.standard_normal((len(X), 3))
        F = X.astype(np.float64)
        spectra = Spectra.of(CentredRows.of(X), lambda rows: Y[rows], Team())
        return spectra, F, F - F.mean(axis=0), Y

    def test_the_form_has_the_squares_of_the_singular_values(self, kind):
        spectra, F, C, _ = self.decomposed(kind)
        for spectrum, matrix in ((spectra.raw, F), (spectra.centred, C)):
            s = np.linalg.svd(matrix, compute_uv=False) ** 2
            found = spectrum.gram.eigenvalues()[::-1]
            size = max(spectrum.gram.order, len(s))
            padded = [np.pad(each, (0, size - len(each))) for each in (found, s)]
            np.testing.assert_allclose(*padded, atol=1e-12 * max(s[0], 1e-300))

    def test_solutions_with_targets_are_those_of_the_encoding(self, kind):
        spectra, F, C, Y = self.decomposed(kind)
        for spectrum, matrix in ((spectra.raw, F), (spectra.centred, C)):
            K = matrix @ matrix.T
            t = max(np.linalg.norm(K, 2) / 100, 1e-3)
            c = spectrum.coordinates
            solved = spectrum.gram.shifted(c, np.full(3, t)).solutions
            if not spectrum.of_features:  # YᵀK(K + tI)⁻¹Y either way
                solved = spectrum.gram.times(solved)
            expected = np.einsum("ij,ij->j", Y, K @ np.linalg.solve(K + t * np.eye(len(K)), Y))
            found = np.einsum("ij,ij->i", c, solved)
            np.testing.assert_allclose(found, expected, atol=1e-9 * np.square(Y).sum())

    def test_rank_and_what_is_explained(self, kind):
        spectra, F, C, Y = self.decomposed(kind)
        U, s, _ = np.linalg.svd(C, full_matrices=False)
        rank = 0 if kind in ("equal rows", "zeros") else int((s > 1e-6 * s[0]).sum())
        assert spectra.centred.rank == rank
        expected = np.square(U[:, :rank].T @ Y).sum(axis=0)
        np.testing.assert_allclose(spectra.centred.explained(), expected, rtol=1e-7)
        assert spectra.raw.rank == np.linalg.matrix_rank(F)

    @pytest.mark.parametrize("most", [2, 200])
    def test_principal_components(self, kind, most):
        spectra, _, C, _ = self.decomposed(kind)
        s = np.linalg.svd(C, compute_uv=False)
        P = spectra.components(most)
        kept = min(most, spectra.centred.rank)
        assert P.shape == (len(C), kept)
        np.testing.assert_allclose(np.square(P).sum(axis=0), s[:kept] ** 2, rtol=1e-8)
        if most > 2:
            np.testing.assert_allclose(P @ P.T, C @ C.T, atol=1e-9 * max(s[0] ** 2, 1e-9))

    def test_ridge_weights(self, kind):
        spectra, _, C, Y = self.decomposed(kind)
        ratios = np.array([0.1, 1.0, 10.0]) * max(np.square(C).mean(), 1e-3)
        weights = spectra.weights(ratios)
        alive = spectra.rows.take(slice(None))
        for i, t in enumerate(ratios):
            A = alive.T @ alive + t * np.eye(alive.shape[1])
            expected = alive @ np.linalg.solve(A, alive.T @ Y[:, i])
            np.testing.assert_allclose(alive @ weights[:, i], expected, atol=1e-8)
