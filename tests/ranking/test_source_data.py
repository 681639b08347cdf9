"""Ranking by how near the data are that each source was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.reference import series as reference

from zoorank.cli import main
from zoorank.errors import DataError, UsageError
from zoorank.ranking import prototypes
from zoorank.ranking.prototypes import Prototypes
from zoorank.ranking.rank import rank
from zoorank.sources.manifest import load_zoo
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target

CODE = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self, name):
        super().__init__(nn.Conv1d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
                         nn.Linear(4, 3))
"""

MODEL = """
[[model]]
name = "{name}"
factory = "series_code:Net"
arguments = {{ name = "{name}" }}
weights = {{ random = {{ seed = {seed} }} }}
{trained_on}
"""


def bumps(seed, length, at):
    """Series of two classes with a bump of one width or of two."""
    rng = np.random.default_rng(seed)
    y = np.repeat(["one", "two"], 6)
    time = np.linspace(0, 1, length)
    centre = 0.5 + rng.uniform(-0.1, 0.1, 12)
    second = np.where(y == "two", 1.0, 0.0)
    X = np.exp(-((time - centre[:, None]) ** 2) / 0.01)
    X += at * second[:, None] * np.exp(-((time - centre[:, None] + 0.4) ** 2) / 0.01)
    return X + 0.05 * rng.standard_normal(X.shape), y


class SeriesZoo:
    """Networks on series, each with data of its own, and a target most like the first's."""

    def __init__(self, folder: Path, trained_on: list[str | None]):
        self.folder, self.manifest = folder, folder / "zoo.toml"
        self.code = folder / "code"
        self.code.mkdir(parents=True)
        (self.code / "series_code.py").write_text(CODE)
        self.target, self.near, self.far = bumps(0, 30, 1), bumps(1, 40, 1), bumps(2, 25, -3)
        for name in ("target", "near", "far"):
            X, y = getattr(self, name)
            np.savez(folder / f"{name}.npz", X=X, y=y)
        np.savez(folder / "wide.npz", X=np.zeros((4, 5000)), y=[0, 0, 1, 1])
        text = 'data = "target.npz"\ncuts = ["0", "penultimate"]\npreprocessing.input = "series"\n'
        for seed, place in enumerate(trained_on):
            line = f'trained_on = "{place}"' if place else ""
            text += MODEL.format(name=f"net{seed}", seed=seed, trained_on=line)
        self.manifest.write_text(text)

    def ranked(self, **settings):
        settings = {"allow_code": [self.code], "store": self.folder / "store", **settings}
        return rank(self.manifest, **settings)


@pytest.fixture
def zoo(tmp_path):
    return SeriesZoo(tmp_path / "zoo", ["far.npz", "near.npz"])


def test_the_source_with_the_nearest_data_comes_first(zoo):
    ranking = zoo.ranked(score="ids")
    assert not ranking.higher_is_better
    assert [row.model for row in ranking if row.status == "ok"] == ["net1"] * 2 + ["net0"] * 2
    assert [row.rank for row in ranking if row.status == "ok"] == [1, 1, 3, 3]
    for row in ranking:
        if row.status == "ok":
            data = zoo.near if row.model == "net1" else zoo.far
            direct = reference.inter_dataset_distance(*zoo.target, *data)
            assert row.scores["ids"] == pytest.approx(direct, rel=1e-5)
            assert row.score == row.scores["ids"] == min(row.per_class)
    assert ranking.baseline.score is None
    assert ranking.verdict.startswith("Try net1 cut at")


def test_prototypes_are_sought_once_and_kept(zoo, monkeypatch):
    sought = []
    seek = prototypes.class_prototypes
    monkeypatch.setattr(
        prototypes, "class_prototypes", lambda X, y: sought.append(X.shape) or seek(X, y)
    )
    first = zoo.ranked(score="ids")
    assert sorted(sought) == [(12, 25), (12, 30), (12, 40)]
    second = zoo.ranked(score="ids")
    assert len(sought) == 3
    assert [row.score for row in second] == [row.score for row in first]
    X, y = zoo.near
    np.savez(zoo.folder / "near.npz", X=X + np.arange(40), y=y)
    assert [row.score for row in zoo.ranked(score="ids")] != [row.score for row in first]
    assert sought[3:] == [(12, 40)]


def test_a_source_without_data_is_ranked_by_the_other_scores_and_says_so(tmp_path):
    zoo = SeriesZoo(tmp_path / "zoo", ["near.npz", None])
    ranking = zoo.ranked(score="silhouette:euclidean,ids")
    assert all(row.rank for row in ranking if row.model == "net1")
    notes = {row.note for row in ranking if row.model == "net1"}
    assert notes == {"no IDS: the manifest does not say what it was `trained_on`"}
    assert all("ids" not in row.scores for row in ranking if row.model != "net0")
    assert all(row.note == "" for row in ranking if row.model == "net0")


def test_a_source_without_data_fails_where_data_decide(tmp_path):
    zoo = SeriesZoo(tmp_path / "zoo", ["near.npz", None])
    ranking = zoo.ranked(score="ids")
    assert {row.model for row in ranking if row.rank} == {"net0"}
    assert [(row.model, row.cut) for row in ranking.failures] == [
        ("net1", "0"),
        ("net1", "penultimate"),
    ]
    assert "trained_on" in ranking.failures[0].note


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("absent.npz", "absent.npz does not exist"),
        ("wide.npz", "series of 5000 steps; at most 4096"),
        ("sklearn:digts", "did you mean 'sklearn:digits'"),
    ],
)
def test_data_that_cannot_be_used_are_a_note(tmp_path, place, reason):
    zoo = SeriesZoo(tmp_path / "zoo", ["near.npz", place])
    ranking = zoo.ranked(score="consensus,ids")
    notes = {row.note for row in ranking if row.model == "net1"}
    assert len(notes) == 1
    assert reason in notes.pop()
    assert all(row.rank for row in ranking if row.model == "net1")


def test_a_target_that_cannot_be_aligned_spares_the_sources(tmp_path, monkeypatch):
    zoo = SeriesZoo(tmp_path / "zoo", ["near.npz", "far.npz"])
    sought, seek = [], prototypes.class_prototypes
    wide = (np.random.default_rng(0).normal(size=(6, 5000)), ["a", "b"] * 3)
    monkeypatch.setattr(
        prototypes, "class_prototypes", lambda X, y: sought.append(X.shape) or seek(X, y)
    )
    ranking = zoo.ranked(data=wide, score="silhouette,ids")
    assert set(sought) == {(6, 5000)}
    notes = {row.note for row in ranking if row.rank}
    assert len(notes) == 1
    assert "series of 5000 steps; at most 4096" in notes.pop()


def test_images_are_not_series(tmp_path):
    zoo = SeriesZoo(tmp_path / "zoo", ["near.npz"])
    text = zoo.manifest.read_text().replace('input = "series"', 'input = "image"')
    zoo.manifest.write_text(text)
    of_target = Prototypes(load_target(zoo.folder / "target.npz"), EncodingStore(tmp_path / "s"))
    with pytest.raises(DataError, match="its input is images"):
        of_target.of_source(load_zoo(zoo.manifest, allow_code=[zoo.code]).models[0])


def test_no_source_with_data_is_a_mistake_known_at_once(tmp_path, capsys):
    zoo = SeriesZoo(tmp_path / "zoo", [None, None])
    with pytest.raises(UsageError, match=r"zoo\.toml names none; add `trained_on`"):
        zoo.ranked(score="knn,ids")
    assert main(["rank", str(zoo.manifest), "--score", "ids", "--allow-code", str(zoo.code)]) == 2
    assert "add `trained_on` to its models" in capsys.readouterr().err


def test_files_have_no_source_data(tmp_path, capsys):
    np.savez(tmp_path / "both.npz", X=np.eye(4), y=[0, 0, 1, 1])
    assert main(["score", str(tmp_path / "both.npz"), "--score", "ids"]) == 2
    assert "'ids' needs more than an encoding and labels" in capsys.readouterr().err
