"""One wording for a name that does not exist, wherever it is asked for."""

import numpy as np
import pytest

import zoorank
from zoorank.errors import UsageError
from zoorank.messages import guess, hint, listing, one_line
from zoorank.scores import find_score
from zoorank.targets import load_target


def test_what_was_meant_and_what_there_is():
    assert hint("cosin", ["cosine", "euclidean"]) == (
        "did you mean 'cosine'? allowed: cosine, euclidean"
    )
    assert hint("x", ["cosine", "cosine"]) == "allowed: cosine"
    assert hint("x", []) == "allowed: none"
    assert guess("x", ["cosine"]) == ""
    assert listing(map(str, range(30))).endswith(", 22, 23 and 6 more")


def test_an_exception_becomes_one_line():
    assert one_line(ValueError("a\n\x1b[31mred\x1b[0m  b")) == "a red b"
    assert one_line(ValueError()) == "ValueError"
    assert len(one_line(ValueError("x" * 999))) == 300


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (
            lambda: zoorank.silhouette_score(np.eye(4), [0, 0, 1, 1], metric="cosin"),
            ValueError,
            "unknown metric 'cosin'; did you mean 'cosine'? allowed: euclidean, ",
        ),
        (
            lambda: find_score("silhouette", "cosin"),
            UsageError,
            "unknown metric 'cosin'; did you mean 'cosine'? allowed: cosine, ",
        ),
        (
            lambda: load_target((np.eye(4), [0, 0, 1, 1]), split="trian"),
            UsageError,
            "unknown split 'trian'; did you mean 'train'? allowed: train, test, all",
        ),
    ],
)
def test_the_rooms_speak_alike(ask, error, message):
    with pytest.raises(error) as caught:
        ask()
    assert str(caught.value).startswith(message)
