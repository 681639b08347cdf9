"""One wording for a name that does not exist, wherever it is asked for."""

import numpy as np
import pytest

import zoorank
from zoorank.errors import UsageError
from zoorank.messages import csv_cell, guess, hint, inert, listing, one_line
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


HOSTILE = [
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "a\rb\bc\x7f",
    "\u202egnp.exe",
    "\u2066a\u2069\u061c\u200f",
    "zero\u200bwidth\ufeff\u00ad",
    "tag\U000e0041",
    "line\u2028paragraph\u2029next\x85",
    "half \ud800 byte \udcff",
    "\0",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_shown_is_inert(text):
    for shown in (inert(text), inert(f"a\n{text}", lines=True).replace("\n", "")):
        assert shown.isprintable()
        shown.encode()
    assert inert(text).encode().decode("unicode_escape") == text  # nothing was lost
    assert one_line(ValueError(text)).isprintable()


def test_what_is_harmless_stays():
    for text in ("resnet-18", "Größe 图像 صورة 😀", "a\\b'c\"d", ""):
        assert inert(text) == csv_cell(text) == text
    assert inert("a\nb") == r"a\nb"
    assert inert("a\nb", lines=True) == "a\nb"


@pytest.mark.parametrize("start", "=+-@＝＋－＠")
@pytest.mark.parametrize("before", ["", " ", "\t", "\r", "\n", "\u00a0"])
def test_no_cell_begins_a_formula(before, start):
    cell = csv_cell(f"{before}{start}1+1")
    assert cell.startswith("'")
    assert cell.isprintable()
