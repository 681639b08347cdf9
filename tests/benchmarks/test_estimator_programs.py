"""The programs about the estimator work and tell right from wrong. Never a time."""

import csv
from pathlib import Path

import numpy as np
import pytest

from zoorank.engine import cost

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def test_errors_of_samples_are_held_against_what_is_said(monkeypatch, tmp_path):
    import _common
    import estimator_samples
    from _estimator_data import anisotropic

    monkeypatch.setattr(_common, "RESULTS", tmp_path)
    monkeypatch.setattr(estimator_samples, "SETS", {"small": lambda: anisotropic(9000, 12, 5)})
    monkeypatch.setattr("sys.argv", ["estimator_samples.py"])
    assert estimator_samples.main() == 0
    assert list(tmp_path.glob("*/estimator_samples.csv"))
    right = estimator_samples.zoorank.silhouette_samples

    def boasting(*given, **options):
        result = right(*given, **options)
        return (result[0], result[1] / 2) if options.get("return_error") else result

    monkeypatch.setattr(estimator_samples.zoorank, "silhouette_samples", boasting)
    assert estimator_samples.main() == "that is more than a third"


def test_intervals_are_counted_and_held_against_draws_without_slope_and_strata(
    monkeypatch, tmp_path, capsys
):
    import _common
    import estimator_coverage
    from _estimator_data import anisotropic

    def in_two_worlds():
        # Half of the classes lie far from the others: residuals differ between classes.
        X, y = anisotropic(5000, 8, 12)
        X[y < 6] *= 0.2
        return X, y

    monkeypatch.setattr(_common, "RESULTS", tmp_path)
    monkeypatch.setattr(estimator_coverage, "SETS", {"small": in_two_worlds})
    call = ["estimator_coverage.py", "--skip-costs", "--seeds", "60"]
    monkeypatch.setattr("sys.argv", call)
    estimator_coverage.main()
    (table,) = tmp_path.glob("*/estimator_coverage.csv")
    first, grown = csv.DictReader(table.read_text().splitlines())
    assert float(first["covered"]) > 0.9
    assert float(first["rmse"]) < float(first["rmse, nor strata"])
    assert float(first["rmse, no slope"]) < float(first["rmse, nor strata"])
    assert float(grown["rows"]) > float(first["rows"])
    table.unlink()
    monkeypatch.setattr("sys.argv", ["estimator_coverage.py", "--sets", "no such set"])
    assert estimator_coverage.main() == 0
    monkeypatch.setattr(estimator_coverage, "LEAST_COVERED", 1.01)
    monkeypatch.setattr("sys.argv", [*call, "--sets", "small"])
    assert estimator_coverage.main().endswith("% of the time only")
    assert not table.exists()


def test_the_border_is_where_both_are_predicted_to_cost_the_same():
    import estimator_cost

    for d, classes in estimator_cost.SHAPES:
        n = estimator_cost.border(d, classes)
        if n > 4 * classes:
            assert estimator_cost.predicted(n, d, classes) == pytest.approx(1, rel=0.01)
        assert estimator_cost.predicted(4 * n, d, classes) > 1


def test_draws_from_known_silhouettes_cover(monkeypatch):
    import estimator_classes

    pytest.importorskip("faiss")
    monkeypatch.setattr(cost, "MOST_CLASSES", 150)
    monkeypatch.setattr(estimator_classes, "GENERATORS", {
        "small": lambda k: estimator_classes.long_tailed(25 * k, 16, k)
    })  # fmt: skip
    first, grown = estimator_classes.measure("small", 200, 20, None)
    assert (first["n"], first["K"]) == (5000, 200)
    assert first["covered"] >= 0.8
    assert grown["rows"] > first["rows"]
    assert grown["half width"] < first["half width"]
    assert np.isfinite(first["times faster"])
