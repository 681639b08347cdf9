"""Time series that stand for the classes of a data set, found once and kept in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoorank.errors import DataError
from zoorank.scores.base import Array
from zoorank.scores.ids import MOST_SERIES, ROUNDS, class_prototypes

if TYPE_CHECKING:
    from zoorank.sources.base import Source
    from zoorank.store.encodings import EncodingStore
    from zoorank.targets.base import Target

_FORMAT = 1  # raise it when the same series give other prototypes than before


class Prototypes:
    """Prototypes of a target and of what sources were trained on.

    Parameters
    ----------
    target : Target
    store : EncodingStore
    """

    def __init__(self, target: Target, store: EncodingStore) -> None:
        self._target, self._store = target, store
        self._known: dict[str | None, Array] = {}
        self._fingerprints: dict[str, str] = {}

    def of_target(self) -> Array:
        """Prototypes of the target, ``(n_classes, n_variables, length)``.

        Raises
        ------
        DataError
            If it is not made of time series that can be aligned.
        """
        return self._of(None)

    def of_source(self, source: Source) -> Array:
        """Prototypes of the data that a source was trained on.

        Raises
        ------
        DataError
            If the manifest does not say what that was, or it cannot be read or aligned.
        """
        if source.trained_on is None:
            raise DataError("the manifest does not say what it was `trained_on`")
        if "image" in source.modalities:
            raise DataError("its input is images, not time series")
        return self._of(source.trained_on)

    def is_target(self, place: str) -> bool:
        """Whether the data of a source, if they were read for a score, are the target's."""
        return self._fingerprints.get(place) == self._target.fingerprint

    def _of(self, place: str | None) -> Array:
        if place not in self._known:
            from zoorank.targets import load_target

            data = self._target if place is None else load_target(place)
            if place is not None:
                self._fingerprints[place] = data.fingerprint
            self._known[place] = self._found(data)
        return self._known[place]

    def _found(self, data: Target) -> Array:
        from zoorank.store.encodings import key_of

        identity = {
            "format": _FORMAT,
            "prototypes of": data.fingerprint,
            "rounds": ROUNDS,
            "series": MOST_SERIES,
        }
        key = key_of(identity)
        record = self._store.metadata(key)
        if record is None:
            if not isinstance(data.X, np.ndarray):
                raise DataError(f"{data.name}: holds images, not time series")
            try:
                found = class_prototypes(data.X, data.labels)
            except ValueError as error:
                raise DataError(f"{data.name}: {error}") from None
            data.check_unchanged()
            rows = found.reshape(len(found), -1).astype(np.float32)
            with self._store.writer(key, *rows.shape) as writer:
                writer.append(rows)
                record = writer.commit({"identity": identity, "shape": found.shape})
        # From the file even when just written, so that a second run has the same bits.
        kept = self._store.load(key)
        prototypes: Array = kept.astype(np.float64).reshape(record["shape"])
        return prototypes
