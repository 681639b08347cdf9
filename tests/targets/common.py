"""Small targets and their refusals, for all tests of this room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoorank.errors import DataError, ZoorankError
from zoorank.targets import load_target

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 0, 1, 1, 2, 2])
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 20, 3), np.uint8)


def refusal(data, error: type[ZoorankError] = DataError, **options) -> str:
    """The one line with which data are refused."""
    with pytest.raises(error) as caught:
        load_target(data, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_images(folder: Path, count: int = 3, labels: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Some small PNG files of each class."""
    for k, label in enumerate(labels):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.fromarray(PIXELS[(k * count + i) % 12]).save(folder / label / f"{i}.png")
    return folder
