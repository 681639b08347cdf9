"""In a zoo with sources that do whatever code can do, each of them costs its own row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("psutil", reason="worker processes need psutil: pip install 'zoorank[zoo]'")

import psutil
from tests.ranking.bad_zoo import WAYS, BadZoo, bad_zoo

from zoorank.ranking import Ranking
from zoorank.ranking.rank import rank
from zoorank.sources.manifest import load_zoo

LIMITS = {"workers": 2, "memory_limit": 3 * 2**30 // 2}


def survive(folder: Path, sources: int, every: int) -> tuple[BadZoo, dict[str, Any], Ranking]:
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
        assert row.traceback or does not in ("raises", "leaves", "crashes", "sleeps", "spins"), row
    # The good ones are as if the others were not there.
    right = rank(alone, store=folder / "alone", **options)
    assert [row.model for row in found if row.status == "ok"] == [
        row.model for row in right if row.status == "ok"
    ]
    for row in right:
        assert (rows[row.model].scores, rows[row.model].note) == (row.scores, row.note)
    return made, options, found


ENDED = ("ends", "crashes", "is killed", "sleeps", "spins", "eats", "recurses")


@pytest.mark.slow
def test_every_third_of_forty_is_bad(tmp_path: Path) -> None:
    survive(tmp_path, 40, every=3)


@pytest.mark.long
def test_every_tenth_of_three_hundred_is_bad(tmp_path: Path) -> None:
    made, options, found = survive(tmp_path, 300, every=10)
    rows = {row.model: row for row in found}
    # Again: nothing that ended its process is met blindly, and nothing else is different.
    for row in rank(made.zoo.manifest, out=tmp_path / "out", **options, **LIMITS):
        assert (row.rank, row.scores) == (rows[row.model].rank, rows[row.model].scores)
        ended = "in an earlier run" in row.note
        assert ended or row.note == rows[row.model].note
        assert ended == (made.bad.get(row.model) in ENDED), row
