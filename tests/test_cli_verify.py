"""``zoorank verify`` as a user calls it."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest

pytest.importorskip("typer", reason="the command line needs typer: pip install 'zoorank[cli]'")
pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("sklearn", reason="heads need scikit-learn: pip install 'zoorank[scores]'")

from tests.ranking.tiny_zoo import tiny_zoo

from zoorank.cli import main

SHARED = ["--allow-code", "code", "--store", "store", "--top", "2", "--epochs", "1"]


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    made = tiny_zoo(tmp_path / "zoo")
    monkeypatch.chdir(made.folder)
    return made


def test_a_table_and_a_picture(zoo, capsys):
    pytest.importorskip(
        "matplotlib", reason="pictures need matplotlib: pip install zoorank[report]"
    )
    assert main(["verify", "zoo.toml", *SHARED, "--repeats", "1", "--figure", "curves.png"]) == 0
    out, error = capsys.readouterr()
    assert "The first pick " in out
    assert "The whole order of 2 agrees " in out or "are equal" in out
    assert "fine-tune net" in error
    assert (zoo.folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_numbers_in_a_column_and_groups_in_another(zoo, capsys):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 6)).round(3)
    lines = [",".join(map(str, [*row, row.sum() + 0.01, k // 3])) for k, row in enumerate(X)]
    data = zoo.folder / "data.csv"
    data.write_text("\n".join(["a,b,c,d,e,f,weight,patient", *lines]))
    columns = ["--label-column", "weight", "--group-column", "patient"]
    call = ["verify", "zoo.toml", *SHARED, "--data", "data.csv", "--epochs", "0", *columns]
    assert main(call) == 0
    assert "R² of" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["rank", "verify"])
def test_how_a_target_is_read_is_said(zoo, capsys, command):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 6)).round(3)
    (zoo.folder / "parts").mkdir()
    for part, weight in (("train", 10), ("test", 20)):
        lines = [",".join(map(str, [*row, round(weight * row[0])])) for row in X]
        (zoo.folder / "parts" / f"{part}.csv").write_text("\n".join(["a,b,c,d,e,f,y", *lines]))
    call = [command, "zoo.toml", *(SHARED if command == "verify" else SHARED[:4])]
    call += ["--data", "parts", "--split", "test", "--task", "numbers", "--json", "--quiet"]
    call += ["--workers", "0"] if command == "rank" else ["--epochs", "0"]
    assert main([*call, "--modality", "table"]) == 0
    found = json.loads(capsys.readouterr().out)
    target = (found["ranking"] if command == "verify" else found)["target"]
    assert (target["name"], target["task"]) == ("parts (test)", "numbers")
    assert main([*call, "--modality", "audio"]) == 1
    assert "is no audio" in capsys.readouterr().err


def test_json_is_all_of_standard_output(zoo, capsys):
    assert main(["verify", "zoo.toml", *SHARED, "--json", "--quiet", "--repeats", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["rows"]) == 2
    assert found["ranking"]["key"] == "consensus"


def test_a_mistake_is_one_line(zoo, capsys):
    assert main(["verify", "zoo.toml", *SHARED, "--model", "absent", "--quiet"]) == 2
    assert "'absent' is not in the ranking" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("figure", "code", "message"),
    [
        ("curves.gif", 2, "curves.gif: a picture ends in one of .png, .svg, .pdf"),
        ("absent/curves.png", 1, "cannot write absent/curves.png: No such file or directory"),
    ],
)
def test_a_picture_that_cannot_be_is_refused_before_the_work(zoo, capsys, figure, code, message):
    if code == 1:
        pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    assert main(["verify", "zoo.toml", *SHARED, "--figure", figure]) == code
    assert capsys.readouterr().err == f"zoorank: {message}\n"
    assert zoo.passes() == []


def test_a_terminal_that_knows_ascii_alone_gets_the_table(zoo, monkeypatch):
    zoo.manifest.write_text(zoo.manifest.read_text().replace('name = "net0"', 'name = "näßt0"', 1))
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["verify", "zoo.toml", *SHARED, "--quiet", "--repeats", "2", "--epochs", "0"]) == 0
    text = out.buffer.getvalue().decode()
    assert " +- " in text
    assert "n??t0" in text
