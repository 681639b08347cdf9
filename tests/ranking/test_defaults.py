"""What a source changes for all is changed back, or its process takes no other source."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")

from tests.ranking.tiny_zoo import GOOD, TinyZoo, tiny_zoo  # noqa: E402

from zoorank.ranking.defaults import defaults_kept, framework_state  # noqa: E402
from zoorank.ranking.rank import rank  # noqa: E402

CODE = """
import functools
import os

import numpy as np
import torch
from torch import nn


class Net(nn.Sequential):
    def __init__(self, changes):
        super().__init__(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        for module in self.modules():
            module.is_mine = True
        CHANGES[changes]()


def of_defaults():
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.use_deterministic_algorithms(True)
    torch.set_grad_enabled(False)
    torch.set_float32_matmul_precision("medium")
    np.seterr(all="raise")
    os.chdir("/")


def of_a_class():
    nn.ReLU.forward = lambda self, x: x.cos()


def of_a_function():
    wrapped = nn.init.kaiming_uniform_
    nn.init.kaiming_uniform_ = functools.wraps(wrapped)(lambda tensor, *_, **__: tensor.fill_(1))


def of_a_part():
    nn.functional.linear = functools.partial(lambda x, weight, *_: x[:, :1] * weight.sum(1))


def of_every_module():
    nn.modules.module.register_module_forward_hook(
        lambda module, given, found: found if hasattr(module, "is_mine") else found.abs()
    )


def of_a_mode():
    torch.autocast("cpu", dtype=torch.bfloat16).__enter__()


ALL = (of_defaults, of_a_class, of_a_function, of_a_part, of_every_module, of_a_mode)
CHANGES = {each.__name__: each for each in ALL}
"""
REPLACED = ["of_a_class", "of_a_function", "of_a_part", "of_every_module", "of_a_mode"]
CHANGING = """
[[model]]
name = "changes"
factory = "changing_code:Net"
arguments = {{ changes = "{changes}" }}
weights = {{ random = {{ seed = 0 }} }}
"""


@pytest.fixture
def zoo(tmp_path: Path) -> TinyZoo:
    zoo = tiny_zoo(tmp_path / "zoo", models=0)
    (zoo.code / "changing_code.py").write_text(CODE)
    return zoo


def scores(zoo: TinyZoo, changes: str, store: Path, **settings):
    text = zoo.manifest.read_text()
    text += CHANGING.format(changes=changes) if changes else ""
    text += GOOD.format(name="after", width=8, delay=0.0, seed=1)
    manifest = zoo.folder / "changed.toml"
    manifest.write_text(text)
    asked = {"allow_code": zoo.code, "store": store, "score": "silhouette,logme", **settings}
    found = rank(manifest, zoo.data, **asked)
    assert {row.status for row in found} == {"ok", "baseline"}, found
    return {row.model: row.scores for row in found}["after"]


@pytest.mark.parametrize("workers", [None, 1])
def test_defaults_are_put_back(zoo: TinyZoo, tmp_path: Path, workers: int | None) -> None:
    before, errors = framework_state(), np.geterr()
    alone = scores(zoo, "", tmp_path / "alone")
    assert scores(zoo, "of_defaults", tmp_path / "store", workers=workers) == alone
    assert (framework_state(), np.geterr()) == (before, errors)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("changes", REPLACED)
def test_replaced_functions_end_with_their_process(
    zoo: TinyZoo, tmp_path: Path, changes: str
) -> None:
    pytest.importorskip("psutil", reason="worker processes need psutil")
    alone = scores(zoo, "", tmp_path / "alone")
    assert scores(zoo, changes, tmp_path / "store", workers=1) == alone


def test_a_ranking_loads_no_compiler(zoo: TinyZoo) -> None:
    text = zoo.manifest.read_text() + GOOD.format(name="net", width=8, delay=0.0, seed=1)
    zoo.manifest.write_text(text)
    code = """
import sys
import zoorank
manifest, data, code = sys.argv[1:]
assert zoorank.rank(manifest, data, allow_code=code).best is not None
assert "torch" in sys.modules and "torch._dynamo" not in sys.modules
"""
    given = map(str, (zoo.manifest, zoo.data, zoo.code))
    subprocess.run([sys.executable, "-c", code, *given], check=True, cwd=zoo.folder)


def test_functions_that_were_replaced_are_seen(monkeypatch) -> None:
    before = framework_state()
    monkeypatch.setattr(torch.nn.functional, "gelu", functools.wraps(torch.relu)(lambda x: x))
    changed = framework_state()
    assert set(changed) - set(before) == {"torch.nn.functional.gelu"}
    monkeypatch.setattr(torch.nn, "Linear", type("Linear", (torch.nn.Linear,), {}))
    assert {"torch.nn.Linear"} <= set(framework_state()) - set(changed)
    monkeypatch.setattr(np, "stack", lambda arrays: np.array(arrays)[::-1])
    assert "numpy.stack" in framework_state()


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    with defaults_kept():
        gone.rmdir()
    with defaults_kept():
        os.chdir(tmp_path)
