"""The programs that measure whole rankings and passes tell right from wrong. Never a time."""

import csv

import numpy as np
import pytest

pytest.importorskip("torch", reason="they run networks")

CANDIDATES = [("a", "deep"), ("a", "deeper"), ("b", "deep"), ("b", "deeper")]


def ranked(values, encodings):
    keys = ("consensus", "logme", "euclidean")
    scores = {c: dict.fromkeys(keys, v) for c, v in zip(CANDIDATES, values, strict=True)}
    return {"scores": scores, "encodings": {"a": encodings}}


def test_precision_compares_orders(monkeypatch, tmp_path):
    import precision

    found = {
        "float32": ranked([0.0, 1.0, 2.0, 4.0], np.eye(4)),
        "bf16": ranked([0.0, 1.0, 4.0, 3.9], np.eye(4) + 0.01),
    }
    monkeypatch.setattr(precision, "ranked", lambda _g, _c, _f, name: found[name])
    rows = precision.compared("digits", {"samples": 4}, ["deep", "deeper"], tmp_path)
    assert len(rows) == 3
    for row in rows:
        assert (row["networks"], row["candidates"]) == (2, 4)
        assert row["tau"] == pytest.approx(2 / 3)  # one pair of six has changed places
        assert (row["place_of_first"], row["lost"]) == (2, 0.5)
        assert row["difference"] == pytest.approx(0.04 / np.sqrt(3))


def test_precision_tells_where_bf16_was_not_in_use(monkeypatch, capsys):
    import precision

    same = ranked([0.0, 1.0, 2.0, 4.0], np.eye(4))
    monkeypatch.setattr(precision, "ranked", lambda *_: same)
    monkeypatch.setattr(precision, "targets", lambda: [("it", "series", lambda *_: {"samples": 4})])
    assert precision.main(["--quick"]) == "bf16 changes nothing of it"
    assert "Euclidean silhouette" in capsys.readouterr().out


def test_cases_that_are_not_measured_again_stay(monkeypatch, tmp_path):
    import end_to_end

    monkeypatch.setattr(
        end_to_end,
        "measured",
        lambda case, *_, quick: [{"case": case, "way": "zoorank", "seconds": 2, "is_right": True}],
    )
    for asked in (["photos", "series"], ["series", "digits"]):
        assert end_to_end.main([*asked, "--out", str(tmp_path)]) == 0
    (table,) = tmp_path.glob("*/end_to_end.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["case"] for row in rows] == ["photos", "digits", "series"]


def test_peaks_and_parts_of_a_pass(monkeypatch):
    import share_of_peak
    import torch

    monkeypatch.setattr(share_of_peak, "SIDE", 64)
    network = torch.nn.Sequential(torch.nn.Conv1d(3, 8, 3), torch.nn.BatchNorm1d(8)).eval()
    row = share_of_peak.measured(network, {"input": torch.ones(2, 3, 16)}, "float32", 1)
    assert row["million_operations"] == pytest.approx(2 * 3 * 3 * 8 * 14 / 1e6)
    parts = [row[name] for name in (*share_of_peak.PARTS, "others")]
    assert sum(parts) == pytest.approx(1)
    assert row["convolutions"] > 0
    assert row["normalizations"] > 0
