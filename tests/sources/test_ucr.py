"""The networks of examples/ucr are those that were trained: they classify their own data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.sources.opened import prepared

from zoorank.encoding.encode import encode_source
from zoorank.sources.manifest import load_zoo
from zoorank.sources.torch.source import load
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target

EXAMPLE = Path(__file__).parents[2] / "examples" / "ucr"


@pytest.fixture(scope="module")
def zoo(data_dir: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOORANK_DATA", str(data_dir))
        return load_zoo(EXAMPLE / "zoo.toml", allow_code=[EXAMPLE])


def test_there_are_36(zoo) -> None:
    assert len(zoo.models) == 36


@pytest.mark.parametrize(
    ("name", "accuracy"),
    [
        ("GunPoint", 1.0),
        ("Coffee", 1.0),
        ("Trace", 1.0),
        ("Plane", 1.0),
        ("CBF", 0.99),
        ("ArrowHead", 0.80),
    ],
)
def test_accuracy_on_its_own_data(zoo, data_dir: Path, name: str, accuracy: float) -> None:
    spec = next(spec for spec in zoo.models if spec.name == name)
    target = load_target(data_dir / "ucr" / f"{name}.npz", split="test")
    model = load(spec).module
    with torch.inference_mode():
        logits = torch.cat(
            [
                model(prepared(spec.preprocessing, target, rows))
                for rows in np.array_split(np.arange(target.n_samples), 64)
                if len(rows)
            ]
        )
    found = float(np.mean(target.classes[logits.argmax(dim=1)] == target.labels))
    assert found == pytest.approx(accuracy, abs=0.005)


def test_a_network_knows_its_own_data_best(zoo, data_dir: Path, tmp_path: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    target = load_target(data_dir / "ucr" / "Coffee.npz")
    store = EncodingStore(tmp_path)
    scores = {}
    for spec in zoo.models[:6]:
        (encoding,) = encode_source(spec, target, cuts=["penultimate"], store=store).encodings
        assert encoding.record.dim == 128
        scores[spec.name] = metrics.silhouette_score(
            encoding.load(), target.labels, metric="cosine"
        )
    assert max(scores, key=scores.__getitem__) == "Coffee"
