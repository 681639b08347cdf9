"""Sets that come with scikit-learn, for demonstrations."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import hint
from zoorank.targets.arrays import Arrays
from zoorank.targets.labelled import Labelled, Reading
from zoorank.targets.record_files import read_hub

_SETS = ("digits", "iris", "wine", "breast_cancer", "diabetes")


def read_named(text: str, how: Reading) -> Labelled:
    """Read ``"sklearn:digits"`` and its like, or ``"hf:ORG/NAME"`` from its hub or cache."""
    library, _, name = text.partition(":")
    if library == "hf" and name:
        return read_hub(text, how)
    known = [f"sklearn:{each}" for each in _SETS]
    if library != "sklearn" or name not in _SETS:
        raise DataError(f"unknown data set {text!r}; {hint(text, known)}")
    try:
        datasets: Any = importlib.import_module("sklearn.datasets")
    except ImportError:
        raise DataError(f"{text} needs scikit-learn: pip install 'zoorank[demo]'") from None
    bunch = getattr(datasets, f"load_{name}")()
    if name == "digits":
        return Labelled(Arrays(np.asarray(bunch.images), "image"), np.asarray(bunch.target), name)
    if name == "diabetes":
        numbers = np.asarray(bunch.target)
        return Labelled(Arrays(np.asarray(bunch.data), "table"), numbers, name, task="numbers")
    labels = np.asarray(bunch.target_names)[bunch.target]
    return Labelled(Arrays(np.asarray(bunch.data), "table"), labels, name)
