"""``zoorank evaluate`` as a user calls it."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("typer", reason="the command line needs typer: pip install 'zoorank[cli]'")
pytest.importorskip("scipy", reason="evaluate needs scipy: pip install 'zoorank[scores]'")

from zoorank.cli import main

TABLE = "target,source,good,accuracy\n" + "".join(
    f"t{t},s{s},{s},{0.5 + s / 10}\n" for t in range(4) for s in range(3)
)


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all.csv").write_text(TABLE)
    return "all.csv"


def test_a_table(table, capsys):
    assert main(["evaluate", table, table, "--out", "figures.csv"]) == 0
    out = capsys.readouterr().out
    assert "best static source" in out
    with open("figures.csv") as file:  # noqa: PTH123  relative to where the command ran
        assert file.readline().startswith("score,baseline,weighted_tau,")


@pytest.mark.parametrize("name", ["all.csv", "./all.csv", "link.csv", "other.csv"])
def test_no_input_is_written_over(table, tmp_path, capsys, name):
    (tmp_path / "link.csv").symlink_to("all.csv")
    (tmp_path / "other.csv").hardlink_to(tmp_path / "all.csv")
    assert main(["evaluate", table, table, "--out", name]) == 2
    assert "is read here; write to another place" in capsys.readouterr().err
    assert (tmp_path / "all.csv").read_text() == TABLE


def test_against_another_score(table, capsys):
    assert main(["evaluate", table, table, "--against", "random"]) == 0
    assert "less random," in capsys.readouterr().out


def test_json(table, capsys):
    assert main(["evaluate", table, table, "--json", "--lower", "good"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["targets"] == ["t0", "t1", "t2", "t3"]
    assert found["scores"][0]["measures"]["regret@1"]["mean"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["all.csv"], 2, "TRUTH"),
        (["all.csv", "none.csv"], 1, "none.csv cannot be read"),
        (["all.csv", "all.csv", "--score", "bad"], 2, "no column 'bad'"),
        (["all.csv", "all.csv", "--against", "best"], 2, "nothing to compare with is called"),
        (["all.csv", "all.csv", "--score", ""], 2, "no score is named; name a column of all.csv"),
    ],
)
def test_a_mistake_is_one_line(table, capsys, arguments, code, message):
    assert main(["evaluate", *arguments]) == code
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
