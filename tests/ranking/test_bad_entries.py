"""One entry of a manifest that cannot be is one row; the others are ranked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")

from tests.ranking.tiny_zoo import TinyZoo, tiny_zoo  # noqa: E402

from zoorank.errors import DataError  # noqa: E402
from zoorank.ranking.rank import rank  # noqa: E402
from zoorank.targets import load_target  # noqa: E402

ENTRY = """
[[model]]
name = "bad"
factory = "tiny_code:Net"
arguments = {{ width = {width} }}
weights = {{ {weights} }}
"""


@pytest.fixture
def zoo(tmp_path: Path) -> TinyZoo:
    return tiny_zoo(tmp_path / "zoo", models=1)


@pytest.mark.parametrize(
    ("weights", "width", "reason"),
    [
        ("random = { seed = 100000000000000000000000 }", 8, "verflow"),
        ('file = "~nobody-of-this-name/w.pt"', 8, "w.pt does not exist"),
        ('file = "fifo.pt"', 8, "fifo.pt is no regular file"),
        ('file = "device.pt"', 8, "device.pt is no regular file"),
        ('file = "loop.pt"', 8, "loop.pt does not exist"),
        ('file = "folder.pt"', 8, "folder.pt is a directory"),
        ('file = "complex.pt"', 8, "0.weight (network float32, file complex64)"),
        ("random = {}", -3, "negative dimension"),
        ("random = {}", 10**12, "memory"),
    ],
)
def test_it_is_a_row(zoo: TinyZoo, tmp_path: Path, weights: str, width: int, reason: str) -> None:
    folder = zoo.manifest.parent
    os.mkfifo(folder / "fifo.pt")
    (folder / "device.pt").symlink_to("/dev/zero")
    (folder / "loop.pt").symlink_to("loop.pt")
    (folder / "folder.pt").mkdir()
    state = torch.nn.Sequential(torch.nn.Linear(6, 8)).state_dict()
    torch.save({name: value * 1j for name, value in state.items()}, folder / "complex.pt")
    text = zoo.manifest.read_text() + ENTRY.format(weights=weights, width=width)
    zoo.manifest.write_text(text)
    found = rank(zoo.manifest, allow_code=zoo.code, store=tmp_path / "store")
    rows = {row.model: row for row in found}
    assert rows["net0"].status == "ok"
    assert rows["bad"].status == "failed"
    assert reason in rows["bad"].note


def test_the_home_of_nobody_is_no_place_for_a_target() -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_target("~nobody-of-this-name/birds")
