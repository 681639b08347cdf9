"""examples/every_kind ranks models of every kind: real weights of packages beside random ones.

Nothing here is skipped for want of a Python package: the environment of ``make test`` has all.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.sources.carried import minilm
from tests.targets.real import debian

import zoorank
from zoorank.cli import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "every_kind"


@pytest.fixture(scope="module")
def prepare() -> Callable[[list[str]], int]:
    spec = importlib.util.spec_from_file_location("every_kind_prepare", EXAMPLE / "prepare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVERY_KIND", str(tmp_path))
    monkeypatch.setenv("MINILM", str(minilm()))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def best(ranking: zoorank.Ranking, score: str) -> dict[str, float]:
    """The best value of each model; every source has to have been ranked."""
    found: dict[str, float] = {}
    for row in ranking:
        assert row.status in ("ok", "baseline"), (row.model, row.cut, row.note)
        found[row.model] = max(row.scores[score], found.get(row.model, -np.inf))
    return found


@pytest.mark.slow
def test_networks_of_six_kinds_on_images(prepare, folder: Path, capsys) -> None:
    assert prepare([str(folder), "--fortunes", str(folder / "none")]) == 1
    assert "install the package fortunes" in capsys.readouterr().out
    ranking = zoorank.rank(EXAMPLE / "images.toml", limit=100, device="cpu")
    neighbours = best(ranking, "knn")
    random = {"untrained ResNet", "untrained ViT"}
    real = {"MobileNetV2", "EfficientNet-lite0", "ResNet-50", "dogs"}
    assert set(neighbours) == {*real, *random, "raw input"}
    assert min(neighbours[name] for name in real) > max(neighbours[name] for name in random)
    for name in real | random:
        assert len({row.cut for row in ranking if row.model == name}) == 3
    assert ranking.best.model in real


def test_the_command_of_the_guide(prepare, folder: Path, capsys) -> None:
    prepare([str(folder), "--fortunes", str(folder / "none")])
    assert main(["cuts", f"{EXAMPLE / 'images.toml'}:dogs"]) == 0
    assert "mobilenetv2_1.00_160/block_12_add" in capsys.readouterr().out


@pytest.mark.slow
def test_models_of_five_kinds_on_texts(prepare, folder: Path) -> None:
    fortunes = debian("fortunes", "usr/share/games/fortunes")
    assert prepare([str(folder), "--fortunes", str(fortunes)]) == 0
    ranking = zoorank.rank(EXAMPLE / "texts.toml", device="cpu")
    assert ranking.target.n_rows == 723
    assert len(ranking.target.classes) == 8
    neighbours, order = best(ranking, "knn"), [row.model for row in ranking]
    chains, plain, packed = (
        "MiniLM of sentence-transformers",
        "MiniLM of transformers",
        "MiniLM in 8 bits",
    )
    # A sentence encoder knows more of what texts are about than averaged words or characters.
    assert (ranking.best.model, ranking.best.cut) == (chains, "penultimate")
    for words in ("GloVe", "WordLlama", "raw input"):
        assert min(neighbours[name] for name in (chains, plain, packed)) > neighbours[words] + 0.1
        assert order.index(plain) < order.index(words)
    assert neighbours["GloVe"] > neighbours["raw input"]
    # The same network by three kinds: alike where they are cut at the same place.
    same = {
        name: ranking.encoding(next(r for r in ranking if (r.model, r.cut) == (name, cut)))
        for name, cut in (
            (chains, "hidden_states.4"),
            (plain, "hidden_states.4"),
            (packed, "layer_norm_8"),
        )
    }
    np.testing.assert_allclose(same[chains], same[plain], atol=1e-5)
    both = [each / np.linalg.norm(each, axis=1)[:, None] for each in (same[plain], same[packed])]
    assert (both[0] * both[1]).sum(axis=1).min() > 0.95
