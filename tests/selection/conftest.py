"""What the tests of the selection share."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")

from tests.selection.tiny_zoo import TinyZoo, tiny_zoo  # noqa: E402


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    # Networks this small gain nothing from more, and suffer on a busy machine.
    torch.set_num_threads(1)


@pytest.fixture
def zoo(tmp_path: Path) -> TinyZoo:
    """Two networks that work."""
    return tiny_zoo(tmp_path / "zoo")


@pytest.fixture
def broken_zoo(tmp_path: Path) -> TinyZoo:
    """Two networks that work and three that do not."""
    return tiny_zoo(tmp_path / "broken", broken=True)
