from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from zoorank.errors import UsageError
from zoorank.scores import TABLE, find_score

rng = np.random.default_rng(0)
LABELS = np.array(["b", "a", "c"] * 10)
X = rng.normal(size=(30, 5)) + np.array([[0.0], [1.0], [3.0]] * 10)
FACTS = {
    "labels": LABELS,
    "encoding": X,
    "source_probabilities": rng.dirichlet(np.ones(4), 30),
    "source_labels": rng.integers(0, 4, 30),
    "prototypes": rng.normal(size=(3, 1, 8)),
    "source_prototypes": rng.normal(size=(4, 1, 6)),
}


def test_names_and_metrics_are_unique():
    assert len({(score.name, score.metric) for score in TABLE}) == len(TABLE)
    assert len({score.key for score in TABLE}) == len(TABLE)
    assert len({score.label for score in TABLE}) == len(TABLE)


@pytest.mark.parametrize("score", TABLE, ids=lambda score: score.label)
def test_every_score_says_what_it_is(score):
    assert score.cost.startswith("O(")
    labels = LABELS if "classes" in score.tasks else X[:, 0] + np.arange(30)
    facts = {**FACTS, "labels": labels}
    value = score.compute(*(facts[need] for need in score.needs))
    assert np.isfinite(value.value)
    assert value.half_width == 0.0


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "sqeuclidean", "manhattan"])
def test_silhouette_agrees_with_scikit_learn(metric):
    value = find_score("silhouette", metric).compute(X, LABELS)
    samples = silhouette_samples(X, LABELS, metric=metric)
    assert value.value == pytest.approx(samples.mean(), abs=1e-12)
    expected = [samples[name == LABELS].mean() for name in ("a", "b", "c")]
    assert value.per_class == pytest.approx(expected, abs=1e-12)


def test_values_are_plain_numbers():
    value = find_score().compute(X.astype(np.float32), LABELS)
    assert type(value.value) is float
    assert {type(each) for each in value.per_class} == {float}


def test_the_default_is_the_authors_own():
    assert find_score().metric == "cosine"


def test_undefined_scores_raise():
    with pytest.raises(ValueError, match="first bad row is 3"):
        find_score().compute(np.where(np.arange(30)[:, None] == 3, np.nan, X), LABELS)
    with pytest.raises(ValueError, match="Number of labels is 1"):
        find_score().compute(X, np.zeros(30))


@pytest.mark.parametrize(
    ("name", "metric", "message"),
    [
        ("silhouete", None, "unknown score 'silhouete'; did you mean 'silhouette'?"),
        ("silhouette", "cosin", "unknown metric 'cosin'; did you mean 'cosine'? allowed: cosine, "),
        ("silhouette", "zzz", "unknown metric 'zzz'; allowed: cosine, euclidean, sqeuclidean, man"),
    ],
)
def test_unknown_names_are_met_with_what_is_allowed(name, metric, message):
    with pytest.raises(UsageError) as caught:
        find_score(name, metric)
    assert str(caught.value).startswith(message)
