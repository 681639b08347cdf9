"""Rows in files: read in blocks, with the answer of rows in memory."""

import json
import struct

import numpy as np
import pytest
from tests.engine.processes import run_python

import zoorank
from zoorank.engine import rows

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 12, 5000)
X = (RNG.normal(size=(5000, 9)) + 0.6 * Y[:, None] + 3).astype(np.float32)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 700 * 9 * 4)


def npy(path, array):
    np.save(path, array)
    return path


def safetensors(path, array, dtype, metadata=True):
    header = {
        "X": {"dtype": dtype, "shape": list(array.shape), "data_offsets": [0, array.nbytes]},
    } | ({"__metadata__": {"made": "here"}} if metadata else {})
    return of_header(path, header, array.tobytes())


def of_header(path, header, values=b""):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + values)
    return path


FORMS = {
    "npy": lambda p: npy(p / "x.npy", X),
    "npy as text": lambda p: str(npy(p / "x.npy", X)),
    "mapped": lambda p: np.load(npy(p / "x.npy", X), mmap_mode="r"),
    "part of a map": lambda p: np.load(npy(p / "x.npy", np.vstack([X, X])), mmap_mode="r")[5000:],
    "columns of a map": lambda p: np.load(npy(p / "x.npy", np.hstack([X, X])), "r")[:, 9:],
    "safetensors": lambda p: safetensors(p / "x.safetensors", X, "F32"),
    "shards": lambda p: [npy(p / "a.npy", X[:1234]), X[1234:1300], npy(p / "b.npy", X[1300:])],
    "mapped shards": lambda p: [
        np.load(npy(p / "a.npy", X[:1234]), mmap_mode="r"),
        np.load(npy(p / "b.npy", X[1234:]), mmap_mode="r"),
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_files_give_the_answer_of_memory(form, tmp_path):
    given = FORMS[form](tmp_path)
    options = {"method": "estimate", "tol": 5e-3, "random_state": 1}
    expected = zoorank.silhouette(X, Y, **options)
    result = zoorank.silhouette(given, Y, **options)
    assert (result.method, result.rows_evaluated) == ("estimate", expected.rows_evaluated)
    assert result.score == pytest.approx(expected.score, abs=2e-6)
    assert result.half_width == pytest.approx(expected.half_width, rel=1e-3)
    np.testing.assert_allclose(result.per_class, expected.per_class, atol=5e-6)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine", "manhattan"])
def test_exact_answers_of_files(metric, tmp_path):
    path = npy(tmp_path / "x.npy", X)
    expected = zoorank.silhouette_samples(X, Y, metric=metric)
    for given in (path, np.load(path, mmap_mode="r")):
        samples = zoorank.silhouette_samples(given, Y, metric=metric)
        np.testing.assert_allclose(samples, expected, rtol=0, atol=5e-6)
        assert zoorank.silhouette(given, Y, metric=metric).method == "exact"


def test_a_file_is_evaluated_row_by_row_where_the_tolerance_asks_for_it(tmp_path):
    path = npy(tmp_path / "x.npy", X)
    result = zoorank.silhouette(path, Y, method="estimate", tol=1e-9)
    assert (result.method, result.half_width, result.rows_evaluated) == ("exact", 0, 5000)
    assert result.score == pytest.approx(zoorank.silhouette_score(X, Y), abs=2e-6)


def test_narrow_types_are_widened(tmp_path):
    half = X.astype(np.float16)
    bits = (X.view(np.uint32) >> 16).astype(np.uint16)
    truncated = (bits.astype(np.uint32) << 16).view(np.float32)
    for given, same in (
        (npy(tmp_path / "half.npy", half), half.astype(np.float32)),
        (npy(tmp_path / "int.npy", (10 * X).astype(np.int16)), (10 * X).astype(np.int16)),
        (npy(tmp_path / "big.npy", X.astype(">f4")), X),
        (safetensors(tmp_path / "bf.safetensors", bits, "BF16", metadata=False), truncated),
        ([npy(tmp_path / "a.npy", X[:99]), X[99:].astype(np.float64)], X.astype(np.float64)),
    ):
        np.testing.assert_allclose(
            zoorank.silhouette_score(given, Y, metric="cosine"),
            zoorank.silhouette_score(same, Y, metric="cosine"),
            rtol=0,
            atol=1e-9,
        )


def test_changes_through_a_map_are_seen(tmp_path):
    path = npy(tmp_path / "x.npy", X)
    private, shared = np.load(path, mmap_mode="c"), np.load(path, mmap_mode="r+")
    private[:] = X[::-1]
    assert not rows.is_streamed(private)  # it differs from its file
    shared[:2500] += 7
    np.testing.assert_array_equal(rows.open_rows(shared).load(), shared)


def test_rows_are_taken_across_shards(tmp_path):
    shards = rows.open_rows([npy(tmp_path / "a.npy", X[:10]), npy(tmp_path / "b.npy", X[10:])])
    wanted = np.array([4999, 0, 9, 10, 11, 9])
    np.testing.assert_array_equal(shards.take(wanted), X[wanted])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: p / "none.npy", FileNotFoundError, "none.npy"),
        (lambda p: npy(p / "x.npy", np.asfortranarray(X)), ValueError, "is in Fortran order"),
        (lambda p: npy(p / "x.npy", X[0]), ValueError, "must have 2 dimensions, its shape is"),
        (lambda p: npy(p / "x.npy", X.astype(complex)), TypeError, "has dtype complex128"),
        (lambda p: npy(p / "x.npy", X[:0]), ValueError, "X has no samples"),
        (
            lambda p: [npy(p / "a.npy", X), X[:, :3]],
            ValueError,
            r"one width: .*a.npy has 9 features and X\[1\] has 3",
        ),
        (lambda p: (p / "x.txt").write_text("1 2 3") and p / "x.txt", ValueError, "is neither a"),
        (
            lambda p: (p / "x.safetensors").write_bytes(b"12345678") and p / "x.safetensors",
            ValueError,
            "is not a safetensors file: its header is longer than the file",
        ),
        (
            lambda p: of_header(p / "x.safetensors", {"X": {"shape": [3, 2]}}),
            ValueError,
            "is not a safetensors file: an entry lacks 'dtype'",
        ),
        (lambda p: safetensors(p / "x.safetensors", X, "F8_E4M3"), TypeError, "holds F8_E4M3"),
        (lambda p: safetensors(p / "x.safetensors", X[0], "F32"), ValueError, "hold one matrix"),
    ],
)
def test_mistakes_are_named(make, error, message, tmp_path):
    with pytest.raises(error, match=message):
        zoorank.silhouette(make(tmp_path), Y, method="estimate")


def test_a_file_that_is_cut_short_is_named(tmp_path):
    path = npy(tmp_path / "x.npy", X)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"x.npy is cut short: \d+ bytes of \d+"):
        zoorank.silhouette(path, Y)


def test_bad_values_in_files_are_named_by_their_row(tmp_path):
    bad = X.copy()
    bad[4321, 3] = np.nan
    with pytest.raises(ValueError, match="the first bad row is 4321"):
        zoorank.silhouette(npy(tmp_path / "x.npy", bad), Y, method="estimate")


def test_memory_does_not_grow_with_the_file(tmp_path):
    # 400 MB of rows; two blocks of 64 MB are in memory at a time.
    program = f"""
        import resource
        import numpy as np, zoorank
        path = {str(tmp_path / "x.npy")!r}
        X = np.lib.format.open_memmap(path, "w+", np.float32, (400_000, 256))
        y = np.arange(len(X)) % 10
        rng = np.random.default_rng(0)
        for i in range(0, len(X), 10_000):
            X[i : i + 10_000] = rng.standard_normal((10_000, 256), np.float32) + y[:10_000, None]
        del X
        status = open("/proc/self/status").read().split()
        rss = int(status[status.index("VmRSS:") + 1])
        open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
        result = zoorank.silhouette(path, y, random_state=0)
        status = open("/proc/self/status").read().split()
        print(result.method, int(status[status.index("VmHWM:") + 1]) - rss)
    """
    run = run_python(program, ZOORANK_DEVICE="cpu")  # for a device files are read as a whole
    method, kilobytes = run.stdout.split() or run.stderr
    assert method == "estimate"
    assert int(kilobytes) < 300_000
