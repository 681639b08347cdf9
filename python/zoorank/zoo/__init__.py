"""Models in, encodings out: the only room of zoorank that imports torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

if importlib.util.find_spec("torch") is None:
    raise ModuleNotFoundError("zoorank.zoo needs torch: pip install 'zoorank[zoo]'", name="torch")

from zoorank.zoo.cuts import Cut, list_cuts, resolve_cuts
from zoorank.zoo.data import load_target
from zoorank.zoo.encode import encode_source, torch_device
from zoorank.zoo.factory import check_code
from zoorank.zoo.load import load_model
from zoorank.zoo.manifest import load_zoo
from zoorank.zoo.memory import Keep
from zoorank.zoo.plan import EncodedSource, Encoding
from zoorank.zoo.specs import ModelSpec, Zoo
from zoorank.zoo.store import EncodingStore
from zoorank.zoo.target import Target

DEMO_MANIFEST = Path(__file__).with_name("demo.toml")

__all__ = [
    "DEMO_MANIFEST",
    "Cut",
    "EncodedSource",
    "Encoding",
    "EncodingStore",
    "Keep",
    "ModelSpec",
    "Target",
    "Zoo",
    "check_code",
    "encode_source",
    "list_cuts",
    "load_model",
    "load_target",
    "load_zoo",
    "resolve_cuts",
    "torch_device",
]
