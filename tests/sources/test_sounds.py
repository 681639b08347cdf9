"""`hf:` models of sounds: tiny random ones, compared with what transformers itself gives."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import transformers
from tests.sources.tiny_transformers import SOUNDS, save

import zoorank
from zoorank.errors import SourceError
from zoorank.sources.base import Cut, Entry, OpenOptions, Refusal
from zoorank.sources.huggingface import sources
from zoorank.transforms.specs import AudioPreprocessing, TextPreprocessing

RATE = 16_000
LENGTHS = (9000, 12_345, 4000, 300)
STATES = ("hidden_states.0", "hidden_states.1", "hidden_states.2", "hidden_states.mean")


@pytest.fixture(autouse=True)
def _few_bands() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*mel filter")  # of so few bands
        yield


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    for name in SOUNDS:
        save(name, folder / name)
    return folder


@pytest.fixture(scope="module")
def waves() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=length).astype(np.float32) for length in LENGTHS]


def opened(folder: Path, said: Any = None) -> Any:
    (source,) = sources(str(folder), None, Entry(preprocessing=said))
    return source.resolve(print).open(OpenOptions("audio", device="cpu"))


def encoded(encoder: Any, waves: list[np.ndarray], names: tuple[str, ...], size: int) -> Any:
    """Encodings of sounds in batches of a size, each name's as one array."""
    prepared = [encoder.transform.prepare((wave, RATE)) for wave in waves]
    first = encoder.transform.collate(prepared[: min(size, 2)])
    cuts = encoder.cuts(first, names)
    assert all(isinstance(each, Cut) for each in cuts), cuts
    found = [
        encoder.encode(encoder.transform.collate(prepared[k : k + size]), cuts)
        for k in range(0, len(prepared), size)
    ]
    return {each.name: torch.cat([one[each.name] for one in found]).numpy() for each in cuts}


def theirs(folder: Path, waves: list[np.ndarray]) -> list[tuple[torch.Tensor, ...]]:
    """Hidden states of every sound alone, cut to the frames of the sound, as (frames, width)."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    found = []
    for wave in waves:
        filled = np.pad(wave, (0, max(0, 400 - len(wave))))
        given = extractor(filled, sampling_rate=RATE, return_tensors="pt")
        with torch.no_grad():
            runs = model.get_encoder() if folder.name == "whisper" else model
            name = extractor.model_input_names[0]
            states = runs(**{name: given[name]}, output_hidden_states=True).hidden_states
        frames = list(range(states[0].shape[1]))
        if folder.name == "whisper":  # a frame of the spectrogram is 160 samples, two make one
            frames = frames[: math.ceil(math.ceil(len(filled) / 160) / 2)]
        if folder.name == "ast":  # two marks, then 2 bands of 12 patches, 10 frames apart
            steps = 1 + (len(filled) - 400) // 160
            real = [t for t in range(12) if 10 * t < steps]
            frames = [0, 1, *(2 + 12 * band + t for band in range(2) for t in real)]
        found.append(tuple(state[0, frames] for state in states))
    return found


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-masked", "ast", "whisper"])
def test_hidden_states_are_pooled_over_the_frames_of_the_sound(
    name: str, saved: Path, waves: list[np.ndarray]
) -> None:
    expected = theirs(saved / name, waves)
    with opened(saved / name) as encoder:
        size = encoder.facts.batch_size or len(waves)
        assert (size == 1) == (name == "wav2vec2")  # padding would change what it gives
        found = encoded(encoder, waves, STATES, size)
        alone = encoded(encoder, waves, STATES, 1)
    for k, state in enumerate(STATES[:3]):
        means = np.stack([each[k].mean(dim=0).numpy() for each in expected])
        np.testing.assert_allclose(found[state], means, atol=1e-5)
        np.testing.assert_allclose(found[state], alone[state], atol=1e-5)
    layers = np.stack([found[state] for state in STATES[1:3]])
    np.testing.assert_allclose(found["hidden_states.mean"], layers.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("name", ["wav2vec2-classifier", "ast"])
def test_a_head_is_kept(name: str, saved: Path, waves: list[np.ndarray]) -> None:
    with opened(saved / name) as encoder:
        found = encoded(encoder, waves[:3], ("penultimate", "logits"), 3)
    model = transformers.AutoModelForAudioClassification.from_pretrained(saved / name).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(saved / name)
    for wave, logits in zip(waves, found["logits"], strict=False):
        given = extractor(wave, sampling_rate=RATE, return_tensors="pt")
        with torch.no_grad():
            there = model(input_values=given["input_values"]).logits[0].numpy()
        np.testing.assert_allclose(logits, there, atol=1e-5)


def test_the_manifest_replaces_parts(saved: Path, waves: list[np.ndarray]) -> None:
    names = ("hidden_states.1",)
    with opened(saved / "whisper") as encoder:
        usual = encoded(encoder, [waves[0][:4000]], names, 1)
    with opened(saved / "whisper", AudioPreprocessing(seconds=0.25)) as encoder:
        assert encoder.transform.prepare((waves[0], RATE)).truncated
        cut = encoded(encoder, waves[:1], names, 1)
    np.testing.assert_array_equal(cut[names[0]], usual[names[0]])
    states = theirs(saved / "wav2vec2-masked", waves)
    with opened(saved / "wav2vec2-masked", AudioPreprocessing(pooling="max")) as encoder:
        found = encoded(encoder, waves, names, 4)
    most = np.stack([each[1].amax(dim=0).numpy() for each in states])
    np.testing.assert_allclose(found[names[0]], most, atol=1e-5)
    with opened(saved / "ast", AudioPreprocessing(pooling="first_token", mean=1, std=2)) as encoder:
        assert (encoder.transform.extractor.mean, encoder.transform.extractor.std) == (1, 2)
    with opened(saved / "wav2vec2", AudioPreprocessing(scaling="none")) as encoder:
        prepared = encoder.transform.prepare((waves[0], RATE))
        np.testing.assert_array_equal(prepared.value.values, waves[0])


@pytest.mark.parametrize(
    ("name", "said", "expected"),
    [
        ("whisper", AudioPreprocessing(rate=8000), r"rate: its Whisper.* takes 16000"),
        ("whisper", AudioPreprocessing(bands=12), "preprocessing.bands: its Whisper.* settles"),
        ("wav2vec2", AudioPreprocessing(mean=1), "mean: its Wav2Vec2.* by nothing"),
        ("ast", TextPreprocessing(), "input is 'text', but the model takes 'audio'"),
    ],
)
def test_what_the_extractor_settles(name: str, said: Any, expected: str, saved: Path) -> None:
    with pytest.raises(SourceError, match=expected):
        opened(saved / name, said)


def test_flat_frames_and_other_targets_are_refused(saved: Path, waves: list[np.ndarray]) -> None:
    with opened(saved / "wav2vec2-masked", AudioPreprocessing(pooling="flatten")) as encoder:
        batch = encoder.transform.collate([encoder.transform.prepare((waves[0], RATE))] * 2)
        (found,) = encoder.cuts(batch, ("hidden_states.1",))
    assert isinstance(found, Refusal)
    assert "say preprocessing.pooling = 'mean' or 'max'" in found.reason
    (source,) = sources(f"{saved / 'whisper'}#text", None, Entry())
    with pytest.raises(SourceError, match="it takes audio, not text"):
        source.resolve(print)


def test_files_of_sounds_are_ranked(saved: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label, pitch in (("low", 200), ("high", 1500)):
        (tmp_path / label).mkdir()
        for k in range(6):
            time = np.arange(rng.integers(3000, 7000)) / 8000
            wave = np.sin(2 * np.pi * pitch * time) + 0.1 * rng.normal(size=len(time))
            soundfile.write(tmp_path / label / f"{k}.wav", 0.5 * wave, 8000)
    ranking = zoorank.rank(
        [f"hf:{saved / name}" for name in ("wav2vec2", "wav2vec2-masked", "ast", "whisper")],
        tmp_path,
        cuts=("hidden_states.1", "penultimate"),
        device="cpu",
    )
    assert [row.status for row in ranking if row.status != "ok"] == ["baseline"]
    assert len({row.model for row in ranking}) == 5
