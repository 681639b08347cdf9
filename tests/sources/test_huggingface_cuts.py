"""Cuts of `hf:` equal what transformers computes there, and nothing behind them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as t
from tests.sources.carried import minilm
from tests.sources.cutting import batch_of, encode, modules_run, opened, refusal
from tests.sources.tiny_transformers import SAVED, save
from torch import Tensor

from zoorank.errors import SourceError, UsageError
from zoorank.sources.base import Entry
from zoorank.sources.huggingface import HuggingFaceSource, sources
from zoorank.sources.torch.hidden_states import hidden_states
from zoorank.sources.torch.token_rows import pool_tokens
from zoorank.transforms.specs import ImagePreprocessing, TextPreprocessing

TEXTS = ["the cat sat on a mat", "dog", "a red dog ran far on the mat"]
IMAGES = list(np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), np.uint8))

VISION = [name for name in SAVED if any(word in name for word in ("vit", "resnet"))]
TEXT = [name for name in SAVED if name not in (*VISION, "clip")]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for every tiny model."""
    folder = tmp_path_factory.mktemp("saved")
    for name in SAVED:
        save(name, folder / name)
    return folder


def one(identifier: str, folder: Path, **keys: Any) -> HuggingFaceSource:
    (source,) = sources(identifier, None, Entry(folder=folder, **keys))
    return source


def whole(folder: Path, auto: Any = t.AutoModel) -> Any:
    """The model as transformers reads it."""
    return auto.from_pretrained(folder, dtype=torch.float32).eval()


def run(model: Any, encoder: Any, batch: Any) -> Any:
    """Its output for a batch of ours."""
    inputs = encoder.tensors(batch)
    if "" in inputs:
        inputs = {"pixel_values": inputs[""]}
    model.to(memory_format=torch.channels_last)  # as encoders have it: to the last bit
    with torch.no_grad():
        return model(**inputs, output_hidden_states=True)


def mean_of_maps(state: Tensor) -> Tensor:
    return state.mean(dim=1) if state.ndim == 3 else state.mean(dim=(2, 3))


@pytest.mark.parametrize("name", VISION)
def test_hidden_states_of_images(name: str, saved: Path) -> None:
    with opened(one(name, saved), "image") as encoder:
        batch = batch_of(encoder, IMAGES)
        states = run(whole(saved / name), encoder, batch).hidden_states
        for number, state in enumerate(states):
            found = encode(encoder, batch, f"hidden_states.{number}")
            assert torch.equal(found, mean_of_maps(state))


@pytest.mark.parametrize("name", TEXT)
def test_hidden_states_of_texts(name: str, saved: Path) -> None:
    with opened(one(name, saved), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        model = whole(saved / name)
        model = model.get_encoder() if model.config.is_encoder_decoder else model
        output = run(model, encoder, batch)
        mask = torch.from_numpy(batch.inputs["attention_mask"])
        for number, state in enumerate(hidden_states(output)):
            found = encode(encoder, batch, f"hidden_states.{number}")
            assert torch.equal(found, pool_tokens(state, mask, "mean"))
        layers = [pool_tokens(state, mask, "mean") for state in output.hidden_states[1:]]
        found = encode(encoder, batch, "hidden_states.mean")
        assert torch.equal(found, torch.stack(layers).mean(dim=0))


@pytest.mark.parametrize(
    ("name", "modality", "before", "behind"),
    [
        ("bert", "text", "encoder.layer.0", "encoder.layer.1"),
        ("bert-classifier", "text", "bert.encoder.layer.0", "bert.encoder.layer.1"),
        ("gpt2", "text", "h.0", "h.1"),
        ("t5", "text", "encoder.block.0", "encoder.block.1"),
        ("vit-classifier", "image", "vit.layers.0", "vit.layers.1"),
        ("resnet", "image", "encoder.stages.0", "encoder.stages.1"),
        ("clip", "image", "vision_model.encoder.layers.0", "vision_model.encoder.layers.1"),
        ("clip", "text", "text_model.encoder.layers.0", "text_model.encoder.layers.1"),
    ],
)
def test_what_lies_behind_does_not_run(
    name: str, modality: Any, before: str, behind: str, saved: Path
) -> None:
    samples = IMAGES if modality == "image" else TEXTS
    with opened(one(name, saved), modality) as encoder:
        batch = batch_of(encoder, samples)
        ended = modules_run(encoder, batch, before)
        assert before in ended
        for each in (ended, modules_run(encoder, batch, "hidden_states.1")):
            assert not any(name.startswith(behind) for name in each)
        ended = modules_run(encoder, batch, "hidden_states.2")
        assert any(name.startswith(behind) for name in ended)


@pytest.mark.parametrize(
    ("name", "auto", "head"),
    [
        ("bert-classifier", t.AutoModelForSequenceClassification, "classifier"),
        ("vit-classifier", t.AutoModelForImageClassification, "classifier"),
        ("resnet-classifier", t.AutoModelForImageClassification, "classifier.1"),
    ],
)
def test_a_classifier(name: str, auto: Any, head: str, saved: Path) -> None:
    modality = "text" if "bert" in name else "image"
    with opened(one(name, saved), modality) as encoder:
        batch = batch_of(encoder, TEXTS if modality == "text" else IMAGES)
        model, taken = whole(saved / name, auto), []
        model.get_submodule(head).register_forward_pre_hook(lambda _, args: taken.append(args[0]))
        assert torch.equal(encode(encoder, batch, "logits"), run(model, encoder, batch).logits)
        assert torch.equal(encode(encoder, batch, "penultimate"), taken[0])
        assert head not in modules_run(encoder, batch, "penultimate")


@pytest.mark.parametrize("name", ["bert-classifier", "vit-classifier"])
def test_the_name_of_the_bare_model_may_be_left_out(name: str, saved: Path) -> None:
    modality, short = ("text", "encoder.layer.1") if "bert" in name else ("image", "layers.1")
    with opened(one(name, saved), modality) as encoder:
        batch = batch_of(encoder, TEXTS if modality == "text" else IMAGES)
        full = encode(encoder, batch, f"{name.partition('-')[0]}.{short}")
        assert torch.equal(encode(encoder, batch, short), full)
        assert torch.equal(encode(encoder, batch, "hidden_states.2"), full)


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5", "llama"])
def test_without_a_head_the_penultimate_cut_is_the_last_hidden_state(
    name: str, saved: Path
) -> None:
    with opened(one(name, saved), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        model = whole(saved / name)
        model = model.get_encoder() if model.config.is_encoder_decoder else model
        mask = torch.from_numpy(batch.inputs["attention_mask"])
        last = pool_tokens(run(model, encoder, batch).last_hidden_state, mask, "mean")
        for cut in ("penultimate", "last_hidden_state"):
            assert torch.equal(encode(encoder, batch, cut), last)
        assert refusal(encoder, batch, "logits") == "the model has no classifier"


def test_one_tower_of_two(saved: Path) -> None:
    model = whole(saved / "clip")
    with opened(one("clip#vision", saved), "image") as encoder:
        batch = batch_of(encoder, IMAGES)
        pixels = torch.from_numpy(batch.only)
        with torch.no_grad():
            output = model.vision_model(pixels, output_hidden_states=True)
            features = model.get_image_features(pixels).pooler_output
        assert torch.equal(encode(encoder, batch, "logits"), features)
        assert torch.equal(encode(encoder, batch, "penultimate"), output.pooler_output)
        found = encode(encoder, batch, "hidden_states.1")
        assert torch.equal(found, output.hidden_states[1].mean(dim=1))
    with opened(one("clip", saved), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        with torch.no_grad():
            features = model.get_text_features(**encoder.tensors(batch)).pooler_output
        assert torch.equal(encode(encoder, batch, "logits"), features)
        parameters = sum(each.numel() for each in model.text_model.parameters())
        assert encoder.facts.parameters == parameters + model.text_projection.weight.numel()


@pytest.mark.parametrize("how", ["mean", "last_token"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", [name for name in TEXT if "classifier" not in name])
def test_a_text_alone_encodes_as_in_a_padded_batch(
    name: str, side: Any, how: Any, saved: Path
) -> None:
    spec = TextPreprocessing(padding_side=side, pooling=how)
    with opened(one(name, saved, preprocessing=spec), "text") as encoder:
        together = encode(encoder, batch_of(encoder, TEXTS), "penultimate")
        alone = [encode(encoder, batch_of(encoder, [text]), "penultimate") for text in TEXTS]
        torch.testing.assert_close(torch.cat(alone), together, atol=1e-5, rtol=0)


def test_words_of_sentences(saved: Path) -> None:
    sentences = [["the", "cat", "sat"], ["a", "red", "dog", "ran", "far"]]
    with opened(one("bert", saved), "text") as encoder:
        batch = batch_of(encoder, sentences)
        found = encode(encoder, batch, "hidden_states.2")
        assert found.shape == (8, 16)
        state = run(whole(saved / "bert"), encoder, batch).hidden_states[2]
        # A word of this tokenizer is one token, behind the one that marks the beginning.
        assert torch.equal(found, torch.cat([state[0, 1:4], state[1, 1:6]]))
        assert "one vector a sentence" in refusal(encoder, batch, "pooler")
    with opened(one("gpt2-left", saved), "text") as encoder:
        batch = batch_of(encoder, sentences)
        state = run(whole(saved / "gpt2-left"), encoder, batch).hidden_states[1]
        found = encode(encoder, batch, "hidden_states.1")
        assert torch.equal(found, torch.cat([state[0, -3:], state[1]]))


def test_nothing_behind_new_weights_is_a_cut(saved: Path) -> None:
    with opened(one("bert-masked", saved), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        assert "the checkpoint holds no weights of pooler" in refusal(encoder, batch, "pooler")
        assert encode(encoder, batch, "penultimate").shape == (3, 16)


def test_new_weights_in_the_midst(saved: Path, tmp_path: Path) -> None:
    """A checkpoint that lacks the second layer: what comes before it can be used."""
    model = t.AutoModel.from_pretrained(saved / "bert")
    model.save_pretrained(
        tmp_path / "own",
        state_dict={k: v for k, v in model.state_dict().items() if "layer.1." not in k},
    )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "own" / name).write_bytes((saved / "bert" / name).read_bytes())
    with opened(one("./own", tmp_path), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        encode(encoder, batch, "hidden_states.1")
        for name in ("encoder.layer.1", "hidden_states.2", "penultimate"):
            reason = refusal(encoder, batch, name)
            assert "behind weights that the checkpoint lacks: encoder.layer.1" in reason
        assert "hidden_states.2: lies behind" in refusal(encoder, batch, "hidden_states.mean")


def test_a_block_that_runs_several_times_is_cut_at_a_call(saved: Path) -> None:
    with opened(one("albert", saved), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        for call in (1, 2, 3):
            found = encode(encoder, batch, f"encoder.albert_layer_groups.0@{call}")
            assert torch.equal(found, encode(encoder, batch, f"hidden_states.{call}"))


def test_a_masked_autoencoder_sees_whole_images(tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = t.ViTMAEConfig(**sizes, intermediate_size=24, image_size=32, patch_size=8)
    t.ViTMAEModel(config).save_pretrained(tmp_path)
    t.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    with opened(one(str(tmp_path), tmp_path), "image") as encoder:
        batch = batch_of(encoder, IMAGES)
        (cut,) = encoder.cuts(batch, ("hidden_states.1",))
        assert cut.shape == (17, 16)
        first = encode(encoder, batch, "penultimate")
        assert torch.equal(first, encode(encoder, batch, "penultimate"))
        alone = encode(encoder, batch_of(encoder, IMAGES[1:2]), "penultimate")
        torch.testing.assert_close(alone, first[1:2])


def test_another_size_than_the_models_own(saved: Path) -> None:
    spec = ImagePreprocessing(size=48)
    with opened(one("vit", saved, preprocessing=spec), "image") as encoder:
        batch = batch_of(encoder, IMAGES)
        with torch.no_grad():
            theirs = whole(saved / "vit")(
                torch.from_numpy(batch.only), interpolate_pos_encoding=True
            )
        found = encode(encoder, batch, "penultimate")
        assert torch.equal(found, theirs.last_hidden_state.mean(dim=1))


def test_pooling_of_a_manifest(saved: Path) -> None:
    spec = ImagePreprocessing(size=32, pooling="first_token")
    with opened(one("vit", saved, preprocessing=spec), "image") as encoder:
        batch = batch_of(encoder, IMAGES)
        state = run(whole(saved / "vit"), encoder, batch).hidden_states[1]
        assert torch.equal(encode(encoder, batch, "hidden_states.1"), state[:, 0])


def test_minilm() -> None:
    with opened(one(str(minilm()), Path()), "text") as encoder:
        texts = ["Fortune favours the bold.", "Cats sleep for two thirds of their lives."]
        batch = batch_of(encoder, texts)
        states = run(whole(minilm()), encoder, batch).hidden_states
        mask = torch.from_numpy(batch.inputs["attention_mask"])
        assert len(states) == 7
        for number, state in enumerate(states):
            found = encode(encoder, batch, f"hidden_states.{number}")
            assert torch.equal(found, pool_tokens(state, mask, "mean"))
        names = [cut.name for cut in encoder.cuts(batch, ("all",))]
        assert [f"encoder.layer.{number}" for number in range(6)] == names[1:7]


def test_names_and_modalities_that_it_does_not_have(saved: Path) -> None:
    with opened(one("bert", saved), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        with pytest.raises(UsageError, match=r"unknown cut 'hidden_states.9'; did you mean"):
            encoder.cuts(batch, ("hidden_states.9",))
    with pytest.raises(SourceError, match="takes text samples; the target holds image samples"):
        opened(one("bert", saved), "image")
    (saved / "bert" / "tokenizer.json").rename(saved / "bert" / "away")
    try:
        with pytest.raises(SourceError, match="no tokenizer or processor"):
            opened(one("bert", saved), "text")
        spec = TextPreprocessing(tokenizer=str(saved / "gpt2" / "tokenizer.json"))
        with opened(one("bert", saved, preprocessing=spec), "text") as encoder:
            assert encoder.transform.prepare("the cat").length == 2
    finally:
        (saved / "bert" / "away").rename(saved / "bert" / "tokenizer.json")
