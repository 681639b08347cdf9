"""``hf:``: models of transformers, from the hub, its cache or a directory."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoorank.errors import SourceError
from zoorank.frozen import Frozen
from zoorank.messages import brief, hint, one_line
from zoorank.sources.base import Encoder, Entry, EntryError, Events, Json, Known, OpenOptions
from zoorank.sources.extractors import ExtractorTransform, check_sizes, override_extractor
from zoorank.sources.hub import is_repository, snapshot
from zoorank.sources.processors import transform_of
from zoorank.sources.published import (
    CARD,
    Published,
    card,
    find_folder,
    image_pooler,
    override,
    package,
    pin,
    said_pooling,
    versions,
)
from zoorank.sources.tokens import MASK, POSITIONS, TYPES, TokenTransform
from zoorank.sources.trust import no_network
from zoorank.targets.base import Modality
from zoorank.transforms.base import Transform
from zoorank.transforms.specs import TextPreprocessing

if TYPE_CHECKING:
    from zoorank.sources.torch.frames import FramePooling
    from zoorank.sources.torch.towers import Tower

KIND = "hf"
CONFIG = "config.json"

TOWERS: Mapping[str, Modality] = {"vision": "image", "text": "text", "audio": "audio"}
ALL: frozenset[Modality] = frozenset(TOWERS.values())

_LOCAL = {"local_files_only": True, "trust_remote_code": False}
_WEIGHTS = (("model", "safetensors"), ("pytorch_model", "bin"))

# What tokenizers and processors are read from; a repository has some of these.
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
TOKENIZERS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "tokenizer.model",
    "spm.model",
    "bpe.codes",
)
# One of these makes a tokenizer; the others say more of it.
_VOCABULARIES = frozenset(TOKENIZERS) - {
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
}


def sources(identifier: str, revision: str | None, entry: Entry) -> tuple[HuggingFaceSource, ...]:
    """Name a model of transformers.

    Parameters
    ----------
    identifier : str
        A repository of the hub, ``organisation/name``, or a directory as ``save_pretrained``
        writes it; ``#vision``, ``#text`` or ``#audio`` behind it picks one tower of two.
    revision : str or None
        A branch, tag or commit of the repository.
    entry : Entry

    Raises
    ------
    EntryError, ValidationError
        When it is neither, names no tower, or the entry has keys of its own.
    """
    Frozen.model_validate(dict(entry.settings))
    place, mark, tower = identifier.partition("#")
    if mark and tower not in TOWERS:
        raise EntryError(f"unknown tower {brief(tower)}; {hint(tower, TOWERS)}")
    folder = find_folder(place, entry, CONFIG)
    if folder is None and not is_repository(place):
        raise EntryError(f"{brief(place)} is neither a repository nor a directory with {CONFIG}")
    if folder is not None and revision is not None:
        raise EntryError(f"{brief(place)} is a directory, which has no revisions")
    takes = frozenset({TOWERS[tower]}) if mark else ALL
    name = entry.name or f"{KIND}:{identifier}"
    return (
        HuggingFaceSource(name, entry, place=place, revision=revision, folder=folder, takes=takes),
    )


@dataclass(frozen=True)
class HuggingFaceSource(Published):
    """A model of transformers, or one tower of it.

    Attributes
    ----------
    place : str
        The repository, or the directory as the user named it.
    revision : str or None
    folder : Path or None
        Where it lies: a directory, or once resolved a commit in the hub's cache.
    takes : frozenset of Modality
        What it takes in; until it is resolved, what it may take in.
    """

    place: str = ""
    revision: str | None = None
    folder: Path | None = None
    takes: frozenset[Modality] = ALL

    @property
    def modalities(self) -> frozenset[Modality]:
        """What it takes in; until it is resolved, what it may take in."""
        return self.takes

    def resolve(self, events: Events) -> HuggingFaceSource:
        """Find its files, fetching only what the hub's cache lacks."""
        from zoorank.sources.torch.towers import modalities

        folder = self.folder
        if folder is None:
            folder = snapshot(self.place, self.revision, choose, self._lacks, events)
        elif lacking := self._lacks(folder):
            raise SourceError(f"the directory has no {lacking}")
        takes = modalities(folder) & self.takes
        if not takes:
            takes_in = ", ".join(sorted(modalities(folder))) or "none of texts, images and sounds"
            raise SourceError(f"it takes {takes_in}, not {', '.join(sorted(self.takes))}")
        return replace(
            self,
            folder=folder,
            takes=takes,
            weights=pin((folder / name for name in weight_files(folder)), self.entry),
            beside=pin(folder / name for name in beside(folder)),
        )

    def _lacks(self, folder: Path) -> str:
        if not (folder / CONFIG).is_file():
            return CONFIG
        if not weight_files(folder):
            return "weights"
        if self.entry.preprocessing is None and not any(
            (folder / name).is_file() for name in (*PROCESSORS, *_VOCABULARIES)
        ):
            return "tokenizer or processor"
        return ""

    def identity(self) -> Mapping[str, Json]:
        """Files, tower, preprocessing and the versions of torch and transformers."""
        said = self.entry.preprocessing
        return {
            "kind": KIND,
            "takes": sorted(self.takes),
            **self.digests(),
            "preprocessing": None if said is None else said.model_dump(mode="json"),
            **versions("torch", "transformers", "tokenizers"),
        }

    def published(self) -> Known:
        """What its model card says."""
        return Known() if self.folder is None else card(self.folder)

    def open(self, options: OpenOptions) -> Encoder:
        """Read the model, or the tower that takes the target's modality."""
        from zoorank.sources.torch.cuts import Pooler
        from zoorank.sources.torch.hidden_states import TransformerEncoder
        from zoorank.sources.torch.hooks import Caller, feed_named
        from zoorank.sources.torch.pooling import TokenPooling
        from zoorank.sources.torch.towers import load, pixel_feed, read_config, sound_feed

        source = self if self.weights else self.resolve(lambda _: None)
        source.check_modality(options)
        folder, entry = source.place_of_files, self.entry
        config = read_config(folder)
        tower = load(folder, options.modality, source.weights)
        transform: Transform
        pooler: Pooler
        feed: Caller
        batch_size = None
        if options.modality == "text":
            transform = text_transform(folder, entry, tower, config)
            pooler, feed = TokenPooling(said_pooling(entry) or "mean", MASK), feed_named
        elif options.modality == "audio":
            sounds, pooler = sound_transform(folder, entry, tower, config)
            alone = not (sounds.is_fixed or sounds.is_told)
            transform, feed, batch_size = sounds, sound_feed, 1 if alone else None
        else:
            transform = transform_of(read_processor(folder), entry)
            pooler, feed = image_pooler(entry), pixel_feed(tower, config)
        source.check_files()
        return TransformerEncoder(
            tower.module,
            transform,
            options,
            pooler=pooler,
            feed=feed,
            fresh=sorted(tower.missing),
            output=tower.output,
            has_head=tower.has_head,
            dropped=tower.dropped,
            prefix=tower.prefix,
            batch_size=batch_size,
        )

    @property
    def place_of_files(self) -> Path:
        """Its folder, once it is resolved."""
        if self.folder is None:
            raise SourceError("it was not resolved")
        return self.folder


def text_transform(folder: Path, entry: Entry, tower: Tower, config: Any) -> TokenTransform:
    """The tokenizer of a folder, with the lengths and inputs that its model takes."""
    from zoorank.sources.torch.towers import longest

    named = getattr(entry.preprocessing, "tokenizer", None)
    tokenizer = read_tokenizer(entry.folder / os.path.expanduser(named) if named else folder)
    spec = override(TextPreprocessing(padding_side=tokenizer.padding_side), entry)
    names = {TYPES} & set(tokenizer.model_input_names) & tower.accepts
    if POSITIONS in tower.accepts and takes_positions(tower.module):
        names.add(POSITIONS)
    limit = longest(tower.module, config)
    transform = TokenTransform.of(tokenizer, spec, longest=limit, names=frozenset(names))
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = transform.filler  # by which some heads find the last token
    return transform


def sound_transform(
    folder: Path, entry: Entry, tower: Tower, config: Any
) -> tuple[ExtractorTransform, FramePooling]:
    """The feature extractor of a folder, and how the frames of its model are pooled.

    A model is told which samples are padding where its extractor says so. Others that take
    waveforms were trained on sounds alone, and padding would change what they give.
    """
    from zoorank.sources.torch.frames import frame_pooling, least_samples

    extractor, seconds = override_extractor(read_extractor(folder), entry)
    told = bool(getattr(extractor, "return_attention_mask", False)) and MASK in tower.accepts
    transform = ExtractorTransform(extractor, seconds, is_told=told)
    pooling = frame_pooling(
        tower.module, config, transform.name, transform.axis, said_pooling(entry)
    )
    if transform.is_fixed:
        return transform, pooling
    return replace(transform, least=least_samples(pooling)), pooling


def takes_positions(module: Any) -> bool:
    """Whether a model may be told the positions of tokens, counted from 0.

    Some find them by themselves, skipping what is padding, and count from another number.
    """
    accepts = inspect.signature(module.forward).parameters
    skipping = (
        "position" in name.rpartition(".")[2] and getattr(part, "padding_idx", None) is not None
        for name, part in module.named_modules()
    )
    return ("position_ids" in accepts or hasattr(module, "accepts")) and not any(skipping)


def read_tokenizer(place: Path) -> Any:
    """Read a tokenizer from its file or the folder of a model.

    Raises
    ------
    SourceError
        When there is none that transformers can read.
    """
    from zoorank.sources.torch.towers import quiet

    transformers = package("transformers", "huggingface")
    try:
        with quiet(), no_network():
            if place.is_file():
                return transformers.PreTrainedTokenizerFast(tokenizer_file=str(place))
            return transformers.AutoTokenizer.from_pretrained(place, **_LOCAL)
    except Exception as error:  # reading it runs a library's code: anything may come
        raise SourceError(
            f"no tokenizer can be read from {place}: {one_line(error, 200)}; "
            "say preprocessing.tokenizer"
        ) from error


def read_processor(folder: Path) -> Any:
    """Read the image processor of a folder; None where there is none.

    Raises
    ------
    SourceError
        When transformers cannot read it.
    """
    if not any((folder / name).is_file() for name in PROCESSORS):
        return None
    with _reading("image processor") as transformers:
        return transformers.AutoImageProcessor.from_pretrained(folder, **_LOCAL)


def read_extractor(folder: Path) -> Any:
    """Read the feature extractor of a folder.

    Raises
    ------
    SourceError
        When there is none that transformers can read, or it asks for far too much memory.
    """
    with _reading("feature extractor") as transformers:
        kind = transformers.SequenceFeatureExtractor
        # Before it is made, which takes memory, and after, when what it derives is there, too.
        check_sizes(kind.get_feature_extractor_dict(folder, local_files_only=True)[0])
        extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, **_LOCAL)
        check_sizes(extractor.to_dict())
    return extractor


@contextmanager
def _reading(called: str) -> Iterator[Any]:
    """Give transformers to read a file with, and turn whatever it raises into one line."""
    from zoorank.sources.torch.towers import quiet

    transformers = package("transformers", "huggingface")
    try:
        with quiet(), no_network():
            yield transformers
    except SourceError:
        raise
    except Exception as error:  # reading it runs a library's code: anything may come
        raise SourceError(f"its {called} cannot be read: {one_line(error)}") from error


def choose(files: Sequence[str]) -> Iterator[str]:
    """Of the files of a repository those that a model is read from."""
    yield from sorted(set(files) & {CONFIG, CARD, *PROCESSORS, *TOKENIZERS})
    yield from choose_weights(files)


def choose_weights(files: Sequence[str]) -> Iterator[str]:
    """Of the files of a folder those that hold its weights, as safetensors where it has them."""
    for stem, suffix in _WEIGHTS:
        whole, index = f"{stem}.{suffix}", f"{stem}.{suffix}.index.json"
        if whole in files:
            yield whole
            return
        if index in files:
            yield index
            yield from (n for n in files if n.startswith(f"{stem}-") and n.endswith(f".{suffix}"))
            return


def weight_files(folder: Path) -> tuple[str, ...]:
    """Files of the weights in a folder, all of them there; nothing where one lacks."""
    for stem, suffix in _WEIGHTS:
        whole, index = f"{stem}.{suffix}", folder / f"{stem}.{suffix}.index.json"
        if (folder / whole).is_file():
            return (whole,)
        if index.is_file():
            try:
                names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
            except (ValueError, KeyError, AttributeError, TypeError):
                raise SourceError(f"{index} is no index of weights") from None
            # A name that leads out of the folder would be somebody else's file.
            if all(Path(name).name == name and (folder / name).is_file() for name in names):
                return tuple(names)
    return ()


def beside(folder: Path) -> tuple[str, ...]:
    """The other files in a folder that encodings depend on."""
    names = (CONFIG, *PROCESSORS, *TOKENIZERS)
    return tuple(name for name in names if (folder / name).is_file())
