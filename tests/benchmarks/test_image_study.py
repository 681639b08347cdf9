"""The study of images: its targets, its rows. The networks that it measures are large."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the study needs torch: pip install 'zoorank[zoo]'")

FOLDER = Path(__file__).parents[2] / "benchmarks" / "images"


@pytest.fixture
def study(monkeypatch):
    """As a program of its own has it, beside the other studies."""
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location("image_study", FOLDER / "study.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_part_is_seen_and_another_held_out():
    pytest.importorskip("PIL")
    spec = importlib.util.spec_from_file_location("image_targets", FOLDER / "targets.py")
    targets = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(targets)
    labels = np.repeat([0, 1, 2], [500, 300, 4])
    seen, held = targets.parts(labels)
    assert not set(seen) & set(held)
    assert len(seen) == pytest.approx(targets.PART["train"], abs=3)
    assert len(held) == pytest.approx(targets.PART["test"], abs=3)
    assert set(labels[seen]) == set(labels[held]) == {0, 1, 2}


def test_every_cut_has_a_row_with_its_scores_and_its_truth(study, tmp_path):
    zoo = tmp_path / "zoo.toml"
    zoo.write_text(
        "preprocessing = { input = 'image', size = 8, channels = 1 }\n"
        "[[model]]\nname = 'tiny'\nfactory = 'nets:tiny'\nweights.random = { seed = 0 }\n"
        "cuts = ['penultimate', 'logits']\n"
    )
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n"
        "def tiny():\n"
        "    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),"
        " nn.Flatten(), nn.Linear(6, 5))\n"
    )
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = rng.integers(0, 100, (40, 8, 8)) + 80 * y[:, None, None]
    first, second = (X[:20].astype(np.uint8), y[:20]), (X[20:].astype(np.uint8), y[20:])
    rows = study.measure("bright", first, second, tmp_path / "store", zoo, allow_code=tmp_path)
    assert [(row["source"], row["cut"], row["d"]) for row in rows] == [
        ("tiny", "penultimate", 6),
        ("tiny", "logits", 5),
    ]
    measured = study.read_rows()
    assert set(rows[0]) == set(measured[0])
    assert float(rows[0]["truth"]) > 0.9


def test_what_is_committed_is_of_targets_and_networks_of_the_study(study):
    rows = study.read_rows()
    per_target = {}
    for row in rows:
        per_target.setdefault(row["target"], []).append((row["source"], row["cut"]))
        assert 0 <= float(row["truth"]) <= 1
    kinds = {tuple(each) for each in per_target.values()}
    assert len(kinds) == 1
    assert len(set(kinds.pop())) == 38
