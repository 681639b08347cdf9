"""In a zoo with sources that do whatever code can do, each of them costs its own row."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("psutil", reason="worker processes need psutil: pip install 'zoorank[zoo]'")

import psutil
from tests.ranking.bad_zoo import WAYS, bad_zoo

from zoorank.ranking import rank
from zoorank.sources.manifest import load_zoo

LIMITS = {"workers": 2, "memory_limit": 3 * 2**30 // 2}


def survive(folder: Path, sources: int, every: int) -> None:
    made = bad_zoo(folder, sources, every)
    options = {"data": made.zoo.data, "allow_code": made.zoo.code, "score": "silhouette,logme"}
    whole = load_zoo(made.zoo.manifest, allow_code=made.zoo.code)
    alone = [source for source in whole.models if source.name in made.good]
    before = set(psutil.Process().children(recursive=True))
    found = rank(made.zoo.manifest, out=folder / "out", **options, **LIMITS)
    assert set(psutil.Process().children(recursive=True)) <= before

    rows = {row.model: row for row in found}
    assert len(rows) == len(found.rows) == sources + 1  # and the raw input
    for name, does in made.bad.items():
        row = rows[name]
        assert (row.status, row.rank, row.score) == ("failed", None, None), row
        assert WAYS[does] in row.note
        assert row.note.isprintable()
        assert row.traceback or does in ("is killed", "ends", "eats", "gives one row"), row
    # The good ones are as if the others were not there.
    right = rank(alone, store=folder / "alone", **options)
    assert [row.model for row in found if row.status == "ok"] == [
        row.model for row in right if row.status == "ok"
    ]
    for row in right:
        assert (rows[row.model].scores, rows[row.model].note) == (row.scores, row.note)

    # Again: nothing that ended its process is met blindly, and nothing else is different.
    again = rank(made.zoo.manifest, out=folder / "out", **options, **LIMITS)
    for row in again:
        assert (row.rank, row.scores) == (rows[row.model].rank, rows[row.model].scores)
        ended = "in an earlier run" in row.note
        assert ended or row.note == rows[row.model].note
        assert ended == (made.bad.get(row.model) in ENDED), row


ENDED = ("ends", "crashes", "is killed", "sleeps", "spins", "eats", "recurses")


@pytest.mark.slow
def test_every_third_of_forty_is_bad(tmp_path: Path) -> None:
    survive(tmp_path, 40, every=3)


@pytest.mark.long
def test_every_tenth_of_three_hundred_is_bad(tmp_path: Path) -> None:
    survive(tmp_path, 300, every=10)
