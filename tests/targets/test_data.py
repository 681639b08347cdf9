"""Data in every format are read, and bad data are refused in one line."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from zoorank.errors import DataError, UsageError, ZoorankError
from zoorank.targets import load_target
from zoorank.targets.images import decode
from zoorank.targets.texts import character_counts

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 0, 1, 1, 2, 2])


def _message(data, error: type[ZoorankError] = DataError, **options) -> str:
    with pytest.raises(error) as caught:
        load_target(data, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of two images each, of different sizes and modes."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for label in ("cat", "dog", "owl"):
        (tmp_path / label).mkdir()
        for i, (mode, suffix) in enumerate([("RGB", "png"), ("L", "jpg")]):
            shape = (8 + i, 10, 3) if mode == "RGB" else (8 + i, 10)
            pixels = rng.integers(0, 256, shape, np.uint8)
            image.fromarray(pixels).save(tmp_path / label / f"{i}.{suffix}")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "modality", "n", "classes"),
    [
        ("digits", "image", 1797, 10),
        ("iris", "table", 150, 3),
        ("wine", "table", 178, 3),
        ("breast_cancer", "table", 569, 2),
    ],
)
def test_named_sets(name: str, modality: str, n: int, classes: int) -> None:
    pytest.importorskip("sklearn")
    target = load_target(f"sklearn:{name}")
    assert (target.modality, len(target), len(target.classes)) == (modality, n, classes)
    assert target.baseline().shape == (n, target.X[0].size)


def test_arrays_of_every_label_type() -> None:
    for labels in (
        Y,
        Y.astype(np.uint8),
        Y.astype(float),
        [str(y) for y in Y],
        np.array([str(y) for y in Y], dtype=object),
        Y > 1,
    ):
        target = load_target((X, labels))
        assert target.labels.dtype.kind in "iubU"
        assert target.labels.tolist() == np.asarray(labels).tolist()


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", X=X, y=Y)
    assert load_target(tmp_path / "whole.npz").name == "whole"
    np.savez(tmp_path / "parts.npz", X_train=X, y_train=Y, X_test=X[:4], y_test=Y[:4])
    for split, n in (("train", 6), ("test", 4), ("all", 10)):
        assert load_target(tmp_path / "parts.npz", split=split).n_samples == n
    assert load_target({"X": X, "y": Y}).n_samples == 6


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


def test_series(tmp_path: Path) -> None:
    lines = [
        f"{float(label):e}\t" + "\t".join(map(str, row)) for label, row in zip(Y, X, strict=True)
    ]
    (tmp_path / "Toy_TRAIN.tsv").write_text("\n".join(lines))
    (tmp_path / "Toy_TEST.tsv").write_text("\n".join(lines[:4]) + "\n")
    ts = "@problemName Toy\n# note\n@univariate true\n@classLabel true 0 1 2\n@data\n" + "\n".join(
        f"{','.join(map(str, row))}:{label}" for label, row in zip(Y, X, strict=True)
    )
    (tmp_path / "toy.ts").write_text(ts)
    tsv = load_target(tmp_path / "Toy_TRAIN.tsv")
    assert tsv.modality == "series"
    assert np.array_equal(tsv.X, X)
    assert tsv.labels.dtype.kind == "i"
    assert load_target(tmp_path / "toy.ts").fingerprint == tsv.fingerprint
    assert load_target(tmp_path, split="all").n_samples == 10


def test_multivariate_ts(tmp_path: Path) -> None:
    (tmp_path / "m.ts").write_text("@data\n1,2,3:4,5,6:a\n1,2,3:4,5,6:b\n7,8,9:4,5,6:b\n")
    target = load_target(tmp_path / "m.ts")
    assert target.X.shape == (3, 2, 3)
    assert target.modality == "series"


def test_image_folder(folder: Path) -> None:
    target = load_target(folder)
    assert target.modality == "image"
    assert target.labels.tolist() == ["cat", "cat", "dog", "dog", "owl", "owl"]
    paths = target.take(np.array([1, 0]))
    assert [path.relative_to(folder).as_posix() for path in paths] == ["cat/1.jpg", "cat/0.png"]
    assert [next(target.samples.blocks()).shape, target.shape] == [
        (1, 8, 10, 3),
        "(height, width, 3)",
    ]
    assert target.baseline().shape == (6, 32 * 32 * 3)
    assert target.statistics.maximum <= 255


def test_files_are_no_array(folder: Path) -> None:
    with pytest.raises(DataError, match="its samples are no array but image files"):
        _ = load_target(folder).X


def test_a_grey_and_a_colour_image_are_decoded_as_they_are(folder: Path) -> None:
    images = [decode(path) for path in load_target(folder).samples.paths]
    assert [image.mode for image in images] == ["RGB", "L"] * 3


def test_a_large_photo_may_be_decoded_at_a_fraction_of_its_size(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (640, 480)).save(tmp_path / "photo.jpg")
    assert decode(tmp_path / "photo.jpg").size == (640, 480)
    assert decode(tmp_path / "photo.jpg", least=200).size == (320, 240)
    assert decode(tmp_path / "photo.jpg", least=300).size == (640, 480)


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


def test_targets_pickle_cheaply_once_they_are_spilled(
    tmp_path_factory: pytest.TempPathFactory, folder: Path
) -> None:
    tmp_path = tmp_path_factory.mktemp("elsewhere")
    X_large = np.arange(60_000.0).reshape(6, 100, 100)
    target = load_target((X_large, Y), modality="series")
    spilled = target.spilled(tmp_path / "spilled")
    again = target.spilled(tmp_path / "spilled")
    assert isinstance(again.X, np.memmap)
    assert len(list((tmp_path / "spilled").iterdir())) == 1
    for each in (spilled, load_target(folder).spilled(tmp_path)):
        content = pickle.dumps(each)
        assert len(content) < 3000
        read = pickle.loads(content)
        assert read.fingerprint == each.fingerprint
        assert read.modality == each.modality
        assert str(read.take(range(2))) == str(each.take(range(2)))
    assert isinstance(pickle.loads(pickle.dumps(spilled)).X, np.memmap)
    assert np.array_equal(pickle.loads(pickle.dumps(target)).X, X_large)


def test_a_mapped_file_pickles_as_its_path(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.zeros((6, 10_000)))
    np.save(tmp_path / "labels.npy", Y)
    target = load_target(tmp_path)
    content = pickle.dumps(target)
    assert len(content) < 3000
    assert isinstance(pickle.loads(content).X, np.memmap)
    assert target.spilled(tmp_path / "elsewhere").samples is target.samples


def test_statistics_of_blocks_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoorank.targets.arrays._BLOCK_BYTES", 64)
    rng = np.random.default_rng(0)
    X = rng.normal(3, 2, (100, 4))
    target = load_target((X, np.arange(100) % 3))
    assert len(list(target.samples.blocks())) == 50
    assert target.statistics == pytest.approx((X.min(), X.max(), X.mean(), X.std()), rel=1e-12)
    expected = (X.min(axis=0), X.max(axis=0), X.mean(axis=0), X.std(axis=0))
    assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(target.columns, expected, strict=True))


def test_texts_of_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text('text,label\n"good, really",1\nbad,0\nfine,1\n')
    target = load_target(path)
    assert (target.name, target.modality, target.shape) == ("reviews", "text", "(text)")
    assert target.take(np.array([2, 0])) == ["fine", "good, really"]
    assert target.labels.tolist() == ["1", "0", "1"]
    assert target.baseline().shape[0] == 3
    assert pickle.loads(pickle.dumps(target)).take(range(3)) == target.take(range(3))
    path.write_text("label,text\n1,good\n0,bad\n1,good\n")
    assert load_target(path).take(range(3)) == ["good", "bad", "good"]
    path.write_text(" ,1\n,0\n,1\n")
    assert _message(path) == "reviews: all its texts are empty"
    path.write_text("good,1\nbad,0\nfine,1\n")
    assert len(load_target(path)) == 3
    with pytest.raises(DataError, match="texts have no mean and deviation"):
        _ = target.statistics


def test_the_baseline_of_texts_knows_like_from_unlike() -> None:
    texts = ["The cat sat on the mat.", "the cat sat on a mat", "Quarterly revenue grew", ""]
    counts = character_counts(texts)
    assert np.allclose(np.linalg.norm(counts, axis=1), [1, 1, 1, 0], atol=1e-6)
    near, far = counts[0] @ counts[1], counts[0] @ counts[2]
    assert near > 0.5 > 0.1 > far


def test_fingerprint_is_of_the_content(folder: Path) -> None:
    def fingerprint() -> str:
        return load_target(folder).fingerprint

    before = fingerprint()
    assert before == fingerprint()
    (folder / "cat" / "0.png").rename(folder / "cat" / "00.png")
    renamed = fingerprint()
    assert renamed != before
    (folder / "cat" / "00.png").write_bytes((folder / "dog" / "0.png").read_bytes())
    assert fingerprint() not in (before, renamed)
    arrays = [(X, Y), (X + 1, Y), (X, Y[::-1]), (X.astype(np.float32), Y), (X.reshape(6, 2, 1), Y)]
    assert len({load_target(each).fingerprint for each in arrays}) == len(arrays)
    assert load_target((np.asfortranarray(X), Y)).fingerprint == load_target((X, Y)).fingerprint


def test_limit_keeps_the_proportions() -> None:
    labels = np.repeat(["a", "b"], [80, 20])
    data = (np.arange(200.0).reshape(100, 2), labels)
    small = load_target(data, limit=10)
    assert sorted(small.labels.tolist()) == ["a"] * 8 + ["b"] * 2
    assert small.fingerprint == load_target(data, limit=10).fingerprint
    assert load_target(data, limit=1000).fingerprint == load_target(data).fingerprint


def test_raw_keeps_the_precision_of_its_input() -> None:
    assert load_target((X, Y)).baseline().dtype == np.float64
    assert load_target((X.astype(np.float32), Y)).baseline().dtype == np.float32
    assert load_target((X.astype(np.uint8), Y)).baseline().dtype == np.float32


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
        (
            (X, np.arange(6)),
            "each of the 6 samples is a class of its own; a ranking needs a class of at least 2",
        ),
        ((_with(np.nan), Y), "row 4 holds NaN"),
        ((_with(np.inf), Y), "row 4 holds infinity"),
        ((X, Y[:5]), "6 samples but 5 labels"),
        ((X, Y[:, None]), "labels have shape (6, 1); one label a sample is allowed"),
        ((X, Y + 0.5), "label 0.5 of row 0 is neither an integer nor a string"),
        ((X, [None] * 6), "labels of type object; integers and strings are allowed"),
        ((X[:, 0], Y), "X has shape (6,); (n_samples, ...) is allowed"),
        ((X[:, :0], Y), "X has shape (6, 0), which holds no numbers"),
        ((X.astype(str), Y), "integers and real numbers are allowed"),
        ((X + 1j, Y), "X of type complex128"),
        (([[1.0], [1.0, 2.0]], [0, 1]), "X is not an array of numbers"),
        ({"X": X}, "data: needs X and y; it holds X"),
        ({"X": X, "X_train": X, "y_train": Y}, "data: needs only one of X, X_train"),
        ({"X_test": X, "y_test": Y}, "data: needs X_train and y_train; it holds X_test, y_test"),
        ("sklearn:digit", "unknown data set 'sklearn:digit'; did you mean 'sklearn:digits'?"),
        ("torch:digits", "unknown data set 'torch:digits'"),
        ("", "data '' names nothing; give a path, or a name such as 'sklearn:digits'"),
    ],
)
def test_bad_arrays(data, expected: str) -> None:
    assert expected in _message(data)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("d.npz", b"junk", "not a readable .npz file"),
        ("d.npy", b"junk", "no labels beside it; one of labels.npy, y.npy, d_labels.npy"),
        ("d.doc", b"1,2", "unknown kind of file '.doc'; allowed: .npz, .npy, .tsv, .ts, .csv, a"),
        ("d.csv", b"", "holds no lines"),
        ("d.csv", b"a,b\nc\n", "row 1 has 1 columns; two are read: text and label"),
        ("d.csv", b"\xff\xfe,1\n", "not a readable .csv file"),
        ("d.csv", b'"a,1\n', "not a readable .csv file: unexpected end of data"),
        ("d.tsv", b"", "holds no series"),
        ("d.tsv", b"1\t2\t3\n2\t4\tNaN\n", "row 1 has a missing value"),
        ("d.tsv", b"1\t2\t3\n2\t4\n", "row 1 has length 1, row 0 has 2"),
        ("d.tsv", b"1\t2\t3\n2\t4\tx\n", "row 1: 'x' is not a number"),
        ("d.tsv", b"1\n2\n", "row 0 has a label but no values"),
        ("d.tsv", b"\xff\xfe", "not a text file"),
        ("d.ts", b"1,2:a\n", "'1,2:a' stands before @data"),
        ("d.ts", b"@univariate true\n", "no @data line"),
        ("d.ts", b"@data\n1,?:a\n", "row 0 has a missing value"),
        ("d.ts", b"@data\n1,2:a\n1:b\n", "row 1 has length 1, row 0 has 2"),
        ("d.ts", b"@timeStamps true\n@data\n(1,2):a\n", "@timeStamps true"),
        ("d.ts", b"@equalLength false\n@data\n1,2:a\n", "@equalLength false"),
        ("d.ts", b"@classLabel false\n@data\n1,2\n", "@classLabel false"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    text = _message(tmp_path / name)
    assert expected in text
    assert str(tmp_path / name) in text


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", X=np.array([{}, {}], dtype=object), y=Y)
    assert "array 'X': its values are Python objects; save numbers, or" in _message(
        tmp_path / "d.npz"
    )


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "digits.npz").touch()
    assert "does not exist; did you mean 'digits.npz'?" in _message(tmp_path / "digit.npz")
    assert _message(tmp_path / "a" / "b.npz").endswith("b.npz does not exist")


def test_bad_folders(tmp_path: Path, folder: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert _message(empty) == f"{empty}: empty; needs one sub-folder of images for each class"
    (empty / "note.txt").touch()
    assert "no sub-folders; needs one sub-folder" in _message(empty)
    empty.joinpath("note.txt").unlink()
    empty.rmdir()
    (folder / "owl" / "0.png").unlink()
    (folder / "owl" / "1.jpg").unlink()
    assert f"{folder / 'owl'}: no images; .bmp" in _message(folder)


@pytest.mark.parametrize("keep", [0, 40, 100])
def test_a_broken_image_is_named(folder: Path, keep: int) -> None:
    path = folder / "dog" / "0.png"
    path.write_bytes(path.read_bytes()[:keep])
    assert f"{path}: not a readable image" in _message(folder)


def test_deep_images_are_refused(folder: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    path = folder / "dog" / "0.png"
    image.fromarray(np.zeros((4, 4), np.uint16)).save(path)
    assert "mode I;16 is not an 8-bit image" in _message(folder)


def test_bad_arguments() -> None:
    assert "did you mean 'train'?" in _message((X, Y), UsageError, split="trian")
    assert "did you mean 'series'?" in _message((X, Y), UsageError, modality="seres")
    assert "an array of numbers is no text" in _message((X, Y), modality="text")
    assert "at least 2 samples" in _message((X, Y), UsageError, limit=1)
    assert "data of type int; allowed: a path" in _message(3, UsageError)
