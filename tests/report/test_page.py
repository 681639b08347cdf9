"""report.html as text: it holds what the ranking holds, and nothing in it can run."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.ranking.rankings import BUDGETED, RANKING
from tests.report.rankings import HOSTILE, hostile, large, of_images, of_texts, ranking_of, zoo

pytest.importorskip("jinja2", reason="the page needs it: pip install 'zoorank[report]'")

from zoorank.ranking.rows import RankRow
from zoorank.report.contents import depths_of
from zoorank.report.html import ASSETS, page

ROOT = Path(__file__).parents[2]


def data_of(text):
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(found)


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_nothing_from_a_name_is_markup():
    text = page(*of_texts())
    found = Elements(text).found
    tags = [tag for tag, _ in found]
    assert tags.count("script") == 4  # the data, the library, the specifications, the page's own
    assert "img" not in tags
    assert "b" in tags  # of the headline, once
    assert tags.count("b") == 2
    handlers = [name for _, attributes in found for name in attributes if name.startswith("on")]
    assert handlers == []
    assert "\u202e" not in text
    assert "\u2028" not in text
    assert "evil\\u202egpj.exe" in text


def test_the_policy_allows_the_scripts_of_the_page_alone():
    text = page(hostile())
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    assert policy.startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe-eval" not in policy
    assert policy.count("sha256-") == 3


def test_the_data_are_those_of_the_ranking():
    ranking, close = of_images()
    found = data_of(page(ranking, close))
    ranked = [row for row in ranking if row.status != "failed"]
    assert found["columns"]["model"] == [row.model for row in ranked]
    assert found["columns"]["score consensus"] == pytest.approx(
        [row.score for row in ranked], abs=1e-5
    )
    assert found["closeups"]["classes"] == ["cat", "dog", "emu"]
    assert len(found["closeups"]["picks"]) == 3


def test_a_draw_is_said_only_where_there_is_one():
    ranking, close = of_images()
    assert "All 90 samples. Distances" in page(ranking, close)
    drawn = page(replace(ranking, target=replace(ranking.target, n_samples=1200)), close)
    assert "90 of 1,200 samples, of each class its share. Distances" in drawn


def test_what_is_said_in_words_is_on_the_page():
    ranking, _ = of_images()
    text = page(ranking)
    best = ranking.best
    assert f"<bdi>{best.model}</bdi>" in text
    assert "On 12 targets of this kind it was right for a third." in text
    assert "no such file" in text
    assert ranking.provenance.command in text
    assert ranking.provenance.manifest_sha256 in text
    assert 'id="closer"' not in text


def test_what_is_left_out_of_the_target_is_said():
    ranking, _ = of_images()
    notes = ("3 files skipped, the first is <b>x.txt</b>",)
    text = page(replace(ranking, target=replace(ranking.target, notes=notes)))
    assert "3 files skipped, the first is &lt;b&gt;x.txt&lt;/b&gt;" in text


def test_numbers_to_predict_are_no_classes():
    ranking, _ = of_images()
    text = page(replace(ranking, target=replace(ranking.target, task="numbers", classes=())))
    assert "numbers to predict" in text
    assert "0 classes" not in text


def test_failures_with_the_same_reason_stand_together():
    text = page(hostile())
    assert text.count("cannot read &lt;/script&gt;") == 1
    assert "2 sources or cuts have no score" in text


def test_a_run_without_any_score_has_a_page_too():
    row = RankRow(None, "a", None, status="failed", note="no such file")
    ranking = replace(ranking_of(zoo(["b"])), rows=(row,), verdict="No source could be used.")
    text = page(ranking)
    assert "No source could be used." in text
    assert 'id="depth"' not in text


def test_a_budget_shows_what_it_left_out_and_why():
    provenance = ranking_of([RankRow(1, "a", "fc", 0.5, scores={"logme": 0.5})]).provenance
    text = page(replace(BUDGETED, provenance=provenance))
    assert "Not tried (2)" in text
    assert BUDGETED.budget.summary in text
    assert text.count("takes about 2 h, and 9 min were left") == 1
    assert "looked-at" in text
    assert "Not tried" not in page(replace(RANKING, provenance=provenance))


def test_a_report_of_2500_encodings_is_small():
    assert len(page(large()).encode()) < 4e6


def test_depth_is_a_share_of_the_deepest_cut():
    rows = [
        RankRow(1, "a", "1", 0.5, parameters_kept=25),
        RankRow(2, "a", "2", 0.4, parameters_kept=100),
        RankRow(3, "b", "1", 0.3, parameters_kept=7),
    ]
    depths, title = depths_of(rows)
    assert depths == [0.25, 1.0, None]
    assert "parameters" in title
    assert depths_of(rows[1:])[1] == ""


def test_less_is_better_where_the_score_says_so():
    ranking = replace(ranking_of(zoo(["a", "b"])), higher_is_better=False)
    found = data_of(page(ranking))
    assert found["higher"] == {"consensus": False, "euclidean": True, "logme": True}


def test_every_hostile_name_is_shown():
    text = page(hostile())
    shown = re.findall(r'<bdi class="(?:model|cut)">(.*?)</bdi>', text)
    assert len(set(shown)) == 1 + 6 + 3
    assert "نموذج العربية v2" in shown
    assert np.all([each in text for each in ("🦓 zebra 👩🏽‍🔬", "__proto__", HOSTILE[9])])


def test_the_library_comes_with_the_licences_of_all_that_is_in_it():
    script = (ASSETS / "charts.min.js").read_text(encoding="utf-8")
    assert "</script" not in script
    assert "<!--" not in script
    licences = (ASSETS / "charts.min.js.LICENSES").read_text(encoding="utf-8")
    locked = json.loads((ROOT / "tools" / "charts" / "package-lock.json").read_text())["packages"]
    for name in ("vega", "vega-lite", "vega-interpreter"):
        assert f"{name} {locked[f'node_modules/{name}']['version']} (" in licences


def test_a_long_path_is_cut_short_where_its_end_tells_enough():
    long = "hf:/home/ada/models/of/several/organisations/all-MiniLM-L6-v2"
    twins = [f"onnx:/home/ada/models/of/several/organisations/{name}/net.onnx" for name in "ab"]
    ranking = ranking_of(zoo([long, *twins], cuts=("layer1",)))
    text = page(ranking)
    assert "hf:…/all-MiniLM-L6-v2" in text
    assert f'title="{long}"' in text
    for twin in twins:
        assert text.count(f">{twin}<") >= 1
