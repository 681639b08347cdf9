"""Sounds: decoded, averaged, resampled, and their mel bands."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.targets.common import refusal

from zoorank.errors import DataError, SourceError
from zoorank.targets import audio, load_target
from zoorank.transforms import transform_of
from zoorank.transforms.specs import AudioPreprocessing

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")

RATE = 8000
TIME = np.arange(RATE) / RATE


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write_sounds(folder: Path, suffix: str = "wav") -> Path:
    for label, hertz in (("high", 1500), ("low", 300)):
        (folder / label).mkdir(parents=True)
        for k in range(3):
            sound = tone(hertz + 20 * k, 0.5 + 0.25 * k)
            soundfile.write(folder / label / f"{k}.{suffix}", sound, RATE)
    return folder


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff", "au"])
def test_a_folder_a_class(tmp_path: Path, suffix: str) -> None:
    target = load_target(write_sounds(tmp_path, suffix))
    assert (target.modality, target.shape, target.notes) == ("audio", "(time)", ())
    assert target.labels.tolist() == ["high"] * 3 + ["low"] * 3
    bands = target.baseline()
    assert bands.shape == (6, 80)
    distances = np.linalg.norm(bands[:, None] - bands, axis=2)
    assert distances[0, 1] < distances[0, 3]


def test_sounds_of_telephones_have_no_header(tmp_path: Path) -> None:
    write_sounds(tmp_path)
    for suffix, kind in (("gsm", "GSM610"), ("ulaw", "ULAW"), ("alaw", "ALAW")):
        path = tmp_path / "low" / f"x.{suffix}"
        soundfile.write(path, tone(300), RATE, format="RAW", subtype=kind)
        wave, rate = audio.decode(path)
        assert rate == RATE
        assert np.abs(wave[:RATE] - tone(300)).mean() < 0.1
    assert len(load_target(tmp_path)) == 9


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(300), tone(700)
    soundfile.write(tmp_path / "x.wav", np.column_stack([left, right]), RATE, subtype="FLOAT")
    wave, _ = audio.decode(tmp_path / "x.wav")
    assert np.allclose(wave, (left + right) / 2, atol=1e-6)


def test_what_is_no_sound_is_skipped_and_said(tmp_path: Path) -> None:
    write_sounds(tmp_path)
    (tmp_path / "high" / "x.m4a").write_bytes(b"x")
    (tmp_path / "high" / "y.txt").write_bytes(b"x")
    (tmp_path / "low" / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "low" / "silent.wav", np.zeros(0), RATE)
    target = load_target(tmp_path)
    assert len(target) == 6
    first, second = target.notes
    assert first == (
        "2 files skipped, the first high/x.m4a: .m4a is not read; convert it to .flac or .wav"
    )
    assert second.startswith("2 files skipped, the first low/empty.wav: not a readable sound: ")
    assert str(tmp_path) not in second


def test_a_csv_of_paths(tmp_path: Path) -> None:
    write_sounds(tmp_path)
    lines = [f"{c}/{k}.wav,{c}" for c in ("high", "low") for k in range(3)]
    (tmp_path / "list.csv").write_text("\n".join(["file,label", *lines]))
    target = load_target(tmp_path / "list.csv")
    assert target.modality == "audio"
    assert target.fingerprint == load_target(tmp_path).fingerprint


def test_waveforms_in_memory(tmp_path: Path) -> None:
    waves = [(tone(300 + k, 0.2 + 0.1 * k), RATE) for k in range(4)]
    target = load_target((waves, [0, 1, 0, 1]))
    assert (target.modality, target.baseline().shape) == ("audio", (4, 80))
    wave, rate = target.take(range(1, 2))[0]
    assert (rate, len(wave)) == (RATE, 2400)
    sent = pickle.loads(pickle.dumps(target.spilled(tmp_path)))
    assert np.array_equal(sent.take(range(1, 2))[0][0], wave)
    mappings = [{"array": wave, "sampling_rate": rate} for wave, rate in waves]
    assert load_target((mappings, [0, 1, 0, 1])).fingerprint == target.fingerprint


def test_resampling_keeps_a_tone() -> None:
    found = audio.resample(tone(440).astype(np.float32), RATE, 16_000)
    assert len(found) == 16_000
    assert np.abs(found - tone(440, rate=16_000))[200:-200].max() < 1e-3


# What librosa 0.11 gives for a sine of 0.3 radians a sample, 800 samples at 16 kHz in windows of
# 400 every 160: power in the first three of eight bands, in the first four frames.
LIBROSA = [
    [5.69996953e-01, 1.54627590e01, 5.42352200e00],
    [4.56330832e-03, 3.22308884e01, 1.11521759e01],
    [6.13776720e-05, 3.22493134e01, 1.11610832e01],
    [6.08840819e-05, 3.22493134e01, 1.11610842e01],
]


def test_mel_bands_are_librosas() -> None:
    wave = np.sin(np.arange(800) * 0.3).astype(np.float32)
    found = audio.mel(wave, 16_000, bands=8)
    assert found.shape == (6, 8)
    assert np.allclose(found[:4, :3], LIBROSA, rtol=1e-4, atol=1e-5)
    assert audio.mel(wave[:3], 16_000, bands=8).shape == (1, 8)


def _prepared(spec: AudioPreprocessing, *waves):
    transform = transform_of(spec)
    return [transform.prepare(wave) for wave in waves], transform


def test_a_waveform_is_cut_or_filled_up(tmp_path: Path) -> None:
    spec = AudioPreprocessing(rate=16_000, seconds=0.75)
    (short, long), transform = _prepared(spec, (tone(300, 0.5), RATE), (tone(300, 1.0), RATE))
    assert (short.length, short.truncated) == (12_000, False)
    assert (long.length, long.truncated) == (12_000, True)
    assert np.array_equal(short.value[8000:], np.zeros(4000))
    batch = transform.collate([short, long])
    assert (batch.only.shape, batch.only.dtype, batch.rows) == ((2, 12_000), np.float32, 2)
    soundfile.write(tmp_path / "x.wav", tone(300, 1.0), RATE, subtype="FLOAT")
    assert np.array_equal(transform.prepare(tmp_path / "x.wav").value, long.value)
    content = (tmp_path / "x.wav").read_bytes()
    assert np.array_equal(transform.prepare(content).value, long.value)


def test_sounds_of_several_lengths_need_one() -> None:
    prepared, transform = _prepared(AudioPreprocessing(), (tone(9, 0.5), 8000), (tone(9), 8000))
    with pytest.raises(SourceError, match="the sounds differ in length"):
        transform.collate(prepared)


@pytest.mark.parametrize(
    ("layout", "features", "shape"),
    [
        ("nl", "waveform", (1, 16_000)),
        ("ncl", "waveform", (1, 1, 16_000)),
        ("nlc", "waveform", (1, 16_000, 1)),
        ("ncl", "mel", (1, 40, 101)),
        ("nlc", "log_mel", (1, 101, 40)),
        ("nchw", "log_mel", (1, 1, 40, 101)),
    ],
)
def test_layouts(layout: str, features: str, shape: tuple[int, ...]) -> None:
    spec = AudioPreprocessing(layout=layout, features=features)
    prepared, transform = _prepared(spec, (tone(300), RATE))
    assert transform.collate(prepared).only.shape == shape


def test_scales() -> None:
    spec = AudioPreprocessing(scaling="standardize_each", rate=RATE)
    (one, other), _ = _prepared(spec, (tone(300) + 3, RATE), (tone(300) * 9, RATE))
    assert np.allclose(one.value, other.value, atol=1e-4)
    assert one.value.std() == pytest.approx(1, abs=1e-4)
    logs = {"features": "log_mel", "layout": "ncl"}
    (plain,), _ = _prepared(AudioPreprocessing(**logs), (tone(300), RATE))
    (scaled,), _ = _prepared(AudioPreprocessing(mean=2, std=4, **logs), (tone(300), RATE))
    assert np.allclose(scaled.value, (plain.value - 2) / 4, atol=1e-6)


def test_what_cannot_be_fed(tmp_path: Path) -> None:
    target = load_target((np.zeros((4, 100)) + np.arange(4)[:, None], [0, 1, 0, 1]))
    with pytest.raises(SourceError, match="needs sounds; the target's samples have shape"):
        transform_of(AudioPreprocessing()).fitted(target)
    with pytest.raises(ValueError, match="layout 'nl' has no bands"):
        AudioPreprocessing(features="mel")
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"x\.wav: not a readable sound"):
        audio.decode(tmp_path / "x.wav")
    assert "which is no audio" in refusal(([(np.zeros((4, 4, 4)), 8000)] * 4, [0, 1, 0, 1]))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_sounds(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    assert "sounds need soundfile: pip install 'zoorank[audio]'" in refusal(tmp_path)
