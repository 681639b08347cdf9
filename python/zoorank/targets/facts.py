"""What a target is, without its data: what a ranking keeps of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoorank.targets.base import Modality, Task


@dataclass(frozen=True)
class TargetFacts:
    """What the target is, without its data.

    Attributes
    ----------
    name, source : str
        What to call it, and where it came from.
    modality : Modality
    n_samples : int
    shape : str
        Shape of one sample, such as ``"(8, 8)"``.
    classes : tuple of str
        Class labels, sorted.
    fingerprint : str
        sha256 of its content.
    task : {"classes", "numbers"}
        What its labels are.
    n_rows : int
        Labels, and so rows of an encoding: words of sentences, else samples.
    notes : tuple of str
        What was left out of it or changed.
    """

    name: str
    source: str
    modality: Modality
    n_samples: int
    shape: str
    classes: tuple[str, ...]
    fingerprint: str
    task: Task = "classes"
    n_rows: int = 0
    notes: tuple[str, ...] = ()
