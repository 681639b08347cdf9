"""Estimated silhouettes: unbiased, honest about their error, the same bits for a seed."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.engine.problems import KINDS, make
from tests.reference import silhouettes as reference

import zoorank
from zoorank import _core
from zoorank.engine import cost, estimate, intervals
from zoorank.engine.estimate import FIRST_DRAW

KERNELS = {
    np.float32: (_core.RowStatistics32, _core.ExactRows32),
    np.float64: (_core.RowStatistics64, _core.ExactRows64),
}


def clusters(n, d, classes, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    spread = np.exp(rng.normal(0, 0.4, classes))
    centres = rng.normal(size=(classes, d)) * np.exp(rng.normal(0, 1, d))
    X = centres[y] + rng.normal(size=(n, d)) * spread[y, None]
    return X.astype(dtype), y


def statistics_of(X, y, metric="euclidean", cuts=(), threads=2):
    """Rows handed over in blocks that begin at `cuts`."""
    kind, _ = KERNELS[X.dtype.type]
    statistics = kind(np.asarray(y, np.int64), X.shape[1], metric)
    bounds = [0, *cuts, len(X)]
    blocks = [(a, X[a:b]) for a, b in itertools.pairwise(bounds)]
    for first, block in blocks:
        statistics.check(block, first)
    if metric != "manhattan":
        for first, block in blocks:
            statistics.add_moments(block, first, threads, None)
    return statistics, blocks


def surrogate_of(X, y, metric="euclidean", cuts=(), threads=2):
    statistics, blocks = statistics_of(X, y, metric, cuts, threads)
    return np.concatenate([statistics.surrogate(b, first, threads, None) for first, b in blocks])


def exact_of(X, y, drawn, metric="euclidean", cuts=(), threads=2):
    statistics, blocks = statistics_of(X, y, metric, cuts, threads)
    exact = KERNELS[X.dtype.type][1](statistics, X[drawn], np.asarray(drawn, np.int64))
    for first, block in blocks:
        exact.add(block, first, threads, None)
    return exact.silhouettes(len(drawn))


def surrogate_by_definition(X, y):
    """s of the roots of mean squared distances."""
    D = reference.distances(X, X, "sqeuclidean")
    np.fill_diagonal(D, 0)
    _, codes = np.unique(y, return_inverse=True)
    size = np.bincount(codes)
    sums = np.array([np.bincount(codes, weights=row) for row in D])
    rows = np.arange(len(D))
    own = np.sqrt(sums[rows, codes] / np.maximum(size[codes] - 1, 1))
    means = np.sqrt(sums / size)
    means[rows, codes] = np.inf
    nearest = means.min(axis=1)
    larger = np.maximum(own, nearest)
    s = np.where(larger > 0, (nearest - own) / np.where(larger > 0, larger, 1), 0)
    return np.where(size[codes] == 1, 0, s)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_exact_rows_are_the_definitions(kind, dtype, metric):
    for n, d, classes in ((120, 5, 4), (700, 17, 3), (530, 33, 200)):
        problem = make(kind, n, d, classes, dtype, seed=n)
        drawn = np.random.default_rng(n).choice(n, 97, replace=False)
        np.testing.assert_allclose(
            exact_of(problem.X, problem.labels, drawn, metric),
            reference.silhouette_samples(problem.X, problem.labels, metric)[drawn],
            rtol=0,
            atol=reference.TOLERANCE[problem.X.dtype],
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_the_surrogate_is_of_roots_of_mean_squares(kind, dtype):
    for n, d, classes in ((120, 5, 4), (530, 33, 200)):
        problem = make(kind, n, d, classes, dtype, seed=n)
        np.testing.assert_allclose(
            surrogate_of(problem.X, problem.labels),
            surrogate_by_definition(problem.X, problem.labels),
            rtol=0,
            atol=1e-6 if dtype == np.float32 else 1e-11,
        )


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 899), max_size=4, unique=True).map(sorted),
    metric=st.sampled_from(["euclidean", "cosine", "sqeuclidean"]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_blocks_may_be_cut_anywhere(cuts, metric, dtype):
    X, y = clusters(900, 9, 40, dtype)
    whole = surrogate_of(X, y, metric)
    np.testing.assert_allclose(surrogate_of(X, y, metric, cuts), whole, rtol=0, atol=1e-12)
    if metric == "euclidean":
        drawn = np.arange(0, 900, 7)
        tolerance = reference.TOLERANCE[X.dtype]
        np.testing.assert_allclose(
            exact_of(X, y, drawn, metric, cuts), exact_of(X, y, drawn), rtol=0, atol=tolerance
        )


@pytest.mark.parametrize("classes", [2, 30, 3000])
def test_number_of_threads_changes_no_bit(classes):
    X, y = clusters(20_000, 12, classes)
    one = zoorank.silhouette(X, y, method="estimate", random_state=3, n_threads=1)
    assert one.method == "estimate"
    for threads in (2, 5):
        many = zoorank.silhouette(X, y, method="estimate", random_state=3, n_threads=threads)
        assert (many.score, many.half_width) == (one.score, one.half_width)
        np.testing.assert_array_equal(many.per_class, one.per_class)


def test_a_seed_decides_the_draw():
    X, y = clusters(6000, 8, 5)
    draw = [zoorank.silhouette(X, y, method="estimate", random_state=s).score for s in (1, 1, 2)]
    assert draw[0] == draw[1] != draw[2]
    generators = [np.random.default_rng(1), np.random.default_rng(1)]
    again = [zoorank.silhouette(X, y, method="estimate", random_state=g).score for g in generators]
    assert again[0] == again[1]


def test_the_estimate_is_unbiased_and_its_interval_holds():
    X, y = clusters(4000, 6, 8, seed=2)
    exact = zoorank.silhouette_score(X, y)
    results = [
        zoorank.silhouette(X, y, method="estimate", tol=4e-3, confidence=0.9, random_state=seed)
        for seed in range(150)
    ]
    assert {r.method for r in results} == {"estimate"}
    errors = np.array([r.score for r in results]) - exact
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(len(errors))
    held = np.mean([abs(r.score - exact) <= r.half_width for r in results])
    assert held > 0.8  # 0.9 is asked; 150 draws are 4 standard errors from 0.8
    assert all(r.half_width <= 4e-3 for r in results)


def test_a_smaller_tolerance_draws_more_rows_until_all_are():
    X, y = clusters(5000, 4, 6, seed=4)
    exact = zoorank.silhouette(X, y, method="exact")
    drawn = []
    for tol in (1e-2, 2e-3, 1e-3):
        result = zoorank.silhouette(X, y, method="estimate", tol=tol, random_state=0)
        assert result.method == "estimate"
        assert 0 < result.half_width <= tol
        assert abs(result.score - exact.score) < 2 * tol
        drawn.append(result.rows_evaluated)
    assert FIRST_DRAW - 10 < drawn[0] <= FIRST_DRAW
    assert drawn == sorted(drawn)
    assert drawn[-1] < len(X)
    result = zoorank.silhouette(X, y, method="estimate", tol=1e-7, random_state=0)
    assert (result.method, result.score, result.half_width) == ("exact", exact.score, 0)
    assert (result.rows_evaluated, exact.rows_evaluated) == (5000, 5000)


def test_class_means_come_with_their_error():
    X, y = clusters(9000, 6, 12, seed=5)
    y[:2] = 99, 98  # two classes of one row, which is always drawn
    exact = zoorank.silhouette(X, y, method="exact")
    misses = 0
    for seed in range(20):
        result = zoorank.silhouette(X, y, method="estimate", tol=5e-3, random_state=seed)
        np.testing.assert_array_equal(result.classes, exact.classes)
        assert (result.per_class_half_width > 0).all()
        off = abs(result.per_class - exact.per_class)
        misses += (off > result.per_class_half_width)[:-2].sum()
        assert off[:-2].max() < 0.03
        np.testing.assert_allclose(off[-2:], 0, atol=1e-12)
    assert misses <= 0.05 * 20 * 12
    np.testing.assert_array_equal(exact.per_class_half_width, 0)


@pytest.mark.parametrize("metric", ["cosine", "sqeuclidean", "manhattan"])
def test_other_metrics_are_exact(metric):
    X, y = clusters(2000, 5, 4)
    result = zoorank.silhouette(X, y, metric=metric, method="estimate")
    assert (result.method, result.half_width) == ("exact", 0)
    assert result.score == zoorank.silhouette_score(X, y, metric=metric)


def test_auto_is_exact_where_that_is_cheap_and_an_estimate_where_it_is_not():
    assert cost.prefers_exact(10_000, 512, 100, 700)
    assert not cost.prefers_exact(1_000_000, 128, 1000, 700)
    assert cost.prefers_exact(100_000, 128, 1000, 99_000)  # nearly every row
    assert not cost.prefers_exact(60_000, 32, 20_000, 2000)  # as many sums as rows
    X, y = clusters(70_000, 4, 10)
    assert zoorank.silhouette(X[:5000], y[:5000]).method == "exact"
    result = zoorank.silhouette(X, y, random_state=0, device="cpu")
    assert (result.method, result.n_samples) == ("estimate", 70_000)


@pytest.mark.parametrize("tol", [1e-3, 1e-4, 2e-5, 8e-6, 5.1e-6, 5e-6])
def test_a_small_tolerance_takes_few_passes(tol):
    """Each may be a file's: what rounding takes of it must not be asked of ever more rows."""
    rng, n = np.random.default_rng(0), 100_000
    exact = rng.uniform(-1, 1, n)
    surrogate = exact + rng.normal(0, 2e-3, n)
    passes = []

    def score(rows):
        passes.append(len(rows))
        return exact[rows]

    found = estimate.estimate_by_draws(
        surrogate,
        np.arange(n) % 10,
        score,
        tol=tol,
        confidence=0.99,
        random_state=1,
        rounding=5e-6,
        affordable=lambda more: True,
    )
    assert found.half_width <= tol
    assert len(passes) <= 4
    assert (found.rows_evaluated < n) == (tol > 1e-5)


def test_what_rounding_does_not_allow_is_exact():
    X, y = clusters(30_000, 4, 5)
    result = zoorank.silhouette(X, y, method="estimate", tol=1e-6, random_state=0)
    assert (result.method, result.half_width) == ("exact", 0)


def test_progress_rises_to_the_end():
    X, y = clusters(60_000, 32, 50)
    for method in ("estimate", "exact"):
        seen = []
        zoorank.silhouette(X, y, method=method, random_state=0, progress=seen.append)
        assert seen == sorted(seen)
        assert 0 <= seen[0] <= seen[-1] == 1


def test_an_exception_out_of_progress_ends_the_call():
    X, y = clusters(60_000, 64, 200)

    def refuse(fraction):
        raise LookupError("enough")

    for method in ("estimate", "exact"):
        with pytest.raises(LookupError, match="enough"):
            zoorank.silhouette(X, y, method=method, progress=refuse)


def test_mistakes_are_named_by_an_estimate_too():
    X, y = clusters(3000, 4, 3)
    X[1234, 1] = np.nan
    with pytest.raises(ValueError, match="the first bad row is 1234"):
        zoorank.silhouette(X, y, method="estimate")
    with pytest.raises(ValueError, match=r"Number of labels is 1.*n_samples is 3000"):
        zoorank.silhouette(X, np.zeros(3000, int), method="estimate")


def test_steps_out_of_order_are_refused():
    X, y = clusters(50, 3, 4)
    statistics = _core.RowStatistics32(y.astype(np.int64), 3, "euclidean")
    with pytest.raises(ValueError, match="check comes first, for all 50 rows; it has seen 0"):
        statistics.add_moments(X, 0, 1, None)
    with pytest.raises(ValueError, match="row 0 is next, not 10"):
        statistics.check(X[10:], 10)
    statistics.check(X, 0)
    with pytest.raises(ValueError, match="add_moments comes first"):
        statistics.surrogate(X, 0, 1, None)
    with pytest.raises(ValueError, match="drawn row 50 is none of the 50 rows"):
        _core.ExactRows32(statistics, X[:1], np.array([50]))
    with pytest.raises(ValueError, match="add comes first"):
        _core.ExactRows32(statistics, X[:1], np.array([0])).silhouettes(1)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("degrees", [1, 2, 3, 8, 29, 50, 239, 5000])
def test_quantiles_of_students_t(confidence, degrees):
    expected = stats.t.ppf(0.5 + confidence / 2, degrees)
    assert intervals.student_t(confidence, degrees) == pytest.approx(expected, abs=1e-4)
    assert intervals.student_t(confidence, degrees + 0.9) == pytest.approx(expected, abs=1e-4)


def test_rows_needed_bring_the_width_to_the_tolerance():
    rng = np.random.default_rng(0)
    for n in (2000, 100_000):
        needed = intervals.rows_needed(0.02, n, 1e-3, 0.99)
        residuals = rng.permutation(np.resize([-0.02, 0.02], needed))
        nothing, sizes = np.zeros(needed), np.array([n])
        found = intervals.regression_mean(
            residuals, nothing, nothing.astype(int), sizes, np.zeros(1), 0.99
        )
        assert found.half_width == pytest.approx(1e-3, rel=0.02)
        assert (found.slope, found.deviation) == (1, pytest.approx(0.02, rel=0.01))


def test_no_tolerance_is_too_small_or_too_large_to_count_rows():
    for tol, needed in ((1e-300, 5000), (1e300, 0), (np.inf, 0)):
        assert intervals.rows_needed(0.02, 5000, tol, 0.99) == needed
    assert intervals.rows_needed(0.0, 5000, 1e-300, 0.99) == 0
    X, y = clusters(600, 4, 3)
    assert zoorank.silhouette(X, y, tol=1e-300).method == "exact"


def test_a_confidence_just_below_1_has_an_interval():
    X, y = clusters(6000, 8, 5)
    almost = np.nextafter(1, 0)
    wide = zoorank.silhouette(X, y, method="estimate", tol=2, confidence=almost, random_state=0)
    usual = zoorank.silhouette(X, y, method="estimate", tol=2, random_state=0)
    assert wide.method == "estimate"
    assert 3 * usual.half_width < wide.half_width < 4 * usual.half_width


def test_a_sample_takes_rows_of_every_stratum():
    sizes = np.array([3000, 20, 1, 979])
    drawn = intervals.allocate(sizes, 480)
    assert drawn.tolist() == [360, 20, 1, 117]
    assert intervals.allocate(sizes, 4000).tolist() == sizes.tolist()
    assert intervals.allocate(np.full(120, 1000), 480).tolist() == [4] * 120
    assert intervals.allocate(np.array([5]), 480).tolist() == [5]


def test_strata_and_a_slope_take_out_what_they_explain():
    rng = np.random.default_rng(5)
    strata = np.repeat(np.arange(3), [400, 90, 10])
    surrogate = rng.normal(size=500)
    values = 1.7 * surrogate + np.array([0.0, 4.0, -9.0])[strata]
    sizes = np.array([4000, 5000, 1000])
    means = np.array([0.1, -0.2, 0.3])
    found = intervals.regression_mean(values, surrogate, strata, sizes, means, 0.99)
    expected = (sizes / 10_000) @ (1.7 * means + np.array([0.0, 4.0, -9.0]))
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.half_width < 1e-12
    assert found.slope == pytest.approx(1.7, abs=1e-12)


def test_classes_of_which_many_rows_were_drawn_speak_for_themselves():
    rng = np.random.default_rng(7)
    sizes = np.array([5000, 400, 24])
    drawn = np.repeat(np.arange(3), [400, 30, 24])
    residuals = rng.normal(size=len(drawn)) * np.array([0.1, 1.0, 5.0])[drawn]
    found = intervals.residuals_by_class(residuals, drawn, sizes, 0.99)
    for c, (size, count) in enumerate(zip(sizes, (400, 30, 24), strict=True)):
        own = residuals[drawn == c]
        assert found.mean[c] == pytest.approx(own.mean(), abs=1e-12)
        width = stats.t.ppf(0.995, count - 1) * own.std(ddof=1)
        expected = width * np.sqrt((1 - count / size) / count)
        assert found.half_width[c] == pytest.approx(expected, rel=1e-4, abs=1e-12)


def test_classes_borrow_from_each_other_where_they_are_alike():
    rng = np.random.default_rng(1)
    sizes = np.full(20, 5000)
    drawn = np.repeat(np.arange(19), [2, *[100] * 18])
    alike = intervals.residuals_by_class(rng.normal(0, 0.01, len(drawn)), drawn, sizes, 0.99)
    assert abs(alike.mean).max() < 0.004
    assert (alike.half_width < 0.01).all()
    shifts = rng.normal(0, 0.05, 20)
    apart = intervals.residuals_by_class(
        shifts[drawn] + rng.normal(0, 0.01, len(drawn)), drawn, sizes, 0.99
    )
    np.testing.assert_allclose(apart.mean[1:19], shifts[1:19], atol=0.005)
    assert apart.half_width[19] > 0.1  # nothing of it was drawn
