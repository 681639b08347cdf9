"""A quota for the store: old encodings make room, results and other people's files stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")

from tests.ranking.tiny_zoo import TinyZoo, tiny_zoo

from zoorank.encoding.encode import encode_source
from zoorank.errors import DataError, SourceError, UsageError
from zoorank.ranking import Ranking
from zoorank.ranking.rank import rank
from zoorank.sources.manifest import load_zoo
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target

QUOTA = 3 * 2**12  # of eight encodings of 60 rows and 8 to 11 features
OTHERS = [".somebody.partial", "their.npy", f"{2:031x}.npy", "notes.txt"]


@pytest.fixture
def zoo(tmp_path: Path) -> TinyZoo:
    return tiny_zoo(tmp_path / "zoo", models=4)


def taken(store: Path) -> int:
    return sum(path.stat().st_size for path in store.glob("?" * 32 + ".npy"))


def others(store: Path) -> None:
    store.mkdir(parents=True)
    for name in OTHERS:
        (store / name).write_bytes(b"x" * 2 * QUOTA)


def test_results_stay_when_encodings_go(zoo: TinyZoo, tmp_path: Path) -> None:
    settings = {"allow_code": zoo.code, "score": "silhouette,logme"}
    whole = rank(zoo.manifest, store=tmp_path / "whole", **settings)
    assert taken(tmp_path / "whole") > 1.5 * QUOTA

    store = tmp_path / "store"
    others(store)
    settings |= {"store": store, "store_quota": QUOTA}
    found = rank(zoo.manifest, **settings)
    assert [(row.model, row.cut, row.scores) for row in found] == [
        (row.model, row.cut, row.scores) for row in whole
    ]
    assert 0 < taken(store) <= QUOTA
    assert all((store / name).exists() for name in OTHERS)
    with pytest.raises(DataError, match="no encoding of net0 at 1 is in"):
        found.encoding(next(row for row in found if (row.model, row.cut) == ("net0", "1")))

    before = len(zoo.passes())
    again = rank(zoo.manifest, **settings)
    assert [row.scores for row in again] == [row.scores for row in found]
    assert len(zoo.passes()) == before, "what was scored is not encoded again"
    assert "store_quota=" in again.provenance.command


def test_an_encoding_larger_than_all_is_a_row(zoo: TinyZoo, tmp_path: Path) -> None:
    found = rank(zoo.manifest, allow_code=zoo.code, store=tmp_path / "store", store_quota=100)
    assert {row.status for row in found} == {"baseline", "failed"}
    assert all("more than the store's quota of 100" in row.note for row in found.failures)
    with pytest.raises(UsageError, match="store_quota must be at least 1, not 0"):
        rank(zoo.manifest, allow_code=zoo.code, store=tmp_path / "store", store_quota=0)


def test_the_command_and_its_workers_keep_to_it(zoo: TinyZoo, tmp_path: Path) -> None:
    pytest.importorskip("typer", reason="the command line needs typer")
    pytest.importorskip("psutil", reason="worker processes need psutil")
    others(tmp_path / "store")
    line = ["rank", zoo.manifest, "--allow-code", zoo.code, "--store", tmp_path / "store"]
    line += ["--store-quota", f"{QUOTA / 2**10}KiB", "--out", tmp_path / "out", "--quiet"]
    call = [sys.executable, "-m", "zoorank.cli", *map(str, line)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = Ranking.from_json(tmp_path / "out" / "ranking.json")
    assert len([row for row in found if row.status == "ok"]) == 8
    assert 0 < taken(tmp_path / "store") <= QUOTA
    assert all((tmp_path / "store" / name).exists() for name in OTHERS)
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize("found_there", [False, True])
def test_what_is_to_be_scored_outlives_its_file(
    zoo: TinyZoo, tmp_path: Path, found_there: bool
) -> None:
    """Another process may need room when a source is encoded and its cuts are not all scored."""
    source, target = load_zoo(zoo.manifest, allow_code=[zoo.code]).models[0], load_target(zoo.data)
    cuts, whole = ["1", "penultimate"], EncodingStore(tmp_path / "whole")
    right = encode_source(source, target, cuts=cuts, store=whole).encodings
    store = EncodingStore(tmp_path / "store", quota=2**20)
    for _ in range(1 + found_there):
        found = encode_source(source, target, cuts=cuts, store=store).encodings
    assert [each.reused for each in found] == [found_there] * 2
    for path in store.directory.iterdir():
        path.unlink()
    for encoding, expected in zip(found, right, strict=True):
        assert np.array_equal(encoding.load(), expected.load())
        assert np.array_equal(encoding.values, expected.values)
    with pytest.raises(SourceError, match="quota of 1,048,576 is too small for what runs at once"):
        store.load(found[0].key)
