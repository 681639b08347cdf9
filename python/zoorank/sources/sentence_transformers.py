"""``st:``: chains of sentence-transformers, from the hub, its cache or a directory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoorank.errors import SourceError
from zoorank.frozen import Frozen
from zoorank.messages import brief, hint, inert, one_line
from zoorank.sources.base import Encoder, Entry, EntryError, Events, Json, Known, OpenOptions
from zoorank.sources.chain_files import MODULES, beside, check_parts, choose, lacks, weights
from zoorank.sources.hub import is_repository, snapshot
from zoorank.sources.huggingface import CONFIG, takes_positions
from zoorank.sources.published import (
    Published,
    card,
    find_folder,
    override,
    package,
    pin,
    said_pooling,
    versions,
)
from zoorank.sources.tokens import MASK, POSITIONS, TYPES, TokenTransform
from zoorank.sources.trust import no_network
from zoorank.targets.base import Modality, Sample, Target
from zoorank.transforms.base import Batch, Prepared, Transform
from zoorank.transforms.specs import TextPreprocessing

KIND = "st"
ORGANISATION = "sentence-transformers"

_TRIAL = "Is this the trial, or Only its NAME?"


class _Settings(Frozen):
    """Keys of an entry that chains have alone.

    Attributes
    ----------
    prompt : str or None
        The name of one of the model's prompts; None takes its default one.
    """

    prompt: str | None = None


def sources(identifier: str, revision: str | None, entry: Entry) -> tuple[ChainSource, ...]:
    """Name a chain of sentence-transformers.

    Parameters
    ----------
    identifier : str
        A repository of the hub, ``organisation/name``, or ``name`` of those of
        sentence-transformers itself; or a directory as the library saves it.
    revision : str or None
        A branch, tag or commit of the repository.
    entry : Entry
        Its key ``prompt`` names one of the model's prompts; ``preprocessing.prefix`` is one of
        its own.

    Raises
    ------
    EntryError, ValidationError
        When it is neither, or the entry has keys that are not known.
    """
    settings = _Settings.model_validate(dict(entry.settings))
    if settings.prompt is not None and "prefix" in _set_fields(entry):
        raise EntryError("preprocessing.prefix is a prompt of its own; say one of them", "prompt")
    folder = find_folder(identifier, entry, MODULES, CONFIG)
    if folder is None and not is_repository(identifier):
        raise EntryError(f"{brief(identifier)} is neither a repository nor a directory")
    if folder is not None and revision is not None:
        raise EntryError(f"{brief(identifier)} is a directory, which has no revisions")
    place = identifier if "/" in identifier else f"{ORGANISATION}/{identifier}"
    name = entry.name or f"{KIND}:{identifier}"
    return (ChainSource(name, entry, place=place, revision=revision, folder=folder),)


@dataclass(frozen=True)
class ChainSource(Published):
    """A chain of sentence-transformers.

    Attributes
    ----------
    place : str
        The repository, or the directory as the user named it.
    revision : str or None
    folder : Path or None
        Where it lies: a directory, or once resolved a commit in the hub's cache.
    """

    place: str = ""
    revision: str | None = None
    folder: Path | None = None

    @property
    def modalities(self) -> frozenset[Modality]:
        """Texts."""
        return frozenset({"text"})

    def resolve(self, events: Events) -> ChainSource:
        """Find its files, fetching only what the hub's cache lacks."""
        folder = self.folder
        if folder is None:
            home = os.environ.get("SENTENCE_TRANSFORMERS_HOME")
            cache = Path(os.path.expanduser(home)) if home else None
            folder = snapshot(self.place, self.revision, choose, lacks, events, cache)
        elif lacking := lacks(folder):
            raise SourceError(f"the directory lacks {inert(lacking, 200)}")
        return replace(
            self,
            folder=folder,
            weights=pin(weights(folder), self.entry),
            beside=pin(beside(folder)),
        )

    def identity(self) -> Mapping[str, Json]:
        """Files, prompt, preprocessing and the versions of the libraries."""
        said = self.entry.preprocessing
        return {
            "kind": KIND,
            **self.digests(),
            "prompt": self.entry.settings.get("prompt"),
            "preprocessing": None if said is None else said.model_dump(mode="json"),
            **versions("torch", "transformers", "tokenizers", "sentence-transformers"),
        }

    def published(self) -> Known:
        """What its model card says."""
        return Known() if self.folder is None else card(self.folder)

    def open(self, options: OpenOptions) -> Encoder:
        """Build the chain; inside its network, outputs are pooled as the chain itself does."""
        from zoorank.sources.torch.chains import Chain, ChainPooling
        from zoorank.sources.torch.cuts import Pooler
        from zoorank.sources.torch.hidden_states import TransformerEncoder
        from zoorank.sources.torch.hooks import feed_named
        from zoorank.sources.torch.pooling import TokenPooling

        source = self if self.weights else self.resolve(lambda _: None)
        source.check_modality(options)
        built = source.build()
        model = built.model
        prompt = prompt_of(model, self.entry.settings.get("prompt"))
        transform, extras = transform_of(model, self.entry, prompt)
        said = said_pooling(self.entry)
        pooler: Pooler = TokenPooling(said, MASK) if said else ChainPooling.of(model, extras)
        return TransformerEncoder(
            Chain(model, extras),
            transform,
            options,
            pooler=pooler,
            feed=feed_named,
            fresh=sorted(built.missing),
            output="sentence_embedding",
            dropped=built.dropped,
            prefix=built.prefix,
        )

    def build(self) -> Built:
        """Read the chain.

        Raises
        ------
        SourceError
            When a part of it is not the library's own, or it cannot be read.
        """
        from zoorank.sources.torch.bounds import bounded_by
        from zoorank.sources.torch.factory import only_safe_loads
        from zoorank.sources.torch.towers import absent, drop_pooler, quiet

        library = package("sentence_transformers", "sentence-transformers")
        folder = self._folder
        check_parts(folder)
        tensors = all(each.path.suffix == ".safetensors" for each in self.weights)
        try:
            with (
                quiet(),
                no_network(),
                only_safe_loads(),
                bounded_by(self.weights),
                absent() as missing,
            ):
                model = library.SentenceTransformer(
                    str(folder),
                    device="cpu",
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"dtype": "float32", "use_safetensors": tensors},
                )
        except SourceError:
            raise
        except Exception as error:  # building runs a library's code: anything may come
            raise SourceError(f"sentence-transformers cannot read it: {one_line(error)}") from error
        self.check_files()
        network = getattr(model[0], "auto_model", None)
        dropped = drop_pooler(network, missing) if network is not None else ()
        place = next((name for name, part in model.named_modules() if part is network), "")
        fresh = {
            name
            for name, value in model.named_parameters(remove_duplicate=False)
            if id(value) in missing
        }
        return Built(
            model.float(),
            frozenset(fresh),
            (*dropped, *(f"{place}.{name}" for name in dropped)),
            f"{place}." if place else "",
        )

    @property
    def _folder(self) -> Path:
        folder = self.folder or self.resolve(lambda _: None).folder
        if folder is None:
            raise SourceError("it has no folder")
        return folder


@dataclass(frozen=True)
class Built:
    """A chain that was read.

    Attributes
    ----------
    model : sentence_transformers.SentenceTransformer
        On the CPU.
    missing : frozenset of str
        Parameters that the checkpoint does not hold.
    dropped : tuple of str
        Parts that were taken off for that.
    prefix : str
        Where its network lies in it, with a dot; empty where it has none.
    """

    model: Any
    missing: frozenset[str]
    dropped: tuple[str, ...]
    prefix: str


@dataclass(frozen=True)
class ChainTransform:
    """Texts as a chain's own first part prepares them, where it is no tokenizer alone.

    Attributes
    ----------
    model : sentence_transformers.SentenceTransformer
    prompt : str
    """

    model: Any = field(repr=False)
    prompt: str = ""

    @property
    def key(self) -> str:
        """Texts are prepared batch by batch: nothing is shared but the text."""
        return "text"

    def fitted(self, target: Target) -> ChainTransform:
        """Return the same, once the target holds texts."""
        if target.modality != "text":
            raise SourceError(f"needs texts; the target holds {target.modality} samples")
        return self

    def prepare(self, sample: Sample) -> Prepared:
        """Keep the text; its length is that in words."""
        if isinstance(sample, list):
            raise SourceError("its first part takes whole texts: it cannot give one row a word")
        words = " ".join(sample) if isinstance(sample, tuple) else sample
        return Prepared(sample, len(words.split()) + 1)

    def collate(self, prepared: Sequence[Prepared]) -> Batch:
        """Prepare several texts as the chain does."""
        texts = [each.value for each in prepared]
        features = preprocess(self.model, texts, self.prompt)
        arrays = {name: np.asarray(value) for name, value in features.items() if _is_tensor(value)}
        return Batch(arrays, len(texts))


def transform_of(model: Any, entry: Entry, prompt: str) -> tuple[Transform, Mapping[str, Any]]:
    """Find how texts are prepared for a chain, and what its parts are given beside tensors.

    A `TokenTransform` where it prepares a trial text as the chain does, so that sources with
    the same tokenizer share prepared texts; else the chain itself.

    Returns
    -------
    transform : Transform
    extras : mapping of str to object
        What the chain itself adds to every batch.
    """
    spec = override(TextPreprocessing(prefix=prompt), entry)
    theirs = preprocess(model, [_TRIAL], spec.prefix)
    extras = {name: value for name, value in theirs.items() if not _is_tensor(value)}
    first = model[0]
    tokenizer: Any = getattr(first, "tokenizer", None)
    if MASK not in theirs or not hasattr(tokenizer, "model_max_length"):
        return ChainTransform(model, spec.prefix), extras
    spec = override(TextPreprocessing(prefix=prompt, padding_side=tokenizer.padding_side), entry)
    network = getattr(first, "auto_model", None) or getattr(first, "model", None)
    names = {TYPES} & set(theirs)
    if network is not None and takes_positions(network):
        names.add(POSITIONS)
    transform = TokenTransform.of(
        tokenizer, spec, longest=first.max_seq_length, names=frozenset(names)
    )
    ours = transform.collate([transform.prepare(_TRIAL)]).inputs
    same = {name: np.asarray(value) for name, value in theirs.items() if _is_tensor(value)}
    if any(name not in ours or not np.array_equal(ours[name], same[name]) for name in same):
        return ChainTransform(model, spec.prefix), extras
    return transform, extras


def preprocess(model: Any, texts: Sequence[Any], prompt: str) -> dict[str, Any]:
    """Prepare texts as a chain's first part does."""
    try:
        return dict(model.preprocess(list(texts), prompt=prompt or None))
    except Exception as error:  # it runs a library's code: anything may come
        raise SourceError(f"its first part cannot prepare texts: {one_line(error)}") from error


def prompt_of(model: Any, name: str | None) -> str:
    """The text of a prompt by its name, else of the default one, else nothing.

    Raises
    ------
    SourceError
        When the model has no prompt of this name.
    """
    prompts = dict(model.prompts)
    if name is None:
        name = model.default_prompt_name
    if name is None:
        return ""
    if name not in prompts:
        raise SourceError(f"it has no prompt {brief(name)}; {hint(name, prompts)}")
    return str(prompts[name] or "")


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _set_fields(entry: Entry) -> set[str]:
    return set() if entry.preprocessing is None else entry.preprocessing.model_fields_set
