"""Filters keep costly sources and other licences out, and say so in a row of each."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.ranking.tiny_zoo import tiny_zoo

from zoorank.cli import main
from zoorank.encoding.costs import Filters, PeakMemory
from zoorank.errors import UsageError
from zoorank.ranking import Ranking
from zoorank.ranking.rank import rank
from zoorank.sources.base import Known
from zoorank.sources.manifest import load_zoo

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'zoorank[zoo]'")


class Licensed:
    """A source under a licence of its own."""

    def __init__(self, source, licence):
        self._source, self._licence = source, licence

    def __getattr__(self, name):
        return getattr(self._source, name)

    def known(self):
        return Known(licence=self._licence, accuracy=0.7)

    def resolve(self, events):
        return Licensed(self._source.resolve(events), self._licence)


def ranked(zoo, *licences, **settings):
    loaded = load_zoo(zoo.manifest, allow_code=[zoo.code])
    if licences:
        models = map(Licensed, loaded.models, licences)
        loaded = replace(loaded, models=tuple(models))
    return rank(loaded, store=zoo.folder / "store", **settings)


def by_cut(ranking):
    return {(row.model, row.cut): row.status for row in ranking if row.status != "baseline"}


def test_a_cut_that_keeps_too_many_parameters_is_not_run(zoo):
    found = ranked(zoo, max_parameters=6 * 8 + 8)
    assert by_cut(found) == {
        ("net0", "1"): "ok",
        ("net0", "penultimate"): "filtered",
        ("net1", "1"): "filtered",
        ("net1", "penultimate"): "filtered",
    }
    assert {name for name, _ in zoo.passes()} == {"net0"}
    assert found.best.model == "net0"
    assert not found.failures
    row = next(row for row in found.filtered if (row.model, row.cut) == ("net1", "1"))
    assert row.note == "63 parameters up to the cut; allowed: 56"
    assert (row.rank, row.score, row.parameters_kept, row.dim) == (None, None, 63, 9)
    assert Ranking.from_json(found.to_json()) == found
    assert found.to_csv().count(",filtered,") == 3


@pytest.mark.parametrize("first", [{}, {"max_parameters": 60}], ids=["after all", "after some"])
def test_what_a_filter_kept_out_is_neither_forgotten_nor_taken_for_all(zoo, first):
    ranked(zoo, **first)
    before = len(zoo.passes())
    limited = ranked(zoo, max_parameters=60)
    assert len(zoo.passes()) == before
    assert by_cut(limited)["net1", "1"] == "filtered"
    whole = ranked(zoo)
    assert set(by_cut(whole).values()) == {"ok"}


def test_a_slow_source_is_left_out_after_its_trial(tmp_path):
    zoo = tiny_zoo(tmp_path, models=2, delay=0.2)
    found = ranked(zoo, max_milliseconds=1.0, batch_size=4)
    assert set(by_cut(found).values()) == {"filtered"}
    assert len(zoo.passes()) == 2 * 2  # two batches tell; the target has fifteen
    assert "ms a sample up to the cut; allowed: 1" in found.filtered[-1].note
    assert found.verdict == "No source is left by the filters; the notes give the reasons."
    quick = ranked(zoo, max_milliseconds=100_000, batch_size=60)
    assert set(by_cut(quick).values()) == {"ok"}
    # The store tells how long it took, and nothing has to be run.
    before = len(zoo.passes())
    assert by_cut(ranked(zoo, max_milliseconds=0.001))["net0", "penultimate"] == "filtered"
    assert len(zoo.passes()) == before


@pytest.mark.parametrize(
    ("licence", "kept"),
    [("MIT", [0]), ("mit, apache-*", [0, 1]), (["*"], [0, 1]), (["BSD*", "GPL-?.0"], [])],
)
def test_licences_are_patterns(zoo, licence, kept):
    found = ranked(zoo, "MIT", "Apache-2.0", licence=licence)
    assert {row.model for row in found if row.status == "ok"} == {f"net{i}" for i in kept}
    assert {row.model for row in found.filtered} == {f"net{i}" for i in {0, 1} - set(kept)}
    assert {name for name, _ in zoo.passes()} == {f"net{i}" for i in kept}
    assert all(row.facts.licence and row.facts.accuracy == 0.7 for row in found.filtered)


def test_an_unknown_licence_is_none_that_is_allowed(zoo):
    (row, _) = ranked(zoo, licence="MIT").filtered
    assert row.note == "its licence is not known; allowed: MIT"
    assert row.cut is None


def test_a_manifest_gives_the_licence_of_a_factory(zoo):
    text = zoo.manifest.read_text()
    zoo.manifest.write_text(text.replace('name = "net0"', 'name = "net0"\nlicence = "MIT"', 1))
    found = ranked(zoo, licence="mit")
    assert {row.model for row in found if row.status == "ok"} == {"net0"}
    assert found.best.facts.licence == "MIT"
    assert [row.model for row in found.filtered] == ["net1"]


def test_what_is_published_of_a_source_that_fails_is_in_its_row(zoo):
    text = zoo.manifest.read_text()
    zoo.manifest.write_text(text.replace('name = "net0"', 'name = "net0"\nlicence = "MIT"', 1))
    zoo.code.joinpath("tiny_code.py").write_text("def Net(**_):\n    raise RuntimeError\n")
    ranking = rank(zoo.manifest, store=zoo.folder / "s", allow_code=[zoo.code])
    assert {row.model: row.facts.licence for row in ranking.failures} == {"net0": "MIT", "net1": ""}


def test_a_race_leaves_out_what_costs_too_much(tmp_path):
    zoo = tiny_zoo(tmp_path, models=3)
    found = ranked(zoo, max_parameters=60, race=True, first_rows=12)
    assert by_cut(found)["net0", "1"] == "ok"
    assert by_cut(found)["net2", "penultimate"] == "filtered"


def test_scores_of_the_head_still_have_it(zoo):
    found = ranked(zoo, max_parameters=60, score="nce")
    assert by_cut(found)["net0", "1"] == "ok"
    assert by_cut(found)["net1", "1"] == "filtered"


def test_the_command_says_what_it_left_out(zoo, capsys):
    arguments = [str(zoo.manifest), "--allow-code", str(zoo.code), "--workers", "0"]
    out = zoo.folder / "out"
    assert main(["rank", *arguments, "--max-parameters", "0.06k", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "net1: filtered: " in said.err
    assert "63 parameters up to the cut; allowed: 60" in said.out
    assert "Left out by the filters" in (out / "report.html").read_text()
    record = json.loads((out / "ranking.json").read_text())
    assert record["provenance"]["settings"]["max_parameters"] == 60
    assert main(["rank", *arguments, "--max-parameters", "many"]) == 2
    assert "--max-parameters 'many' is none; write 500k, 25M or 1.5B" in capsys.readouterr().err
    assert main(["rank", *arguments, "--max-ms", "0.000001", "--licence", "MIT"]) == 1


@pytest.mark.parametrize("name", ["max_parameters", "max_milliseconds"])
def test_a_filter_that_keeps_everything_out_is_refused(name, zoo):
    with pytest.raises(UsageError, match=f"{name} must be more than 0"):
        ranked(zoo, **{name: 0})


def test_the_rows_say_what_a_source_costs(zoo):
    for row in ranked(zoo, batch_size=15):
        if row.status == "ok":
            facts = row.facts
            assert facts.batch_size == 15
            assert facts.memory is None or facts.memory >= 0
            assert facts.parameters == row.parameters_kept
            assert facts.bytes == 4 * row.parameters_kept
            assert facts.milliseconds > 0
            assert facts.flops > 0


def test_memory_is_counted_from_the_start_of_a_source():
    with PeakMemory() as peak:
        if peak.bytes is None:
            pytest.skip("this system does not tell what a process held")
        bytearray(200_000_000)  # gone at once, and still the most
        assert 190_000_000 <= peak.bytes < 260_000_000
    with PeakMemory() as peak:
        assert peak.bytes < 60_000_000


def test_filters_that_say_nothing_are_none(zoo):
    assert Filters() == Filters(None, None, ())
    assert set(by_cut(ranked(zoo, licence=())).values()) == {"ok"}
