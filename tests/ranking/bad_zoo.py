"""A zoo of good sources among which bad ones stand, each bad in one of twelve ways."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.ranking.tiny_zoo import TinyZoo, tiny_zoo

CODE = '''
import ctypes
import os
import signal
import socket
import sys
import time

import torch
from torch import nn


class Net(nn.Sequential):
    """Does something bad, if anything, in its factory or with the batch after the trial."""

    def __init__(self, does="", width=8):
        super().__init__(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 3))
        self.does = does
        if does in AT_ONCE:
            AT_ONCE[does]()

    def forward(self, x):
        y = super().forward(x)
        return LATER[self.does](y) if self.does in LATER and len(x) > 2 else y


def spins():
    while True:
        pass


def raises():
    raise KeyError("layer4")


def leaves():
    sys.exit("no licence")


def eats():
    HELD.extend(torch.ones(2**24) for _ in range(64))


def recurses():
    sys.setrecursionlimit(10**9)

    def down(k):
        return down(k + 1) + 1

    down(0)


def leaks():
    """Works, and changes for all others what it can."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed = None
    os.chdir("/")
    os.environ["HOME"] = "/nowhere"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    socket.setdefaulttimeout(0.001)
    nn.ReLU.forward = lambda self, x: x * 0
    raise RuntimeError("after all that")


HELD = []
AT_ONCE = {"raises": raises, "recurses": recurses, "leaks": leaks}
LATER = {
    "leaves": lambda y: leaves(),
    "ends": lambda y: os._exit(0),
    "crashes": lambda y: ctypes.string_at(0),
    "is killed": lambda y: os.kill(os.getpid(), signal.SIGKILL),
    "sleeps": lambda y: time.sleep(600),
    "spins": lambda y: spins(),
    "eats": lambda y: eats(),
    "gives no numbers": lambda y: y * float("nan"),
    "loses rows": lambda y: y[1:],
}
# What is the same for all samples is no encoding, and only the pass over all of them tells.
LATER["gives one row"] = lambda y: y[:1].expand(len(y), -1) * 0 + 1
'''

# What a row of each says; the word of a signal is that of the system.
WAYS = {
    "raises": "factory bad_code:Net failed: KeyError: 'layer4'",
    "leaves": "SystemExit: no licence",
    "ends": "its code ended the process (exit code 0)",
    "crashes": "its process crashed (SIGSEGV)",
    "is killed": "its process was killed",
    "sleeps": "it hangs: nothing done for",
    "spins": "it hangs: no progress for",
    "eats": "",
    "recurses": "",
    "leaks": "factory bad_code:Net failed: RuntimeError: after all that",
    "gives no numbers": "gives NaN for row 0",
    "loses rows": "gives 19 rows for 20 samples",
    "gives one row": "its encoding is the same for all samples",
}

ENTRY = """
[[model]]
name = "{name}"
factory = "bad_code:Net"
arguments = {{ does = "{does}", width = {width} }}
weights = {{ random = {{ seed = {seed} }} }}
cuts = ["logits"]
"""


@dataclass(frozen=True)
class BadZoo:
    """A zoo, what its bad sources do by their names, and the names of the good ones."""

    zoo: TinyZoo
    bad: dict[str, str]
    good: tuple[str, ...]


def bad_zoo(folder: Path, sources: int, every: int) -> BadZoo:
    """Write a zoo in which every so manieth source is bad, each way in its turn."""
    zoo = tiny_zoo(folder, models=0)
    (zoo.code / "bad_code.py").write_text(CODE)
    ways, bad, good, text = list(WAYS), {}, [], zoo.manifest.read_text()
    for i in range(sources):
        does = ways[len(bad) % len(ways)] if i % every == every - 1 else ""
        name = f"{i} {does or 'is good'}"
        text += ENTRY.format(name=name, does=does, width=8 + i % 8, seed=i)
        if does:
            bad[name] = does
        else:
            good.append(name)
    zoo.manifest.write_text(text)
    return BadZoo(zoo, bad, tuple(good))
