"""Preprocessing does what its words say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from zoorank.errors import SourceError
from zoorank.targets import load_target
from zoorank.transforms.preprocess import prepare
from zoorank.transforms.specs import ImagePreprocessing, SeriesPreprocessing, TablePreprocessing

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 17, (6, 8, 8)).astype(np.float64)
COLOUR = RNG.integers(0, 256, (6, 8, 10, 3), np.uint8)
SERIES = RNG.normal(5, 3, (6, 20))
LABELS = np.array([0, 0, 1, 1, 2, 2])


def _prepare(spec, X, **options) -> torch.Tensor:
    batch = prepare(spec, load_target((X, LABELS), **options), range(1, 4))
    assert batch.dtype == torch.float32
    return batch


def test_grey_becomes_three_channels() -> None:
    batch = _prepare(ImagePreprocessing(scaling=16.0), GREY)
    assert batch.shape == (3, 3, 8, 8)
    assert torch.equal(batch[:, 0], batch[:, 2])
    assert torch.allclose(batch[:, 0], torch.tensor(GREY[1:4] / 16, dtype=torch.float32))


def test_colour_becomes_luma() -> None:
    batch = _prepare(ImagePreprocessing(channels=1), COLOUR)
    expected = (COLOUR[1:4] / 255) @ [0.299, 0.587, 0.114]
    assert batch.shape == (3, 1, 8, 10)
    assert np.allclose(batch[:, 0].numpy(), expected, atol=1e-6)


def test_channels_first_and_last_are_told_apart() -> None:
    spec = ImagePreprocessing()
    assert torch.equal(_prepare(spec, COLOUR), _prepare(spec, COLOUR.transpose(0, 3, 1, 2)))
    last = _prepare(ImagePreprocessing(layout="nhwc"), COLOUR)
    assert torch.equal(last.permute(0, 3, 1, 2), _prepare(spec, COLOUR))


@pytest.mark.parametrize(
    ("X", "scaling", "low", "high"),
    [
        (COLOUR, "auto", 0.0, 1.0),
        (GREY, "auto", 0.0, 1.0),
        (GREY / 32, "auto", 0.0, 0.5),
        (GREY, "none", 0.0, 16.0),
        (GREY - 8, "minmax", 0.0, 1.0),
    ],
)
def test_scaling(X: np.ndarray, scaling: str, low: float, high: float) -> None:
    batch = prepare(ImagePreprocessing(scaling=scaling), load_target((X, LABELS)), range(6))
    assert float(batch.min()) == pytest.approx(low, abs=0.01)
    assert float(batch.max()) == pytest.approx(high, rel=0.01)


def test_standardize_then_mean_and_std() -> None:
    spec = ImagePreprocessing(scaling="standardize", mean=(1.0,), std=(0.5,))
    batch = prepare(spec, load_target((GREY, LABELS)), range(6))
    assert float(batch.mean()) == pytest.approx(-2.0, abs=1e-5)
    assert float(batch[:, 0].std(correction=0)) == pytest.approx(2.0, abs=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest", "area"])
def test_resize(mode: str) -> None:
    spec = ImagePreprocessing(size=5, interpolation=mode, scaling="none", channels=1)
    smooth = mode in ("bilinear", "bicubic")
    expected = interpolate(
        torch.tensor(GREY[1:4, None], dtype=torch.float32), size=(5, 5), mode=mode, antialias=smooth
    )
    assert torch.equal(_prepare(spec, GREY), expected)


def test_crop_keeps_the_proportions() -> None:
    ramp = np.broadcast_to(np.arange(16.0), (6, 8, 16)).copy()
    spec = ImagePreprocessing(size=8, fit="crop", scaling="none", channels=1)
    batch = _prepare(spec, ramp)
    assert torch.equal(batch[0, 0, 0], torch.arange(4.0, 12.0))


def test_series_are_standardized_as_a_whole_or_each() -> None:
    whole = prepare(SeriesPreprocessing(), load_target((SERIES, LABELS)), range(6))
    assert whole.shape == (6, 1, 20)
    assert float(whole.mean()) == pytest.approx(0, abs=1e-6)
    assert float(whole.std(correction=0)) == pytest.approx(1, abs=1e-6)
    assert abs(float(whole[0].mean())) > 1e-3
    each = prepare(
        SeriesPreprocessing(scaling="standardize_each"), load_target((SERIES, LABELS)), range(6)
    )
    assert torch.allclose(each.mean(dim=2), torch.zeros(6, 1), atol=1e-6)


def test_a_large_offset_does_not_drown_a_series() -> None:
    plain = prepare(SeriesPreprocessing(), load_target((SERIES, LABELS)), range(6))
    far = prepare(SeriesPreprocessing(), load_target((SERIES + 1e8, LABELS)), range(6))
    assert torch.allclose(plain, far, atol=1e-6)


def test_series_layouts_and_length() -> None:
    assert _prepare(SeriesPreprocessing(layout="nl"), SERIES).shape == (3, 20)
    assert _prepare(SeriesPreprocessing(layout="nlc"), SERIES).shape == (3, 20, 1)
    assert _prepare(SeriesPreprocessing(length=7), SERIES).shape == (3, 1, 7)
    two = SeriesPreprocessing(channels=2)
    assert _prepare(two, SERIES.reshape(6, 2, 10), kind="series").shape == (3, 2, 10)


def test_tables_are_scaled_by_column() -> None:
    X = np.column_stack([SERIES[:, 0], np.full(6, 3.0)])
    batch = prepare(TablePreprocessing(), load_target((X, LABELS)), range(6))
    assert torch.allclose(batch.mean(dim=0), torch.zeros(2), atol=1e-6)
    assert torch.equal(batch[:, 1], torch.zeros(6))
    batch = prepare(TablePreprocessing(scaling="minmax"), load_target((X, LABELS)), range(6))
    assert batch[:, 0].min() == 0
    assert batch[:, 0].max() == 1


@pytest.mark.parametrize(
    ("spec", "X", "reason"),
    [
        (ImagePreprocessing(), SERIES, r"needs images; the target's samples have shape \(20\)"),
        (ImagePreprocessing(), np.zeros((6, 8, 8, 5)), "needs 1 or 3 channels"),
        (SeriesPreprocessing(), COLOUR, "needs series; the target's samples have shape"),
        (SeriesPreprocessing(channels=3), SERIES, "needs 3 variables a step; the target has 1"),
        (TablePreprocessing(), GREY, "needs a table"),
    ],
)
def test_what_a_network_cannot_be_fed(spec, X: np.ndarray, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        _prepare(spec, X)


@pytest.mark.parametrize(
    ("spec", "X"),
    [
        (ImagePreprocessing(size=(8, 8)), GREY),
        (SeriesPreprocessing(), SERIES),
        (TablePreprocessing(scaling="minmax"), SERIES),
    ],
)
def test_a_sample_comes_out_the_same_whatever_others_it_is_prepared_with(spec, X) -> None:
    target = load_target((X, LABELS))
    every = prepare(spec, target, range(6))
    assert torch.equal(prepare(spec, target, np.array([0, 3, 5])), every[[0, 3, 5]])
