"""docs/ids.md quotes what was measured."""

import csv
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ids.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("year", ["2018", "2015"])
def test_the_table_is_that_of_the_measurements(year):
    table = ROOT / "benchmarks" / "ucr" / "ids_published.csv"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    rho = np.array([float(row[f"spearman {year}"]) for row in rows])
    same = sum(row[f"place of the published first {year}"] == "1" for row in rows)
    line = next(each for each in PAGE.splitlines() if f"archive of {year} |" in each)
    assert line.endswith(
        f"| {rho.mean():.3f} | {np.median(rho):.3f} | {rho.min():.3f} | {same} of {len(rows)} |"
    )
