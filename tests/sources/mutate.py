"""Open damaged copies of files that sources and rankings are made of, for some seconds.

Run as ``python mutate.py KIND[,KIND...] SEED SECONDS FOLDER``; its last line says what went
wrong, as JSON. It is a program of its own, so that memory can be measured and a crash is seen
for what it is.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

# Before any library looks at it: nothing may be fetched.
os.environ |= {"KERAS_BACKEND": "torch", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}

from tests.sources.mutants import NETWORKS, damaged_json  # noqa: E402
from tests.targets.mutate import damaged, tried  # noqa: E402

from zoorank.ranking import Ranking  # noqa: E402
from zoorank.ranking.record import Trained, append_record, read_record  # noqa: E402
from zoorank.scores import find_scores  # noqa: E402
from zoorank.scores.files import score_file  # noqa: E402
from zoorank.sources.base import OpenOptions  # noqa: E402
from zoorank.sources.manifest import load_zoo, zoo_of  # noqa: E402
from zoorank.store.encodings import EncodingStore  # noqa: E402
from zoorank.store.ledger import _NAME as LEDGER  # noqa: E402
from zoorank.store.ledger import Key, Ledger, LedgerEntry  # noqa: E402

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


def _made(make: Callable[[Path], object]) -> bytes:
    """What is written into a file."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "made")
        make(path)
        return path.read_bytes()


LINES = [Trained("birds", f"net{k}", "cut", k / 9, "head", 400, fingerprint="ab") for k in range(9)]
OUTCOMES = {
    Key(f"source {i}", "target", "cut", score): LedgerEntry(value=i / 7, facts={"dim": i})
    for i in range(9)
    for score in ("logme", "knn")
}
ENCODING = "0" * 32


def _ledger(path: Path) -> None:
    with TemporaryDirectory() as folder:
        with Ledger(folder) as ledger:
            ledger.record(OUTCOMES)
        path.write_bytes(next(Path(folder).glob("ledger*.sqlite")).read_bytes())


def _outcomes(path: Path) -> None:
    """What a damaged ledger still says is what it was told."""
    with Ledger(path.parent) as ledger:
        for key, told in OUTCOMES.items():
            found = ledger.outcome(key)
            assert found is None or found == told, (key, found)
        ledger.record(OUTCOMES)
        assert {key: ledger.outcome(key) for key in OUTCOMES} == OUTCOMES
    for other in path.parent.glob("ledger*"):
        if other != path:
            other.unlink()


def _stored(path: Path) -> None:
    with EncodingStore(path.parent).writer(ENCODING, *VECTORS.shape) as writer:
        writer.append(VECTORS)
        writer.commit({"cut": "a"})


def _kept(path: Path) -> None:
    """A damaged encoding is absent or the one that was kept."""
    store = EncodingStore(path.parent)
    if store.metadata(ENCODING) is not None:
        assert np.array_equal(store.load(ENCODING), VECTORS)


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
    "words-packed": ("words.vec.gz", lambda: gzip.compress(_text()), _words),
    "record": (
        "record.jsonl",
        lambda: _made(lambda path: append_record(path, LINES)),
        read_record,
    ),
    "ledger": (LEDGER, lambda: _made(_ledger), _outcomes),
    "store": (f"{ENCODING}.npy", lambda: b"", _kept),
    "store-json": (f"{ENCODING}.json", lambda: b"", _kept),
}


def main(kind: str, seed: int, seconds: float, folder: Path) -> dict[str, object]:
    warnings.simplefilter("ignore")
    logging.disable()
    read: Callable[[], object]
    how: Callable[[bytes, np.random.Generator], bytes]
    if kind in NETWORKS:
        network = NETWORKS[kind]
        network.write(folder)
        path, read = folder / network.file, lambda: network.read(folder)
        how = network.damaged
    else:
        name, make, opened = KINDS[kind]
        how = damaged_json if name.endswith(".json") else damaged
        path, read = folder / name, lambda: opened(path)
        (folder / "words.txt").write_bytes(_text())
        path.write_bytes(make())
        if kind.startswith("store"):
            _stored(path)
    content = path.read_bytes()
    read()
    return tried(path, content, read, folder, seed, seconds, how)


if __name__ == "__main__":
    kinds, seed, seconds, folder = sys.argv[1:]
    found = {}
    for kind in kinds.split(","):
        place = Path(folder, kind)
        place.mkdir()
        found[kind] = main(kind, int(seed), float(seconds), place)
        if found[kind]["wrong"]:
            break
    print("\n" + json.dumps(found))
