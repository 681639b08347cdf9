"""Descriptions of preprocessing: as a specification they prepare images as the libraries do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import transformers
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torchvision import models

from zoorank.errors import SourceError
from zoorank.sources.base import Entry
from zoorank.sources.processors import ProcessorTransform, run, transform_of
from zoorank.sources.published import override, package
from zoorank.sources.timm import describe as describe_timm
from zoorank.sources.torchvision import describe as describe_torchvision
from zoorank.transforms.image import ImageTransform
from zoorank.transforms.specs import ImagePreprocessing, TextPreprocessing


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smooth image with edges, neither square nor even, as a file without loss."""
    y, x = np.mgrid[:361, :505]
    waves = [128 + 100 * np.sin(x / (9 + k) + y / (17 - k)) * (x > 90 * k) for k in range(3)]
    file = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(np.stack(waves, axis=2).astype(np.uint8)).save(file)
    return file


def ours(spec: ImagePreprocessing, photo: Path) -> Any:
    transform = ImageTransform(spec)
    return transform.collate([transform.prepare(photo)]).only[0]


def test_every_preset_of_torchvision_is_described(photo: Path) -> None:
    presets = {}
    for name in models.list_models(models):
        for member in models.get_model_weights(name):
            preset = member.transforms()
            presets[repr(preset)] = preset
    assert len(presets) > 15
    image = Image.open(photo)
    for preset in presets.values():
        if preset.crop_size[0] <= 384:
            theirs = preset(image).numpy()
            np.testing.assert_allclose(ours(describe_torchvision(preset), photo), theirs, atol=1e-5)


def test_every_way_in_which_timm_prepares_images_is_described(photo: Path) -> None:
    configs = {}
    for name in timm.list_pretrained():
        config = timm.models.get_pretrained_cfg(name)
        if config.crop_mode != "border" and config.input_size[1] <= 384:
            data = resolve_data_config(pretrained_cfg=config.to_dict())
            configs[repr(data)] = (config, data)
    assert len(configs) > 80
    image = Image.open(photo)
    # Those that differ in mean and deviation alone are alike but for the last steps.
    seen = {}
    for config, data in configs.values():
        seen[data["input_size"], data["interpolation"], data["crop_pct"], data["crop_mode"]] = (
            config,
            data,
        )
    for config, data in seen.values():
        theirs = create_transform(**data, is_training=False)(image).numpy()
        np.testing.assert_allclose(
            ours(describe_timm(config), photo), theirs, atol=1e-5, err_msg=repr(data)
        )


def test_what_no_specification_says_is_refused() -> None:
    config = timm.models.PretrainedCfg(crop_mode="border")
    with pytest.raises(SourceError, match="cropped in a way that is not known: border"):
        describe_timm(config)
    with pytest.raises(SourceError, match="takes 12 channels"):
        describe_timm(timm.models.PretrainedCfg(input_size=(12, 64, 64)))


PROCESSORS = [
    transformers.ViTImageProcessor(size={"height": 224, "width": 224}),
    transformers.CLIPImageProcessor(),
    transformers.ConvNextImageProcessor(size={"shortest_edge": 224}),
    transformers.ConvNextImageProcessor(size={"shortest_edge": 384}),
    transformers.DeiTImageProcessor(),
    transformers.MobileNetV2ImageProcessor(),
    transformers.BitImageProcessor(),
    transformers.ViTImageProcessor(do_normalize=False, do_rescale=False),
    transformers.MobileViTImageProcessor(
        size={"shortest_edge": 288}, crop_size={"height": 256, "width": 256}
    ),
]


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda each: type(each).__name__)
def test_usual_processors_become_specifications(processor: Any, photo: Path) -> None:
    transform = transform_of(processor, Entry())
    assert isinstance(transform, ImageTransform)
    theirs = run(processor, Image.open(photo))
    close = transform.collate([transform.prepare(photo)]).only[0]
    assert close.shape == theirs.shape
    # Resizing by torchvision instead of Pillow moves values by a step of 8 bits or two, and a
    # centre between two pixels is rounded either way.
    apart = [np.abs(np.roll(close, k, axis=2) - theirs)[:, :, 1:-1].max() for k in (0, -1, 1)]
    assert min(apart) < 3 * np.ptp(theirs) / 255


UNUSUAL = [
    transformers.EfficientNetImageProcessor(),
    transformers.LevitImageProcessor(),
    transformers.DonutImageProcessor(size={"height": 80, "width": 60}),
]


@pytest.mark.parametrize("processor", UNUSUAL, ids=lambda each: type(each).__name__)
def test_other_processors_prepare_images_themselves(processor: Any, photo: Path) -> None:
    transform = transform_of(processor, Entry())
    assert isinstance(transform, ProcessorTransform)
    batch = transform.collate([transform.prepare(photo)] * 2)
    theirs = processor(images=Image.open(photo), return_tensors="np")["pixel_values"][0]
    np.testing.assert_array_equal(batch.only[1], theirs)
    as_array = transform.prepare(np.asarray(Image.open(photo)))
    np.testing.assert_array_equal(as_array.value, theirs)


def test_equal_settings_share_prepared_images(photo: Path) -> None:
    preset = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    spec = describe_torchvision(preset)
    assert ImageTransform(spec).key == ImageTransform(override(spec, Entry())).key
    described = transform_of(transformers.MobileNetV2ImageProcessor(), Entry())
    assert described.key == ImageTransform(spec).key


def test_a_manifest_overrides_any_part() -> None:
    described = describe_torchvision(models.ResNet18_Weights.IMAGENET1K_V1.transforms())

    def said(**keys: Any) -> ImagePreprocessing:
        return override(described, Entry(preprocessing=ImagePreprocessing(**keys)))

    assert said(channel_order="bgr").resize == 256
    assert said(size=224, resize=300, fit="crop").resize == 300
    assert said(fit="stretch").resize is None
    smaller = said(size=112)
    assert (smaller.size, smaller.resize, smaller.crop_pct) == ((112, 112), None, 224 / 256)
    with pytest.raises(SourceError, match=r"preprocessing.input is 'text', but the model takes"):
        override(described, Entry(preprocessing=TextPreprocessing()))


def test_without_any_description_the_manifest_has_to_say(photo: Path) -> None:
    with pytest.raises(SourceError, match=r"no preprocessor_config.json"):
        transform_of(None, Entry())
    spec = ImagePreprocessing(size=32)
    transform = transform_of(None, Entry(preprocessing=spec))
    assert transform.collate([transform.prepare(photo)]).only.shape == (1, 3, 32, 32)


def test_numbers_are_no_images_for_a_processor() -> None:
    transform = ProcessorTransform(UNUSUAL[0])
    with pytest.raises(SourceError, match="takes 8-bit images; the target's are float64"):
        transform.prepare(np.zeros((3, 20, 20)))


def test_a_library_of_another_build_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "operator torchvision::nms does not exist"
    (tmp_path / "zr_unfit.py").write_text(f"raise RuntimeError({said!r})")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SourceError, match=r"of different builds: install both from one index$"):
        package("zr_unfit", "timm")
