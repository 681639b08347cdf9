"""docs/scores.md lists the scores that there are."""

import re
from pathlib import Path

from zoorank.scores import TABLE
from zoorank.selection.consensus import NAME, PARTS

PAGE = (Path(__file__).parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_scores():
    shown = {}
    for line in re.findall(r"^\| (`.*) \|$", PAGE, re.MULTILINE):
        name, distances, column, looks_at, better = (cell.strip() for cell in line.split("|"))
        shown[name.strip("`")] = (re.findall(r"`(\w+)`", distances), column, looks_at, better)

    there = {}
    for score in TABLE:
        metrics, *_ = there.setdefault(
            score.name,
            (
                [],
                score.label.removesuffix(f" {score.metric}"),
                _looks_at(score.needs),
                "high" if score.higher_is_better else "low",
            ),
        )
        if score.metric is not None:
            metrics.append(score.metric)
    assert list(shown.items()) == list(there.items())


def _looks_at(needs):
    if "encoding" in needs:
        return "encoding"
    return "the source's data" if "source_prototypes" in needs else "the source's classifier"


def test_the_consensus_is_of_the_scores_named():
    text = re.sub(r"\s+", " ", PAGE.partition(f"**`{NAME}`**")[2].partition("share of")[0])
    assert re.findall(r"`(\w+(?::\w+)?)`", text)[2:] == PARTS.split(",")


def test_every_score_is_explained():
    explained = set(re.findall(r"\*\*`(\w+)`\*\*|`(\w+_\w+)` (?:is|shrinks)", PAGE))
    assert {a or b for a, b in explained} == {score.name for score in TABLE} | {NAME}
