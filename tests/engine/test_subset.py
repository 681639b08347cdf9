"""The mean within a random subset: the very rows that scikit-learn draws, and its answer."""

import numpy as np
import pytest
import sklearn.metrics
from tests.reference import silhouettes as reference

import zoorank
from zoorank.engine import rows as rows_module
from zoorank.engine.subset import check_legacy_state

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 4, 260)
X = RNG.normal(size=(260, 7)) + 0.7 * Y[:, None]


def both(X, labels, **options):
    found = zoorank.silhouette_score(X, labels, **options)
    return found, sklearn.metrics.silhouette_score(X, labels, **options)


@pytest.mark.parametrize("metric", reference.VECTOR_METRICS)
@pytest.mark.parametrize("seed", [0, 1, 7, 2**32 - 1])
@pytest.mark.parametrize("size", [9, 100, 259])
def test_is_what_scikit_learn_finds(metric, seed, size):
    found, expected = both(X, Y, metric=metric, sample_size=size, random_state=seed)
    assert found == pytest.approx(expected, abs=1e-9)
    if size == 100:  # another draw gives another number: agreement is no accident
        other = zoorank.silhouette_score(X, Y, metric=metric, sample_size=size, random_state=2)
        assert abs(other - expected) > 1e-5


@pytest.mark.parametrize("seed", range(5))
def test_precomputed_distances_are_cut_on_both_axes(seed):
    D = reference.distances(X, X, "manhattan")
    np.fill_diagonal(D, 0)
    D *= RNG.uniform(0.5, 2, D.shape)  # rows and columns are told apart
    found, expected = both(D, Y, metric="precomputed", sample_size=60, random_state=seed)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32])
def test_any_type_of_rows_and_labels(dtype):
    values = (8 * X).astype(dtype)
    names = np.array(["ant", "bee", "cat", "dog"])[Y]
    found, expected = both(values, names, sample_size=np.int64(50), random_state=np.int16(3))
    assert found == pytest.approx(expected, abs=5e-6)
    assert found == zoorank.silhouette_score(
        values.tolist() if dtype is np.int32 else values,
        names.tolist(),
        sample_size=50,
        random_state=3,
    )


def test_states_go_on_where_they_are():
    ours, theirs = np.random.RandomState(5), np.random.RandomState(5)
    for _ in range(3):
        found = zoorank.silhouette_score(X, Y, sample_size=80, random_state=ours)
        expected = sklearn.metrics.silhouette_score(X, Y, sample_size=80, random_state=theirs)
        assert found == pytest.approx(expected, abs=1e-9)
    np.random.seed(11)  # noqa: NPY002  the state that None draws from
    ours = [zoorank.silhouette_score(X, Y, sample_size=80) for _ in range(2)]
    np.random.seed(11)  # noqa: NPY002
    theirs = [sklearn.metrics.silhouette_score(X, Y, sample_size=80) for _ in range(2)]
    assert ours == pytest.approx(theirs, abs=1e-9)
    assert ours[0] != ours[1]


def test_a_generator_draws_too():
    drawn = np.random.default_rng(3).permutation(260)[:80]
    found = zoorank.silhouette_score(X, Y, sample_size=80, random_state=np.random.default_rng(3))
    assert found == zoorank.silhouette_score(X[drawn], Y[drawn])


@pytest.mark.parametrize("size", [260, 261, 10**9])
def test_as_many_as_there_are_or_more_is_all_as_in_scikit_learn(size):
    found, expected = both(X, Y, sample_size=size, random_state=0)
    assert found == pytest.approx(expected, abs=1e-9)
    assert found == pytest.approx(zoorank.silhouette_score(X, Y), abs=1e-12)


def test_a_state_is_not_drawn_from_without_a_sample_size():
    state = np.random.RandomState(0)
    assert zoorank.silhouette_score(X, Y, random_state=state) == zoorank.silhouette_score(X, Y)
    assert state.randint(10**6) == np.random.RandomState(0).randint(10**6)


@pytest.mark.parametrize("metric", [*reference.VECTOR_METRICS, "precomputed"])
def test_of_files_the_drawn_rows_alone_are_read(metric, tmp_path, monkeypatch):
    values = X
    if metric == "precomputed":
        values = reference.distances(X, X, "euclidean")
        np.fill_diagonal(values, 0)
    state = np.random.RandomState(4)
    drawn = state.permutation(260)[:12]
    spoiled = np.full_like(values, np.nan)
    spoiled[drawn] = values[drawn]
    np.save(tmp_path / "x.npy", spoiled)
    np.save(tmp_path / "first.npy", spoiled[:100])
    read = []
    original = rows_module._FileShard.read

    def reading(self, first, count):
        read.extend(range(first, first + count))
        return original(self, first, count)

    monkeypatch.setattr(rows_module._FileShard, "read", reading)
    options = {"metric": metric, "sample_size": 12, "random_state": 4}
    expected = zoorank.silhouette_score(values, Y, **options)
    assert not read
    found = zoorank.silhouette_score(tmp_path / "x.npy", Y, **options)
    assert found == expected
    assert sorted(read) == sorted(drawn)
    shards = [tmp_path / "first.npy", spoiled[100:]]
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for given in (str(tmp_path / "x.npy"), mapped, shards):
        assert zoorank.silhouette_score(given, Y, **options) == expected


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sample_size": 1}, ValueError, r"sample_size must be at least 2 or None \(all rows\)"),
        ({"sample_size": -5}, ValueError, "at least 2 or None .*, got -5"),
        ({"sample_size": 0.5}, TypeError, "an integer of at least 2 or None, got 0.5"),
        ({"sample_size": "9"}, TypeError, "sample_size must be an integer .* got '9'"),
        ({"random_state": -1}, ValueError, r"from 0 to 2\*\*32 - 1, .* got -1"),
        ({"random_state": 2**32}, ValueError, "got 4294967296"),
        ({"random_state": 1.5, "sample_size": 9}, TypeError, "RandomState or .* got 1.5"),
        ({"random_state": "a"}, TypeError, "random_state must be None, .* got 'a'"),
        ({"sample_size": 9, "metric": "cosin"}, ValueError, "did you mean 'cosine'"),
        ({"sample_size": 9, "n_threads": 0}, ValueError, "n_threads must be at least 1"),
        ({"sample_size": 9, "metric": "precomputed"}, ValueError, "square, got 260 x 7"),
    ],
)
def test_mistakes_are_named_in_a_line(options, error, message):
    with pytest.raises(error, match=message) as caught:
        zoorank.silhouette_score(X, Y, **options)
    assert "\n" not in str(caught.value)


def test_a_draw_of_too_few_classes_or_too_many():
    rare = np.zeros(260, int)
    rare[:2] = 1
    assert not {0, 1} & set(np.random.RandomState(0).permutation(260)[:10])
    with pytest.raises(
        ValueError,
        match=r"labels is 1.*n_samples is 10, as many rows as were drawn of 260; draw more$",
    ):
        zoorank.silhouette_score(X, rare, sample_size=10, random_state=0)
    with pytest.raises(ValueError, match=r"labels is 5.* of 260; draw more$"):
        zoorank.silhouette_score(X, np.arange(260) % 200, sample_size=5, random_state=0)
    with pytest.raises(
        ValueError, match=r"labels is 1.*n_samples is 260, as many rows as were drawn of 260$"
    ):
        zoorank.silhouette_score(X, np.zeros(260, int), sample_size=300, random_state=0)
    for labels, size in ((rare, 10), (np.arange(260) % 200, 5)):
        with pytest.raises(ValueError, match="Number of labels is"):
            sklearn.metrics.silhouette_score(X, labels, sample_size=size, random_state=0)


def test_bad_rows_are_counted_in_the_whole(tmp_path, monkeypatch):
    drawn = np.random.RandomState(0).permutation(260)[:30]
    bad = X.copy()
    bad[drawn[5]] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    message = rf"X holds NaN or infinity; the first bad row is {drawn[5]}$"
    for given in (bad, tmp_path / "bad.npy"):
        with pytest.raises(ValueError, match=message):
            zoorank.silhouette_score(given, Y, sample_size=30, random_state=0)
    # Of an array all rows are looked at, as scikit-learn does, in blocks.
    bad = X.copy()
    bad[[203, 250]] = np.inf
    monkeypatch.setattr("zoorank.engine.subset._CHECKED_AT_ONCE", 70 * 7)
    with pytest.raises(ValueError, match=r"the first bad row is 203$"):
        zoorank.silhouette_score(bad, Y, sample_size=3, random_state=0)
    with pytest.raises(ValueError, match="infinity"):
        sklearn.metrics.silhouette_score(bad, Y, sample_size=3, random_state=0)
    D = reference.distances(X, X, "euclidean")
    np.fill_diagonal(D, 0)
    D[drawn[7], drawn[3]] = -1
    with pytest.raises(ValueError, match=rf"negative distance; the first bad row is {drawn[7]}$"):
        zoorank.silhouette_score(D, Y, metric="precomputed", sample_size=30, random_state=0)
    D[drawn[7], drawn[3]] = 1
    D[drawn[2], drawn[2]] = 1
    with pytest.raises(
        ValueError, match=rf"non-zero elements on the diagonal.* row is {drawn[2]}$"
    ):
        zoorank.silhouette_score(D, Y, metric="precomputed", sample_size=30, random_state=0)


def test_what_numpy_random_itself_stands_for():
    assert check_legacy_state(np.random) is check_legacy_state(None)
