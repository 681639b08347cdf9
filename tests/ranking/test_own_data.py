"""Sources that were trained on the very target: what their rows and the verdict say."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from tests.ranking.test_source_data import SeriesZoo

from zoorank import targets
from zoorank.ranking import Ranking, RankRow
from zoorank.ranking.answer import verdict
from zoorank.ranking.rows import SAW_TARGET as NOTE
from zoorank.report.table import RankingTable
from zoorank.scores import find_score
from zoorank.targets import load_target

OWN = "net0"  # of the zoos here, where one is
SCORE = find_score()


def zoo_of(tmp_path, *trained_on):
    return SeriesZoo(tmp_path / "zoo", list(trained_on))


def noted(ranking):
    return {(row.model, row.cut) for row in ranking if NOTE in row.note}


def cuts_of(model):
    return {(model, "0"), (model, "penultimate")}


@pytest.mark.parametrize("place", ["target.npz", "../zoo/./target.npz", "link.npz"])
def test_the_same_path_is_the_same_data(tmp_path, place):
    zoo = zoo_of(tmp_path, place, "near.npz", None)
    (zoo.folder / "link.npz").symlink_to("target.npz")
    assert noted(zoo.ranked()) == cuts_of(OWN)


@pytest.mark.parametrize("way", ["the manifest", "relative", "link", "limit"])
def test_however_the_target_is_named(tmp_path, monkeypatch, way):
    zoo = zoo_of(tmp_path, "target.npz", "near.npz")
    (tmp_path / "other.npz").symlink_to(zoo.folder / "target.npz")
    monkeypatch.chdir(zoo.folder)
    given = {"link": tmp_path / "other.npz", "relative": "target.npz"}.get(way)
    assert noted(zoo.ranked(data=given, limit=8 if way == "limit" else None)) == cuts_of(OWN)


def test_the_same_name_is_the_same_data(tmp_path):
    zoo = zoo_of(tmp_path, "sklearn:iris", "sklearn:wine")
    assert noted(zoo.ranked(data="sklearn:iris")) == cuts_of(OWN)
    assert noted(zoo.ranked(data="sklearn:wine", limit=60)) == cuts_of("net1")


def test_other_data_are_not_and_are_not_even_read(tmp_path, monkeypatch):
    zoo = zoo_of(tmp_path, "copy.npz", "near.npz", "absent.npz")
    (zoo.folder / "copy.npz").write_bytes((zoo.folder / "target.npz").read_bytes())
    read, original = [], targets._read
    monkeypatch.setattr(
        targets, "_read", lambda place, split: read.append(place) or original(place, split)
    )
    assert noted(zoo.ranked()) == set()
    assert len(read) == 1
    arrays = load_target(zoo.folder / "target.npz")
    assert noted(zoo.ranked(data=(np.asarray(arrays.X), arrays.labels))) == set()


def test_data_that_a_score_reads_anyway_are_known_by_their_content(tmp_path):
    zoo = zoo_of(tmp_path, "copy.npz", "near.npz")
    (zoo.folder / "copy.npz").write_bytes((zoo.folder / "target.npz").read_bytes())
    assert noted(zoo.ranked(score="ids")) == cuts_of(OWN)
    assert noted(zoo.ranked(score="consensus,ids")) == cuts_of(OWN)


def test_the_note_is_in_every_form_of_the_result(tmp_path):
    from rich.console import Console

    zoo = zoo_of(tmp_path, "target.npz", "near.npz")
    ranking = zoo.ranked(score="ids", out=tmp_path / "out")
    text = (tmp_path / "out" / "ranking.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["note"] for row in rows if row["model"] == OWN} == {NOTE}
    assert {row["note"] for row in rows if row["model"] == "net1"} == {""}
    found = json.loads((tmp_path / "out" / "ranking.json").read_text())
    assert {row["note"] for row in found["rows"] if row["model"] == OWN} == {NOTE}
    assert Ranking.from_json(tmp_path / "out" / "ranking.json") == ranking
    console = Console(width=250, file=io.StringIO(), record=True)
    console.print(RankingTable(ranking))
    assert console.export_text().count(NOTE) == 2
    assert str(ranking).count(NOTE) == 2
    # By IDS it is the first, of course: nothing is nearer to the target than itself.
    assert ranking.best.model == OWN
    assert f"{OWN} was trained on this target itself" in ranking.verdict
    assert "; the first that was not is net1 cut at" in ranking.verdict


def test_a_race_says_it_too(tmp_path):
    zoo = zoo_of(tmp_path, "target.npz", "near.npz")
    assert noted(zoo.ranked(race=True)) == cuts_of(OWN)


def test_a_source_that_failed_needs_no_second_reason(tmp_path):
    zoo = zoo_of(tmp_path, "target.npz", "near.npz")
    zoo.code.joinpath("series_code.py").write_text(
        zoo.code.joinpath("series_code.py").read_text()
        + "\n    def forward(self, x):\n        raise RuntimeError('broken')\n"
    )
    ranking = zoo.ranked()
    assert len(ranking.failures) == 2
    assert noted(ranking) == set()


def row(model, score):
    return RankRow(None, model, "fc", score)


@pytest.mark.parametrize(
    ("own", "clause"),
    [
        ((), ""),
        (("b",), ""),
        (("a",), "; the first that was not is b cut at fc."),
        (("a", "b"), "; the first that was not is c cut at fc."),
        (("a", "b", "c"), "so its score says nothing about transfer."),
    ],
)
@pytest.mark.parametrize("raw", [0.0, 1.0])
def test_the_verdict_speaks_of_the_first_pick_alone(own, clause, raw):
    rows = [row("a", 0.3), row("b", 0.2), row("c", 0.1)]
    rows.append(RankRow(None, "raw input", None, raw, status="baseline"))
    plain, text = verdict(rows, SCORE), verdict(rows, SCORE, own)
    assert text.startswith(plain)
    if not clause:
        assert text == plain
    else:
        assert text.endswith(clause)
        assert "a was trained on this target itself" in text
