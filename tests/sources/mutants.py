"""Folders of networks as their libraries write them, to be damaged a file at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import numpy as np
from tests.targets.mutate import damaged

from zoorank.encoding.encode import encode_source
from zoorank.sources.base import Entry
from zoorank.sources.references import source_of
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target
from zoorank.targets.base import Target

LABELS = np.arange(4) % 2
TEXTS = ["the cat sat on a mat", "dog", "a red dog ran far", "the mat"]


def images(side: int) -> Target:
    """Four images of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), np.uint8)
    return load_target((pixels, LABELS))


def texts() -> Target:
    """Four texts of words that the tokenizers know."""
    return load_target((np.array(TEXTS, object), LABELS))


@cache
def _folder() -> TemporaryDirectory[str]:
    """One that lives as long as this process."""
    return TemporaryDirectory()


def sounds() -> Target:
    """Four files of noise."""
    import soundfile

    rng = np.random.default_rng(0)
    for k, label in enumerate(LABELS):
        place = Path(_folder().name, str(label))
        place.mkdir(exist_ok=True)
        soundfile.write(place / f"{k}.wav", rng.normal(0, 0.1, 1000 + 500 * k), 8000)
    return load_target(_folder().name)


def table() -> Target:
    """Four rows of numbers."""
    return load_target((np.arange(16, dtype=np.float32).reshape(4, 4), LABELS))


ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 7, 40),
    *(0.5, -0.5, 1e308, float("nan"), float("inf"), "", "x", "../x", "\0", "\u202e\n", "a" * 9999),
    *([], [[]], [0], {}, {"x": 1}),
)


HUGE = (10**4, 10**6, 10**9, 2**31, 2**63, 10**30)


def damaged_json(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, or up to three values of a JSON file replaced, dropped or moved."""
    if rng.random() < 0.2:
        return damaged(content, rng)
    odd = (*ODD, *HUGE)
    tree = json.loads(content)
    for _ in range(rng.integers(1, 4)):
        places = [*_places(tree)]
        if not places:
            break
        inside, key = places[rng.integers(len(places))]
        match rng.integers(6):
            case 0:
                del inside[key]
            case 1:
                other, there = places[rng.integers(len(places))]
                inside[key] = json.loads(json.dumps(other[there]))
            case _:
                inside[key] = deepcopy(odd[rng.integers(len(odd))])
    return json.dumps(tree).encode()


def damaged_program(content: bytes, rng: np.random.Generator) -> bytes:
    """The same of the record of an exported program, in an archive that is whole."""
    written = BytesIO()
    with ZipFile(BytesIO(content)) as archive, ZipFile(written, "w") as copy:
        for name in archive.namelist():
            body = archive.read(name)
            is_program = "/models/" in name and name.endswith(".json")
            copy.writestr(name, damaged_json(body, rng) if is_program else body)
    return written.getvalue()


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every value of a tree of JSON, by what it is in."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(pairs):
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


@dataclass(frozen=True)
class Network:
    """A source in a folder, one file of which is damaged.

    Attributes
    ----------
    file : str
        The one that is damaged.
    write : callable
        Writes all of the source into a folder.
    reference : str
        Of the source, where the folder is.
    target : callable
        What it encodes.
    preprocessing : callable
        What an entry says of it.
    damage : callable or None
        Changes its content; None for what suits the end of its name.
    """

    file: str
    write: Callable[[Path], object]
    reference: str
    target: Callable[[], Target]
    preprocessing: Callable[[], Any] = lambda: None
    damage: Callable[[bytes, np.random.Generator], bytes] | None = None

    @property
    def damaged(self) -> Callable[[bytes, np.random.Generator], bytes]:
        """What changes its content."""
        return self.damage or (damaged_json if self.file.endswith(".json") else damaged)

    def read(self, folder: Path) -> None:
        """Encode a target with it."""
        entry = Entry(preprocessing=self.preprocessing(), folder=folder)
        source = source_of(self.reference.format(folder=folder), entry)
        encode_source(
            source,
            self.target(),
            store=EncodingStore(folder / "store"),
            device="cpu",
            keep="memory",
        )


def _onnx(folder: Path) -> None:
    from tests.sources.onnx_nets import residual_net, save

    save(residual_net(), folder / "net.onnx")


def _exported(folder: Path) -> None:
    from tests.sources.exported_nets import exported

    (folder / "net.pt2").write_bytes(exported())


def _keras(folder: Path) -> None:
    from tests.sources.keras_nets import residual_net

    residual_net().save(folder / "net.keras")


def _keras_2(folder: Path) -> None:
    from tests.sources.keras_nets import write_keras_2

    rng = np.random.default_rng(0)
    write_keras_2(folder / "net.h5", rng.normal(size=(4, 3)), rng.normal(size=3))


def _timm(folder: Path) -> None:
    import timm
    import torch
    from timm.models import save_for_hf

    torch.manual_seed(0)
    network = timm.create_model("test_vit")
    save_for_hf(network, folder / "net", safe_serialization=True)


def _sharded(folder: Path) -> None:
    import transformers
    from tests.sources.tiny_transformers import save

    save("bert", folder / "net")
    model = transformers.AutoModel.from_pretrained(folder / "net")
    (folder / "net" / "model.safetensors").unlink()
    model.save_pretrained(folder / "net", max_shard_size="4KB")


def _onnx_texts(folder: Path) -> None:
    from onnx import save
    from tests.sources.onnx_nets import encoder_of_texts
    from tests.sources.test_onnx_texts import write_tokenizer

    save(encoder_of_texts(), folder / "net.onnx")
    write_tokenizer(folder)


def _transformer(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        from tests.sources.tiny_transformers import save

        save(name, folder / "net")

    return write


def _chain(folder: Path) -> None:
    import sentence_transformers
    from sentence_transformers import SentenceTransformer
    from tests.sources.tiny_transformers import save

    save("bert", folder / "network")
    modules = sentence_transformers.base.modules
    parts = [modules.Transformer(str(folder / "network"), max_seq_length=9)]
    pooling = sentence_transformers.sentence_transformer.modules.Pooling(16, "mean")
    chain = SentenceTransformer(modules=[*parts, pooling], device="cpu", prompts={"query": "the "})
    chain.save(str(folder / "net"), create_model_card=False)


def _static(folder: Path) -> None:
    from safetensors.numpy import save_file
    from tests.sources.test_onnx_texts import WORDS, write_tokenizer

    place = folder / "net"
    place.mkdir(exist_ok=True)
    write_tokenizer(place)
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 4)).astype(np.float32)
    save_file({"embeddings": vectors}, place / "model.safetensors")
    (place / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True}))


def _words(folder: Path) -> None:
    words = [*"abcdefghijkl"]
    stream = BytesIO()
    np.save(stream, np.random.default_rng(0).normal(size=(len(words), 4)).astype("f4"))
    (folder / "net.npy").write_bytes(stream.getvalue())
    (folder / "net.json").write_text(json.dumps(words))


def _pixels(**said: Any) -> Callable[[], Any]:
    def made() -> Any:
        from zoorank.transforms.specs import ImagePreprocessing

        return ImagePreprocessing(size=8, **said)

    return made


def _numbers() -> Any:
    from zoorank.transforms.specs import TablePreprocessing

    return TablePreprocessing()


def _small() -> Target:
    return images(8)


def _photo() -> Target:
    return images(32)


_BERT, _VIT = _transformer("bert"), _transformer("vit")
_WHISPER = _transformer("whisper")
NETWORKS = {
    "onnx": Network("net.onnx", _onnx, "onnx:{folder}/net.onnx", _small, _pixels()),
    "exported": Network("net.pt2", _exported, "exported:{folder}/net.pt2", _small, _pixels()),
    "exported-program": Network(
        "net.pt2", _exported, "exported:{folder}/net.pt2", _small, _pixels(), damaged_program
    ),
    "onnx-tokenizer": Network("tokenizer.json", _onnx_texts, "onnx:{folder}/net.onnx", texts),
    "keras": Network("net.keras", _keras, "keras:{folder}/net.keras", _small, _pixels()),
    "keras-2": Network("net.h5", _keras_2, "keras:{folder}/net.h5", table, _numbers),
    "words-array": Network("net.npy", _words, "vectors:{folder}/net.npy", texts),
    "words-json": Network("net.json", _words, "vectors:{folder}/net.npy", texts),
    **{
        f"{kind}-{Path(file).stem}": Network(f"net/{file}", write, f"{prefix}:{{folder}}/net", made)
        for kind, prefix, write, made, files in (
            ("timm", "timm", _timm, _photo, ("config.json", "model.safetensors")),
            (
                "bert",
                "hf",
                _BERT,
                texts,
                ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"),
            ),
            ("vit", "hf", _VIT, _photo, ("config.json", "preprocessor_config.json")),
            ("clip", "hf", _transformer("clip"), _photo, ("config.json",)),
            ("t5", "hf", _transformer("t5"), texts, ("config.json",)),
            ("whisper", "hf", _WHISPER, sounds, ("config.json", "preprocessor_config.json")),
            ("ast", "hf", _transformer("ast"), sounds, ("preprocessor_config.json",)),
            ("sharded", "hf", _sharded, texts, ("model.safetensors.index.json",)),
            ("chain", "st", _chain, texts, ("modules.json", "config_sentence_transformers.json")),
            ("chain-pooling", "st", _chain, texts, ("1_Pooling/config.json",)),
            (
                "static",
                "vectors",
                _static,
                texts,
                ("config.json", "tokenizer.json", "model.safetensors"),
            ),
        )
        for file in files
    },
}
# The library that writes each of them; none where torch and what is always there do.
_LIBRARIES = {
    "onnx": "onnxruntime",
    "keras": "keras",
    "timm": "timm",
    "bert": "transformers",
    "vit": "transformers",
    "clip": "transformers",
    "t5": "transformers",
    "whisper": "transformers",
    "ast": "transformers",
    "sharded": "transformers",
    "chain": "sentence_transformers",
    "static": "tokenizers",
}
NEEDS = {kind: _LIBRARIES.get(kind.partition("-")[0], "") for kind in NETWORKS}
