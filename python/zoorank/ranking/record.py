"""How candidates did on earlier targets: a file with a line of JSON for each training.

The files are named by the user, and merged by concatenation. ``verify`` and ``evaluate``
append to one, ``rank`` reads any number of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from zoorank.errors import DataError, StoreError, UsageError
from zoorank.messages import brief, hint
from zoorank.targets.opening import no_pipe

PathName = str | os.PathLike[str]
SourceCut = tuple[str, str]  # names of a source and of a cut

HEAD = "head"
TUNED = "fine-tuned"


@dataclass(frozen=True)
class Trained:
    """One candidate, trained on one target.

    Attributes
    ----------
    target : str
        Its name.
    source, cut : str
        As a row of a ranking calls them; the cut is empty where a table knew none.
    accuracy : float
        On samples that it was not trained on, 0 to 1.
    trained : str
        How: ``"head"`` on the frozen encodings, ``"fine-tuned"``, or what a table calls it.
        Accuracies of one target are compared where this is the same.
    samples : int or None
        That the accuracy was measured on.
    fingerprint : str
        sha256 of the target's content; empty where it is not known.
    modality : str
        Of the target, such as "image"; empty where it is not known.
    weights : str
        sha256 of the source's weights; empty where it is not known.
    """

    target: str
    source: str
    cut: str
    accuracy: float
    trained: str = HEAD
    samples: int | None = None
    fingerprint: str = ""
    modality: str = ""
    weights: str = ""

    def __post_init__(self) -> None:
        for name in ("target", "source", "cut", "trained", "fingerprint", "modality", "weights"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name!r} is no text")
        if not self.target or not self.source:
            raise ValueError("the target or the source has no name")
        if isinstance(self.accuracy, bool) or not isinstance(self.accuracy, (int, float)):
            raise ValueError("'accuracy' is no number")
        if not 0 <= self.accuracy <= 1:
            raise ValueError(f"an accuracy is between 0 and 1, not {self.accuracy}")
        if self.samples is not None and (type(self.samples) is not int or self.samples < 1):
            raise ValueError("'samples' is no number of samples")


_NAMES = tuple(field.name for field in fields(Trained))


def read_record(paths: PathName | Iterable[PathName]) -> tuple[Trained, ...]:
    """Read the lines of one or several files.

    Of lines on the same candidate, target and kind of training the last counts.

    Parameters
    ----------
    paths : path or iterable of path

    Returns
    -------
    tuple of Trained
        In the order of their first lines.

    Raises
    ------
    DataError
        If a file cannot be read, or a line is none of a record.
    """
    found: dict[tuple[str, ...], Trained] = {}
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        for line in _lines(Path(path)):
            key = (line.fingerprint or line.target, line.trained, line.source, line.cut)
            found[key] = line
    return tuple(found.values())


def append_record(path: PathName, lines: Sequence[Trained]) -> None:
    """Write lines behind those of a file, which is made where there is none.

    Raises
    ------
    UsageError
        If the file is there and holds no record.
    StoreError
        If it cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     append_record(f"{folder}/record.jsonl", [Trained("birds", "resnet18", "layer3", 0.81)])
    ...     append_record(f"{folder}/record.jsonl", [Trained("birds", "resnet18", "layer4", 0.84)])
    ...     [line.cut for line in read_record(f"{folder}/record.jsonl")]
    ['layer3', 'layer4']
    """
    place = Path(path)
    check_record(place)
    text = "".join(
        json.dumps(
            {
                name: value
                for name, value in asdict(line).items()
                if name == "cut" or value not in ("", None)
            }
        )
        + "\n"
        for line in lines
    )
    try:
        with place.open("a", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise StoreError(f"cannot write to {place}: {error.strerror}") from error


def check_record(path: PathName) -> tuple[Trained, ...]:
    """The lines of a file that is to be appended to; none where there is no such file yet.

    Raises
    ------
    UsageError
        If it is there and holds something else, which lines would spoil.
    StoreError
        If its folder is absent.
    """
    place = Path(path)
    if not place.exists():
        if not place.absolute().parent.is_dir():
            raise StoreError(f"cannot write to {place}: its folder does not exist")
        return ()
    try:
        return read_record(place)
    except DataError as error:
        raise UsageError(f"nothing is appended: {error}") from error


def _lines(path: Path) -> list[Trained]:
    try:
        text = no_pipe(path).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no record: it is not UTF-8 text") from error
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                found.append(_trained(json.loads(line)))
            except (ValueError, TypeError, RecursionError) as error:
                reason = "it is not JSON" if isinstance(error, json.JSONDecodeError) else error
                raise DataError(f"{path}: line {number} is none of a record: {reason}") from error
    if text and not text.endswith("\n"):
        # A line that was cut short would join the next one.
        raise DataError(f"{path} does not end with a line end, so its last line may be cut short")
    return found


def _trained(value: Any) -> Trained:
    if not isinstance(value, dict):
        raise ValueError(f"{brief(str(value))} is no object")
    for name in value:
        if name not in _NAMES:
            raise ValueError(f"unknown key {name!r}; {hint(name, _NAMES)}")
    missing = [name for name in ("target", "source", "cut", "accuracy") if name not in value]
    if missing:
        raise ValueError(f"{missing[0]!r} is missing")
    return Trained(**value)
