"""What all tests share: tiny manifests and targets, and where the real data are."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.ranking.tiny_zoo import TinyZoo, tiny_zoo

from zoorank.sources.torch.source import TorchSource
from zoorank.targets import load_target
from zoorank.targets.base import Target

# A shell that starts a command in the background has it ignore SIGINT, which children inherit:
# there would be nothing to interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]
NETS = ROOT / "tests" / "sources"


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    # Networks this small gain nothing from more, and suffer on a busy machine.
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The real data, which are no part of the project."""
    folder = Path(os.environ.get("ZOORANK_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "fcn-zoo").is_dir():
        pytest.skip(f"no real data in {folder} (set ZOORANK_DATA)")
    return folder


@pytest.fixture
def table() -> Target:
    """Sixty rows, three classes, the fourth column of no use."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], 20)
    X = rng.normal(size=(60, 4))
    X[:, 0] += np.repeat([0.0, 3.0, 6.0], 20)
    return load_target((X, labels))


@pytest.fixture
def images() -> Target:
    """Twenty colour images of 16 by 16 pixels."""
    rng = np.random.default_rng(0)
    return load_target((rng.integers(0, 256, (20, 16, 16, 3), np.uint8), np.arange(20) % 2))


SpecMaker = Callable[..., TorchSource]


@pytest.fixture
def make_spec(tmp_path: Path) -> SpecMaker:
    """Write a manifest of one model with a network of tiny_nets, and load it."""

    from zoorank.sources.manifest import load_zoo

    def make(network: str, weights: str = "random = { seed = 0 }", **keys: Any) -> TorchSource:
        keys = {"preprocessing": {"input": "table"}, **keys}
        rest = "".join(f"{key} = {_toml(value)}\n" for key, value in keys.items())
        manifest = tmp_path / "one.toml"
        manifest.write_text(
            f'[[model]]\nname = "one"\nfactory = "tiny_nets:{network}"\n'
            f"weights = {{ {weights} }}\n{rest}"
        )
        return load_zoo(manifest, allow_code=[NETS]).models[0]

    return make


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


@pytest.fixture
def zoo(tmp_path: Path) -> TinyZoo:
    """Two networks that work."""
    return tiny_zoo(tmp_path / "zoo")


@pytest.fixture
def broken_zoo(tmp_path: Path) -> TinyZoo:
    """Two networks that work and three that do not."""
    return tiny_zoo(tmp_path / "broken", broken=True)
