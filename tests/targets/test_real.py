"""Real data are read as they are published, and their baselines tell their classes apart."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.targets.real import animals, carried, fashion, fortunes, link_prompts

from zoorank.targets import load_target
from zoorank.targets.base import Target


def nearest(target: Target) -> float:
    """Share of rows whose nearest other row has their label, by the baseline."""
    X = np.asarray(target.baseline(), dtype=np.float64)
    squares = (X**2).sum(axis=1)
    distances = squares[:, None] - 2 * X @ X.T + squares
    np.fill_diagonal(distances, np.inf)
    return float((target.labels[distances.argmin(axis=1)] == target.labels).mean())


def test_fortunes(tmp_path: Path) -> None:
    texts, labels = fortunes()
    with (tmp_path / "fortunes.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *zip(texts, labels, strict=True)])
    target = load_target(tmp_path / "fortunes.csv")
    assert (len(target), len(target.classes)) == (723, 8)
    assert target.take(range(723)) == texts
    for text, label in zip(texts, labels, strict=True):
        folder = tmp_path / "by-subject" / label
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{len(list(folder.iterdir())):03}.txt").write_text(text, encoding="utf-8")
    by_subject = load_target(tmp_path / "by-subject")
    assert sorted(by_subject.take(range(723))) == sorted(texts)
    assert nearest(target) > 0.3
    assert nearest(by_subject) > 0.3


def test_fashion_mnist() -> None:
    for split, n in (("train", 60_000), ("test", 10_000)):
        target = load_target(fashion(), split=split)
        assert target.X.shape == (n, 28, 28)
        assert np.array_equal(np.bincount(target.labels), [n // 10] * 10)
    assert nearest(load_target(fashion(), limit=1000)) > 0.7


def test_animals() -> None:
    target = load_target(animals(), limit=1000)
    assert (target.modality, target.shape, len(target.classes)) == ("image", "(28, 28)", 10)
    assert nearest(target) > 0.2


def test_five_languages(tmp_path: Path) -> None:
    target = load_target(link_prompts(tmp_path, 20))
    assert (target.modality, len(target)) == ("audio", 100)
    assert target.classes.tolist() == ["en", "es", "fr", "it", "ru"]
    assert nearest(target) > 0.8


def test_japanese_vowels() -> None:
    folder = carried("aeon", "datasets/data/JapaneseVowels")
    target = load_target(folder / "JapaneseVowels_TRAIN.ts")
    assert target.X.shape == (270, 12, 26)
    assert target.notes == ("series of 7 to 26 steps are stretched to 26",)
    first = (folder / "JapaneseVowels_TRAIN.ts").read_text().split("@data\n")[1].split("\n")[0]
    values = np.array([each.split(",") for each in first.split(":")[:-1]], dtype=float)
    assert np.allclose(target.X[0][:, [0, -1]], values[:, [0, -1]])
    assert nearest(target) > 0.9
    test = load_target(folder / "JapaneseVowels_TEST.ts")
    assert test.X.shape == (370, 12, 29)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("ArrowHead", (36, 251)),
        ("BasicMotions", (40, 6, 100)),
        ("ItalyPowerDemand", (67, 24)),
        ("GunPoint", (50, 150)),
        ("OSULeaf", (200, 427)),
    ],
)
def test_series_of_archives(name: str, shape: tuple[int, ...]) -> None:
    folder = carried("aeon", f"datasets/data/{name}")
    target = load_target(folder / f"{name}_TRAIN.ts")
    assert target.X.shape == shape
    assert target.notes == ()
    if (folder / f"{name}_TRAIN.tsv").exists():
        tsv = load_target(folder / f"{name}_TRAIN.tsv")
        assert np.allclose(tsv.X, target.X)
        assert tsv.labels.tolist() == target.labels.tolist()
    if (folder / f"{name}_TEST.ts").exists():
        assert len(load_target(folder, split="all")) > len(target)


def test_the_ucr_archive(data_dir: Path) -> None:
    for path in sorted((data_dir / "ucr").glob("*.npz")):
        with np.load(path) as content:
            n = len(content["y_train"])
        assert len(load_target(path, modality="series")) == n


def test_diabetes() -> None:
    target = load_target("sklearn:diabetes")
    assert (target.task, target.X.shape) == ("numbers", (442, 10))
    assert target.labels.min() == 25


def test_tagged_sentences() -> None:
    path = Path(__file__).with_name("tagged.conllu")
    target = load_target(path)
    lines = [line.split("\t") for line in path.read_text().splitlines() if line[:1].isdigit()]
    assert target.labels.tolist() == [cells[3] for cells in lines]
    assert [word for sentence in target.take(range(len(target))) for word in sentence] == [
        cells[1] for cells in lines
    ]
    assert (len(target), len(target.classes)) == (40, 14)
    assert nearest(target) > 0.45
    as_json = [
        {"tokens": words, "tags": target.labels[target.rows_of(range(k, k + 1))].tolist()}
        for k, words in enumerate(target.take(range(40)))
    ]
    assert json.loads(json.dumps(as_json)) == as_json
