"""A zoo whose order is known: each network lets some informative columns through, and noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

CODE = '''
from pathlib import Path

import torch
from torch import nn


class Keep(nn.Sequential):
    """Keeps the first columns; the later ones are mere noise. Logs its forward passes."""

    def __init__(self, name, columns, noise=1.0):
        super().__init__(nn.Linear(6, 6, bias=False), nn.Identity(), nn.Linear(6, 2))
        self.name = name
        scale = torch.tensor([float(i < columns) for i in range(3)] + [noise] * 3)
        with torch.no_grad():
            self[0].weight.copy_(torch.diag(scale))

    def forward(self, x):
        if len(x) > 2:
            with open(Path(__file__).with_name("passes.txt"), "a") as log:
                log.write(f"{self.name} {len(x)}\\n")
        return super().forward(x)


class Late(Keep):
    """Breaks on rows that only the last round looks at."""

    def forward(self, x):
        return super().forward(torch.where(x[:, 5:] > 5, float("nan"), x))
'''

HEAD = """
data = "target.npz"
batch_size = 64
cuts = ["0"]
preprocessing = { input = "table", scaling = "none" }
"""

MODEL = """
[[model]]
name = "{name}"
factory = "race_code:{kind}"
arguments = {{ name = "{name}", columns = {columns}, noise = {noise} }}
weights = {{ random = {{ seed = 0 }} }}
"""


@dataclass(frozen=True)
class RaceZoo:
    """Where the parts are."""

    folder: Path

    @property
    def manifest(self) -> Path:
        return self.folder / "zoo.toml"

    @property
    def code(self) -> Path:
        return self.folder / "code"

    def passes(self) -> dict[str, int]:
        """Samples that went through each network so far."""
        log = self.code / "passes.txt"
        found: dict[str, int] = {}
        for name, size in map(str.split, log.read_text().splitlines() if log.exists() else []):
            found[name] = found.get(name, 0) + int(size)
        return found


def race_zoo(
    folder: Path, models: dict[str, tuple[str, int, float]], *, n: int = 640, bad_row: int = -1
) -> RaceZoo:
    """Write it: ``models`` has the kind, the columns kept and the size of the noise by name."""
    zoo = RaceZoo(folder)
    zoo.code.mkdir(parents=True)
    (zoo.code / "race_code.py").write_text(CODE)
    text = HEAD
    for name, (kind, columns, noise) in models.items():
        text += MODEL.format(name=name, kind=kind, columns=columns, noise=noise)
    zoo.manifest.write_text(text)
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 4
    X = rng.normal(size=(n, 6)).clip(-4, 4)
    X[:, :3] += 3.0 * np.eye(4, 3)[labels]
    if bad_row >= 0:
        X[bad_row, 5] = 9.0
    np.savez(folder / "target.npz", X=X.astype(np.float32), y=labels)
    return zoo
