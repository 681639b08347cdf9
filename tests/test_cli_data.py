"""`zoorank data` shows what a target is, to people and to programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.targets.common import write_images

from zoorank.cli.commands import run
from zoorank.errors import DataError
from zoorank.targets import load_target
from zoorank.targets.summary import summarise


def test_a_folder_of_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_images(tmp_path / "birds")
    (folder / "cat" / "x.txt").touch()
    assert run(["data", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "birds: image (height, width, 3), 6 samples, 2 classes" in shown
    assert "cat       3  50.0%" in shown
    assert "0.png, 20 x 16 pixels, colour" in shown
    assert "note: 1 file skipped, cat/x.txt: no image" in shown
    with pytest.raises(DataError, match=r"cat/x\.txt: no image"):
        run(["data", str(folder), "--strict"])


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d.csv").write_text("text,label,who\ngood,1,a\nbad,0,b\nfine,1,a\n")
    assert run(["data", str(tmp_path / "d.csv"), "--group-column", "who", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"] == {"1": 2, "0": 1}
    assert (found["samples"], found["rows"], found["groups"]) == (3, 3, 2)
    assert found["examples"][0] == {"row": 1, "label": "0", "sample": "bad"}
    assert found["notes"] == ["samples: text; labels: label; groups: who"]


def test_numbers_and_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "sklearn:diabetes"]) == 0
    shown = capsys.readouterr().out
    assert "numbers from 25 to 346, half of them from 87 to 211.5, median 140.5" in shown
    (tmp_path / "d.conll").write_text("EU B\nrejects O\n\nPeter B\n")
    assert run(["data", str(tmp_path / "d.conll")]) == 0
    shown = capsys.readouterr().out
    assert "text (words), 2 sentences, 3 words, 2 classes" in shown
    assert "EU rejects" in shown


def test_many_classes_are_counted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", X=np.zeros((60, 2)), y=np.arange(60) % 30)
    assert run(["data", str(tmp_path / "d.npz")]) == 0
    assert "10 more" in capsys.readouterr().out


def test_examples_of_every_form() -> None:
    waves = [(np.zeros(800 + k), 8000) for k in range(4)]
    assert summarise(load_target((waves, [0, 1, 0, 1]))).examples[0].sample == "0.10 s at 8000 Hz"
    pairs = summarise(load_target(([("a", "b"), ("c", "d"), ("e", "f")], [0, 1, 0])))
    assert pairs.examples[0].sample == "a | b"
    long = summarise(load_target((["x" * 500, "\x1b[2J\n", "c"], [0, 1, 0])))
    assert len(long.examples[0].sample) == 120
    assert long.examples[1].sample == "\\x1b[2J"
