"""What users bring: types, layouts, labels, mistakes."""

import array
import re

import numpy as np
import pytest

import zoorank

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6))
Y = np.repeat([0, 1, 2, 3], 10)
EXPECTED = zoorank.silhouette_samples(X, Y)


class OnlyDLPack:
    """An array of some other library, which speaks DLPack and nothing else."""

    def __init__(self, values, device=(1, 0)):
        self._values, self._device = values, device

    def __dlpack__(self, **kwargs):
        return self._values.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self._device


def with_gaps(values):
    wide = np.full((len(values), values.shape[1] + 3), np.nan)
    wide[:, : values.shape[1]] = values
    return wide[:, : values.shape[1]]


def unaligned(values):
    raw = np.empty(values.nbytes + 1, np.uint8)[1:]
    view = raw.view(values.dtype).reshape(values.shape)
    view[...] = values
    return view


@pytest.mark.parametrize(
    "view",
    [
        np.asfortranarray,
        lambda v: np.repeat(v, 2, axis=0)[::2],
        lambda v: np.repeat(v, 2, axis=1)[:, ::2],
        lambda v: v[::-1].copy()[::-1],
        with_gaps,
        unaligned,
        lambda v: v.astype(">f8"),
        lambda v: v.tolist(),
        lambda v: v.astype(object),
        OnlyDLPack,
        np.matrix,
        np.ma.MaskedArray,
    ],
)
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_layout_does_not_matter(view):
    np.testing.assert_array_equal(zoorank.silhouette_samples(view(X), Y), EXPECTED)


@pytest.mark.parametrize(
    ("dtype", "computed_as"),
    [
        (np.float16, np.float32),
        (np.int8, np.float64),
        (np.int64, np.float64),
        (np.uint32, np.float64),
        (bool, np.float64),
    ],
)
def test_conversions_are_the_written_ones(dtype, computed_as):
    values = (3 * X).astype(dtype)
    np.testing.assert_array_equal(
        zoorank.silhouette_samples(values, Y),
        zoorank.silhouette_samples(values.astype(computed_as), Y),
    )
    assert zoorank.pairwise_distances(values).dtype == computed_as


@pytest.mark.parametrize(
    "wrap", [lambda t: t, lambda t: t.requires_grad_(), lambda t: t.T.clone().T]
)
def test_torch_tensors_are_taken(wrap):
    torch = pytest.importorskip("torch")
    tensor = wrap(torch.tensor(X))
    np.testing.assert_array_equal(zoorank.silhouette_samples(tensor, torch.tensor(Y)), EXPECTED)


def test_torch_bfloat16_is_computed_in_float32():
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(X).bfloat16()
    np.testing.assert_array_equal(
        zoorank.silhouette_samples(tensor, Y), zoorank.silhouette_samples(tensor.float(), Y)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_contiguous_floats_and_row_slices_are_not_copied(dtype):
    from zoorank.engine.arrays import as_matrix

    values = X.astype(dtype)
    for view in (values, values[3:], values[::2], values[:, 1:4]):
        assert np.shares_memory(as_matrix(view), values)
    torch = pytest.importorskip("torch")
    assert as_matrix(torch.from_numpy(values)).ctypes.data == values.ctypes.data


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stride", [37, 50])
def test_a_value_that_is_not_finite_is_found_wherever_it_stands(dtype, bad, stride):
    values = np.zeros((6, stride), dtype)[:, :37]
    for column in range(values.shape[1]):
        values[4, column] = bad
        with pytest.raises(ValueError, match="the first bad row is 4"):
            zoorank.silhouette_samples(values, [0, 0, 0, 1, 1, 1])
        values[4, column] = 0


def test_read_only_input_is_taken_and_left_alone():
    values = X.copy()
    values.flags.writeable = False
    np.testing.assert_array_equal(zoorank.silhouette_samples(values, Y), EXPECTED)
    np.testing.assert_array_equal(values, X)


@pytest.mark.parametrize(
    "labels",
    [
        Y.tolist(),
        tuple(Y),
        array.array("l", Y.tolist()),
        np.array(["cat", "dog", "eel", "fox"])[Y],
        [("cat", "dog", "eel", "fox")[c] for c in Y],
        (Y - 2**62).astype(np.int64),
        Y.astype(np.float32),
        Y[:, None],
    ],
)
def test_labels_of_any_kind(labels):
    np.testing.assert_array_equal(zoorank.silhouette_samples(X, labels), EXPECTED)


def test_boolean_labels():
    np.testing.assert_array_equal(
        zoorank.silhouette_samples(X, Y > 1), zoorank.silhouette_samples(X, (Y > 1).astype(int))
    )


def bad_rows(row, value):
    values = X.copy()
    values[row:, 2] = value
    return values


@pytest.mark.parametrize(
    ("values", "labels", "error", "message"),
    [
        (bad_rows(7, np.nan), Y, ValueError, "X holds NaN or infinity; the first bad row is 7"),
        (bad_rows(39, -np.inf), Y, ValueError, "the first bad row is 39"),
        (bad_rows(7, np.nan).astype("f4"), Y, ValueError, "the first bad row is 7"),
        (X, Y[:-1], ValueError, "X has 40 rows and there are 39 labels"),
        (
            X,
            np.zeros(40, int),
            ValueError,
            "Number of labels is 1. Valid values are 2 to n_samples - 1 (inclusive)",
        ),
        (X, np.arange(40), ValueError, "Number of labels is 40. Valid values are"),
        (X[:1], Y[:1], ValueError, "(inclusive), and n_samples is 1"),
        (X[:0], Y[:0], ValueError, "X has no samples"),
        (X[:, :0], Y, ValueError, "X has no features"),
        (X[0], Y, ValueError, "X must have 2 dimensions, got shape (6,); a single feature is"),
        (X[None], Y, ValueError, "X must have 2 dimensions, got shape (1, 40, 6)"),
        ([[1, 2], [3]], [0, 1], ValueError, "X is not a matrix of numbers"),
        (X.astype(complex), Y, TypeError, "X has dtype complex128; use float32 or float64"),
        (X.astype(np.longdouble), Y, TypeError, "use float32 or float64"),
        (X.astype(str), Y, TypeError, "use float32 or float64"),
        ([["a", None]] * 40, Y, TypeError, "X is not a matrix of numbers"),
        (OnlyDLPack(X, device=(10, 0)), Y, TypeError, "X is on another device"),
        (np.ma.masked_greater(X, 1), Y, TypeError, "X has masked values"),
        (X, [None, *Y[1:]], ValueError, "labels are missing, the first one in row 0"),
        (X, [*Y[:-1], float("nan")], ValueError, "the first bad one is nan in row 39"),
        (X, np.where(Y == 3, 0.5, Y), ValueError, "the first bad one is 0.5 in row 30"),
        (X, np.array([1, "a", *Y[2:]], dtype=object), TypeError, "labels mix kinds"),
        (X, [1, "1"] * 20, TypeError, "labels mix kinds"),
        (X, [2**63, 2**63 + 1, -1, 5] * 10, ValueError, "labels of 2**53 and more"),
        (X, Y.astype(complex), TypeError, "labels must be integers or strings, not complex128"),
        (X, X, ValueError, "labels must have 1 dimension"),
    ],
)
def test_mistakes_are_named(values, labels, error, message):
    with pytest.raises(error, match=re.escape(message)):
        zoorank.silhouette_samples(values, labels)


def test_sparse_input_is_refused_with_the_way_out():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=re.escape("X is sparse; pass X.toarray()")):
        zoorank.pairwise_distances(sparse.csr_matrix(X))


def test_a_path_is_refused_where_no_files_are_read():
    message = re.escape("X is the path 'x.npy'; this function reads no files: pass an array")
    for call in (
        lambda: zoorank.nearest_neighbors("x.npy", 1),
        lambda: zoorank.pairwise_distances("x.npy"),
    ):
        with pytest.raises(TypeError, match=message):
            call()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"metric": "euclidian"},
            ValueError,
            "unknown metric 'euclidian'; did you mean 'euclidean'?",
        ),
        (
            {"metric": None},
            ValueError,
            "allowed: euclidean, sqeuclidean, cosine, manhattan, precomputed",
        ),
        ({"method": "guess"}, ValueError, "unknown method 'guess'"),
        ({"precision": "half"}, ValueError, "unknown precision 'half'"),
        ({"device": "tpu"}, ValueError, "unknown device 'tpu'"),
        ({"tol": 0}, ValueError, "tol must be above 0, got 0"),
        ({"tol": float("nan")}, ValueError, "tol must be above 0, got nan"),
        ({"tol": None}, TypeError, "tol must be a number, got None"),
        ({"tol": True}, TypeError, "tol must be a number, got True"),
        ({"confidence": 1}, ValueError, "confidence must lie between 0 and 1, got 1"),
        ({"confidence": "x"}, TypeError, "confidence must be a number, got 'x'"),
        ({"random_state": -1}, ValueError, "an integer of at least 0 or a numpy.random.Gen"),
        ({"random_state": "a"}, TypeError, "random_state must be None, an integer"),
        ({"n_threads": 0}, ValueError, "n_threads must be at least 1"),
        ({"n_threads": 1.5}, TypeError, "n_threads must be an integer or None, got 1.5"),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        zoorank.silhouette(X, Y, **arguments)


@pytest.mark.parametrize("call", [zoorank.silhouette, zoorank.pairwise_distances])
def test_bf16x3_is_refused_where_there_are_no_tiles(call):
    isa = zoorank.build_info()["instruction_set"]
    if isa == "amx":
        pytest.skip("this processor has tiles, and they are in use")
    arguments = (X, Y) if call is zoorank.silhouette else (X,)
    with pytest.raises(ValueError, match=f"needs the instruction set amx; in use is {isa}"):
        call(*arguments, precision="bf16x3")


def test_cuda_is_refused_with_the_reason():
    info = zoorank.build_info()
    if info["cuda_available"]:
        pytest.skip("this machine has a usable CUDA device")
    with pytest.raises(RuntimeError, match=re.escape(info["cuda_unavailable_reason"])):
        zoorank.silhouette(X, Y, device="cuda")


def distances_with(entries):
    """Distances of 40 rows, some of them replaced."""
    rng = np.random.default_rng(0)
    D = np.triu(rng.uniform(1, 2, (40, 40)), 1)
    D += D.T
    for place, value in entries.items():
        D[place] = value
    return D


@pytest.mark.parametrize(
    ("D", "message"),
    [
        (np.ones((40, 39)), "must be square, got 40 x 39"),
        (
            np.ones((40, 40)),
            "sets them to 0); the first bad row is 0",
        ),
        (np.where(np.eye(40) == 1, 0, np.nan), "the first bad row is 0"),
        (
            distances_with({(37, 2): -1.0, (5, 30): -1e-6}),
            "negative distance; the first bad row is 5",
        ),
        (distances_with({(39, 38): -np.inf}), "NaN or infinity; the first bad row is 39"),
    ],
)
@pytest.mark.parametrize("n_threads", [1, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bad_distance_matrices_are_named(D, message, n_threads, dtype):
    D = D.astype(dtype)
    if dtype == np.float32:
        D *= 100  # far beyond what rounding makes negative
    with pytest.raises(ValueError, match=re.escape(message)):
        zoorank.silhouette_samples(D, Y, metric="precomputed", n_threads=n_threads)
    with pytest.raises(ValueError, match=re.escape(message)):
        zoorank.silhouette(D, Y, metric="precomputed", method="estimate", n_threads=n_threads)
    with pytest.raises(ValueError, match=re.escape(message)):
        zoorank.silhouette_batch([D, D], Y, metric="precomputed", n_threads=n_threads)


def test_distances_that_rounding_made_negative_count_as_zero():
    rounded, exact = distances_with({(0, 1): -1e-16}), distances_with({(0, 1): 0.0})
    rounded[3, 3] = -1e-16
    np.testing.assert_array_equal(
        zoorank.silhouette_samples(rounded, Y, metric="precomputed"),
        zoorank.silhouette_samples(exact, Y, metric="precomputed"),
    )


def test_more_threads_than_could_be_of_use_are_taken_for_what_there_is():
    np.testing.assert_array_equal(zoorank.silhouette_samples(X, Y, n_threads=2**40), EXPECTED)


@pytest.mark.parametrize(
    ("synonym", "metric"), [("l2", "euclidean"), ("l1", "manhattan"), ("cityblock", "manhattan")]
)
def test_metrics_go_by_other_names_of_scikit_learns_too(synonym, metric):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 3)), np.arange(30) % 3
    samples = zoorank.silhouette_samples(X, y, metric=metric)
    np.testing.assert_array_equal(zoorank.silhouette_samples(X, y, metric=synonym), samples)
    assert zoorank.silhouette(X, y, metric=synonym).metric == metric
    assert zoorank.silhouette_batch([X], y, metric=[synonym])[0][0].metric == metric
    np.testing.assert_array_equal(
        zoorank.pairwise_distances(X, metric=synonym), zoorank.pairwise_distances(X, metric=metric)
    )
