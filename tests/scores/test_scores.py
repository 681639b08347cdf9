"""Every score against its definition, and what must not change it."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from tests.reference import scores as reference
from tests.reference import silhouettes

from zoorank.scores import TABLE, Facts, compute, find_score
from zoorank.scores.computing import Team
from zoorank.scores.ridge import folds
from zoorank.scores.shared import Shared

ON_ENCODINGS = {
    "logme": (reference.logme, 1e-6),
    "hscore": (reference.hscore, 1e-6),
    "regularised_hscore": (reference.regularised_hscore, 1e-9),
    "knn": (reference.knn, 0),
    "probe": (reference.linear_probe, 0),
    "gbc": (reference.gbc, 1e-9),
    "transrate": (reference.transrate, 1e-8),
    "nleep": (reference.nleep, 1e-2),
    "parc": (reference.parc, 1e-8),
}
ON_NUMBERS = {
    "logme": (reference.logme_of_numbers, 1e-6),
    "knn_r2": (reference.knn_r2, 1e-12),
    "ridge_r2": (lambda X, y: reference.ridge_r2(X, y, folds(len(y), None)), 1e-6),
}
ENCODING_SCORES = [score for score in TABLE if score.varies_with_cut]
CLASS_SCORES = [score for score in ENCODING_SCORES if "classes" in score.tasks]
NUMBER_SCORES = [score for score in ENCODING_SCORES if "numbers" in score.tasks]
SHAPES = [(60, 5, 3), (40, 90, 4), (150, 20, 2), (31, 31, 5)]


def make(n, d, classes, seed=0, apart=1.0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % classes)
    X = rng.standard_normal((n, d)) + apart * rng.standard_normal((classes, d))[y]
    return np.abs(X).astype(np.float32), y


def make_numbers(n, d, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * np.arange(1, d + 1) ** -0.5
    y = X @ rng.standard_normal(d) + np.sin(2 * X[:, 0]) + noise * rng.standard_normal(n)
    return (X + 1).astype(np.float32), 30 * y + 2000


def value_of_numbers(name, X, y, groups=None):
    computed = compute([find_score(name)], Facts(y, X, task="numbers", groups=groups))
    assert not computed.refused
    return computed.values[name].value


def test_every_score_on_encodings_is_compared_with_a_reference():
    compared = {*ON_ENCODINGS, "silhouette", "macro_silhouette"}
    assert compared == {score.name for score in CLASS_SCORES}
    assert {*ON_NUMBERS} == {score.name for score in NUMBER_SCORES}


@pytest.mark.parametrize(("n", "d", "classes"), SHAPES)
@pytest.mark.parametrize("name", ON_ENCODINGS)
def test_agrees_with_the_definition(name, n, d, classes):
    X, y = make(n, d, classes, seed=n)
    direct, tolerance = ON_ENCODINGS[name]
    value = find_score(name).compute(X, y).value
    assert value == pytest.approx(direct(X, y), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize(("n", "d"), [(60, 5), (40, 90), (150, 20), (60, 31)])
@pytest.mark.parametrize("name", ON_NUMBERS)
def test_of_numbers_agrees_with_the_definition(name, n, d):
    X, y = make_numbers(n, d, seed=n)
    direct, tolerance = ON_NUMBERS[name]
    expected = direct(X, y)
    assert value_of_numbers(name, X, y) == pytest.approx(expected, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("name", ON_NUMBERS)
def test_the_units_of_numbers_do_not_matter(name):
    X, y = make_numbers(50, 6)
    value = value_of_numbers(name, X, y)
    for other in (y - 2000, -1e-9 * y, 1e300 * y, 1e12 + np.round(y)):
        near = 1e-9 if other[0] < 1e12 else 0.02  # rounded numbers are others
        assert value_of_numbers(name, X, other) == pytest.approx(value, abs=near)


@pytest.mark.parametrize("name", ON_NUMBERS)
def test_numbers_that_an_encoding_tells_score_higher(name):
    X, y = make_numbers(80, 6, noise=0.01)
    shuffled = np.random.default_rng(1).permutation(y)
    assert value_of_numbers(name, X, y) > value_of_numbers(name, X, shuffled) + 0.3


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (np.full(20, 7.5), "all numbers to predict are 7.5; they must differ"),
        (np.r_[np.arange(19.0), np.nan], "row 19 of the numbers to predict holds NaN"),
        (np.arange(19.0), r"X has 20 rows, and the numbers to predict have the shape \(19,\)"),
        (np.array(["a", "b"] * 10), "labels of dtype <U1 are no numbers to predict"),
    ],
)
def test_what_are_no_numbers_to_predict_is_said(numbers, message):
    for score in NUMBER_SCORES:
        computed = compute([score], Facts(numbers, make_numbers(20, 3)[0], task="numbers"))
        (refused,) = computed.refused.values()
        assert re.fullmatch(message, refused.reason)


class TestManySamples:
    """Of so many that all distances take too long, some are judged, with an interval."""

    def test_classes(self, monkeypatch):
        X, y = make(900, 5, 3, apart=0.8)
        y[:5] = 3
        exact = find_score("knn").compute(X, y)
        monkeypatch.setattr("zoorank.scores.knn.MOST_JUDGED", 300)
        found = find_score("knn").compute(X, y)
        assert exact.half_width == 0
        assert 0.04 < found.half_width < 0.09
        assert 0 < abs(found.value - exact.value) < found.half_width
        assert len(found.per_class) == 4
        assert found == find_score("knn").compute(X, y)

    def test_numbers(self, monkeypatch):
        X, y = make_numbers(900, 5)
        scores, facts = [find_score("knn_r2")], Facts(y, X, task="numbers")
        exact = compute(scores, facts).values["knn_r2"]
        monkeypatch.setattr("zoorank.scores.knn.MOST_JUDGED", 300)
        found = compute(scores, facts).values["knn_r2"]
        assert exact.half_width == 0
        assert 0.01 < found.half_width < 0.2
        assert 0 < abs(found.value - exact.value) < found.half_width

    def test_intervals_hold_what_they_say(self, monkeypatch):
        monkeypatch.setattr("zoorank.scores.knn.MOST_JUDGED", 200)
        held = 0
        for seed in range(60):
            X, y = make(600, 4, 3, seed=seed, apart=0.7)
            found = find_score("knn").compute(X, y)
            held += abs(found.value - reference.knn(X, y)) <= found.half_width
        assert held >= 57

    def test_every_class_is_judged_by_its_share_and_two_at_least(self, monkeypatch):
        from zoorank.scores.knn import _judged

        monkeypatch.setattr("zoorank.scores.knn.MOST_JUDGED", 100)
        codes = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 3], [600, 396, 3, 1]))
        judged = _judged(codes)
        assert np.bincount(codes[judged]).tolist() == [60, 40, 2, 1]
        assert (np.diff(judged) > 0).all()


class TestGroups:
    """Samples that belong together are trained on together and are no neighbours."""

    def make(self):
        rng = np.random.default_rng(0)
        patients = np.repeat(np.arange(30), 4)
        y = rng.integers(0, 3, 30)[patients]
        own = rng.standard_normal((30, 8))[patients]
        X = own + np.eye(8)[y] + 0.3 * rng.standard_normal((120, 8))
        order = rng.permutation(120)
        return X[order], y[order], patients[order]

    @pytest.mark.parametrize("name", ["knn", "probe"])
    def test_classes_agree_with_the_definition(self, name):
        X, y, patients = self.make()
        names = np.array([f"patient {each:02}" for each in patients])
        value = find_score(name).compute(X, y, groups=names).value
        assert value == pytest.approx(
            getattr(reference, ON_ENCODINGS[name][0].__name__)(X, y, patients)
        )
        assert value < find_score(name).compute(X, y).value - 0.2  # patients give themselves away

    def test_numbers_agree_with_the_definition(self):
        X, _, patients = self.make()
        y = X[:, 0] + patients
        for name, expected in {
            "knn_r2": reference.knn_r2(X, y, patients),
            "ridge_r2": reference.ridge_r2(X, y, folds(len(y), patients)),
        }.items():
            assert value_of_numbers(name, X, y, patients) == pytest.approx(expected, abs=1e-6)
            assert value_of_numbers(name, X, y, patients) < value_of_numbers(name, X, y)

    def test_folds_keep_groups_together_and_are_of_one_size(self):
        _, _, patients = self.make()
        fold_of = folds(len(patients), patients)
        assert all(len(set(fold_of[patients == each])) == 1 for each in range(30))
        assert np.bincount(fold_of).tolist() == [24] * 5
        assert np.bincount(folds(13, None)).tolist() == [3, 3, 3, 2, 2]
        assert folds(3, None).max() == 2
        assert set(folds(9, np.array([0] * 6 + [1] * 3))) == {0, 1}

    def test_neighbours_are_as_many_as_other_groups_have(self):
        X, y = np.arange(6.0)[:, None], np.array([0.0, 1, 2, 3, 4, 11])
        groups = np.array([0, 0, 0, 0, 1, 1])
        found = value_of_numbers("knn_r2", X, y, groups)
        assert found == pytest.approx(reference.r2(y, [7.5] * 4 + [1.5] * 2))

    @pytest.mark.parametrize("name", ["knn", "probe"])
    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            (np.zeros(20), "all samples are of one group; at least 2 are needed"),
            (np.arange(19), "X has 20 rows and there are 19 groups"),
            ([None] + ["a"] * 19, "groups are missing, the first one in row 0"),
        ],
    )
    def test_what_are_no_groups_is_said(self, name, groups, message):
        X, y = make(20, 3, 2)
        with pytest.raises(ValueError, match=message):
            find_score(name).compute(X, y, groups=groups)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_macro_silhouette_weighs_classes_alike(metric):
    X, y = make(50, 6, 2)
    y = np.where(np.arange(50) < 8, 2, y)
    found = find_score("macro_silhouette", metric).compute(X, y)
    micro = silhouettes.silhouette_samples(X, y, metric).mean()
    assert found.value == pytest.approx(reference.macro_silhouette(X, y, metric), abs=5e-6)
    assert abs(found.value - micro) > 1e-3


@pytest.mark.parametrize("seed", range(5))
def test_leep_and_nce_agree_with_the_definition(seed):
    rng = np.random.default_rng(seed)
    theta = rng.dirichlet(np.ones(6), 40)
    y = rng.integers(0, 3, 40)
    y[:3] = [0, 1, 2]
    names = np.array(["a", "b", "c"])[y]
    assert find_score("leep").compute(theta, names).value == pytest.approx(
        reference.leep(theta, names), abs=1e-12
    )
    hard = theta.argmax(axis=1)
    assert find_score("nce").compute(hard, names).value == pytest.approx(
        reference.nce(hard, names), abs=1e-12
    )


def test_a_source_that_never_says_a_class_is_no_trouble():
    theta = np.zeros((6, 3))
    theta[:, 0] = 1
    y = np.array([0, 0, 0, 1, 1, 1])
    assert find_score("leep").compute(theta, y).value == pytest.approx(np.log(0.5))


@pytest.mark.parametrize("score", CLASS_SCORES, ids=lambda score: f"{score.name}-{score.key}")
@pytest.mark.parametrize("trouble", ["labels", "rows", "classes apart", "constant feature"])
def test_invariants(score, trouble):
    X, y = make(60, 8, 3, seed=3)
    value = score.compute(X, y).value
    rng = np.random.default_rng(1)
    if trouble == "labels":
        assert score.compute(X, np.array(["z", "k", "a"])[y]).value == pytest.approx(
            value, abs=1e-6
        )
    elif trouble == "rows" and score.name not in ("nleep", "probe"):  # they draw by position
        order = rng.permutation(len(y))
        assert score.compute(X[order], y[order]).value == pytest.approx(value, abs=1e-6)
    elif trouble == "classes apart":
        moved = X + 5 * np.eye(8, dtype=np.float32)[y]
        assert score.compute(moved, y).value >= value
    elif trouble == "constant feature":
        wide = np.hstack([X, np.zeros((60, 1), np.float32)])
        assert np.isfinite(score.compute(wide, y).value)


@pytest.mark.parametrize("score", CLASS_SCORES, ids=lambda score: f"{score.name}-{score.key}")
def test_says_which_row_is_not_finite(score):
    X, y = make(20, 4, 2)
    X[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"row 7|row.*7"):
        score.compute(X, y)
    with pytest.raises(ValueError, match=r"class|Number of labels is 1"):
        score.compute(make(20, 4, 2)[0], np.zeros(20, int))


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "row 2 of the probabilities holds NaN"), (0.9, "row 2 of the probabilities is neg")],
)
def test_leep_says_which_row_is_no_distribution(value, message):
    theta = np.full((6, 2), 0.5)
    theta[2, 0] = value
    with pytest.raises(ValueError, match=message):
        find_score("leep").compute(theta, np.arange(6) % 2)


@pytest.mark.parametrize("name", ["leep", "nce"])
def test_one_class_is_nothing_to_tell_apart(name):
    said = {"leep": np.full((6, 2), 0.5), "nce": np.arange(6) % 2}[name]
    with pytest.raises(ValueError, match="labels have 1 class; a score needs at least 2"):
        find_score(name).compute(said, np.zeros(6, int))


UNDEFINED = {(name, kind) for name in ("nleep", "parc") for kind in ("equal rows", "zeros")}
UNDEFINED |= {("parc", "one feature")}
HARD = ("equal rows", "duplicates", "singletons", "huge", "tiny", "zeros", "one feature")


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("score", CLASS_SCORES, ids=lambda score: f"{score.name}-{score.key}")
def test_gives_a_number_or_says_why_not(score, kind):
    X, y = make(24, 6, 3)
    X, y = {
        "equal rows": (np.ones_like(X), y),
        "duplicates": (X[np.arange(24) % 4], y),
        "singletons": (X, np.r_[np.arange(12), np.arange(12)][np.argsort(np.arange(24))] % 23),
        "huge": (X * 1e12, y),
        "tiny": (X * 1e-12, y),
        "zeros": (np.zeros_like(X), y),
        "one feature": (X[:, :1], y),
    }[kind]
    if (score.name, kind) in UNDEFINED:
        with pytest.raises(ValueError, match="equal"):
            score.compute(X, y)
    else:
        assert np.isfinite(score.compute(X, y).value)


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("score", NUMBER_SCORES, ids=lambda score: score.key)
def test_of_numbers_gives_a_number(score, kind):
    X, y = make_numbers(24, 6)
    X = {
        "equal rows": np.ones_like(X),
        "duplicates": X[np.arange(24) % 4],
        "singletons": X[:3],
        "huge": X * 1e12,
        "tiny": X * 1e-12,
        "zeros": np.zeros_like(X),
        "one feature": X[:, :1],
    }[kind]
    assert np.isfinite(value_of_numbers(score.name, X, y[: len(X)]))


@pytest.mark.parametrize("exponent", [-900, 900])
@pytest.mark.parametrize("name", [*ON_ENCODINGS, *ON_NUMBERS])
def test_float64_is_not_left_by_squares(name, exponent):
    task = "classes" if name in ON_ENCODINGS else "numbers"
    X, y = make(40, 6, 2)
    values = []
    for scale in (0, exponent):
        facts = Facts(y, np.ldexp(X.astype(np.float64), scale), task=task)
        values.append(compute([find_score(name)], facts).values[name].value)
    assert values[0] == pytest.approx(values[1], abs=1e-9)


class TestHScoreOfEveryRank:
    """Solved for where the covariance is not singular, on its range where it is."""

    @pytest.mark.parametrize(
        ("kind", "rank"),
        [
            ("full rank", 20),
            ("dead units", 15),
            ("more features than samples", 59),
            ("equal columns", 20),
            ("nearly equal columns", 20),
            ("equal rows and more features", 29),
            ("low rank", 5),
        ],
    )
    def test_agrees_with_the_definition(self, kind, rank):
        X, y = make(60, 20, 3, seed=5)
        rng = np.random.default_rng(6)
        X = {
            "full rank": X,
            "dead units": np.where(np.arange(20) % 4 == 1, 0, X),
            "more features than samples": make(60, 90, 3, seed=5)[0],
            "equal columns": np.hstack([X, X[:, :3]]),
            "nearly equal columns": np.hstack([X, X[:, :3] * (1 + 1e-9)]).astype(np.float64),
            "equal rows and more features": make(60, 90, 3, seed=5)[0][np.arange(60) // 2],
            "low rank": X[:, :5] @ rng.standard_normal((5, 30)).astype(np.float64),
        }[kind]
        assert Shared(X, y, Team()).spectra.centred.rank == rank
        for name in ("hscore", "regularised_hscore"):
            direct, _ = ON_ENCODINGS[name]
            assert find_score(name).compute(X, y).value == pytest.approx(direct(X, y), rel=1e-6)

    def test_nearly_singular_is_as_exact_as_singular_values(self):
        # Variances down to where they cannot be told from 0 in the Gram matrix, and below.
        X, y = make(300, 40, 4)
        F = np.linalg.qr(X - X.mean(axis=0))[0] @ np.diag(10.0 ** -np.linspace(0, 9, 40))
        U, s, _ = np.linalg.svd(F - F.mean(axis=0), full_matrices=False)
        member = (y[:, None] == np.arange(4)) / np.sqrt(np.bincount(y))
        kept = s**2 > 300 * np.finfo(float).eps * s[0] ** 2
        assert 20 < kept.sum() < 35
        expected = np.square(U[:, kept].T @ member).sum()
        assert find_score("hscore").compute(F, y).value == pytest.approx(expected, rel=1e-3)

    def test_wide_encodings_are_equal_to_the_last_bit(self):
        values = {
            find_score("hscore").compute(*make(40, d, 4, seed=d)).value for d in (60, 90, 300)
        }
        assert values == {3.0}


def test_parc_shares_equal_distances_out():
    from zoorank.scores.parc import _rank_correlation

    rng = np.random.default_rng(0)
    values = rng.integers(0, 20, 500).astype(float)
    marked = rng.random(500) < 0.3
    found = _rank_correlation(np.sort(values), values[marked])
    assert found == pytest.approx(spearmanr(values, marked).statistic, abs=1e-12)


class TestLogME:
    """Against the evidence itself, for more and for fewer samples than features."""

    @pytest.mark.parametrize(("n", "d"), [(500, 64), (200, 512), (100, 2048)])
    def test_is_the_maximum_of_the_direct_evidence(self, n, d):
        X, y = make(n, d, 4, seed=d, apart=0.5)
        found = find_score("logme").compute(X, y)
        direct = [
            reference.maximum_log_evidence(X.astype(float), (y == c).astype(float)) / n
            for c in range(4)
        ]
        np.testing.assert_allclose(found.per_class, direct, rtol=0, atol=1e-6)
        assert found.value == pytest.approx(np.mean(direct), abs=1e-6)

    def test_is_exact_where_no_noise_is_left(self):
        # With more features than samples the evidence grows without end as t = α/β falls, and
        # is taken at the least t. There it has a closed form.
        X, y = make(100, 2048, 4, seed=1)
        U, s, _ = np.linalg.svd(X.astype(float), full_matrices=False)
        t = 1e-12 * s[0] ** 2
        z = np.square(U.T @ (y[:, None] == np.arange(4)))
        noise = (z * t / (s[:, None] ** 2 + t)).sum(axis=0) / 100
        parts = -(np.log(2 * np.pi * noise) + 1 + np.log1p(s**2 / t).sum() / 100) / 2
        assert find_score("logme").compute(X, y).per_class == pytest.approx(parts, rel=1e-12)

    def test_classes_of_one_sample_take_no_more_steps_than_others(self, monkeypatch):
        # Nothing tells such a sample from the others: its evidence grows towards that of noise,
        # by steps that fall off like 1/t.
        from zoorank.scores.logme import _Model

        steps, step = [], _Model.step
        monkeypatch.setattr(_Model, "step", lambda *given: steps.append(1) or step(*given))
        X, y = np.eye(20) + 3, np.r_[0, 1, np.full(18, 2)]
        parts = find_score("logme").compute(X, y).per_class
        assert parts[:2] == pytest.approx([-(np.log(2 * np.pi / 20) + 1) / 2] * 2, abs=1e-6)
        assert len(steps) < 200

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.floats(-3, 3))
    def test_no_other_alpha_and_beta_have_more_evidence(self, seed, scale):
        rng = np.random.default_rng(seed)
        F = rng.standard_normal((30, 12)) * 10**scale
        y = (rng.random(30) < 0.5).astype(float)
        y[:2] = 0, 1
        best = find_score("logme").compute(F, y).per_class[1] * 30
        for logarithms in rng.uniform(-4, 4, (20, 2)):
            alpha, beta = np.exp(logarithms) * (10 ** (2 * scale), 1)
            other = reference.log_evidence(F, y, alpha, beta)
            assert other <= best + 1e-6

    def test_a_perfect_fit_is_finite_and_beats_a_noisy_one(self):
        y = np.repeat([0, 1], 20)
        perfect = np.c_[y, 1 - y].astype(float)
        noisy = perfect + np.random.default_rng(0).normal(0, 0.3, perfect.shape)
        score = find_score("logme").compute
        assert np.isfinite(score(perfect, y).value)
        assert score(perfect, y).value > score(noisy, y).value
