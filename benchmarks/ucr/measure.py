"""Measure one target of the study: every score on TRAIN, and the truth on TEST."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from scipy.special import softmax

from zoorank.encoding.encode import encode_source
from zoorank.scores import TABLE, Score
from zoorank.sources.manifest import load_zoo
from zoorank.sources.torch.source import TorchSource
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target
from zoorank.targets.base import Target

CUTS = ("layers.0", "layers.1", "penultimate")
HEAD = "final"
MOST = {"train": 250, "test": 500}
# Of classes. What looks at the data that a source was trained on is the same for all its cuts:
# ids.py.
NO_SOURCE_DATA = [
    score for score in TABLE if "classes" in score.tasks and not score.needs_source_data
]

Row = dict[str, str | int | float]


def measure(name: str, data: Path, manifest: Path, store: Path) -> list[Row]:
    """All rows of a target, one for each network of another data set and each cut.

    Parameters
    ----------
    name : str
        Of the target; its own network is left out.
    data : Path
        The folder with ``ucr/`` and ``fcn-zoo/``.
    manifest : Path
    store : Path
        Where encodings are kept.
    """
    train, test = part(data, name, "train"), part(data, name, "test")
    kept = EncodingStore(store)
    rows = []
    for spec in networks(data, manifest):
        if spec.name == name:
            continue
        of_train, of_test = (
            encode_source(spec, seen, cuts=(*CUTS, HEAD), store=kept, batch_size=64).encodings
            for seen in (train, test)
        )
        logits = of_train[-1].load()
        for at_train, at_test in zip(of_train[:-1], of_test[:-1], strict=True):
            X = at_train.load()
            row: Row = {
                "target": name,
                "network": spec.name,
                "cut": at_train.cut,
                "n": train.n_samples,
                "K": len(train.classes),
                "d": at_train.dim,
                "parameters": at_train.record.parameters_kept,
            }
            for score in NO_SOURCE_DATA:
                first = first_argument(score, X, logits)
                row[score.key] = score.compute(first, train.labels).value
            row["truth"] = head_accuracy(X, train.labels, at_test.load(), test.labels)
            rows.append(row)
    return rows


def networks(data: Path, manifest: Path) -> tuple[TorchSource, ...]:
    """The sources, whose weights the manifest looks for in the data."""
    os.environ["ZOORANK_DATA"] = str(data)
    return load_zoo(manifest, allow_code=[manifest.parent]).models


def part(data: Path, name: str, split: str) -> Target:
    """What the study sees of a data set's TRAIN or TEST."""
    with np.load(data / "ucr" / f"{name}.npz") as file:
        X, labels = file[f"X_{split}"], file[f"y_{split}"]
    return load_target((X, labels), modality="series", limit=MOST[split])


def first_argument(score: Score, X: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """What a score looks at beside the labels."""
    return {
        "encoding": lambda: X,
        "source_probabilities": lambda: softmax(logits.astype(np.float64), axis=1),
        "source_labels": lambda: logits.argmax(axis=1),
    }[score.needs[0]]()


def head_accuracy(
    X: np.ndarray, labels: np.ndarray, X_test: np.ndarray, labels_test: np.ndarray
) -> float:
    """Accuracy on TEST of a logistic regression on the standardised encoding of TRAIN."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    with warnings.catch_warnings():
        # Classes that separate have no largest likelihood; the accuracy is what counts.
        warnings.simplefilter("ignore", ConvergenceWarning)
        head.fit(X, labels)
    return float(head.score(X_test, labels_test))
