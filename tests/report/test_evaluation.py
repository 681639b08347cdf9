"""The table and the picture of an evaluation."""

import dataclasses
import io

import pytest
from rich.console import Console

from zoorank.errors import StoreError, UsageError
from zoorank.evaluation.evaluate import evaluate
from zoorank.report.evaluation import (
    comparison_table,
    evaluation_heading,
    evaluation_table,
    regret_figure,
)

TABLE = "target,source,good,accuracy\n" + "".join(
    f"t{t},s{s},{s},{0.5 + s / 10}\n" for t in range(4) for s in range(3)
)


@pytest.fixture
def found(tmp_path):
    (tmp_path / "all.csv").write_text(TABLE)
    return evaluate(tmp_path / "all.csv", tmp_path / "all.csv")


def test_scores_first_then_baselines_in_points(found):
    console = Console(file=io.StringIO(), width=150)
    console.print(evaluation_heading(found), evaluation_table(found))
    text = console.file.getvalue()
    assert "4 targets, 3 candidates each" in text
    assert "Regret (points)" in text
    assert text.index("good") < text.index("best static source") < text.index("random")
    assert "10.00 [10.00, 10.00]" in text


def test_what_each_lacks_beside_another(found):
    console = Console(file=io.StringIO(), width=150)
    console.print(comparison_table(found))
    text = console.file.getvalue()
    assert "less best static source" in text
    assert text.count("best static source") == 1
    assert "+0.00 [+0.00, +0.00]  1.000" in text
    assert "+10.00 [+10.00, +10.00]" in text


def test_what_is_not_compared_is_a_line_of_the_heading(found):
    noted = dataclasses.replace(found, note="not compared: target 'Car' of a.csv alone")
    assert evaluation_heading(found).plain.count("\n") == 0
    assert evaluation_heading(noted).plain.splitlines()[1:] == [
        "Not compared: target 'Car' of a.csv alone."
    ]


def test_markup_in_names_is_text(tmp_path):
    (tmp_path / "all.csv").write_text(TABLE.replace("good", "[red]good"))
    console = Console(file=io.StringIO(), width=150)
    console.print(evaluation_table(evaluate(tmp_path / "all.csv", tmp_path / "all.csv")))
    assert "[red]good" in console.file.getvalue()


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture(found, tmp_path, ending):
    pytest.importorskip(
        "matplotlib", reason="pictures need matplotlib: pip install zoorank[report]"
    )
    path = regret_figure(found, tmp_path / f"regret.{ending}")
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(start)


def test_a_picture_that_cannot_be(found, tmp_path):
    with pytest.raises(UsageError, match=r"ends in one of \.png, \.svg, \.pdf"):
        regret_figure(found, tmp_path / "regret.jpeg2000")
    pytest.importorskip(
        "matplotlib", reason="pictures need matplotlib: pip install zoorank[report]"
    )
    with pytest.raises(StoreError, match="cannot write"):
        regret_figure(found, tmp_path / "nowhere" / "regret.png")
