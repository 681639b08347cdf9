"""The measuring itself: its reference, its arithmetic, a wrong kernel. Never a time."""

import dataclasses
import doctest

import numpy as np
import pytest
from tests.reference import silhouettes as reference

pytest.importorskip("threadpoolctl", reason="the benchmarks need threadpoolctl")

import _cases
import _limits
import _machine
import _problems
import _timing
from _cases import Case, Work
from _limits import Limits
from _problems import Problem

import zoorank

LIMITS = Limits(
    threads=1,
    multiply_add={"fast": (4e9, 2e9), "slow": (2e9, 1e9)},
    gemm={8: (3e9, 1.5e9)},
    read=1e9,
    instruction_set="fast",
)


@pytest.mark.parametrize("metric", reference.VECTOR_METRICS)
@pytest.mark.parametrize("n", [9, 120])
def test_the_definition_is_the_reference_of_the_tests(metric, n):
    problem = _problems.make_problem(n, 7, 4, np.float32)
    rows = np.array([0, 3, n - 1])
    expected = reference.silhouette_samples(problem.X, problem.labels, metric)[rows]
    actual = _problems.definition(problem, rows, metric)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-13)


def test_the_definition_takes_classes_of_one_and_rows_all_alike():
    single = Problem(np.array([[0.0], [1.0], [5.0]]), np.array([0, 0, 1]))
    assert _problems.definition(single, np.array([2])) == 0
    alike = Problem(np.ones((4, 2)), np.array([0, 0, 1, 1]))
    np.testing.assert_array_equal(_problems.definition(alike, np.arange(4)), 0)


def test_blocks_of_the_definition_are_put_together_right(monkeypatch):
    problem = _problems.make_problem(50, 5, 3, np.float64)
    whole = _problems.definition(problem, np.arange(5))
    monkeypatch.setattr(_problems, "_BLOCK_VALUES", 35)
    np.testing.assert_allclose(_problems.definition(problem, np.arange(5)), whole, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_problems_have_every_class_and_come_back_the_same(dtype):
    problem, again = (_problems.make_problem(30, 4, 29, dtype) for _ in range(2))
    assert problem.X.dtype == dtype
    assert problem.classes == len(np.unique(problem.labels)) == 29
    np.testing.assert_array_equal(problem.X, again.X)
    with pytest.raises(ValueError, match="at least 2 and less than n = 30, got 30"):
        _problems.make_problem(30, 4, 30)


def test_largest_error_looks_at_the_rows_that_were_checked():
    samples, rows = np.array([0.0, 9.0, 0.5]), np.array([0, 2])
    assert _problems.largest_error(samples, rows, [0.0, 0.25]) == 0.25
    assert np.isnan(_problems.largest_error(samples, rows, [np.nan, 0.5]))


def test_sample_rows_are_distinct_and_never_more_than_there_are():
    problem = _problems.make_problem(20, 3, 2)
    assert len(set(_problems.sample_rows(problem, 8).tolist())) == 8
    np.testing.assert_array_equal(_problems.sample_rows(problem, 99), np.arange(20))


@pytest.mark.parametrize(
    ("operation", "metric", "dtype", "flops", "of_dtype", "fused"),
    [
        ("silhouette", "euclidean", "float32", 100**2 * 8, "float32", True),
        ("silhouette", "manhattan", "float64", 100**2 * 8, "float64", False),
        ("silhouette", "cosine", "float32", 2 * 100 * 8 * 5, "float64", True),
        ("silhouette", "sqeuclidean", "float64", 2 * 100 * 8 * 5, "float64", True),
        ("distances", "euclidean", "float32", 2 * 100**2 * 8, "float32", True),
    ],
)
def test_work_counts_each_pair_once(operation, metric, dtype, flops, of_dtype, fused):
    done = _cases.ways(Case(operation, metric, dtype, 100, 8, 5))[0]
    assert (done.flops, done.dtype, done.multiply_adds) == (flops, of_dtype, fused)
    size = np.dtype(dtype).itemsize
    assert done.bytes == (100 * 8 + (100 * 100 if operation == "distances" else 0)) * size


def test_the_bound_is_the_longer_of_arithmetic_and_memory():
    assert Work(8e9, 1e9, "float32").seconds(LIMITS) == 2  # 8 Gflop at 4 Gflop/s
    assert Work(8e9, 1e9, "float64").seconds(LIMITS) == 4
    assert Work(8e9, 1e9, "float32", multiply_adds=False).seconds(LIMITS) == 4
    assert Work(8e9, 3e9, "float32").seconds(LIMITS) == 3  # 3 GB at 1 GB/s
    unknown = dataclasses.replace(LIMITS, instruction_set="new")
    assert Work(8e9, 1e9, "float32").seconds(unknown) is None


def test_the_bound_of_manhattan_is_that_of_its_quicker_way():
    few, many = (Case("silhouette", "manhattan", "float32", 1000, 8, k) for k in (2, 900))
    assert _cases.bound_seconds(few, LIMITS) == 4 * 1000 * 2 * 8 / 2e9  # sorted
    assert _cases.bound_seconds(many, LIMITS) == 1000**2 * 8 / 2e9  # pairs
    assert _cases.bound_seconds(few, dataclasses.replace(LIMITS, multiply_add={})) is None


def test_a_row_holds_rates_of_the_time(monkeypatch):
    monkeypatch.setattr(_cases, "steady_seconds", lambda _: 1e-3)
    found = _cases.measure_case(Case("silhouette", "euclidean", "float32", 100, 8, 5), LIMITS)
    row = found.row()
    assert found.correct
    assert row["gflops"] == pytest.approx(100**2 * 8 / 1e-3 / 1e9)
    assert row["bound_seconds"] == pytest.approx(100**2 * 8 / 4e9)
    assert row["limit_percent"] == pytest.approx(100 * 100**2 * 8 / 4e9 / 1e-3)
    assert row["gpairs_per_second"] == pytest.approx(100 * 99 / 2 / 1e-3 / 1e9)
    assert row["gemm_gflops"] == 3


@pytest.mark.parametrize("operation", _cases.OPERATIONS)
@pytest.mark.parametrize("metric", _problems.METRICS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kernel_is_right_on_a_small_problem(operation, metric, dtype, monkeypatch):
    monkeypatch.setattr(_cases, "steady_seconds", _timing.seconds)
    found = _cases.measure_case(Case(operation, metric, dtype, 90, 17, 4), LIMITS)
    assert found.correct, found
    assert found.seconds > 0


@pytest.mark.parametrize("worth", [1e-3, np.nan])
@pytest.mark.parametrize("operation", _cases.OPERATIONS)
def test_a_wrong_kernel_is_not_timed(operation, worth, monkeypatch):
    right = _cases._run
    monkeypatch.setattr(_cases, "_run", lambda *given: right(*given) + worth)
    monkeypatch.setattr(_cases, "steady_seconds", lambda _: pytest.fail("timed"))
    found = _cases.measure_case(Case(operation, "euclidean", "float32", 60, 4, 3), LIMITS)
    assert not found.correct
    assert found.row()["seconds"] is None
    assert found.row()["gflops"] is None
    assert found.row()["limit_percent"] is None


def test_the_grid_is_every_combination_once():
    cases = _cases.grid(n=[50], d=[4, 8], classes=[2, 3])
    assert len(cases) == len(set(cases)) == 2 * 4 * (2 * 2 + 2)
    assert {case.classes for case in cases if case.operation == "distances"} == {0}


def test_limits_of_this_machine_have_its_instruction_sets():
    found = _limits.measure_limits([8], gemm_rows=16)
    assert set(found.multiply_add) <= set(zoorank.build_info()["supported_instruction_sets"])
    assert "baseline" in found.multiply_add
    assert all(rate > 0 for rates in found.multiply_add.values() for rate in rates)
    assert found.read > 0
    assert found.gemm_flops(8, "float32") > 0
    assert found.gemm_flops(9, "float32") is None


def test_read_rate_refuses_less_than_it_can_sweep():
    from zoorank import _core

    with pytest.raises(ValueError, match="too few bytes to read: 1"):
        _core.read_rate(1, 1)


def test_medians_take_turns():
    calls = []
    _timing.medians({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert calls == ["a", "b"] * 3


def test_steady_seconds_runs_as_often_as_was_said():
    calls = []
    _timing.steady_seconds(lambda: calls.append(1), rounds=4, budget=0)
    assert len(calls) == 4
    _timing.steady_seconds(lambda: calls.append(1), rounds=1, budget=1e9, most=10)
    assert len(calls) == 14


def test_a_machine_is_named_by_processor_and_instruction_set(monkeypatch):
    found = _machine.this_machine()
    assert found.slug.endswith(found.instruction_set)
    assert found.processors >= 1
    monkeypatch.setattr(_machine, "_cpu_name", lambda: "Foo(R) 9 CPU")
    assert _machine.this_machine().slug == f"foo-9-{found.instruction_set}"


def test_slugs_are_safe_as_directories():
    assert _machine.slugify("../AMD EPYC™ 9B14/é avx512") == "amd-epyc-9b14-avx512"


@pytest.mark.parametrize("module", [_cases, _limits, _machine, _problems, _timing])
def test_examples_of_the_shared_modules_run(module):
    assert doctest.testmod(module).failed == 0
