"""A zoo that ranks in milliseconds: its networks, manifest and target in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

CODE = '''
import os
import time
from pathlib import Path

from torch import nn


class Net(nn.Sequential):
    """Counts its forward passes in a file and can be slow."""

    def __init__(self, name="net", width=8, delay=0.0):
        super().__init__(
            nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3)
        )
        self.name, self.delay = name, delay

    def forward(self, x):
        with open(Path(__file__).with_name("passes.txt"), "a") as log:
            log.write(f"{self.name} {len(x)}\\n")
        time.sleep(self.delay)
        return super().forward(x)


class NotANumber(Net):
    def forward(self, x):
        return super().forward(x * float("nan"))


class Constant(Net):
    def forward(self, x):
        return super().forward(x * 0)


class Larger(Net):
    """The same encodings, at more parameters."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self[0].unused = nn.Parameter(self[0].bias.detach().clone())


def raises():
    raise RuntimeError("no such\\nvariant")
'''

GOOD = """
[[model]]
name = "{name}"
factory = "tiny_code:Net"
arguments = {{ name = "{name}", width = {width}, delay = {delay} }}
weights = {{ random = {{ seed = {seed} }} }}
"""

BROKEN = """
[[model]]
name = "no-weights"
factory = "tiny_code:Net"
weights = { file = "absent.safetensors" }

[[model]]
name = "no-network"
factory = "tiny_code:raises"
weights = { random = {} }

[[model]]
name = "no-number"
factory = "tiny_code:NotANumber"
weights = { random = {} }
"""


@dataclass(frozen=True)
class TinyZoo:
    """Where the parts of a tiny zoo are."""

    folder: Path

    @property
    def manifest(self) -> Path:
        return self.folder / "zoo.toml"

    @property
    def code(self) -> Path:
        return self.folder / "code"

    @property
    def data(self) -> Path:
        return self.folder / "target.npz"

    def passes(self) -> list[tuple[str, int]]:
        """Every forward pass so far on more than the two samples of a trial: (model, samples)."""
        log = self.code / "passes.txt"
        lines = log.read_text().splitlines() if log.exists() else []
        found = [(name, int(size)) for name, size in map(str.split, lines)]
        return [(name, size) for name, size in found if size > 2]


def tiny_zoo(
    folder: Path, *, models: int = 2, delay: float = 0.0, broken: bool = False, useful: bool = True
) -> TinyZoo:
    """Write the zoo; its target's classes differ in scale alone unless it is ``useful``."""
    zoo = TinyZoo(folder)
    zoo.code.mkdir(parents=True)
    (zoo.code / "tiny_code.py").write_text(CODE)
    text = 'data = "target.npz"\nbatch_size = 20\ncuts = ["1", "penultimate"]\n'
    text += 'preprocessing = { input = "table" }\n'
    for index in range(models):
        text += GOOD.format(name=f"net{index}", width=8 + index, delay=delay, seed=index)
    zoo.manifest.write_text(text + (BROKEN if broken else ""))
    rng = np.random.default_rng(0)
    labels = np.repeat(["cat", "dog", "eel"], 20)
    X = rng.normal(size=(60, 6))
    if useful:
        X[:, :3] += 4.0 * np.eye(3)[np.repeat(range(3), 20)]
    np.savez(zoo.data, X=X.astype(np.float32), y=labels)
    return zoo
