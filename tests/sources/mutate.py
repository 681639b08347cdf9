"""Open damaged copies of files that sources and rankings are made of, for some seconds.

Run as ``python mutate.py KIND SEED SECONDS FOLDER``; prints what went wrong as JSON. It is a
program of its own, so that memory can be measured and a crash is seen for what it is.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.targets.mutate import tried  # noqa: E402

from zoorank.ranking import Ranking  # noqa: E402
from zoorank.scores import find_scores  # noqa: E402
from zoorank.scores.files import score_file  # noqa: E402
from zoorank.sources.base import OpenOptions  # noqa: E402
from zoorank.sources.manifest import load_zoo, zoo_of  # noqa: E402

MANIFEST = """
data = "target.npz"
cuts = ["penultimate"]
preprocessing = { input = "table", scaling = "none" }

[[model]]
name = "a"
factory = "torch.nn:Linear"
arguments = { in_features = 4, out_features = 2 }
weights = { file = "WEIGHTS" }

[[model]]
name = "b"
source = "vectors:words.txt"
preprocessing = { input = "text" }
"""
WORDS = [f"word{i}" for i in range(12)]
VECTORS = np.random.default_rng(0).normal(size=(12, 4)).astype("f4")


def _text() -> bytes:
    lines = (f"{w} {' '.join(map(str, v))}" for w, v in zip(WORDS, VECTORS, strict=True))
    return "\n".join(lines).encode()


def _binary() -> bytes:
    rows = (w.encode() + b" " + v.tobytes() for w, v in zip(WORDS, VECTORS, strict=True))
    return b"12 4\n" + b"\n".join(rows)


def _array() -> bytes:
    stream = BytesIO()
    np.save(stream, VECTORS)
    return stream.getvalue()


def _state() -> dict[str, object]:
    import torch

    return {"weight": torch.ones(2, 4), "bias": torch.zeros(2)}


def _torch() -> bytes:
    import torch

    stream = BytesIO()
    torch.save(_state(), stream)
    return stream.getvalue()


def _safetensors() -> bytes:
    from safetensors.torch import save

    content: bytes = save(_state())
    return content


def _ranking() -> bytes:
    from tests.report.rankings import ranking_of, zoo

    text: str = ranking_of(zoo(["one", "two"], cuts=["a", "b"])).to_json()
    return text.encode()


def _words(path: Path) -> None:
    for source in zoo_of(f"vectors:{path}").models:
        with source.resolve(lambda _: None).open(OpenOptions("text", "cpu")):
            pass


def _weights(path: Path) -> None:
    manifest = path.with_name("zoo.toml")
    manifest.write_text(
        MANIFEST.replace("WEIGHTS", path.name).partition('[[model]]\nname = "b"')[0]
    )
    for source in load_zoo(manifest).models:
        with source.resolve(lambda _: None).open(OpenOptions("table", "cpu")):
            pass


def _score(path: Path) -> None:
    np.save(path.with_name("labels.npy"), np.arange(12) % 2)
    for score in find_scores("silhouette,logme"):
        score_file(path, path.with_name("labels.npy"), score)


KINDS: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], object]]] = {
    "manifest": ("zoo.toml", MANIFEST.replace("WEIGHTS", "w.pt").encode, load_zoo),
    "words": ("words.txt", _text, _words),
    "words-binary": ("words.bin", _binary, _words),
    "torch": ("w.pt", _torch, _weights),
    "safetensors": ("w.safetensors", _safetensors, _weights),
    "ranking": ("ranking.json", _ranking, Ranking.from_json),
    "encoding": ("X.npy", _array, _score),
}


def main(kind: str, seed: int, seconds: float, folder: Path) -> dict[str, object]:
    warnings.simplefilter("ignore")
    name, make, read = KINDS[kind]
    path, content = folder / name, make()
    (folder / "words.txt").write_bytes(_text())
    path.write_bytes(content)
    read(path)
    return tried(path, content, lambda: read(path), folder, seed, seconds)


if __name__ == "__main__":
    kind, seed, seconds, folder = sys.argv[1:]
    print(json.dumps(main(kind, int(seed), float(seconds), Path(folder))))
