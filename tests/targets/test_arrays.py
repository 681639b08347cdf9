"""Arrays in memory and in files, however their parts are called, and what is refused of them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.targets.common import X, Y, refusal

from zoorank.errors import UsageError
from zoorank.targets import load_target


@pytest.mark.parametrize(
    ("name", "modality", "n", "classes"),
    [
        ("digits", "image", 1797, 10),
        ("iris", "table", 150, 3),
        ("wine", "table", 178, 3),
        ("breast_cancer", "table", 569, 2),
        ("diabetes", "table", 442, 214),
    ],
)
def test_named_sets(name: str, modality: str, n: int, classes: int) -> None:
    target = load_target(f"sklearn:{name}")
    assert (target.modality, len(target), len(target.classes)) == (modality, n, classes)
    assert target.baseline().shape == (n, target.X[0].size)
    assert target.task == ("numbers" if name == "diabetes" else "classes")


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", X=X, y=Y)
    assert load_target(tmp_path / "whole.npz").name == "whole"
    np.savez(tmp_path / "parts.npz", X_train=X, y_train=Y, X_test=X[:4], y_test=Y[:4])
    for split, n in (("train", 6), ("test", 4), ("all", 10)):
        assert load_target(tmp_path / "parts.npz", split=split).n_samples == n
    assert load_target({"X": X, "y": Y}).n_samples == 6


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("Xtrain", "ytrain", "Xtest", "ytest"),
        ("data_train", "target_train", "data_val", "target_val"),
    ],
)
def test_parts_under_the_names_that_people_give_them(tmp_path: Path, names) -> None:
    content = dict(zip(names, (X, Y, X[:4], Y[:4]), strict=True))
    np.savez(tmp_path / "d.npz", **content)
    for split, n in (("train", 6), ("test", 4), ("all", 10)):
        assert len(load_target(tmp_path / "d.npz", split=split)) == n


@pytest.mark.parametrize("names", [("x", "y"), ("X", "labels"), ("data", "target")])
def test_whole_data_under_the_names_that_people_give_them(tmp_path: Path, names) -> None:
    np.savez(tmp_path / "d.npz", **dict(zip(names, (X, Y), strict=True)), feature_names=["a", "b"])
    assert len(load_target(tmp_path / "d.npz")) == 6


def test_a_part_under_another_name_is_said() -> None:
    data = {"X_train": X, "y_train": Y, "X_val": X[:4], "y_val": Y[:4]}
    target = load_target(data, split="test")
    assert (len(target), target.notes) == (4, ("the part 'val' is the test part",))


def test_a_column_of_labels_is_taken_for_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", train_images=X, train_labels=Y[:, None])
    assert load_target(tmp_path / "d.npz").labels.tolist() == Y.tolist()


def test_groups_come_with_arrays(tmp_path: Path) -> None:
    groups = np.array(["p", "q", "p", "q", "p", "q"])
    np.savez(tmp_path / "d.npz", X=X, y=Y, groups=groups)
    for target in (load_target(tmp_path / "d.npz"), load_target((X, Y), groups=groups)):
        assert target.groups.tolist() == groups.tolist()
    half = load_target((X, [0, 0, 0, 1, 1, 1]), groups=groups, limit=4)
    kept = [row for row in range(6) if X[row].tolist() in half.X.tolist()]
    assert half.groups.tolist() == groups[kept].tolist()
    assert "6 rows but 5 groups" in refusal((X, Y), groups=groups[:5])


def test_npy_pairs(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "labels.npy", Y)
    same = [
        load_target(tmp_path / "X.npy"),
        load_target(tmp_path),
        load_target((tmp_path / "X.npy", tmp_path / "labels.npy")),
        load_target((X, Y)),
    ]
    assert len({target.fingerprint for target in same}) == 1
    assert isinstance(same[0].X, np.memmap)


def test_fingerprint_is_of_the_content() -> None:
    arrays = [(X, Y), (X + 1, Y), (X, Y[::-1]), (X.astype(np.float32), Y), (X.reshape(6, 2, 1), Y)]
    assert len({load_target(each).fingerprint for each in arrays}) == len(arrays)
    assert load_target((np.asfortranarray(X), Y)).fingerprint == load_target((X, Y)).fingerprint
    # As version 0.1 had it, so that stored encodings of arrays keep their names.
    expected = "6d8ca0ad231ba1bc"
    assert load_target((X, Y)).fingerprint.startswith(expected)


def test_limit_keeps_the_proportions() -> None:
    labels = np.repeat(["a", "b"], [80, 20])
    data = (np.arange(200.0).reshape(100, 2), labels)
    small = load_target(data, limit=10)
    assert sorted(small.labels.tolist()) == ["a"] * 8 + ["b"] * 2
    assert small.fingerprint == load_target(data, limit=10).fingerprint
    assert load_target(data, limit=1000).fingerprint == load_target(data).fingerprint


def test_baselines_keep_the_precision_of_their_input() -> None:
    assert load_target((X, Y)).baseline().dtype == np.float64
    assert load_target((X.astype(np.float32), Y)).baseline().dtype == np.float32
    assert load_target((X.astype(np.uint8), Y)).baseline().dtype == np.float32


def test_the_baseline_of_large_images_is_shrunk() -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (6, 64, 64), np.uint8)
    baseline = load_target((grey, Y)).baseline()
    assert baseline.shape == (6, 32 * 32)
    means = grey.reshape(6, 32, 2, 32, 2).mean(axis=(2, 4)).reshape(6, -1)
    assert np.abs(baseline - means).max() <= 1  # rounded after rows, and again after columns
    deep = load_target((grey.astype(np.float64), Y)).baseline()
    assert np.allclose(deep, means, atol=1e-3)
    channels_first = np.stack([grey] * 3, axis=1)
    assert load_target((channels_first, Y)).baseline().shape == (6, 32 * 32 * 3)
    assert load_target((rng.normal(size=(6, 64, 64, 5)), Y)).baseline().shape == (6, 64 * 64 * 5)


def test_targets_pickle_cheaply_once_they_are_spilled(tmp_path: Path) -> None:
    X_large = np.arange(60_000.0).reshape(6, 100, 100)
    target = load_target((X_large, Y), modality="series")
    assert np.array_equal(pickle.loads(pickle.dumps(target)).X, X_large)
    target.spilled(tmp_path)
    spilled = target.spilled(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    content = pickle.dumps(spilled)
    assert len(content) < 3000
    read = pickle.loads(content)
    assert isinstance(read.X, np.memmap)
    assert np.array_equal(read.X, X_large)
    assert (read.fingerprint, read.modality) == (target.fingerprint, "series")


def test_a_mapped_file_pickles_as_its_path(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.zeros((6, 10_000)))
    np.save(tmp_path / "labels.npy", Y)
    target = load_target(tmp_path)
    content = pickle.dumps(target)
    assert len(content) < 3000
    assert isinstance(pickle.loads(content).X, np.memmap)
    assert target.spilled(tmp_path / "elsewhere").samples is target.samples


def test_statistics_of_blocks_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoorank.targets.base._BLOCK_BYTES", 64)
    rng = np.random.default_rng(0)
    table = rng.normal(3, 2, (100, 4))
    target = load_target((table, np.arange(100) % 3))
    assert len(list(target.samples.blocks())) == 50
    whole = (table.min(), table.max(), table.mean(), table.std())
    assert target.statistics == pytest.approx(whole, rel=1e-12)
    columns = (table.min(axis=0), table.max(axis=0), table.mean(axis=0), table.std(axis=0))
    assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(target.columns, columns, strict=True))


def _with(value: float) -> np.ndarray:
    bad = X.copy()
    bad[4, 1] = value
    return bad


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            (X, np.zeros(6, int)),
            "all 6 samples have the label 0; a ranking needs at least 2 classes",
        ),
        ((X[:1], Y[:1]), "1 sample; a ranking needs at least 3"),
        ((X[:0], Y[:0]), "0 samples; a ranking needs at least 3"),
        ((X, np.arange(6)), "each of the 6 samples is a class of its own; a ranking needs a class"),
        ((X, np.arange(6)), "a class of at least 2; task = 'numbers' predicts them"),
        ((_with(np.nan), Y), "row 4 holds NaN"),
        ((_with(np.inf), Y), "row 4 holds infinity"),
        ((np.ma.masked_equal(X, 9.0), Y), "row 4 holds masked values"),
        ((X, Y[:5]), "6 samples but 5 labels"),
        ((X[:, 0], Y), "X has shape (6,); (n_samples, ...) is allowed"),
        ((X[:, :0], Y), "X has shape (6, 0), which holds no numbers"),
        ((X + 1j, Y), "X of type complex128"),
        (([object()] * 2, [0, 1]), "X is not an array of numbers: row 0 is a object"),
        ((3, [0, 1]), "X is not an array of numbers: it is of type int"),
        ({"X": X}, "data: needs X and y; it holds X"),
        ({"X": X, "X_train": X, "y_train": Y}, "data: needs only one of X, X_train"),
        (
            {"X_test": X, "y_test": Y},
            "data: needs a train part, such as X_train, y_train; it holds X_test, y_test",
        ),
        ("sklearn:digit", "unknown data set 'sklearn:digit'; did you mean 'sklearn:digits'?"),
        ("torch:digits", "unknown data set 'torch:digits'"),
        ("", "data '' names nothing; give a path, or a name such as 'sklearn:digits'"),
    ],
)
def test_bad_arrays(data, expected: str) -> None:
    assert expected in refusal(data)


def test_parts_of_different_shapes_are_not_joined() -> None:
    data = {"X_train": X, "y_train": Y, "X_test": X[:, :1], "y_test": Y}
    assert "its parts differ in shape: (6, 2), (6, 1)" in refusal(data, split="all")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("d.npz", b"junk", "not a readable .npz file"),
        ("d.npz", b"", "not a readable .npz file"),
        ("d.npy", b"junk", "no labels beside it; one of labels.npy, y.npy, d_labels.npy"),
        ("d.doc", b"1,2", "unknown kind of file '.doc'; allowed: .npz, .npy, .ts, .csv, .tsv"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    text = refusal(tmp_path / name)
    assert expected in text
    assert str(tmp_path / name) in text


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", X=np.array([{}, {}], dtype=object), y=Y)
    assert "array 'X': not a readable array: its values are Python objects; save" in refusal(
        tmp_path / "d.npz"
    )


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "digits.npz").touch()
    assert "does not exist; did you mean 'digits.npz'?" in refusal(tmp_path / "digit.npz")
    assert refusal(tmp_path / "a" / "b.npz").endswith("b.npz does not exist")


def test_bad_arguments() -> None:
    assert "did you mean 'train'?" in refusal((X, Y), UsageError, split="trian")
    assert "did you mean 'series'?" in refusal((X, Y), UsageError, modality="seres")
    assert "did you mean 'numbers'?" in refusal((X, Y), UsageError, task="number")
    assert "an array of numbers is no text" in refusal((X, Y), modality="text")
    assert "at least 2 samples" in refusal((X, Y), UsageError, limit=1)
    assert "data of type int; allowed: a path" in refusal(3, UsageError)


def test_mnist_files(tmp_path: Path) -> None:
    import gzip

    def idx(array: np.ndarray) -> bytes:
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
        return head + array.astype(np.uint8).tobytes()

    images = np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2)
    for part, n in (("train", 6), ("t10k", 4)):
        path = tmp_path / f"{part}-images-idx3-ubyte.gz"
        path.write_bytes(gzip.compress(idx(images[:n])))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(Y[:n]))
    assert np.array_equal(load_target(tmp_path).X, images)
    for split, n in (("train", 6), ("test", 4), ("all", 10)):
        assert len(load_target(tmp_path, split=split)) == n
    broken = tmp_path / "train-labels-idx1-ubyte"
    broken.write_bytes(idx(Y)[:-1])
    assert "its shape (6,) does not fit its bytes" in refusal(tmp_path)
    broken.write_bytes(b"junk")
    assert "not a readable IDX file: it does not begin as one" in refusal(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    assert "needs images and labels of the test part" in refusal(tmp_path, split="test")


def test_a_mapped_file_that_changes_later_is_noticed(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "labels.npy", Y)
    target = load_target(tmp_path)
    sent = pickle.loads(pickle.dumps(target))
    assert target.changed() is None
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    assert target.changed() == sent.changed() == str(tmp_path / "X.npy")
    spilled = load_target((X, Y)).spilled(tmp_path / "spilled")
    assert (spilled.changed(), load_target((X, Y)).changed()) == (None, None)
