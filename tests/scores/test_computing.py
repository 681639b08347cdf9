"""Many scores of one encoding at once: the same values, and one that fails takes no other along."""

import sys
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from zoorank.scores import TABLE, Facts, Score, ScoreValue, compute, find_score, find_scores
from zoorank.scores.computing import Team, one_blas_thread, quiet

rng = np.random.default_rng(0)
LABELS = np.array(["b", "a", "c"] * 20)
X = (rng.normal(size=(60, 12)) + np.array([[0.0], [1.0], [3.0]] * 20)).astype(np.float32)
THETA = rng.dirichlet(np.ones(4), 60)
FACTS = Facts(
    LABELS,
    X,
    source_probabilities=THETA,
    source_labels=THETA.argmax(axis=1),
)
OF_CLASSES = [score for score in TABLE if "classes" in score.tasks and not score.needs_source_data]
OF_NUMBERS = [score for score in TABLE if "numbers" in score.tasks]


def own(work, **options):
    """A score of another package."""
    return Score("own", None, "own", work, **options)


@pytest.mark.parametrize("n_threads", [None, 1, 2, 7])
def test_values_are_those_of_each_alone_to_the_last_bit(n_threads):
    computed = compute(OF_CLASSES, FACTS, n_threads=n_threads)
    assert not computed.refused
    assert list(computed.values) == [score.key for score in OF_CLASSES]
    for score in OF_CLASSES:
        expected = score.compute(*(getattr(FACTS, need) for need in score.needs))
        assert computed.values[score.key] == expected, score.key


@pytest.mark.parametrize("shape", [(700, 40), (90, 900)])
def test_blocks_and_threads_do_not_change_a_bit(shape, monkeypatch):
    monkeypatch.setattr("zoorank.scores.shared.BLOCK_BYTES", 8 * 40 * 90)
    monkeypatch.setattr("zoorank.scores.knn.WHOLE", 0)
    monkeypatch.setattr("zoorank.scores.knn.BLOCK", 5000)
    encoding = rng.normal(size=shape)
    labels = np.arange(len(encoding)) % 4
    scores = find_scores("logme,hscore,knn,gbc")
    found = [compute(scores, Facts(labels, encoding), n_threads=n).values for n in (1, 2, 5)]
    assert found[0] == found[1] == found[2]


def test_blocks_give_what_all_rows_at_once_give(monkeypatch):
    encoding, labels = rng.normal(size=(700, 40)), np.arange(700) % 4
    scores = find_scores("logme,hscore,regularised_hscore,knn,gbc,transrate")
    whole = compute(scores, Facts(labels, encoding)).values
    monkeypatch.setattr("zoorank.scores.shared.BLOCK_BYTES", 8 * 40 * 90)
    monkeypatch.setattr("zoorank.scores.knn.WHOLE", 0)
    monkeypatch.setattr("zoorank.scores.knn.BLOCK", 5000)
    for key, value in compute(scores, Facts(labels, encoding)).values.items():
        assert value.value == pytest.approx(whole[key].value, rel=1e-10), key


def test_a_score_that_fails_takes_no_other_along():
    def broken(encoding, labels):
        raise KeyError("nothing here")

    def undefined(encoding, labels):
        raise ValueError("needs\n more rows")

    bad = {
        "broken": own(broken, identity="broken"),
        "undefined": own(undefined, identity="undefined"),
        "nan": own(lambda encoding, labels: ScoreValue(float("nan")), identity="nan"),
        "kind": own(lambda encoding, labels: 1.0, identity="kind"),
    }
    computed = compute([find_score("knn"), *bad.values(), find_score("logme")], FACTS)
    assert list(computed.values) == ["knn", "logme"]
    assert {key: refused.reason for key, refused in computed.refused.items()} == {
        "broken": "KeyError: 'nothing here'",
        "undefined": "needs more rows",
        "nan": "own is nan",
        "kind": "own gave a float; a ScoreValue is allowed",
    }
    assert "in broken" in computed.refused["broken"].traceback


def test_a_package_that_is_missing_is_named(monkeypatch):
    for name in ("scipy", "scipy.linalg", "scipy.linalg.blas", "scipy.linalg.lapack"):
        monkeypatch.setitem(sys.modules, name, None)
    computed = compute(find_scores("logme,silhouette"), FACTS)
    assert list(computed.values) == ["cosine"]
    reason = "SciPy is missing: pip install 'zoorank[scores]'"
    assert computed.refused["logme"].reason == reason


def test_an_encoding_that_is_no_numbers_leaves_the_others_theirs():
    bad = X.copy()
    bad[7, 1] = np.inf
    computed = compute(
        find_scores("logme,knn,silhouette,leep"), Facts(LABELS, bad, source_probabilities=THETA)
    )
    assert list(computed.values) == ["leep"]
    assert computed.refused["logme"].reason == "row 7 of X holds infinity"
    assert "7" in computed.refused["cosine"].reason


def test_what_is_lacking_is_said():
    computed = compute(find_scores("leep,nce,ids,knn"), Facts(LABELS, X))
    assert list(computed.values) == ["knn"]
    said = "what the source's own classifier says"
    assert {key: refused.reason for key, refused in computed.refused.items()} == {
        "leep": f"LEEP needs {said}",
        "nce": f"NCE needs {said}",
        "ids": "IDS needs prototypes of the target",
    }
    nothing = compute(find_scores("knn"), Facts(LABELS))
    assert nothing.refused["knn"].reason == "1-NN accuracy needs an encoding"


def test_scores_of_classes_and_of_numbers_are_told_apart():
    y = X[:, 0] + rng.normal(size=60)
    computed = compute(TABLE, Facts(y, X, task="numbers"))
    assert set(computed.values) == {score.key for score in OF_NUMBERS}
    reason = "MSC euclidean needs classes, and the target has numbers to predict"
    assert computed.refused["euclidean"].reason == reason
    reason = "ridge R² needs numbers to predict, and the target has classes"
    assert compute(OF_NUMBERS, FACTS).refused["ridge_r2"].reason == reason
    assert computed.values["logme"].per_class == ()


def test_groups_reach_the_scores_that_respect_them():
    groups = np.arange(60) // 3
    scores = find_scores("knn,probe,logme")
    together = compute(scores, Facts(LABELS, X, groups=groups)).values
    for name in ("knn", "probe"):
        assert together[name] == find_score(name).compute(X, LABELS, groups=groups)
    assert together["logme"] == find_score("logme").compute(X, LABELS)


class OnDevice:
    """An array that says that it lies on a device, and counts how often it is copied."""

    def __init__(self, array):
        self.array, self.copies = array, 0
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (0, False),
            "version": 3,
        }

    def get(self):
        self.copies += 1
        return self.array


def test_an_encoding_on_a_device_is_copied_once_for_those_that_cannot_go_there(monkeypatch):
    monkeypatch.setattr("zoorank.engine.environment.unavailable_reason", lambda: "no device")
    device = OnDevice(X)
    computed = compute(find_scores("logme,knn,silhouette"), Facts(LABELS, device))
    assert device.copies == 1
    assert computed.copied == ("logme", "knn", "cosine")
    assert computed.values == compute(find_scores("logme,knn,silhouette"), FACTS).values


def test_scores_that_can_go_to_a_device_get_what_lies_there(monkeypatch):
    monkeypatch.setattr("zoorank.engine.environment.unavailable_reason", lambda: None)
    device = OnDevice(X)
    seen = []
    there = own(lambda encoding, labels: seen.append(encoding) or ScoreValue(1.0), on_device=True)
    computed = compute([there, find_score("knn")], Facts(LABELS, device))
    assert seen == [device]
    assert (device.copies, computed.copied) == (1, ("knn",))
    assert compute([there], Facts(LABELS, device)).copied == ()
    assert device.copies == 1


def blas_threads(*, of_process=False):
    """Numbers of threads of BLAS; where it runs on OpenMP, each thread has a number of its own."""
    blas = [each for each in threadpool_info() if each["user_api"] == "blas"]
    return {
        each["num_threads"]
        for each in blas
        if not of_process or each.get("threading_layer") != "openmp"
    }


def test_blas_has_one_thread_meanwhile_and_its_own_again_after():
    before = blas_threads()
    seen = []
    looking = own(lambda encoding, labels: seen.append(blas_threads()) or ScoreValue(1.0))
    compute([looking, find_score("logme")], FACTS, n_threads=2)
    assert seen == [{1}]
    assert blas_threads() == before


def test_blas_is_held_until_the_last_one_leaves():
    before = blas_threads(of_process=True)
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with one_blas_thread():
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=stay)
    with one_blas_thread():
        other.start()
        assert inside.wait(10)
    assert blas_threads(of_process=True) == {1}
    leave.set()
    other.join()
    assert blas_threads(of_process=True) == before


def test_whoever_leaves_first_has_its_own_number_of_threads_again():
    pytest.importorskip("faiss", reason="its BLAS runs on OpenMP")

    def numbers():
        return [(each["filepath"], each["num_threads"]) for each in threadpool_info()]

    wanted = threadpool_limits(3)  # of this thread, and of BLAS that the process shares
    entered, left = threading.Barrier(2), threading.Event()
    found = {}

    def first():
        with threadpool_limits(5, user_api="openmp"):
            before = numbers()
            with one_blas_thread():
                entered.wait(10)
            left.set()
            found["first"] = before, numbers()

    other = threading.Thread(target=first)
    try:
        before = numbers()
        other.start()
        entered.wait(10)
        with one_blas_thread():
            assert left.wait(10)
        other.join(10)
        assert numbers() == before
        before, after = found["first"]
        openmp = {each["filepath"] for each in threadpool_info() if each["user_api"] == "openmp"}
        assert [each for each in after if each[0] in openmp] == [
            each for each in before if each[0] in openmp
        ]
        assert {number for file, number in before if file in openmp} == {5}
    finally:
        wanted.restore_original_limits()


class TestTeam:
    @pytest.mark.parametrize("n_threads", [1, 2, 4])
    def test_no_more_threads_than_given_are_busy(self, n_threads):
        team, busy, most, lock = Team(n_threads), 0, 0, threading.Lock()

        def work(item):
            nonlocal busy, most
            with lock:
                busy += 1
                most = max(most, busy)
            time.sleep(0.002)
            with lock:
                busy -= 1
            return item**2

        def nested(item):
            return sum(team.map(work, range(item)))

        assert team.map(nested, range(1, 6)) == [0, 1, 5, 14, 30]
        assert most <= n_threads
        with team.engine_threads() as free:
            assert free == n_threads

    def test_the_first_exception_is_raised_when_all_have_ended(self):
        ended = []

        def work(item):
            if item == 0:
                raise KeyboardInterrupt
            time.sleep(0.01)
            ended.append(item)

        before = threading.active_count()
        with pytest.raises(KeyboardInterrupt):
            Team(2).map(work, range(5))
        assert threading.active_count() == before
        assert len(ended) < 4

    def test_the_engine_decides_where_nobody_says_how_many(self):
        with Team().engine_threads() as free:
            assert free is None

    def test_warnings_are_ignored_by_one_thread_at_a_time(self):
        import warnings

        before = list(warnings.filters)

        def work(_):
            with quiet(("nothing", UserWarning)):
                time.sleep(0.002)
                warnings.warn("nothing to see", stacklevel=1)

        Team(3).map(work, range(6))
        assert warnings.filters == before
