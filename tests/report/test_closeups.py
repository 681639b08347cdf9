"""What is shown of the first picks is what their encodings hold."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances, silhouette_samples
from tests.report.rankings import ranking_of, zoo

from zoorank.report.closeups import class_nearness, closeups, draw_rows, project, side_by_side
from zoorank.report.previews import previews


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def close(digits):
    X, y = digits
    ranking = ranking_of(zoo(["a", "b"]), classes=map(str, range(10)), n_samples=len(y))
    return closeups(ranking, y, lambda row: X * row.rank, lambda rows: list(X[rows]))


def test_silhouettes_are_those_of_all_rows(digits, close):
    X, y = digits
    every = silhouette_samples(X, y)
    for pick in close.picks:
        assert pick.silhouettes == pytest.approx(every[list(close.rows)], abs=1e-4)
        means = [every[y == label].mean() for label in range(10)]
        assert pick.class_silhouettes == pytest.approx(means, abs=1e-4)


def test_rows_are_drawn_by_class(digits, close):
    _, y = digits
    assert len(close.rows) <= 800
    drawn = np.bincount(y[list(close.rows)])
    assert np.abs(drawn / drawn.sum() - np.bincount(y) / len(y)).max() < 0.005
    assert [close.classes[place] for place in close.labels] == y[list(close.rows)].astype(
        str
    ).tolist()


def test_a_small_class_is_not_left_out():
    codes = np.repeat([0, 1, 2], [5000, 3, 1])
    rows = draw_rows(codes, np.arange(3), 800)
    assert np.bincount(codes[rows]).tolist()[1:] == [2, 1]


def test_of_many_classes_the_worst_are_shown():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(60), 12)
    near = labels < 45
    X = np.where(near, 0.1, 9.0)[:, None] * np.eye(60)[labels] + 0.1 * rng.normal(size=(720, 60))
    ranking = ranking_of(zoo(["a"]), classes=map(str, range(60)), n_samples=720)
    close = closeups(ranking, labels, lambda row: X)
    assert close.n_classes == 60
    assert len(close.classes) == 40
    assert set(map(int, close.classes)) <= set(range(45))
    assert len(close.picks[0].nearness) == 40


def test_nearness_is_a_ratio_of_mean_distances(digits):
    X, y = digits
    rows = np.flatnonzero(y < 3)[:200]
    D, places = pairwise_distances(X[rows]), y[rows]
    found = class_nearness(X[rows].astype(float), places, "euclidean")
    within = [D[np.ix_(places == c, places == c)].sum() for c in range(3)]
    within = [total / (n * (n - 1)) for total, n in zip(within, np.bincount(places), strict=True)]
    between = D[np.ix_(places == 0, places == 1)].mean()
    assert found[0, 1] == pytest.approx(between / np.mean(within[:2]))
    assert np.allclose(found, found.T)
    assert np.allclose(np.diag(found), 1)


def test_a_class_of_one_row_has_no_nearness():
    found = class_nearness(np.array([[0.0], [1.0], [5.0]]), np.array([0, 0, 1]), "euclidean")
    assert np.isnan(found[0, 1])
    assert found[0, 0] == 1
    assert sorted(side_by_side(found)) == [0, 1]


@pytest.mark.parametrize("n", [30, 500])
def test_the_plane_is_that_of_principal_components(digits, n):
    sample = digits[0][:n].astype(float)
    plane, variance = project(sample)
    known = PCA(2, svd_solver="full").fit(sample)
    assert np.abs(plane) == pytest.approx(np.abs(known.transform(sample)), abs=1e-6)
    assert variance == pytest.approx(known.explained_variance_ratio_.sum())


def test_equal_rows_have_a_plane():
    plane, variance = project(np.ones((4, 3)))
    assert not plane.any()
    assert variance == 0


def test_without_an_encoding_there_is_nothing_to_show(digits):
    _, y = digits
    ranking = ranking_of(zoo(["a"]), classes=map(str, range(10)), n_samples=len(y))
    assert closeups(ranking, y, lambda row: None) is None


class TestPreviews:
    @pytest.mark.parametrize(
        ("shape", "dtype"),
        [((8, 8), float), ((3, 40, 60), np.uint8), ((40, 60, 3), np.uint8), ((500, 300, 1), float)],
    )
    def test_images_of_arrays(self, shape, dtype):
        image = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
        (found,) = previews([image], "image")
        assert found.kind == "image"
        assert found.content.startswith("data:image/")
        assert len(found.content) < 9000

    def test_images_of_files_and_bytes(self, tmp_path):
        from PIL import Image

        path = tmp_path / "a.png"
        Image.new("RGBA", (900, 700), (200, 30, 60, 128)).save(path)
        for found in previews([path, str(path), path.read_bytes()], "image"):
            assert found.content.startswith("data:image/jpeg;base64,")

    def test_what_cannot_be_read_says_so(self, tmp_path):
        (tmp_path / "bad.png").write_text("no image")
        bad, missing = previews([tmp_path / "bad.png", tmp_path / "none.png"], "image")
        assert bad.kind == missing.kind == "text"
        assert bad.content.startswith("cannot be shown: ")

    def test_other_kinds(self):
        (series,) = previews([np.arange(300.0).reshape(3, 100)], "series")
        assert series.content[0] == 0
        assert series.content[-1] == 100
        assert len(series.content) == 60
        (sound,) = previews([(np.zeros(16000), 16000)], "audio")
        assert set(sound.content) == {0}
        (text,) = previews(["word " * 100], "text")
        assert len(text.content) == 240
        assert previews([np.arange(3)], "table")[0].content == "0, 1, 2"
