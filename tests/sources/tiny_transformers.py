"""Tiny random models of transformers, written as their users would publish them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as t
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from zoorank.sources.files import Pin
from zoorank.sources.huggingface import weight_files
from zoorank.sources.published import pin

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *["the", "a", "cat", "dog", "sat", "ran", "on", "mat", "red", "far"],
]

_TEXT = {"vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 3}
_TEXT |= {"num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 40}
_TEXT |= {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
_IMAGE = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
_IMAGE |= {"intermediate_size": 24, "image_size": 32, "patch_size": 8}


def _bert() -> t.BertConfig:
    return t.BertConfig(**_TEXT, num_labels=5)


def _clip() -> t.CLIPModel:
    text = {**_TEXT, "num_hidden_layers": 2, "projection_dim": 8}
    image = {**_IMAGE, "num_hidden_layers": 2, "projection_dim": 8}
    return t.CLIPModel(t.CLIPConfig(text_config=text, vision_config=image, projection_dim=8))


def _t5() -> t.T5Model:
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
    return t.T5Model(t.T5Config(vocab_size=len(WORDS), decoder_start_token_id=0, **sizes))


def _gpt2(kind: Any = t.GPT2Model) -> Any:
    sizes = {"n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 40}
    ids = {"bos_token_id": 2, "eos_token_id": 3}
    return kind(t.GPT2Config(vocab_size=len(WORDS), **sizes, **ids))


def _llama() -> t.LlamaModel:
    return t.LlamaModel(t.LlamaConfig(**_TEXT))


def _resnet(kind: Any = t.ResNetModel) -> Any:
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    return kind(t.ResNetConfig(**sizes, layer_type="basic", num_labels=7))


def _albert() -> t.AlbertModel:
    return t.AlbertModel(t.AlbertConfig(**_TEXT, embedding_size=8))


def _roberta() -> t.RobertaModel:
    return t.RobertaModel(t.RobertaConfig(**{**_TEXT, "pad_token_id": 1}))


def _vit(kind: Any = t.ViTModel) -> Any:
    return kind(t.ViTConfig(**_IMAGE, num_labels=7))


_WAVES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_WAVES |= {"intermediate_size": 24, "num_feat_extract_layers": 3, "conv_dim": (8, 8, 8)}
_WAVES |= {"conv_kernel": (10, 3, 3), "conv_stride": (5, 2, 2), "classifier_proj_size": 8}
_WAVES |= {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "num_labels": 3}
_LAYERS = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}


def _ast() -> t.ASTForAudioClassification:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_labels": 3}
    bands = {"max_length": 128, "num_mel_bins": 32}
    return t.ASTForAudioClassification(t.ASTConfig(**sizes, **bands, intermediate_size=24))


def _whisper() -> t.WhisperModel:
    sizes = {"d_model": 16, "num_mel_bins": 20, "max_source_positions": 100, "vocab_size": 30}
    for part in ("encoder", "decoder"):
        sizes |= {f"{part}_layers": 2, f"{part}_attention_heads": 2, f"{part}_ffn_dim": 24}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    return t.WhisperModel(t.WhisperConfig(**sizes, **ids))


_MAKERS: dict[str, Callable[[], Any]] = {
    "bert": lambda: t.BertModel(_bert()),
    "bert-classifier": lambda: t.BertForSequenceClassification(_bert()),
    "bert-masked": lambda: t.BertForMaskedLM(_bert()),
    "bert-tagger": lambda: t.BertForTokenClassification(_bert()),
    "albert": _albert,
    "roberta": _roberta,
    "gpt2": _gpt2,
    "gpt2-left": _gpt2,
    "llama": _llama,
    "t5": _t5,
    "vit": _vit,
    "vit-classifier": lambda: _vit(t.ViTForImageClassification),
    "resnet": _resnet,
    "resnet-classifier": lambda: _resnet(t.ResNetForImageClassification),
    "clip": _clip,
    "wav2vec2": lambda: t.Wav2Vec2Model(t.Wav2Vec2Config(**_WAVES)),
    "wav2vec2-masked": lambda: t.Wav2Vec2Model(t.Wav2Vec2Config(**_WAVES, **_LAYERS)),
    "wav2vec2-classifier": lambda: t.Wav2Vec2ForSequenceClassification(
        t.Wav2Vec2Config(**_WAVES, **_LAYERS)
    ),
    "ast": _ast,
    "whisper": _whisper,
}
_EXTRACTORS: dict[str, Callable[[], Any]] = {
    "wav2vec2": lambda: t.Wav2Vec2FeatureExtractor(return_attention_mask=False),
    "wav2vec2-masked": lambda: t.Wav2Vec2FeatureExtractor(return_attention_mask=True),
    "wav2vec2-classifier": lambda: t.Wav2Vec2FeatureExtractor(return_attention_mask=True),
    "ast": lambda: t.ASTFeatureExtractor(max_length=128, num_mel_bins=32),
    "whisper": lambda: t.WhisperFeatureExtractor(feature_size=20, chunk_length=2),
}
SOUNDS = tuple(_EXTRACTORS)
SAVED = tuple(name for name in _MAKERS if name not in SOUNDS)


def save(name: str, folder: Path) -> None:
    """Write one of the models with what prepares its samples; always the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(list(_MAKERS).index(name))
        model = _MAKERS[name]()
        for parameter in model.parameters():  # initial values of zero and one hide mistakes
            parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    if name in SOUNDS:
        _EXTRACTORS[name]().save_pretrained(folder)
        return
    if any(word in name for word in ("vit", "resnet", "clip")):
        t.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    if not any(word in name for word in ("vit", "resnet")):
        tokenizer(name).save_pretrained(folder)


def weights_in(folder: Path) -> tuple[Pin, ...]:
    """Its files of weights, as a source that was resolved has them."""
    return pin(folder / name for name in weight_files(folder))


def tokenizer(name: str) -> Any:
    """A tokenizer of a few words; marks begin and end for models that want them."""
    own = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, "[UNK]"))
    own.pre_tokenizer = pre_tokenizers.Whitespace()
    if not any(word in name for word in ("gpt2", "llama")):
        marks = [("[CLS]", 2), ("[SEP]", 3)]
        own.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=marks
        )
    special = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    if "gpt2" not in name:
        special["pad_token"] = "[UNK]" if name == "roberta" else "[PAD]"
    return t.PreTrainedTokenizerFast(
        tokenizer_object=own,
        eos_token="[SEP]",
        padding_side="left" if name in ("gpt2-left", "llama") else "right",
        **special,
    )
