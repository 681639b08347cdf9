"""Rankings of large targets keep within memory: each in a process of its own, beyond start-up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.long

GIGABYTE = 1e9

# Start-up is a ranking of a small target of the same kind: what all packages take to load.
RANKED = """
import json, resource, sys
import torch
torch.set_num_threads(1)
import zoorank
from zoorank.sources.manifest import load_zoo
manifest, small, large, options = sys.argv[1:]
zoo, options = load_zoo(manifest), json.loads(options)
zoorank.rank(zoo, small, device="cpu", **options)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ranking = zoorank.rank(zoo, large, device="cpu", **options)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = [[row.status, row.dim, row.note] for row in ranking]
print(json.dumps([ranking.target.n_rows, rows, (after - before) * 1024]))
"""

IDENTITY = """
[[model]]
name = "pixels"
factory = "torch.nn:AvgPool2d"
arguments = {{ kernel_size = {size} }}
weights.random = {{}}
cuts = ["penultimate"]
preprocessing = {{ input = "image", size = {size} }}
"""


def ranked(manifest: Path, small: Path, large: Path, **options: Any) -> tuple[int, list[Any], int]:
    """How many rows the target has, the rows of its ranking, and the bytes that it took."""
    call = [sys.executable, "-c", RANKED, *map(str, (manifest, small, large)), json.dumps(options)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    n_rows, rows, taken = json.loads(done.stdout)
    assert all(status in ("ok", "baseline") for status, _, _ in rows), rows
    print(f"{taken / 1e6:.0f} MB for {n_rows} rows")  # shown where a test fails, or by -s
    return n_rows, rows, taken


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def test_photos_of_12_megapixels(store: Path) -> None:
    rng = np.random.default_rng(0)
    for folder, count, size in (("small", 4, (40, 30)), ("large", 32, (4000, 3000))):
        for k in range(count):
            place = store / folder / "ab"[k % 2]
            place.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (30, 40, 3), np.uint8)
            Image.fromarray(pixels).resize(size).save(place / f"{k}.jpg", quality=70)
    (store / "zoo.toml").write_text(IDENTITY.format(size=224))
    n_rows, _, taken = ranked(store / "zoo.toml", store / "small", store / "large")
    assert n_rows == 32
    assert taken < 0.8 * GIGABYTE


def test_an_array_of_750_megabytes(store: Path) -> None:
    rng = np.random.default_rng(0)
    for folder, count in (("small", 4), ("large", 5000)):
        (store / folder).mkdir()
        place = store / folder / "X.npy"
        X = np.lib.format.open_memmap(place, "w+", "u1", (count, 224, 224, 3))
        for k in range(count):
            X[k] = rng.integers(0, 256, (224, 224, 3), np.uint8)
        X.flush()
        np.save(store / folder / "labels.npy", np.arange(count) % (2 if count < 10 else 10))
    (store / "zoo.toml").write_text(IDENTITY.format(size=32))
    small, large = (store / name / "X.npy" for name in ("small", "large"))
    n_rows, _, taken = ranked(store / "zoo.toml", small, large)
    assert n_rows == 5000
    assert taken - large.stat().st_size < GIGABYTE  # pages of the file count, though they can go


def test_two_hundred_thousand_tagged_words(store: Path) -> None:
    import torch
    import transformers
    from tests.sources.tiny_transformers import WORDS, tokenizer

    sizes = {"hidden_size": 384, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=len(WORDS), intermediate_size=64, **sizes)
    transformers.BertModel(config).save_pretrained(store / "bert")
    tokenizer("bert").save_pretrained(store / "bert")
    rng = np.random.default_rng(0)
    for name, sentences in (("small", 20), ("large", 10_000)):
        places = rng.integers(5, len(WORDS), (sentences, 20))
        lines = ["\n".join(f"{WORDS[k]} T{k % 7}" for k in words) for words in places]
        (store / f"{name}.conll").write_text("\n\n".join(lines) + "\n")
    (store / "zoo.toml").write_text(
        f'[[model]]\nsource = "hf:{store / "bert"}"\ncuts = ["penultimate"]\n'
    )
    small, large = (store / f"{name}.conll" for name in ("small", "large"))
    n_rows, rows, taken = ranked(store / "zoo.toml", small, large)
    assert n_rows == 200_000
    (dim,) = (dim for status, dim, _ in rows if status == "ok")
    assert dim == 384
    assert taken - 4 * n_rows * dim < 2 * GIGABYTE
