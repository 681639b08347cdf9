"""Real data that packages carry, in the forms that people have them in."""

from __future__ import annotations

import gzip
import importlib.util
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.environment.debian import FOLDER

SUBJECTS = ("food", "law", "love", "medicine", "pets", "science", "sports", "politics")
VOICES = {
    "en": "en_US_f_Allison",
    "es": "es_MX_f_Allison",
    "fr": "fr_CA_f_June",
    "it": "it_IT_m_Carlo",
    "ru": "ru_RU_f_IvrvoiceRU",
}


def debian(package: str, place: str) -> Path:
    """A file or folder of a package of Debian."""
    found = FOLDER / package / place
    if not found.exists():
        reason = f"no {package} in {FOLDER}: python tests/environment/debian.py fetches it"
        assert "CI" not in os.environ, reason
        pytest.skip(reason)
    return found


def carried(package: str, place: str) -> Path:
    """A file or folder of a package of Python, which is not imported."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        reason = f"the test environment lacks {package}: make test installs it"
        assert "CI" not in os.environ, reason
        pytest.skip(reason)
    return Path(found.submodule_search_locations[0]) / place


def fortunes() -> tuple[list[str], list[str]]:
    """Sayings and what they are about: 723 texts of eight subjects.

    The first hundred of each that have 20 to 1000 characters.
    """
    texts: list[str] = []
    labels: list[str] = []
    for subject in SUBJECTS:
        content = debian("fortunes", f"usr/share/games/fortunes/{subject}").read_text("utf-8")
        parts = [part.removesuffix("%").strip() for part in content.split("\n%\n")]
        found = [part for part in parts if 20 <= len(part) <= 1000][:100]
        texts += found
        labels += [subject] * len(found)
    return texts, labels


def fashion() -> Path:
    """The folder of MNIST's successor, as it is published."""
    return debian("dataset-fashion-mnist", "usr/share/datasets/fashion-mnist")


def link_prompts(folder: Path, count: int) -> Path:
    """Lay some spoken prompts of five languages into a folder each."""
    for language, voice in VOICES.items():
        package = f"asterisk-core-sounds-{language}-gsm"
        sounds = debian(package, f"usr/share/asterisk/sounds/{voice}")
        (folder / language).mkdir(parents=True)
        long = [path for path in sorted(sounds.glob("*.gsm")) if path.stat().st_size > 3000]
        for path in long[:: max(1, len(long) // count)][:count]:
            (folder / language / path.name).symlink_to(path)
    return folder


def animals() -> tuple[np.ndarray, np.ndarray]:
    """Ten thousand images of animals and what they show."""
    folder = carried("animal_mnist", "data/Animal_MNIST")
    images = _read_arrays(folder / "animal_data_version_3.gz")
    labels = _read_arrays(folder / "animal_label_version_3.gz")
    return images, labels


class _Arrays(pickle.Unpickler):
    """Unpickles arrays of NumPy and nothing that could run code."""

    ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype", "_frombuffer", "scalar"})

    def find_class(self, module: str, name: str):
        if module.partition(".")[0] == "numpy" and name in self.ALLOWED:
            module = module.replace("numpy.core", "numpy._core")
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no array")


def _read_arrays(path: Path) -> np.ndarray:
    return np.asarray(_Arrays(io.BytesIO(gzip.decompress(path.read_bytes()))).load())
