"""Whatever a source raises, and wherever, is its own row; in this process too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")

from tests.ranking.tiny_zoo import TinyZoo, tiny_zoo  # noqa: E402

from zoorank.ranking.rank import rank  # noqa: E402
from zoorank.scores import computing  # noqa: E402

CODE = '''
import asyncio

import torch
from torch import nn


class Mute(Exception):
    """Cannot even say what it is."""

    def __str__(self):
        raise SystemExit("not that either")


class Loud(Exception):
    def __init__(self):
        super().__init__("\\x1b[31mred\\n\\u202etxt\\0" * 100_000)


class Group(BaseException):
    pass


ERRORS = {
    "KeyError": KeyError("layer4"),
    "AttributeError": AttributeError("no attribute"),
    "StopIteration": StopIteration(),
    "OSError": OSError(28, "No space left on device"),
    "RecursionError": RecursionError("maximum recursion depth exceeded"),
    "MemoryError": MemoryError(),
    "SystemExit": SystemExit(0),
    "GeneratorExit": GeneratorExit(),
    "CancelledError": asyncio.CancelledError(),
    "UnicodeDecodeError": UnicodeDecodeError("utf-8", b"\\xff", 0, 1, "invalid start byte"),
    "Mute": Mute(),
    "Loud": Loud(),
    "Group": Group("of its own"),
}


class Norm(nn.BatchNorm1d):
    def forward(self, x):
        if self.training:
            self.fail()
        return super().forward(x)


class Net(nn.Sequential):
    def __init__(self, error="", place="", width=5):
        super().__init__(nn.Linear(6, width), Norm(width), nn.ReLU(), nn.Linear(width, 3))
        self.error, self.place = error, place
        self[1].fail = lambda: self.fail("calibration")
        self.fail("factory")

    def fail(self, place):
        if place == self.place:
            raise ERRORS[self.error]

    def state_dict(self, *given, **named):
        self.fail("weights")
        return super().state_dict(*given, **named)

    def named_parameters(self, *given, **named):
        self.fail("weights")
        return super().named_parameters(*given, **named)

    def to(self, *given, **named):
        self.fail("device")
        return super().to(*given, **named)

    def forward(self, x):
        self.fail("trial")
        if len(x) > 2:
            self.fail("later batch")
        y = super().forward(x)
        if self.place == "output":
            y = y.as_subclass(Output)
            y.fail = lambda: self.fail("output")
        return y


class Output(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, given=(), named=None):
        for each in given:
            if hasattr(each, "fail"):
                each.fail()
        return super().__torch_function__(function, types, given, named or {})
'''
ERRORS = [
    "KeyError",
    "AttributeError",
    "StopIteration",
    "OSError",
    "RecursionError",
    "MemoryError",
    "SystemExit",
    "GeneratorExit",
    "CancelledError",
    "UnicodeDecodeError",
    "Mute",
    "Loud",
    "Group",
]
PLACES = ["factory", "weights", "device", "calibration", "trial", "later batch", "output"]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> TinyZoo:
    zoo = tiny_zoo(tmp_path_factory.mktemp("zoo"), models=1)
    (zoo.code / "failing_code.py").write_text(CODE)
    norm = torch.nn.BatchNorm1d(5)
    net = torch.nn.Sequential(torch.nn.Linear(6, 5), norm, torch.nn.ReLU(), torch.nn.Linear(5, 3))
    torch.save(net.state_dict(), zoo.folder / "w.pt")
    return zoo


def entry(error: str, place: str) -> str:
    weights = 'file = "w.pt"' if place == "weights" else "random = { calibrate = true }"
    return f"""
[[model]]
name = "{place}"
factory = "failing_code:Net"
arguments = {{ error = "{error}", place = "{place}" }}
weights = {{ {weights} }}
cuts = ["logits"]
"""


@pytest.mark.parametrize("error", ERRORS)
def test_in_every_place(zoo: TinyZoo, tmp_path: Path, error: str) -> None:
    # Out of memory in a batch, it is given smaller ones.
    places = [each for each in PLACES if (error, each) != ("MemoryError", "later batch")]
    text = zoo.manifest.read_text() + "".join(entry(error, place) for place in places)
    manifest = zoo.folder / f"{error}.toml"
    manifest.write_text(text)
    found = rank(manifest, allow_code=zoo.code, store=tmp_path, score="silhouette,logme")
    assert {row.model for row in found if row.status == "ok"} == {"net0"}
    failed = {row.model: row for row in found.failures}
    assert sorted(failed) == sorted(places)
    for place, row in failed.items():
        assert row.note.isprintable(), (place, row.note)
        assert 3 < len(row.note) < 600, (place, row.note)
        said = {
            "Loud": "red",
            "Group": "of its own",
            "MemoryError": "emory",
            "RecursionError": "recursion",
        }.get(error, error)
        plain = row.note if error in ("OSError", "UnicodeDecodeError") else None
        assert said in row.note or plain, (place, row.note)
        assert row.traceback


@pytest.mark.parametrize("error", ERRORS)
def test_in_a_score(zoo: TinyZoo, tmp_path: Path, monkeypatch, error: str) -> None:
    names: dict[str, object] = {}
    exec(CODE, names)
    value = computing._value

    def failing(score, given, shared):
        if shared.X.shape[1] == 9:
            raise names["ERRORS"][error]
        return value(score, given, shared)

    two = tiny_zoo(tmp_path / "zoo", models=2)  # of 8 and of 9 features
    monkeypatch.setattr(computing, "_value", failing)
    found = rank(two.manifest, allow_code=two.code, store=tmp_path, score="silhouette,logme")
    assert {row.model for row in found if row.status == "ok"} == {"net0"}
    assert {row.model for row in found.failures} == {"net1"}
    assert all(row.note.isprintable() and row.note for row in found.failures)
    assert np.isfinite([row.score for row in found if row.status == "ok"]).all()
