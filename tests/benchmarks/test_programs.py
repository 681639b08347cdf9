"""The programs of benchmarks/ work and tell right from wrong. Never a time."""

import csv
from pathlib import Path

import numpy as np
import pytest
from tests.reference import silhouettes as reference

pytest.importorskip("sklearn", reason="the benchmarks need scikit-learn")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def test_exact_engine_writes_a_row_for_each_case(tmp_path, monkeypatch, capsys):
    import exact_engine

    monkeypatch.setattr(exact_engine, "GEMM_ROWS", 16)
    monkeypatch.setattr(exact_engine, "gemm", lambda *_: lambda: None)
    assert exact_engine.main(["--quick", "--rounds", "1", "--out", str(tmp_path)]) == 0
    (table,) = tmp_path.glob("*/exact_engine.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["metric"], row["d"]) for row in rows] == [
        ("euclidean", "512"),
        ("cosine", "512"),
        ("euclidean", "128"),
        ("cosine", "128"),
    ]
    assert all(float(row["error"]) <= 5e-6 for row in rows)
    assert str(table) in capsys.readouterr().out


def test_exact_engine_says_what_is_wrong(monkeypatch):
    import exact_engine

    monkeypatch.setattr(exact_engine, "gemm", lambda *_: lambda: None)
    right = exact_engine.definition
    monkeypatch.setattr(exact_engine, "definition", lambda *given: right(*given) + 1e-5)
    verdict = exact_engine.main(["--quick", "--rounds", "1"])
    assert verdict == "4 of 4 are wrong: no time of them counts"


def test_memory_is_held_against_what_is_allowed(tmp_path, monkeypatch):
    import memory

    monkeypatch.setattr(memory, "METRICS", ("cosine",))
    assert memory.main(["--quick", "--out", str(tmp_path)]) == 0
    monkeypatch.setattr(memory, "in_own_process", lambda *_: 1e9)
    assert memory.main(["--quick"]) == "too much memory: cosine"
    (table,) = tmp_path.glob("*/memory.csv")
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert row["holds"] in ("True", "")


def peers():
    import peers

    return peers


EXACT = (
    "zoorank",
    "scikit-learn",
    "numpy, chunked",
    "torch, class pairs",
    "kmedoids",
    "silhouette-scalable",
)


@pytest.mark.parametrize("name", EXACT)
def test_every_peer_is_called_as_it_should_be(name):
    needs, call = peers().PEERS[name]
    for module in needs:
        pytest.importorskip(module)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((70, 9)).astype(np.float32)
    labels = np.arange(70) % 4
    expected = reference.silhouette_samples(X, labels, "euclidean")
    np.testing.assert_allclose(call(X, labels), expected, atol=1e-5)


def test_peers_are_compared_with_their_memory():
    module = peers()
    present = {name: module.PEERS[name][1] for name in ("zoorank", "numpy, chunked")}
    first, second = module.compare(present, 400, 16, 4, rounds=1)
    assert first["times_zoorank"] == 1
    assert first["error"] <= 5e-6
    assert second["peer"] == "numpy, chunked"
    memory = second["peak_extra_mb"]
    assert memory is None or 400 * 400 * 4 / 1e6 < memory < 100  # at least one distance matrix


def test_a_peer_that_is_not_there_is_left_out(capsys):
    assert not peers().available("ghost", ("no_such_module",))
    assert "without ghost: No module named 'no_such_module'" in capsys.readouterr().out


def test_score_cost_checks_closed_forms(tmp_path, monkeypatch):
    import score_cost

    monkeypatch.setattr(score_cost, "TABLE", [s for s in score_cost.TABLE if s.key != "nleep"])
    assert score_cost.main(["--quick", "--rounds", "1", "--out", str(tmp_path)]) == 0
    (table,) = tmp_path.glob("*/score_cost.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    errors = {row["score"]: float(row["error"]) for row in rows if row["error"]}
    assert set(errors) == {"hscore", "regularised_hscore", "logme", "gbc", "transrate"}
    right = score_cost.closed_forms
    monkeypatch.setattr(score_cost, "closed_forms", lambda *given: {**right(*given), "logme": -1.0})
    assert score_cost.main(["--quick", "--rounds", "1"]) == "wrong: logme"
