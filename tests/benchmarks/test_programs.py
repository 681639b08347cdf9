"""The programs of benchmarks/ work and tell right from wrong. Never a time."""

import csv
import os
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from tests.reference import silhouettes as reference

import zoorank

pytest.importorskip("sklearn", reason="the benchmarks need scikit-learn")


def test_exact_engine_writes_a_row_for_each_case(tmp_path, monkeypatch, capsys):
    import exact_engine

    monkeypatch.setattr(exact_engine, "GEMM_ROWS", 16)
    monkeypatch.setattr(exact_engine, "gemm", lambda *_: lambda: None)
    monkeypatch.setattr(exact_engine, "OPENBLAS_NAMES", {})
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
    monkeypatch.setattr(exact_engine, "OPENBLAS_NAMES", {})
    right = exact_engine.definition
    monkeypatch.setattr(exact_engine, "definition", lambda *given: right(*given) + 1e-5)
    verdict = exact_engine.main(["--quick", "--rounds", "1"])
    assert verdict == "4 of 4 are wrong: no time of them counts"


def test_exact_engine_measures_again_where_blas_knows_better(monkeypatch, capsys):
    import exact_engine

    seen = []
    monkeypatch.setenv("OPENBLAS_CORETYPE", "")  # restored afterwards
    monkeypatch.setattr(exact_engine, "compare_all", lambda *_: [{"metric": "cosine", "error": 0}])
    monkeypatch.setattr(
        exact_engine,
        "in_own_process",
        lambda work, *given: seen.append(os.environ["OPENBLAS_CORETYPE"]) or work(*given),
    )
    machine = replace(exact_engine.this_machine(), blas="openblas 0.3 Haswell")
    for instruction_set in ("avx512", "avx2", "baseline"):
        here = replace(machine, instruction_set=instruction_set)
        monkeypatch.setattr(exact_engine, "this_machine", lambda here=here: here)
        assert exact_engine.main(["--quick"]) == 0
    assert seen == ["SkylakeX"]
    assert capsys.readouterr().out.count("cosine") == 4


def test_accuracy_goes_through_every_kind_and_tells_a_wrong_answer(tmp_path, monkeypatch):
    import accuracy

    only = zoorank.build_info()["instruction_set"]
    monkeypatch.setenv("ZOORANK_ISA", only)
    info = {"supported_instruction_sets": [only], "instruction_set": only}
    monkeypatch.setattr(accuracy.zoorank, "build_info", lambda: info)
    monkeypatch.setattr(accuracy, "in_own_process", lambda work, *given: work(*given))
    assert accuracy.main(["--quick", "--out", str(tmp_path)]) == 0
    (table,) = tmp_path.glob("*/accuracy.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {row["kind"] for row in rows} == set(accuracy.KINDS)
    right = zoorank.silhouette_samples
    monkeypatch.setattr(
        accuracy.zoorank,
        "silhouette_samples",
        lambda *given, **options: right(*given, **options) + 1e-5 * (options["n_threads"] == 1),
    )
    assert accuracy.main(["--quick"]) == f"{len(rows)} of {len(rows)} are wrong"


def test_batch_checks_every_problem(tmp_path, monkeypatch):
    import batch

    assert batch.main(["--quick", "--rounds", "1", "--out", str(tmp_path)]) == 0
    (table,) = tmp_path.glob("*/batch.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {(row["metric"], row["threads"]) for row in rows} == {
        (metric, threads)
        for metric in ("euclidean", "cosine", "euclidean+cosine")
        for threads in ("1", "2")
    }
    right = batch.definition
    monkeypatch.setattr(batch, "definition", lambda *given: right(*given) + 1e-5)
    assert batch.main(["--quick", "--rounds", "1"]).startswith("4 of 6 are wrong")


def test_threads_asks_for_the_same_bits(tmp_path, monkeypatch):
    import threads

    monkeypatch.setattr(threads, "SHAPES", threads.SHAPES[:1])
    assert threads.main(["--quick", "--rounds", "1", "--out", str(tmp_path)]) == 0
    (table,) = tmp_path.glob("*/threads.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["competitors"] for row in rows] == ["0", "1"]
    monkeypatch.setattr(threads.np, "array_equal", lambda *_: False)
    assert threads.main(["--quick", "--rounds", "1"]) == "2 of 2 differ between one thread and two"


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
    checked = {"hscore", "regularised_hscore", "logme", "knn", "knn_r2", "gbc", "transrate"}
    assert {row["score"] for row in rows if row["error"]} == checked
    assert {row["task"] for row in rows if row["score"] == "logme"} == {"classes", "numbers"}
    (table,) = tmp_path.glob("*/scores_together.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {row["same bits"] for row in rows} == {"True"}
    assert {row["busy cores"] == "0" for row in rows} == {True, False}


def test_score_cost_tells_what_is_wrong(monkeypatch):
    import score_cost

    few = [score for score in score_cost.TABLE if score.key in ("logme", "knn")]
    monkeypatch.setattr(score_cost, "TABLE", few)
    right, compute = score_cost.closed_forms, score_cost.compute
    monkeypatch.setattr(score_cost, "closed_forms", lambda *given: {**right(*given), "logme": -1.0})

    def careless(scores, facts, n_threads):
        computed = compute(scores, facts, n_threads=n_threads)
        return replace(computed, values={} if len(scores) > 1 else computed.values)

    monkeypatch.setattr(score_cost, "compute", careless)
    assert score_cost.main(["--quick", "--rounds", "1"]) == "wrong: logme, together"


def racing():
    pytest.importorskip("torch", reason="the zoo needs torch")
    import racing

    return racing


def test_the_cost_of_a_race_is_that_of_the_deepest_cut_still_in_it():
    from zoorank.ranking import RankRow
    from zoorank.ranking.racing.facts import RaceRound

    rounds = [RaceRound(10, 2, 3, 1), RaceRound(40, 2, 2, 1), RaceRound(100, 1, 1, 0)]
    rows = [
        RankRow(1, "a", "low"),
        RankRow(2, "a", "deep", left_in_round=1),
        RankRow(3, "b", "low", left_in_round=2),
    ]
    shares = {("a", "low"): 0.2, ("a", "deep"): 1.0, ("b", "low"): 0.5}
    spent = 10 * 1.0 + 30 * 0.2 + 60 * 0.2 + 40 * 0.5
    assert racing().flops(rows, rounds, shares) == pytest.approx(spent / (100 * 1.0 + 100 * 0.5))


def test_models_that_are_alike_are_raced(monkeypatch):
    module = racing()
    monkeypatch.setattr(module, "NULLS", (((90, 60), 3),))
    (row,) = module.nulls(4, d=2)
    assert row["sizes of classes"] == "90 60"
    assert 0 <= row["lost"] <= 1
    assert 1 / 3 <= row["kept"] <= 1


def test_a_race_is_held_against_the_full_run(tmp_path, monkeypatch):
    from tests.ranking.race_zoo import race_zoo

    from zoorank.sources.manifest import load_zoo

    module = racing()
    models = {"good": 0.2, "fair": 0.8, "poor": 1.2, "bad": 1.4}
    zoo = race_zoo(tmp_path / "zoo", {name: ("Keep", 3, noise) for name, noise in models.items()})
    monkeypatch.setattr(module, "CUTS", ("0",))
    with np.load(tmp_path / "zoo" / "target.npz") as data:
        case = module.Case(
            "tiny", load_zoo(zoo.manifest, allow_code=[zoo.code]), {"X": data["X"], "y": data["y"]}
        )
    first, second = module.races(case, tmp_path / "store", seeds=2, timed=1)
    assert first["same winner"]
    assert second["same winner"]
    assert first["forwards"] == second["forwards"] == pytest.approx((640 + 3 * 160) / 2560)
    assert first["time"] > 0
    assert second["time"] is None
    (spread,) = module.spread(case, tmp_path / "store", seeds=5)
    assert spread["rows"] == 160
    assert spread["naive / deviation"] < spread["error / deviation"]
    assert 0 < spread["controlled / deviation"] < 1.5


def torch_with_one_thread():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # more suffer on a busy machine
    return torch


@pytest.fixture
def device(monkeypatch):
    """A device that is the host."""
    import _gpu
    import gpu_speed
    import gpu_torch

    from zoorank.engine import cuda, environment

    rates = {"bfloat16": 1e12, "float32": 1e11, "float64": 5e10, "copy": 1e11}
    monkeypatch.setattr(environment, "device_names", lambda: ["NVIDIA Abacus (9.0)"])
    monkeypatch.setattr(_gpu, "device_rates", lambda effort: dict(rates))
    monkeypatch.setattr(cuda, "to_device", lambda X: X)
    monkeypatch.setattr(gpu_speed, "kernels", lambda: ["wgmma", "mma", "simt"])
    monkeypatch.setattr(gpu_torch, "DEVICE", "cpu")
    monkeypatch.setattr(gpu_torch, "wait_for", lambda _: lambda: None)
    monkeypatch.setattr(gpu_torch, "torch_with_cuda", torch_with_one_thread)
    info = {**zoorank.build_info(), "cuda_unavailable_reason": ""}
    monkeypatch.setattr(zoorank, "build_info", lambda: info)
    right = zoorank.silhouette

    def on_the_host(*given, device="auto", **options):
        return right(*given, **options)

    monkeypatch.setattr(zoorank, "silhouette", on_the_host)


@pytest.mark.parametrize(
    ("program", "part"),
    [
        *(
            ("gpu_speed", part)
            for part in ("limits", "exact", "slower", "estimate", "accuracy", "closed", "bits")
        ),
        *(("gpu_torch", part) for part in ("limits", "peers", "encode")),
    ],
)
@pytest.mark.usefixtures("device")
def test_every_part_of_the_device_programs_runs(program, part, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ZOORANK_CUDA_KERNEL", "mma")  # and is what it was afterwards
    assert import_module(program).main([part, "--quick", "--out", str(tmp_path)]) == 0
    assert os.environ["ZOORANK_CUDA_KERNEL"] == "mma"
    assert f"NVIDIA Abacus (9.0): nothing wrong in {part}" in capsys.readouterr().out
    if part != "bits":
        rows = list(csv.DictReader((tmp_path / "gpu_check.csv").read_text().splitlines()))
        assert rows
        assert all(row["card"] == "NVIDIA Abacus (9.0)" for row in rows)


@pytest.mark.usefixtures("device")
def test_gpu_speed_says_what_is_wrong(monkeypatch):
    import gpu_speed

    right = gpu_speed.definition
    monkeypatch.setattr(gpu_speed, "definition", lambda *given: right(*given) + 1e-5)
    gpu_speed._references.clear()
    assert gpu_speed.main(["exact", "--quick"]) == "4 wrong: no time of them counts"
    gpu_speed._references.clear()


@pytest.mark.usefixtures("device")
def test_a_part_that_breaks_leaves_the_others_their_turn(monkeypatch, capsys, tmp_path):
    import _gpu
    import gpu_speed

    def fail(effort):
        raise MemoryError("none is left")

    monkeypatch.setattr(_gpu, "device_rates", fail)
    status = gpu_speed.main(["limits", "exact", "--quick", "--out", str(tmp_path)])
    assert status == "limits broke; 0 wrong elsewhere"
    assert "none is left" in capsys.readouterr().err
    rows = list(csv.DictReader((tmp_path / "gpu_check.csv").read_text().splitlines()))
    assert len(rows) == 4  # whose bound nobody knows
    assert all(float(row["seconds"]) > 0 and row["share_of_bound"] == "nan" for row in rows)


@pytest.mark.usefixtures("device")
def test_gpu_torch_without_torch_skips(monkeypatch, capsys):
    import gpu_torch

    def missing():
        raise gpu_torch.CannotRunError("no torch")

    monkeypatch.setattr(gpu_torch, "torch_with_cuda", missing)
    assert gpu_torch.main(["peers", "encode"]) == 77
    assert "encode: no torch" in capsys.readouterr().out


@pytest.mark.skipif(zoorank.build_info()["cuda_available"], reason="this machine has a device")
def test_gpu_programs_without_a_device_skip(capsys):
    import gpu_speed

    assert gpu_speed.main([]) == 77
    assert "nothing to measure: " in capsys.readouterr().out


def test_report_page_checks_what_it_opens(monkeypatch, tmp_path, capsys):
    import report_page

    if report_page.lacks():
        pytest.skip(report_page.lacks())
    monkeypatch.setattr(report_page, "MOST_MB", 0.1)
    verdict = report_page.main(["--quick", "--rounds", "1", "--out", str(tmp_path)])
    assert verdict == "the largest report is too large, or opens too late"
    assert "charts s" in capsys.readouterr().out
