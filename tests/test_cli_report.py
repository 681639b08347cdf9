"""``zoorank report``, and the page that ``rank --out`` writes, as a user calls them."""

from __future__ import annotations

import json
import re
import sys

import pytest

pytest.importorskip("typer", reason="the command line needs typer: pip install 'zoorank[cli]'")
pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("jinja2", reason="the page needs it: pip install 'zoorank[cli]'")

from tests.ranking.tiny_zoo import tiny_zoo

from zoorank import rank
from zoorank.cli import main


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    made = tiny_zoo(tmp_path / "zoo")
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture
def ranked(zoo):
    rank("zoo.toml", out="results", allow_code=[zoo.code])
    return zoo


def data_of(path):
    text = path.read_text(encoding="utf-8")
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(found)


def test_rank_writes_the_page_with_a_closer_look(zoo):
    assert main(["rank", "zoo.toml", "--allow-code", "code", "--out", "results", "-q"]) == 0
    found = data_of(zoo.folder / "results" / "report.html")
    assert len(found["columns"]["model"]) == 5
    assert len(found["closeups"]["picks"]) == 2
    assert len(found["closeups"]["rows"]) == 60
    assert found["closeups"]["previews"]


def test_report_writes_the_same_page_from_elsewhere(ranked, capsys, monkeypatch, tmp_path):
    page = ranked.folder / "results" / "report.html"
    assert main(["report", "results"]) == 0
    before = page.read_text()
    page.unlink()
    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(ranked.folder / "results")]) == 0
    out, error = capsys.readouterr()
    assert (out, error) == (f"{page}\n", "")
    assert page.read_text() == before


def test_without_its_target_a_report_says_what_it_lacks(ranked, capsys):
    moved = (ranked.folder / "target.npz").rename(ranked.folder / "moved.npz")
    assert main(["report", "results"]) == 0
    error = capsys.readouterr().err
    assert error.startswith("zoorank: report.html has no closer look: ")
    assert "does not exist" in error
    assert data_of(ranked.folder / "results" / "report.html")["closeups"] is None
    assert main(["report", "results", "--data", str(moved)]) == 0
    assert data_of(ranked.folder / "results" / "report.html")["closeups"] is not None
    assert main(["report", "results", "--data", "sklearn:iris"]) == 0
    assert "other data now" in capsys.readouterr().err


def test_without_its_encodings_too(ranked, capsys):
    for path in (ranked.folder / "results" / "encodings").rglob("*.npy"):
        path.unlink()
    assert main(["report", "results"]) == 0
    assert "no encoding of the first picks" in capsys.readouterr().err


def test_without_jinja_it_says_what_to_install(ranked, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main(["report", "results"]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error == "zoorank: no report.html: this needs jinja2: pip install 'zoorank[cli]'\n"


def test_a_folder_without_a_ranking(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 1
    assert "ranking.json cannot be read" in capsys.readouterr().err
