"""Estimated silhouettes of single samples: as far off as is said, the same bits for a seed."""

import itertools

import numpy as np
import pytest
from tests.engine.problems import KINDS, make
from tests.engine.test_estimate import KERNELS, clusters, statistics_of
from tests.reference import silhouettes as reference

import zoorank
from zoorank import _core
from zoorank.engine import samples as engine

REFERENCES = {np.float32: _core.ReferenceRows32, np.float64: _core.ReferenceRows64}


def estimated(X, y, indices, cuts=(), threads=2):
    """Samples and errors from the references `indices`, of rows in blocks that begin at `cuts`."""
    statistics, blocks = statistics_of(X, y, cuts=cuts, threads=threads)
    references = REFERENCES[X.dtype.type](
        statistics, X[indices], np.asarray(indices, np.int64), *one_stratum(y, indices)
    )
    parts = [references.estimate(block, first, threads, None) for first, block in blocks]
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def one_stratum(y, indices):
    """References and rows of each class, each class one stratum."""
    return np.bincount(y[indices]), np.bincount(y)


def draw(y, count, seed=0):
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(y == c) for c in np.unique(y)]
    return np.concatenate([rng.permutation(own)[:count] for own in rows])


def by_definition(X, y, indices):
    """s from control variates, every class compared."""
    D = reference.distances(X, X, "euclidean")
    np.fill_diagonal(D, 0)
    _, codes = np.unique(y, return_inverse=True)
    rows = np.arange(len(X))
    means, errors = (np.zeros((len(X), codes.max() + 1)) for _ in range(2))
    for c in range(codes.max() + 1):
        members = np.flatnonzero(codes == c)
        chosen = indices[codes[indices] == c]
        for i in rows:
            others, used = members[members != i], chosen[chosen != i]
            if not len(used):
                continue
            root = np.sqrt(np.mean(D[i, others] ** 2))
            if root == 0:
                continue
            terms = D[i, used] - (D[i, used] ** 2 - root**2) / (2 * root)
            means[i, c] = terms.mean()
            spread = terms.var(ddof=1) / len(used) if len(used) > 1 else 0
            errors[i, c] = spread * (1 - len(used) / len(others))
    own, of_own = means[rows, codes].copy(), errors[rows, codes].copy()
    means[rows, codes] = np.inf
    nearest = means.argmin(axis=1)
    other, of_other = means[rows, nearest], errors[rows, nearest]
    more = np.maximum(own, other)
    more[more == 0] = 1
    gradient = np.where(own < other, own, other) / more
    error = np.sqrt(
        np.where(own < other, of_own + gradient**2 * of_other, of_other + gradient**2 * of_own)
    )
    single = np.bincount(codes)[codes] == 1
    return np.where(single, 0, (other - own) / more), np.where(single, 0, error / more)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "d", "classes", "count"), [(400, 7, 2, 9), (330, 33, 6, 25)])
def test_estimates_are_of_control_variates(n, d, classes, count, dtype):
    X, y = clusters(n, d, classes, dtype, seed=n)
    indices = draw(y, count)
    samples, errors = estimated(X, y, indices)
    expected, of_expected = by_definition(X.astype(np.float64), y, indices)
    tolerance = 2e-6 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(samples, expected, rtol=0, atol=tolerance)
    # A row that is no reference counts as one of those that could have been.
    np.testing.assert_allclose(errors, of_expected, rtol=0.02, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_with_every_row_as_reference_they_are_exact(kind, dtype):
    for n, d, classes in ((120, 5, 4), (530, 33, 6)):
        problem = make(kind, n, d, classes, dtype, seed=n)
        _, codes = np.unique(problem.labels, return_inverse=True)
        samples, errors = estimated(problem.X, codes, np.argsort(codes, kind="stable"))
        np.testing.assert_allclose(
            samples,
            reference.silhouette_samples(problem.X, problem.labels, "euclidean"),
            rtol=0,
            atol=2 * reference.TOLERANCE[problem.X.dtype],
        )
        np.testing.assert_array_equal(errors, 0)


def test_blocks_and_threads_change_nothing():
    X, y = clusters(3000, 9, 40)
    indices = draw(y, 20)
    whole = estimated(X, y, indices, threads=1)
    for threads in (2, 5):
        for one, other in zip(estimated(X, y, indices, threads=threads), whole, strict=True):
            np.testing.assert_array_equal(one, other)
    for cuts in ([1], [700, 701, 2999]):
        for one, other in zip(estimated(X, y, indices, cuts), whole, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("classes", [3, 150])
def test_estimated_samples_are_as_far_off_as_is_said(classes):
    X, y = clusters(12_000, 16, classes, seed=6)
    exact = zoorank.silhouette_samples(X, y)
    by_count = {}
    for count in (16, 64):
        samples, errors = zoorank.silhouette_samples(
            X, y, method="estimate", references=count, return_error=True, random_state=1
        )
        off = by_count[count] = np.sqrt(np.mean((samples - exact) ** 2))
        assert off == pytest.approx(np.sqrt(np.mean(errors**2)), rel=0.25)
        assert (abs(samples - exact) < 3 * errors + 1e-5).mean() > 0.95
    assert by_count[64] < 0.7 * by_count[16]
    assert by_count[64] < 0.004


def test_a_seed_decides_and_threads_do_not():
    X, y = clusters(20_000, 12, 300)
    call = {"method": "estimate", "references": 16, "return_error": True}
    first = zoorank.silhouette_samples(X, y, random_state=3, n_threads=1, **call)
    for threads in (2, 5):
        again = zoorank.silhouette_samples(X, y, random_state=3, n_threads=threads, **call)
        np.testing.assert_array_equal(again, first)
    other = zoorank.silhouette_samples(X, y, random_state=4, **call)
    assert (other[0] != first[0]).mean() > 0.9


def test_files_give_what_memory_gives(tmp_path, monkeypatch):
    X, y = clusters(20_000, 32, 7)
    call = {"method": "estimate", "return_error": True, "random_state": 0}
    whole = zoorank.silhouette_samples(X, y, **call)
    np.save(tmp_path / "a.npy", X[:9000])
    np.save(tmp_path / "b.npy", X[9000:])
    monkeypatch.setattr("zoorank.engine.rows._BLOCK_BYTES", 300_000)
    parts = zoorank.silhouette_samples([tmp_path / "a.npy", tmp_path / "b.npy"], y, **call)
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_small_classes_are_compared_with_whole():
    X, y = clusters(6000, 10, 250)  # 24 rows a class
    samples, errors = zoorank.silhouette_samples(
        X, y, method="estimate", return_error=True, random_state=0
    )
    np.testing.assert_array_equal(errors, 0)
    exact = zoorank.silhouette_samples(X, y)
    assert np.quantile(abs(samples - exact), 0.99) < 1e-5  # a row may miss its nearest class


def test_exact_where_that_is_cheaper_and_for_other_metrics():
    X, y = clusters(1000, 5, 4)
    for metric in ("euclidean", "cosine", "manhattan"):
        samples, errors = zoorank.silhouette_samples(
            X, y, metric=metric, method="estimate", return_error=True
        )
        np.testing.assert_array_equal(samples, zoorank.silhouette_samples(X, y, metric=metric))
        np.testing.assert_array_equal(errors, 0)


def test_strata_are_of_rows_about_as_far_from_the_mean_of_their_class():
    rng = np.random.default_rng(0)
    sizes = np.array([5, 100, 3000])
    codes = rng.permutation(np.repeat(np.arange(3), sizes))
    radii = rng.exponential(size=len(codes))
    strata = engine._stratify(codes, radii, 64, 0)
    assert np.sort(strata.rows).tolist() == list(range(len(codes)))
    bounds = np.cumsum(strata.sizes) - strata.sizes
    classes = codes[strata.rows[bounds]]
    np.testing.assert_array_equal(np.bincount(classes, strata.sizes), sizes)
    assert (np.bincount(classes, strata.drawn) <= 64).all()
    previous = -1, np.inf
    for begin, size, drawn in zip(bounds, strata.sizes, strata.drawn, strict=True):
        rows = strata.rows[begin : begin + size]
        (c,) = np.unique(codes[rows])
        assert drawn == size if c == 0 or c != previous[0] else drawn == min(size, 4)
        assert c != previous[0] or radii[rows].max() <= previous[1]
        previous = c, radii[rows].min()


def test_sets_of_references_take_turns():
    strata = engine._Strata(np.arange(1, 1106), np.array([5, 100, 1000]), np.array([5, 50, 50]))
    drawn = [strata.draw(number) for number in range(6)]
    for one, other in itertools.pairwise(drawn):
        assert len(np.unique(one)) == 105
        np.testing.assert_array_equal(np.sort(one[:5]), np.arange(1, 6))
        assert not np.intersect1d(one[5:], other[5:]).size
    np.testing.assert_array_equal(np.sort(drawn[0][5:55]), np.sort(drawn[2][5:55]))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_rows_all_alike_score_0(value):
    X = np.full((3000, 4), value, np.float32)
    y = np.arange(3000) % 3
    samples, errors = zoorank.silhouette_samples(
        X, y, method="estimate", return_error=True, random_state=0
    )
    np.testing.assert_array_equal(samples, 0)
    np.testing.assert_array_equal(errors, 0)


def test_a_few_rows_far_away_do_not_spoil_the_others():
    X, y = clusters(6000, 20, 5, seed=8)
    X[::1000] *= 300
    exact = zoorank.silhouette_samples(X, y)
    samples, errors = zoorank.silhouette_samples(
        X, y, method="estimate", return_error=True, random_state=0
    )
    off = np.sqrt(np.mean((samples - exact) ** 2))
    assert off < 0.004
    assert off == pytest.approx(np.sqrt(np.mean(errors**2)), rel=0.3)


def test_mistakes_are_named():
    X, y = clusters(3000, 4, 3)
    for references in (0, 7):
        with pytest.raises(ValueError, match=f"references must be at least 8, got {references}"):
            zoorank.silhouette_samples(X, y, method="estimate", references=references)
    for references in (16.5, "64"):
        with pytest.raises(TypeError, match="references must be an integer, got"):
            zoorank.silhouette_samples(X, y, references=references)
    with pytest.raises(ValueError, match="unknown method 'auto'"):
        zoorank.silhouette_samples(X, y, method="auto")
    wide = np.broadcast_to(np.float32(1), (300_000, 4000))
    with pytest.raises(ValueError, match=r"64 references of each of 5000 classes take 4\.8 GB"):
        engine.estimate_samples(
            engine.MemoryRows(wide),
            np.resize(np.arange(5000), 300_000),
            5000,
            references=64,
            random_state=0,
            threads=0,
        )
    statistics, _ = statistics_of(X, y)
    kind = _core.ReferenceRows32
    rows = draw(y, 5)
    drawn, sizes = one_stratum(y, rows)
    mixed = np.append(rows[1:], rows[0])
    for indices, of, among, message in (
        (mixed, drawn, sizes, "do not lie side by side"),
        (rows, np.add(drawn, [1, -1, 0]), sizes, "stratum 0 has references of two classes"),
        (rows[3:], drawn - [3, 0, 0], sizes, "stratum 0 has 2 references; allowed are all of its"),
        (rows, drawn, sizes - [0, 1, 0], "class number 1 has .* rows and its strata have"),
        (rows, drawn, sizes[:2], "references of 3 strata and sizes of 2"),
        (np.append(rows, 3000), drawn, sizes, "reference 3000 is none of the 3000 rows"),
    ):
        with pytest.raises(ValueError, match=message):
            kind(statistics, np.resize(X, (len(indices), 4)), indices, of, among)
    with pytest.raises(ValueError, match="references are 3 x 4, need 15 x 4"):
        kind(statistics, X[:3], rows, drawn, sizes)
    unsummed = KERNELS[np.float32][0](y.astype(np.int64), 4, "euclidean")
    with pytest.raises(ValueError, match="add_moments comes first"):
        kind(unsummed, X[rows], rows, drawn, sizes)
