"""What a target is, for a person who is about to use it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import inert
from zoorank.targets import audio, images
from zoorank.targets.base import Sample, Target

_EXAMPLES = 5
_SHOWN = 120  # characters of an example


@dataclass(frozen=True)
class Numbers:
    """What is to be predicted: the smallest, the quarters and the largest."""

    minimum: float
    lower: float
    median: float
    upper: float
    maximum: float


@dataclass(frozen=True)
class Example:
    """One sample.

    Attributes
    ----------
    row : int
        Of the samples.
    label : str
        Of a sentence, those of its words.
    sample : str
        The text itself, a file and its size, or the shape and range of numbers.
    """

    row: int
    label: str
    sample: str


@dataclass(frozen=True)
class Summary:
    """What a target is.

    Attributes
    ----------
    name, place, modality, shape, task, fingerprint : str
        As of the target.
    samples, rows : int
        Rows are more where every word is one.
    classes : dict of str to int
        Rows of each class, the largest first; empty for numbers to predict.
    numbers : Numbers or None
        Of the labels, where they are to be predicted.
    groups : int or None
        How many there are.
    examples : tuple of Example
        The first of each of the first classes.
    notes : tuple of str
        What was left out or changed when the target was read.
    """

    name: str
    place: str
    modality: str
    shape: str
    task: str
    fingerprint: str
    samples: int
    rows: int
    classes: dict[str, int]
    numbers: Numbers | None
    groups: int | None
    examples: tuple[Example, ...]
    notes: tuple[str, ...]


def summarise(target: Target) -> Summary:
    """Say what a target is.

    Examples
    --------
    >>> from zoorank.targets import load_target
    >>> summary = summarise(load_target("sklearn:iris"))
    >>> summary.classes, summary.examples[0].sample
    ({'setosa': 50, 'versicolor': 50, 'virginica': 50}, '(4) from 0.2 to 5.1')
    """
    classes: dict[str, int] = {}
    numbers = None
    if target.task == "numbers":
        quarters = np.quantile(target.labels, [0, 0.25, 0.5, 0.75, 1])
        numbers = Numbers(*map(float, quarters))
    else:
        names, counts = np.unique(target.labels, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        classes = {str(names[k]): int(counts[k]) for k in order}
    return Summary(
        name=target.name,
        place=target.place,
        modality=target.modality,
        shape=target.shape,
        task=target.task,
        fingerprint=target.fingerprint,
        samples=len(target),
        rows=target.n_rows,
        classes=classes,
        numbers=numbers,
        groups=None if target.groups is None else len(np.unique(target.groups)),
        examples=tuple(_examples(target)),
        notes=target.notes,
    )


def _examples(target: Target) -> Iterator[Example]:
    """The first sample of each of the first classes, or the first samples."""
    if target.samples.starts is not None or target.task == "numbers":
        wanted = list(range(min(_EXAMPLES, len(target))))
    else:
        wanted = np.unique(target.labels, return_index=True)[1][:_EXAMPLES].tolist()
    for row in wanted:
        rows = target.rows_of(range(row, row + 1))
        labels = " ".join(str(label) for label in target.labels[rows].tolist())
        sample = target.take(range(row, row + 1))[0]
        yield Example(row, _cut(labels), _cut(_shown(sample, target)))


def _cut(text: str) -> str:
    shown = inert(" ".join(text.split()))
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."


def _shown(sample: Sample, target: Target) -> str:
    if isinstance(sample, str):
        return sample
    if isinstance(sample, list):
        return " ".join(sample)
    if isinstance(sample, tuple) and isinstance(sample[0], str):
        return " | ".join(sample)
    if isinstance(sample, Path | bytes):
        name = f"{sample.name}, " if isinstance(sample, Path) else ""
        try:
            return name + _size(sample, target)
        except DataError as error:  # it could be read when the target was loaded
            return f"{name}{error}"
    if isinstance(sample, tuple):
        return f"{len(sample[0]) / sample[1]:.2f} s at {sample[1]} Hz"
    values: Any = np.asarray(sample)
    shape = str(values.shape).replace(",)", ")")
    return f"{shape} from {float(values.min()):.4g} to {float(values.max()):.4g}"


def _size(sample: Path | bytes, target: Target) -> str:
    if target.modality == "audio":
        wave, rate = audio.decode(sample)
        return f"{len(wave) / rate:.2f} s at {rate} Hz"
    image = images.decode(sample)
    colours = "grey" if image.mode == "L" else "colour"
    return f"{image.width} x {image.height} pixels, {colours}"
