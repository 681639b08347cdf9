"""docs/scores.md lists the scores that there are."""

import re
from pathlib import Path

import pytest

from zoorank.evaluation.evaluate import SIZE, evaluate
from zoorank.ranking.consensus import INFORMED, NAME, PARTS
from zoorank.scores import TABLE

LABELS = {"classes": "classes", "numbers": "numbers"}
PAGE = (Path(__file__).parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_scores():
    shown = {}
    for line in re.findall(r"^\| (`.*) \|$", PAGE, re.MULTILINE):
        name, distances, labels, *others = (cell.strip() for cell in line.split("|"))
        shown[name.strip("`")] = (re.findall(r"`(\w+)`", distances), labels, *others)

    there = {}
    for score in TABLE:
        metrics, *_ = there.setdefault(
            score.name,
            (
                [],
                ", ".join(LABELS[task] for task in sorted(score.tasks)),
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
    assert re.findall(r"`(\w+(?::\w+)?)`", text) == PARTS.split(",")


def test_every_score_is_explained():
    explained = set(re.findall(r"\*\*`(\w+)`\*\*|`(\w+_\w+)` (?:is|shrinks)", PAGE))
    assert {a or b for a, b in explained} == {score.name for score in TABLE} | {NAME, INFORMED}


def test_the_tables_shown_can_be_evaluated(tmp_path):
    pytest.importorskip("scipy", reason="evaluate needs scipy: pip install 'zoorank[scores]'")
    files = [tmp_path / "scores.csv", tmp_path / "accuracies.csv"]
    for file, text in zip(files, re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL), strict=True):
        file.write_text(text)
    found = evaluate(*files)
    assert (found.targets, found.n_candidates, found.note) == (("Aircraft", "Cars"), (2, 2), "")
    assert {"logme", "knn", SIZE} < {score.name for score in found.scores}
    assert found["logme"].measures["regret@1"].mean == 0


def test_rankings_are_joined_as_shown(tmp_path, monkeypatch):
    pytest.importorskip("scipy", reason="evaluate needs scipy: pip install 'zoorank[scores]'")
    pytest.importorskip("pandas", reason="the example joins tables with pandas")
    monkeypatch.chdir(tmp_path)
    for name in ("Aircraft", "Cars"):
        Path("results", name).mkdir(parents=True)
        Path("results", name, "ranking.csv").write_text(
            "rank,model,cut,status,consensus,logme,class_min,dim,note\n"
            "1,resnet50,layer4,ok,0.9,0.8,,2048,\n"
            "2,resnet18,layer4,ok,0.1,0.7,0.5,512,\n"
            ",broken,,failed,,,,,no weights\n"
        )
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/scores.md", "exec"), {})
    truth = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)[1]
    Path("accuracies.csv").write_text(truth)
    found = evaluate("scores.csv", "accuracies.csv", columns=["consensus", "logme"])
    assert found.n_candidates == (2, 2)
    assert found["consensus"].measures["regret@1"].mean == 0
