from __future__ import annotations

import zipfile

import numpy as np
import pytest

import zoorank
from zoorank.errors import DataError, UsageError
from zoorank.scores import find_score
from zoorank.scores.files import score_file

SCORE = find_score("silhouette", "euclidean")


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 3)), np.repeat(["u", "v", "w"], 4)


def test_two_npy_files_or_one_npz_give_the_same(tmp_path, arrays):
    X, y = arrays
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    np.savez(tmp_path / "both.npz", encodings=X, labels=y)
    pair = score_file(tmp_path / "X.npy", tmp_path / "y.npy", SCORE)
    both = score_file(tmp_path / "both.npz", None, SCORE)
    assert pair.value == both.value == zoorank.silhouette_score(X, y)
    assert list(pair.per_class) == ["u", "v", "w"]
    assert (pair.n_samples, pair.n_features) == X.shape


def test_labels_must_come_from_somewhere_and_once(tmp_path, arrays):
    X, y = arrays
    np.save(tmp_path / "X.npy", X)
    np.savez(tmp_path / "both.npz", X=X, y=y)
    with pytest.raises(UsageError, match=r"labels\.npy"):
        score_file(tmp_path / "X.npy", None, SCORE)
    with pytest.raises(UsageError, match=r"one \.npz"):
        score_file(tmp_path / "both.npz", tmp_path / "X.npy", SCORE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"hello", "is not a .npy file"),
        (b"", "is not a .npy file"),
    ],
)
def test_a_bad_npy_file_is_named(tmp_path, arrays, content, message):
    np.save(tmp_path / "y.npy", arrays[1])
    if content is not None:
        (tmp_path / "X.npy").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        score_file(tmp_path / "X.npy", tmp_path / "y.npy", SCORE)
    assert str(caught.value).startswith(str(tmp_path / "X.npy"))


@pytest.mark.parametrize("content", [b"PK garbage", b"\x80\x02}q\x00.", b"hello"])
@pytest.mark.parametrize("ending", ["pth", "npz"])
def test_nobody_is_told_to_load_unsafely(tmp_path, arrays, content, ending):
    np.save(tmp_path / "y.npy", arrays[1])
    (tmp_path / f"X.{ending}").write_bytes(content)
    labels = tmp_path / "y.npy" if ending == "pth" else None
    with pytest.raises(DataError, match=r"is not a \.np[yz] file of numbers") as caught:
        score_file(tmp_path / f"X.{ending}", labels, SCORE)
    assert "pickle" not in str(caught.value)


def test_an_archive_of_something_else_is_not_taken_for_arrays(tmp_path, arrays):
    np.save(tmp_path / "y.npy", arrays[1])
    with zipfile.ZipFile(tmp_path / "weights.pth", "w") as archive:
        archive.writestr("weights/data.pkl", b"")
    with pytest.raises(DataError, match=r"neither a \.npy nor a \.npz file but another kind"):
        score_file(tmp_path / "weights.pth", tmp_path / "y.npy", SCORE)


def test_labels_that_are_objects_are_named_with_what_to_do(tmp_path, arrays):
    X, y = arrays
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y.astype(object))
    np.savez(tmp_path / "both.npz", X=X, y=y.astype(object))
    advice = r"its values are Python objects; save numbers, or labels as y\.astype\(str\)"
    with pytest.raises(DataError, match=rf"y\.npy is not .*{advice}"):
        score_file(tmp_path / "X.npy", tmp_path / "y.npy", SCORE)
    with pytest.raises(DataError, match=rf"both\.npz: array 'y': .*{advice}"):
        score_file(tmp_path / "both.npz", None, SCORE)


def test_a_bad_npz_file_is_named(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match=r"is not a \.npz file"):
        score_file(tmp_path / "text.npz", None, SCORE)
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(DataError, match="holds a; it needs one of X, "):
        score_file(tmp_path / "other.npz", None, SCORE)


def test_pickled_labels_are_refused(tmp_path, arrays):
    np.save(tmp_path / "X.npy", arrays[0])
    np.save(tmp_path / "y.npy", np.array([print] * 12, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="numbers or strings"):
        score_file(tmp_path / "X.npy", tmp_path / "y.npy", SCORE)


@pytest.mark.parametrize("labels", [np.zeros(12), np.arange(12), np.arange(5)])
def test_what_the_engine_refuses_names_the_file(tmp_path, arrays, labels):
    np.save(tmp_path / "X.npy", arrays[0])
    np.save(tmp_path / "y.npy", labels)
    with pytest.raises(DataError, match=r"X\.npy: "):
        score_file(tmp_path / "X.npy", tmp_path / "y.npy", SCORE)


def test_scores_that_look_at_a_classifier_take_its_words_from_the_file(tmp_path):
    rng = np.random.default_rng(0)
    theta, y = rng.dirichlet(np.ones(3), 20), np.arange(20) % 2
    np.save(tmp_path / "theta.npy", theta)
    np.save(tmp_path / "z.npy", theta.argmax(axis=1))
    np.save(tmp_path / "y.npy", y)
    leep = score_file(tmp_path / "theta.npy", tmp_path / "y.npy", find_score("leep"))
    nce = score_file(tmp_path / "z.npy", tmp_path / "y.npy", find_score("nce"))
    assert leep.value <= 0
    assert nce.value <= 0
    assert (leep.n_features, nce.n_features) == (3, 1)
