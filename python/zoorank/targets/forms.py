"""Which form a list of samples has: arrays, texts, words, images, sounds, or paths of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import inert, one_line
from zoorank.targets import audio, images
from zoorank.targets.base import Arrays, Modality
from zoorank.targets.files import Files, Paths
from zoorank.targets.opening import exists
from zoorank.targets.packed import Packed
from zoorank.targets.ragged import Ragged
from zoorank.targets.samples import Samples
from zoorank.targets.sparse import from_sparse
from zoorank.targets.texts import Texts, sentences

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TRIED = 32  # values that are looked at before all are taken for paths


@dataclass(frozen=True)
class Given:
    """What is known of samples beside their values.

    Attributes
    ----------
    where : str
        What messages begin with.
    modality : Modality or None
    folder : Path or None
        Where relative paths start; None where strings are no paths.
    sounds : bool
        Whether bytes are those of sounds and not of images, where nothing else tells.
    paths : bool
        Whether strings are said to be paths, by the name of their column.
    """

    where: str
    modality: Modality | None = None
    folder: Path | None = None
    sounds: bool = False
    paths: bool = False


def samples_of(values: Any, given: Given) -> tuple[Samples, tuple[str, ...]]:
    """Put samples into the form that fits them.

    Parameters
    ----------
    values : sequence
        Strings, pairs or lists of strings, arrays of one shape or of several, images of
        Pillow, bytes, ``{"bytes": ..., "path": ...}``, ``{"array": ..., "sampling_rate":
        ...}``, waveforms with their rates, paths; or one array, or a sparse matrix.
    given : Given

    Returns
    -------
    samples : Samples
    notes : tuple of str
        What had to be changed.

    Raises
    ------
    DataError
        Naming the first value that is of no known form, or of another than the first.
    """
    if hasattr(values, "tocsr"):
        return from_sparse(values), ()
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.is_masked(values):
            row = int(np.argmax(np.ma.getmaskarray(values).reshape(len(values), -1).any(axis=1)))
            raise DataError(f"{given.where}: row {row} holds masked values")
        values = values.data
    if isinstance(values, np.ndarray) and values.dtype.kind not in "OUST":
        return Arrays(values, given.modality), ()
    held = list(values)
    if not held:
        raise DataError(f"{given.where}: holds no samples")
    first = plain(held[0])
    if isinstance(first, Path) or (isinstance(first, str) and _are_paths(held, given)):
        return _files(held, given), ()
    if isinstance(first, str):
        return Texts(_all(held, str, given)), ()
    if _is_words(first):
        return _of_words(held, given), ()
    if isinstance(first, Mapping):
        return _of_mappings(held, given)
    if isinstance(first, bytes):
        modality: Modality = given.modality or ("audio" if given.sounds else "image")
        return Files(Packed.of(_all(held, bytes, given)), modality), ()
    if isinstance(first, tuple) and len(first) == 2 and np.ndim(first[1]) == 0:
        return _sounds([(plain(wave), rate) for wave, rate in held], given)
    return _of_arrays([plain(value) for value in held], given)


def plain(value: Any) -> Any:
    """Make NumPy's of an array of any framework and of an image of Pillow; leave the rest.

    Examples
    --------
    >>> plain([1, 2]), plain("text")
    ([1, 2], 'text')
    """
    if isinstance(value, np.str_):
        return str(value)
    if hasattr(value, "getexif") and hasattr(value, "convert"):
        return np.asarray(images.decode(value))
    if hasattr(value, "__array__") and not isinstance(value, np.ndarray | np.generic):
        return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    return value


def _all(values: Sequence[Any], kind: type, given: Given) -> tuple[Any, ...]:
    for row, value in enumerate(values):
        if not isinstance(value, kind):
            raise DataError(
                f"{given.where}: row 0 is a {kind.__name__}, row {row} a {type(value).__name__}"
            )
    return tuple(values)


def _are_paths(values: Sequence[Any], given: Given) -> bool:
    """Whether strings name images or sounds, by their suffixes and by what there is."""
    if given.modality == "text":
        return False
    if given.modality in ("image", "audio"):
        return True
    if given.folder is None:
        return False
    tried = [value for value in values[:_TRIED] if isinstance(value, str)]
    known = images.known_suffixes() | audio.known_suffixes()
    if not all(Path(value).suffix.lower() in known and "\n" not in value for value in tried):
        return False
    return given.paths or any(exists(given.folder / value) for value in tried)


def _files(values: Sequence[Any], given: Given) -> Files:
    folder = given.folder or Path()
    names = [os.fspath(value) for value in _all(values, str | Path, given)]  # type: ignore[arg-type]
    missing = [name for name in names if not exists(folder / name)]
    if len(missing) == len(names):
        raise DataError(
            f"{given.where}: none of its {len(names)} files is there; the first, "
            f"{inert(folder / missing[0])}, does not exist"
        )
    sounds = Path(names[0]).suffix.lower() in audio.known_suffixes()
    return Files(Paths(folder, tuple(names)), given.modality or ("audio" if sounds else "image"))


def _is_words(value: Any) -> bool:
    several = isinstance(value, list | tuple | np.ndarray)
    return several and len(value) > 0 and all(isinstance(word, str) for word in value)


def _of_words(values: Sequence[Any], given: Given) -> Texts:
    for row, words in enumerate(values):
        if not _is_words(words):
            raise DataError(f"{given.where}: row {row} is no list of words")
    if all(isinstance(pair, tuple) and len(pair) == 2 for pair in values):
        return Texts(tuple(values))
    return sentences([str(word) for word in words] for words in values)


def _of_mappings(values: Sequence[Any], given: Given) -> tuple[Samples, tuple[str, ...]]:
    """Take samples as `datasets` writes them: bytes or a path, or a waveform with its rate."""
    keys = set(values[0])
    if {"array", "sampling_rate"} <= keys:
        sounds = [(np.asarray(each["array"]), each["sampling_rate"]) for each in values]
        return _sounds(sounds, given)
    if not keys & {"bytes", "path"}:
        raise DataError(f"{given.where}: row 0 has the keys {inert(sorted(map(str, keys)))}")
    if all(each.get("bytes") is not None for each in values):
        paths = [str(each.get("path") or "") for each in values]
        heard = given.sounds or Path(paths[0]).suffix.lower() in audio.known_suffixes()
        modality: Modality = given.modality or ("audio" if heard else "image")
        return Files(Packed.of(each["bytes"] for each in values), modality), ()
    modality = given.modality or ("audio" if given.sounds else "image")
    known = Given(given.where, modality, given.folder or Path())
    return _files([each.get("path") or "" for each in values], known), ()


def _sounds(values: Sequence[tuple[Any, Any]], given: Given) -> tuple[Samples, tuple[str, ...]]:
    """Mix every waveform to one channel, and scale those of integers as files of them are."""
    waves, whole = [], []
    for row, (waveform, rate) in enumerate(values):
        if not isinstance(rate, int | float | np.number) or not rate >= audio.LEAST_RATE:
            least = f"at least {audio.LEAST_RATE} samples a second are needed"
            raise DataError(f"{given.where}: row {row} has the rate {inert(rate)}; {least}")
        wave = np.asarray(waveform)
        if wave.dtype.kind in "iu":
            if wave.dtype.itemsize > 4:
                raise DataError(
                    f"{given.where}: row {row} holds integers of 64 bits, whose range is not "
                    "known; give those that a file has, such as int16, or real numbers to 1"
                )
            whole.append(f"row {row} of {wave.dtype}")
            wave = audio.of_integers(wave)
        wave = wave.astype(np.float32)
        waves.append(wave.mean(axis=int(np.argmin(wave.shape))) if wave.ndim == 2 else wave)
    notes: tuple[str, ...] = ()
    if whole:
        noun = f"{len(whole)} sounds" if len(whole) > 1 else "1 sound"
        notes = (f"{noun} of integers scaled to -1 to 1, the first {whole[0]}",)
    return Ragged.of(waves, "audio", [round(rate) for _, rate in values]), notes


def _of_arrays(values: Sequence[Any], given: Given) -> tuple[Samples, tuple[str, ...]]:
    try:
        arrays = [_of_numbers(np.asarray(value)) for value in values]
    except (ValueError, TypeError) as error:
        raise DataError(f"{given.where}: X is not an array of numbers: {one_line(error)}") from None
    for row, array in enumerate(arrays):
        if array.dtype.kind not in "iubfc":
            held = array.ravel().tolist()
            odd = next((each for each in held if not isinstance(each, int | float)), values[row])
            what = f"holds a {type(odd).__name__}" if array.ndim else f"is a {type(odd).__name__}"
            raise DataError(f"{given.where}: X is not an array of numbers: row {row} {what}")
    if len({array.shape for array in arrays}) == 1:
        return Arrays(np.stack(arrays), given.modality), ()
    if len({array.ndim for array in arrays}) == 1 and arrays[0].ndim == 1:
        if given.modality == "table":
            raise DataError(f"{given.where}: X is not an array of numbers: rows differ in length")
        return stretched([array[None] for array in arrays], given.where)
    if given.modality == "series" and all(array.ndim == 2 for array in arrays):
        return stretched(arrays, given.where)
    return Ragged.of(arrays, "image"), ()


def _of_numbers(array: NDArray[Any]) -> NDArray[Any]:
    """The same array where it holds numbers as objects, as data frames of several types give."""
    if array.dtype.kind != "O" or not all(
        isinstance(each, int | float | np.number | np.bool_) for each in array.ravel()
    ):
        return array
    return np.asarray(array.tolist())


def stretched(series: Sequence[NDArray[Any]], where: str) -> tuple[Arrays, tuple[str, ...]]:
    """Make series of ``(variables, length)`` that differ in length as long as the longest.

    Every series is interpolated linearly over its own time.

    Raises
    ------
    DataError
        For another number of variables than in the first series, or no steps.
    """
    lengths = [each.shape[1] for each in series]
    for row, each in enumerate(series):
        if len(each) != len(series[0]):
            raise DataError(
                f"{where}: row {row} has {len(each)} variables, row 0 has {len(series[0])}"
            )
        if not lengths[row]:
            raise DataError(f"{where}: row {row} has no steps")
    longest = max(lengths)
    X = np.empty((len(series), len(series[0]), longest))
    for row, each in enumerate(series):
        steps = np.linspace(0, lengths[row] - 1, longest)
        X[row] = [np.interp(steps, np.arange(lengths[row]), variable) for variable in each]
    notes: tuple[str, ...] = ()
    if min(lengths) < longest:
        notes = (f"series of {min(lengths)} to {longest} steps are stretched to {longest}",)
    return Arrays(X[:, 0] if X.shape[1] == 1 else X, "series"), notes
