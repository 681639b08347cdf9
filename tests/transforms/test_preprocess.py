"""Preprocessing does what its words say."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from tests.transforms.earlier import prepared as earlier

from zoorank.errors import SourceError
from zoorank.targets import load_target
from zoorank.transforms import transform_of
from zoorank.transforms.specs import (
    ImagePreprocessing,
    SeriesPreprocessing,
    TablePreprocessing,
    TextPreprocessing,
)

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 17, (6, 8, 8)).astype(np.float64)
COLOUR = RNG.integers(0, 256, (6, 8, 10, 3), np.uint8)
SERIES = RNG.normal(5, 3, (6, 20))
LABELS = np.array([0, 0, 1, 1, 2, 2])


def _batch(spec, target, rows) -> np.ndarray:
    transform = transform_of(spec).fitted(target)
    batch = transform.collate([transform.prepare(sample) for sample in target.take(rows)])
    assert batch.samples == batch.rows == len(rows)
    assert batch.only.dtype == np.float32
    assert batch.only.flags.c_contiguous
    return batch.only


def _prepare(spec, X, **options) -> np.ndarray:
    return _batch(spec, load_target((X, LABELS), **options), range(1, 4))


def _every(spec, X) -> np.ndarray:
    return _batch(spec, load_target((X, LABELS)), range(6))


def test_grey_becomes_three_channels() -> None:
    batch = _prepare(ImagePreprocessing(scaling=16.0), GREY)
    assert batch.shape == (3, 3, 8, 8)
    assert np.array_equal(batch[:, 0], batch[:, 2])
    assert np.allclose(batch[:, 0], GREY[1:4] / 16)


def test_colour_becomes_luma() -> None:
    batch = _prepare(ImagePreprocessing(channels=1), COLOUR)
    expected = (COLOUR[1:4] / 255) @ [0.299, 0.587, 0.114]
    assert batch.shape == (3, 1, 8, 10)
    assert np.allclose(batch[:, 0], expected, atol=1e-6)


def test_channels_first_and_last_are_told_apart() -> None:
    spec = ImagePreprocessing()
    assert np.array_equal(_prepare(spec, COLOUR), _prepare(spec, COLOUR.transpose(0, 3, 1, 2)))
    last = _prepare(ImagePreprocessing(layout="nhwc"), COLOUR)
    assert np.array_equal(last.transpose(0, 3, 1, 2), _prepare(spec, COLOUR))


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
    batch = _every(ImagePreprocessing(scaling=scaling), X)
    assert float(batch.min()) == pytest.approx(low, abs=0.01)
    assert float(batch.max()) == pytest.approx(high, rel=0.01)


def test_standardize_then_mean_and_std() -> None:
    spec = ImagePreprocessing(scaling="standardize", mean=(1.0,), std=(0.5,))
    batch = _every(spec, GREY)
    assert float(batch.mean()) == pytest.approx(-2.0, abs=1e-5)
    assert float(batch[:, 0].std()) == pytest.approx(2.0, abs=1e-5)


def test_a_value_range_holds_whatever_the_target_is() -> None:
    """A network for pixels from 0 to 255 less their mean, and the three kinds of images."""
    spec = ImagePreprocessing(value_range=(0, 255), mean=(104, 117, 123), channel_order="bgr")
    mean = np.array([104, 117, 123])[:, None, None]
    expected = COLOUR.transpose(0, 3, 1, 2)[:, ::-1] - mean
    assert np.allclose(_every(spec, COLOUR), expected, atol=1e-3)
    assert np.allclose(_every(spec, COLOUR / 255), expected, atol=1e-3)
    symmetric = _every(ImagePreprocessing(value_range=(-1, 1)), COLOUR)
    assert np.allclose(symmetric, COLOUR.transpose(0, 3, 1, 2) / 127.5 - 1, atol=1e-6)


FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
    "area": Image.Resampling.BOX,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}


@pytest.mark.parametrize("mode", FILTERS)
def test_images_are_resized_as_pillow_does(mode: str) -> None:
    spec = ImagePreprocessing(size=[5, 6], interpolation=mode, scaling="none", channels=1)
    expected = [
        np.asarray(Image.fromarray(image.astype(np.float32)).resize((6, 5), FILTERS[mode]))
        for image in GREY[1:4]
    ]
    assert np.array_equal(_prepare(spec, GREY)[:, 0], expected)
    spec = ImagePreprocessing(size=[5, 6], interpolation=mode, scaling=1, layout="nhwc")
    expected = [
        np.asarray(Image.fromarray(image).resize((6, 5), FILTERS[mode])) for image in COLOUR[1:4]
    ]
    assert np.array_equal(_prepare(spec, COLOUR), expected)


def test_eight_bits_stay_eight_bits_until_the_batch() -> None:
    transform = transform_of(ImagePreprocessing(size=6))
    assert transform.prepare(COLOUR[0]).value.dtype == np.uint8
    assert transform.prepare(COLOUR[0, ..., 0]).value.shape == (6, 6)
    assert transform.prepare(GREY[0]).value.dtype == np.float32


def test_crop_keeps_the_proportions() -> None:
    ramp = np.broadcast_to(np.arange(16.0), (6, 8, 16)).copy()
    spec = ImagePreprocessing(size=8, fit="crop", scaling="none", channels=1)
    batch = _prepare(spec, ramp)
    assert np.array_equal(batch[0, 0, 0], np.arange(4.0, 12.0))


@pytest.mark.parametrize("shape", [(320, 256), (250, 333), (100, 343)])
@pytest.mark.parametrize(
    "keys", [{"resize": 256}, {"crop_pct": 0.875}, {"resize": [256, 256]}], ids=str
)
def test_resize_then_crop_as_torchvision_does(shape: tuple[int, int], keys: dict) -> None:
    image = RNG.integers(0, 256, (*shape, 3), np.uint8)
    height, width = shape
    if isinstance(keys.get("resize"), list):
        new = (256, 256)
    elif height < width:
        new = (256, int(256 * width / height))
    else:
        new = (int(256 * height / width), 256)
    resized = Image.fromarray(image).resize(new[::-1], Image.Resampling.BICUBIC)
    left, top = (round((side - 224) / 2.0) for side in resized.size)
    expected = np.asarray(resized.crop((left, top, left + 224, top + 224)))
    spec = ImagePreprocessing(size=224, fit="crop", interpolation="bicubic", **keys)
    assert np.array_equal(transform_of(spec).prepare(image).value, expected)


def test_a_target_may_already_have_the_size_to_crop_from() -> None:
    X = RNG.integers(0, 256, (4, 320, 256, 3), np.uint8)
    spec = ImagePreprocessing(
        resize=256, size=224, fit="crop", channel_order="bgr", scaling=1, mean=[104, 117, 123]
    )
    batch = _batch(spec, load_target((X, [0, 0, 1, 1])), range(4))
    expected = X.transpose(0, 3, 1, 2)[:, ::-1, 48:272, 16:240]
    assert np.array_equal(batch, expected - np.float32([104, 117, 123])[:, None, None])


def test_files_come_out_as_their_pixels(tmp_path: Path) -> None:
    for k, label in enumerate("abcabc"):
        (tmp_path / label).mkdir(exist_ok=True)
        pixels = COLOUR[k] if k % 2 else COLOUR[k, ..., 0]
        Image.fromarray(pixels).save(tmp_path / label / f"{k}.png")
    order = [0, 3, 1, 4, 2, 5]
    pixels = COLOUR[order].copy()
    grey = np.array(order) % 2 == 0
    pixels[grey] = pixels[grey, ..., :1]
    for spec in (ImagePreprocessing(size=6), ImagePreprocessing(channels=1)):
        batch = _batch(spec, load_target(tmp_path), range(6))
        assert np.array_equal(batch, _every(spec, pixels))


def test_a_large_photo_comes_out_as_if_all_of_it_were_decoded(tmp_path: Path) -> None:
    """JPEG files are decoded at a fraction of their size, which must not show."""
    scene = Image.fromarray(RNG.integers(0, 256, (12, 16, 3), np.uint8))
    scene.resize((1600, 1200), Image.Resampling.BICUBIC).save(tmp_path / "photo.jpg", quality=90)
    transform = transform_of(ImagePreprocessing(size=224, resize=256, fit="crop"))
    with Image.open(tmp_path / "photo.jpg") as whole:
        expected = transform.prepare(np.asarray(whole)).value.astype(int)
    difference = np.abs(transform.prepare(tmp_path / "photo.jpg").value - expected)
    assert difference.max() <= 3
    assert difference.mean() < 0.5


def test_images_of_several_sizes_need_one() -> None:
    transform = transform_of(ImagePreprocessing())
    two = [transform.prepare(COLOUR[0]), transform.prepare(COLOUR[0, 2:])]
    with pytest.raises(SourceError, match="the images differ in size"):
        transform.collate(two)


def test_series_are_standardized_as_a_whole_or_each() -> None:
    whole = _every(SeriesPreprocessing(), SERIES)
    assert whole.shape == (6, 1, 20)
    assert float(whole.mean()) == pytest.approx(0, abs=1e-6)
    assert float(whole.std()) == pytest.approx(1, abs=1e-6)
    assert abs(float(whole[0].mean())) > 1e-3
    each = _every(SeriesPreprocessing(scaling="standardize_each"), SERIES)
    assert np.allclose(each.mean(axis=2), 0, atol=1e-6)


def test_a_large_offset_does_not_drown_a_series() -> None:
    plain, far = (_every(SeriesPreprocessing(), X) for X in (SERIES, SERIES + 1e8))
    assert np.allclose(plain, far, atol=1e-6)


def test_series_layouts_and_length() -> None:
    assert _prepare(SeriesPreprocessing(layout="nl"), SERIES).shape == (3, 20)
    assert _prepare(SeriesPreprocessing(layout="nlc"), SERIES).shape == (3, 20, 1)
    assert _prepare(SeriesPreprocessing(length=7), SERIES).shape == (3, 1, 7)
    two = SeriesPreprocessing(channels=2)
    assert _prepare(two, SERIES.reshape(6, 2, 10), modality="series").shape == (3, 2, 10)


def test_tables_are_scaled_by_column() -> None:
    X = np.column_stack([SERIES[:, 0], np.full(6, 3.0)])
    batch = _every(TablePreprocessing(), X)
    assert np.allclose(batch.mean(axis=0), 0, atol=1e-6)
    assert np.array_equal(batch[:, 1], np.zeros(6))
    batch = _every(TablePreprocessing(scaling="minmax"), X)
    assert batch[:, 0].min() == 0
    assert batch[:, 0].max() == 1


LARGE_GREY = RNG.normal(30, 12, (6, 31, 33))
BYTES = RNG.integers(0, 256, (6, 31, 33, 3), np.uint8)
IMAGES = (GREY, LARGE_GREY, LARGE_GREY.astype(np.float32), BYTES, BYTES.transpose(0, 3, 1, 2))
UNRESIZED = [
    *(
        (ImagePreprocessing(scaling=scaling, channels=channels, layout=layout), X, "image")
        for scaling in ("auto", "minmax", "standardize", "none", 7.3)
        for channels in (1, 3)
        for layout in ("nchw", "nhwc")
        for X in (
            GREY,
            LARGE_GREY,
            LARGE_GREY.astype(np.float32),
            BYTES,
            BYTES.transpose(0, 3, 1, 2),
        )
    ),
    (ImagePreprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)), BYTES, "image"),
    *(
        (SeriesPreprocessing(scaling=scaling, layout=layout), SERIES, "series")
        for scaling in ("standardize", "standardize_each", "none")
        for layout in ("ncl", "nlc", "nl")
    ),
    (SeriesPreprocessing(channels=31), LARGE_GREY, "series"),
    *(
        (TablePreprocessing(scaling=scaling), X, "table")
        for scaling in ("standardize", "minmax", "none")
        for X in (SERIES, SERIES.astype(np.float32), BYTES.reshape(6, -1))
    ),
]


@pytest.mark.parametrize(("spec", "X", "modality"), UNRESIZED)
def test_what_is_not_resized_has_the_bits_of_version_0_1(spec, X, modality: str) -> None:
    target = load_target((X, LABELS), modality=modality)
    assert np.array_equal(_batch(spec, target, range(6)), earlier(spec, target, range(6)).numpy())


@pytest.mark.parametrize("length", [1, 5, 20, 21, 200])
def test_resampled_series_are_those_of_version_0_1(length: int) -> None:
    target = load_target((SERIES, LABELS), modality="series")
    for scaling in ("standardize", "standardize_each", "none"):
        spec = SeriesPreprocessing(scaling=scaling, length=length)
        expected = earlier(spec, target, range(6)).numpy()
        assert np.allclose(_batch(spec, target, range(6)), expected, rtol=1e-5, atol=1e-5)


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


def test_texts_are_fed_to_no_network_for_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,x\nb,y\nc,x\n")
    target = load_target(tmp_path / "t.csv")
    for spec in (ImagePreprocessing(), SeriesPreprocessing(), TablePreprocessing()):
        with pytest.raises(SourceError, match=r"the target's samples have shape \(text\)"):
            transform_of(spec).fitted(target)
    with pytest.raises(SourceError, match="texts need a tokenizer"):
        transform_of(TextPreprocessing())


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"resize": 256}, "resize goes with a size and fit = 'crop'"),
        ({"crop_pct": 0.9, "size": 224}, "crop_pct goes with a size and fit = 'crop'"),
        ({"crop_pct": 0.9, "resize": 9, "size": 8, "fit": "crop"}, "only one of them is allowed"),
        ({"resize": 7, "size": 8, "fit": "crop"}, "resize is smaller than size"),
        ({"resize": 0, "size": 8, "fit": "crop"}, "must be at least 1"),
        ({"resize": "big"}, "must be a number or"),
        ({"crop_pct": 0}, "greater than 0"),
        ({"value_range": [1, 0]}, "low < high"),
        ({"channel_order": "bgr", "channels": 1}, "needs channels = 3"),
        ({"interpolation": "linear"}, "bilinear"),
    ],
)
def test_keys_that_make_no_sense(keys: dict, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ImagePreprocessing(**keys)


SPECS = [
    (ImagePreprocessing(size=(8, 8)), GREY),
    (SeriesPreprocessing(), SERIES),
    (TablePreprocessing(scaling="minmax"), SERIES),
]


@pytest.mark.parametrize(("spec", "X"), SPECS)
def test_a_sample_comes_out_the_same_whatever_others_it_is_prepared_with(spec, X) -> None:
    target = load_target((X, LABELS))
    every = _batch(spec, target, range(6))
    assert np.array_equal(_batch(spec, target, np.array([0, 3, 5])), every[[0, 3, 5]])


@pytest.mark.parametrize(("spec", "X"), SPECS)
def test_a_fitted_transform_can_be_sent_to_another_process(spec, X) -> None:
    transform = transform_of(spec).fitted(load_target((X, LABELS)))
    sent = pickle.loads(pickle.dumps(transform))
    assert sent.key == transform.key
    one, other = (each.collate([each.prepare(X[0])]).only for each in (transform, sent))
    assert np.array_equal(one, other)


def test_equal_keys_share_what_is_prepared() -> None:
    def key(**keys) -> str:
        return transform_of(ImagePreprocessing(**keys)).key

    assert key(size=8) == key(size=8, mean=(0.5,), channels=1, layout="nhwc", scaling="minmax")
    different = [
        key(),
        key(size=8),
        key(size=9),
        key(size=8, fit="crop"),
        key(size=8, fit="crop", resize=9),
        key(size=8, fit="crop", resize=[9, 9]),
        key(size=8, fit="crop", crop_pct=0.9),
        key(size=8, interpolation="bicubic"),
    ]
    assert len(set(different)) == len(different)
    assert (
        transform_of(SeriesPreprocessing()).key != transform_of(SeriesPreprocessing(length=3)).key
    )


@pytest.mark.parametrize("shape", [(3, 40_000), (40_000, 3)])
def test_of_a_picture_that_is_all_length_the_middle_alone_is_resized(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it would be 224 by 3 million pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    transform = transform_of(ImagePreprocessing(size=24, resize=32, fit="crop"))
    whole = transform.prepare(pixels).value
    assert whole.shape == (24, 24, 3)
    monkeypatch.setattr("zoorank.transforms.image._MOST_PIXELS", 2**20)
    middle = transform.prepare(pixels).value
    assert middle.shape == whole.shape
    assert np.abs(middle.astype(int) - whole.astype(int)).max() <= 12  # a part of a pixel aside
    large = transform_of(ImagePreprocessing(size=224, fit="crop")).prepare(pixels).value
    assert large.shape == (224, 224, 3)


@pytest.mark.parametrize(
    "said", [{"size": 10_000}, {"size": 224, "crop_pct": 1e-6, "fit": "crop"}, {"size": (8, 2**31)}]
)
def test_no_side_is_larger_than_memory(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="8192"):
        ImagePreprocessing(**said)
