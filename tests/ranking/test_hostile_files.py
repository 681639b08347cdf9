"""Files that results are read from may be pipes, devices or without end: one line, at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zoorank.errors import DataError
from zoorank.evaluation.tables import read_tables
from zoorank.ranking import Ranking
from zoorank.ranking.record import read_record
from zoorank.scores import find_score
from zoorank.scores.files import score_file

READERS: dict[str, Callable[[Path], object]] = {
    "ranking": Ranking.from_json,
    "record": read_record,
    "table": lambda path: read_tables(path, path),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("kind", "said"), [("fifo", "is a FIFO"), ("device", "is a device"), ("folder", "is a folder")]
)
def test_what_is_no_file(tmp_path: Path, reader: str, kind: str, said: str) -> None:
    path = tmp_path / "results"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(DataError, match=said) as caught:
        READERS[reader](path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reader", ["ranking", "record"])
@pytest.mark.parametrize("text", ["[" * 200_000, '{"rows":' * 100_000, '{"format": 1e999}', "[]"])
def test_json_of_any_other_kind(tmp_path: Path, reader: str, text: str) -> None:
    path = tmp_path / "results"
    path.write_text(text + "\n")
    with pytest.raises(DataError) as caught:
        READERS[reader](path)
    assert "\n" not in str(caught.value)


def test_an_archive_that_unpacks_to_gigabytes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("zoorank.scores.files._MOST_UNPACKED", 2**20)
    path = tmp_path / "d.npz"
    np.savez_compressed(path, X=np.zeros((2**18, 2)), y=np.zeros(4))
    with pytest.raises(DataError, match=r"X\.npy unpacks to 4,194,\d+ bytes from [\d,]+; save it"):
        score_file(path, None, find_score("silhouette"))
