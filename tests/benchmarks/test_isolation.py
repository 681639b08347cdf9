"""The program that measures isolation works and tells right from wrong. Never a time."""

import csv
from contextlib import nullcontext

import pytest

pytest.importorskip("torch", reason="what loading torch costs is measured")


def test_isolation_writes_a_row_for_each_case(tmp_path):
    import isolation

    assert isolation.main(["--quick", "--out", str(tmp_path)]) == 0
    (table,) = tmp_path.glob("*/isolation.csv")
    cases = [row["case"] for row in csv.DictReader(table.read_text().splitlines())]
    assert cases[:2] == ["in this process", "one process"]
    assert cases[-1] == "found again"


def test_isolation_says_what_is_wrong(monkeypatch):
    import isolation

    monkeypatch.setattr(
        isolation,
        "cases",
        lambda many, few: [("here", many, lambda: nullcontext(isolation.LocalExecutor()))],
    )
    monkeypatch.setattr(isolation, "work", lambda offset, job, emit: [offset])
    monkeypatch.setattr(isolation.EncodingStore, "load", lambda self, key: 0)
    assert isolation.main(["--quick"]) == "wrong: here, found and read through, found again"
