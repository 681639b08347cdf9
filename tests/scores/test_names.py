"""Names of scores, and scores of other packages."""

import sys

import numpy as np
import pytest

from zoorank.errors import UsageError
from zoorank.scores import Score, ScoreValue, find_score, find_scores, score_names


def test_several_scores_in_the_order_given_each_once():
    found = find_scores(["knn,silhouette:euclidean", "logme,knn"])
    assert [score.key for score in found] == ["knn", "euclidean", "logme"]
    assert find_scores("silhouette", "manhattan")[0].key == "manhattan"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("logm", "unknown score 'logm'; did you mean 'logme'?"),
        ("knn:cosine", "score 'knn' has no metric"),
        (" , ", "no score is named"),
        ("silhouette:l2", "unknown metric 'l2'"),
    ],
)
def test_a_wrong_name_gets_the_right_ones(names, message):
    with pytest.raises(UsageError, match=r"allowed|no metric") as error:
        find_scores(names)
    assert message in str(error.value)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package that offers a score, as pip would lay it out."""

    def make(code, value="other_scores:SCORE", name="width"):
        (tmp_path / "other_scores.py").write_text(code)
        info = tmp_path / "other_scores-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-scores\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[zoorank.scores]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "other_scores", raising=False)

    yield make
    sys.modules.pop("other_scores", None)


WIDTH = """
from zoorank.scores import Score, ScoreValue
SCORE = Score("width", None, "width", lambda X, labels: ScoreValue(float(X.shape[1])))
"""


BY_METRIC = """
from zoorank.scores import Score, ScoreValue
SCORE = [
    Score("width", metric, f"width {metric}", lambda X, labels: ScoreValue(float(X.shape[1])))
    for metric in ("euclidean", "cosine")
]
"""


def test_scores_of_a_package_stand_beside_those_of_the_same_metric(install):
    install(BY_METRIC)
    found = find_scores("width,width:cosine,silhouette:euclidean")
    assert [score.key for score in found] == ["width_euclidean", "width_cosine", "euclidean"]


def test_a_package_adds_a_score_by_an_entry_point(install):
    install(WIDTH)
    assert "width" in score_names()
    assert "other_scores" not in sys.modules
    assert find_score("width").compute(np.ones((4, 7)), np.array([0, 0, 1, 1])) == ScoreValue(7.0)
    assert isinstance(find_scores("knn,width")[1], Score)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nothing_like_this", "cannot be loaded: ModuleNotFoundError"),
        ("SCORE = 3", "is of type int; a zoorank.scores.Score or a sequence of them is allowed"),
        (
            WIDTH.replace('"width", None', '"depth", None'),
            "is named 'depth'; both must be the same",
        ),
        (
            WIDTH.replace("(X.shape[1]))", '(X.shape[1])), identity="cosine"'),
            "has the key 'cosine' of another score; give it an `identity` of its own",
        ),
        (
            BY_METRIC.replace('("euclidean", "cosine")', '("cosine", "cosine")'),
            "has the key 'width_cosine' of another score",
        ),
    ],
)
def test_a_broken_package_is_named(install, code, message):
    install(code)
    with pytest.raises(UsageError) as error:
        find_score("width")
    assert message in str(error.value)
    assert find_score("knn").name == "knn"
