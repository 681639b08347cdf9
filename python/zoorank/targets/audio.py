"""Decoding of sounds by soundfile and resampling by soxr, to one channel; and its mel bands."""

from __future__ import annotations

import os
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import DataError
from zoorank.targets.opening import reading, regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

BASELINE_RATE = 16_000  # samples a second
_BANDS = 40
LEAST_RATE = 500  # in Hz
_MOST_VALUES = 2**27  # of one sound: two hours and more at 16 kHz
# Files of headerless formats: as telephone systems write them, which is where they come from.
_HEADERLESS: dict[str, dict[str, Any]] = {
    ".gsm": {"format": "RAW", "subtype": "GSM610", "channels": 1, "samplerate": 8000},
    ".ulaw": {"format": "RAW", "subtype": "ULAW", "channels": 1, "samplerate": 8000},
    ".alaw": {"format": "RAW", "subtype": "ALAW", "channels": 1, "samplerate": 8000},
}
_SUFFIXES = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc"),
    *(".au", ".snd", ".caf", ".w64", ".rf64", ".voc", ".sph", ".nist", ".gsm", ".ulaw", ".alaw"),
)
# Sounds that people have and soundfile does not read: named when they are skipped.
FOREIGN = (".m4a", ".aac", ".wma", ".amr", ".mp4", ".webm")


def known_suffixes() -> frozenset[str]:
    """Suffixes of the sound files that are read, in small letters with their dot."""
    return frozenset(_SUFFIXES)


def decode(file: Path | bytes) -> tuple[NDArray[np.float32], int]:
    """Read one sound; several channels are averaged.

    Parameters
    ----------
    file : Path or bytes

    Returns
    -------
    waveform : ndarray of shape (n,)
        Within -1 to 1.
    rate : int
        Samples a second.

    Raises
    ------
    DataError
        Naming the file that cannot be read or holds nothing.
    """
    try:
        import soundfile
    except ImportError:
        raise DataError("sounds need soundfile: pip install 'zoorank[audio]'") from None
    known = {} if isinstance(file, bytes) else _HEADERLESS.get(file.suffix.lower(), {})
    name = "a file" if isinstance(file, bytes) else str(file)
    source: Any = _Held(file) if isinstance(file, bytes) else os.fsencode(regular(file))
    with reading(name, "sound"):
        try:
            with soundfile.SoundFile(source, **known) as sound:
                if sound.frames * sound.channels > _MOST_VALUES:
                    raise ValueError(f"it is longer than {_MOST_VALUES:,} values")
                if sound.samplerate < LEAST_RATE:  # a damaged header makes hours of seconds
                    raise ValueError(f"its rate is {sound.samplerate} Hz")
                values = sound.read(sound.frames, dtype="float32", always_2d=True)
                rate = sound.samplerate
        except soundfile.LibsndfileError as error:  # whose message names the object
            raise ValueError(error.error_string) from None
        if not len(values):
            raise ValueError("it holds no samples")
        if not np.isfinite(values).all():
            raise ValueError("it holds values that are no numbers")
    mono: NDArray[np.float32] = values[:, 0] if values.shape[1] == 1 else values.mean(axis=1)
    return np.ascontiguousarray(mono), int(rate)


def of_integers(waveform: NDArray[Any]) -> NDArray[np.float32]:
    """Scale whole numbers to -1 to 1 by what their type can hold, as files of them are read.

    Examples
    --------
    >>> of_integers(np.array([-32768, 16384], np.int16)), of_integers(np.array([128], np.uint8))
    (array([-1. ,  0.5], dtype=float32), array([0.], dtype=float32))
    """
    half = 2.0 ** (8 * waveform.dtype.itemsize - 1)
    middle = half if waveform.dtype.kind == "u" else 0.0  # unsigned ones lie around the middle
    return ((waveform.astype(np.float64) - middle) / half).astype(np.float32)


class _Held(BytesIO):
    """Bytes in which libsndfile may look for what is not there, as damaged headers have it do."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return self.tell()


def resample(waveform: NDArray[np.float32], rate: int, new_rate: int) -> NDArray[np.float32]:
    """Change the number of samples a second, in soxr's high quality."""
    if rate == new_rate:
        return waveform
    try:
        import soxr
    except ImportError:
        raise DataError("resampling sounds needs soxr: pip install 'zoorank[audio]'") from None
    changed: NDArray[np.float32] = soxr.resample(waveform, rate, new_rate)
    return changed


def spectrum(waveform: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Mean and deviation over time of the logarithm of 40 mel bands, at 16 kHz.

    Returns
    -------
    ndarray of shape (80,)
    """
    bands = np.log(mel(resample(waveform, rate, BASELINE_RATE), BASELINE_RATE, _BANDS) + 1e-6)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0)]).astype(np.float32)


def mel(
    waveform: NDArray[np.float32], rate: int, bands: int, window: float = 0.025, hop: float = 0.01
) -> NDArray[np.float32]:
    """Power in mel bands, a frame every few milliseconds, as librosa computes it by default.

    Parameters
    ----------
    waveform : ndarray of shape (n,)
    rate : int
        Samples a second.
    bands : int
    window, hop : float
        Seconds of a Hann window, and between the middles of two.

    Returns
    -------
    ndarray of shape (n_frames, bands)
        Filters have Slaney's scale and area 1; frames are centred, with zeros at both ends.
    """
    size, step = round(rate * window), max(1, round(rate * hop))
    padded = np.pad(waveform, size // 2)
    if len(padded) < size:
        padded = np.pad(padded, (0, size - len(padded)))
    hann = np.hanning(size + 1)[:-1].astype(np.float32)
    filters = _filters(rate, size, bands)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::step]
    found = np.empty((len(frames), bands), dtype=np.float32)
    for start in range(0, len(frames), 1024):  # a minute of sound has 6000 frames
        block = frames[start : start + 1024] * hann
        power = np.abs(np.fft.rfft(block, axis=1)) ** 2
        found[start : start + 1024] = power @ filters
    return found


@cache
def _filters(rate: int, size: int, bands: int) -> NDArray[np.float64]:
    """Triangles over the frequencies of a transform, ``(size // 2 + 1, bands)``."""
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    edges = _hertz(np.linspace(0, _mels(np.array(rate / 2)), bands + 2))
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies[:, None] - low) / (middle - low)
    falling = (high - frequencies[:, None]) / (high - middle)
    triangles: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    return triangles


# Slaney's scale: 15 mels every 1000 Hz up to 1000 Hz, above it 27 mels for a factor of 6.4.
def _mels(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 15 + np.log(np.maximum(hertz, 1000) / 1000) * 27 / np.log(6.4)
    return np.where(hertz < 1000, hertz * 3 / 200, above)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 1000 * np.exp((mels - 15) * np.log(6.4) / 27)
    return np.where(mels < 15, mels * 200 / 3, above)
