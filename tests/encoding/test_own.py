"""Encodings for the user's own use are written beside what they were made of, never over it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the source needs torch: pip install 'zoorank[zoo]'")

from zoorank.encoding.own import encode  # noqa: E402
from zoorank.errors import UsageError  # noqa: E402
from zoorank.transforms.specs import TablePreprocessing  # noqa: E402

SOURCE = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))


@pytest.mark.parametrize("data", ["X.npy", "."])
@pytest.mark.parametrize("out", ["X.npy", "labels.npy", "link.npy"])
def test_no_input_is_written_over(tmp_path: Path, monkeypatch, data: str, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", np.random.default_rng(0).normal(size=(12, 4)))
    np.save("labels.npy", np.arange(12) % 2)
    Path("link.npy").symlink_to("X.npy")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UsageError, match="is read here; write to another place"):
        encode((SOURCE, TablePreprocessing()), data, out=out)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert encode((SOURCE, TablePreprocessing()), data, out="Z.npy").shape == (12, 8)
    new = {path.name for path in tmp_path.iterdir()} - set(before)
    assert new == {"Z.npy", "Z_labels.npy"}
