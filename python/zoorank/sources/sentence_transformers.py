"""``st:``: chains of sentence-transformers, from the hub, its cache or a directory."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import numpy as np

from zoorank.errors import SourceError
from zoorank.frozen import Frozen
from zoorank.messages import brief, hint, one_line
from zoorank.sources.base import Encoder, Entry, EntryError, Events, Json, Known, OpenOptions
from zoorank.sources.hub import is_repository, snapshot
from zoorank.sources.huggingface import (
    CONFIG,
    TOKENIZERS,
    choose_weights,
    takes_positions,
    weight_files,
)
from zoorank.sources.published import (
    CARD,
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
from zoorank.sources.trust import no_network, only_safe_loads
from zoorank.targets.base import Modality, Sample, Target
from zoorank.transforms.base import Batch, Prepared, Transform
from zoorank.transforms.specs import TextPreprocessing

KIND = "st"
MODULES = "modules.json"
ORGANISATION = "sentence-transformers"

# Of these only the library's own classes are built: a name elsewhere would be a stranger's code.
_OWN = "sentence_transformers."
# The name of a class where the library keeps its parts, and not of what it imports there.
_OWN_PART = re.compile(
    r"sentence_transformers\.(Transformer|(\w+\.)*(models|modules)(\.\w+){0,2}\.[A-Z]\w*)"
)
_ACTIVATION = re.compile(r"torch\.nn(\.modules(\.[a-z]\w*)?)?\.[A-Z]\w*")
_OTHER_BACKENDS = ("onnx", "openvino")
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
            cache = Path(home).expanduser() if home else None
            folder = snapshot(self.place, self.revision, choose, lacks, events, cache)
        elif lacking := lacks(folder):
            raise SourceError(f"the directory lacks {lacking}")
        return replace(
            self,
            folder=folder,
            weights=pin(_weights(folder), self.entry),
            beside=pin(_beside(folder)),
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

    def known(self) -> Known:
        """What its model card says."""
        return Known() if self.folder is None else card(self.folder)

    def open(self, options: OpenOptions) -> Encoder:
        """Build the chain; inside its network, outputs are pooled as the chain itself does."""
        from zoorank.sources.torch.chains import Chain, ChainPooling
        from zoorank.sources.torch.encoder import feed_named
        from zoorank.sources.torch.hidden_states import TransformerEncoder
        from zoorank.sources.torch.pooling import Pooler, TokenPooling

        source = self if self.weights else self.resolve(lambda _: None)
        source.check_modality(options)
        built = source.build()
        model = built.model
        prompt = prompt_of(model, self.entry.settings.get("prompt"))
        transform, told = transform_of(model, self.entry, prompt)
        said = said_pooling(self.entry)
        pooler: Pooler = TokenPooling(said, MASK) if said else ChainPooling.of(model, told)
        return TransformerEncoder(
            Chain(model, told),
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
        from zoorank.sources.torch.towers import absent, drop_pooler, quiet

        library = package("sentence_transformers", "sentence-transformers")
        folder = self._folder
        check_parts(folder)
        tensors = all(each.path.suffix == ".safetensors" for each in self.weights)
        try:
            with quiet(), no_network(), only_safe_loads(), absent() as missing:
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
    """Find how texts are prepared for a chain, and what its parts are told beside tensors.

    A `TokenTransform` where it prepares a trial text as the chain does, so that sources with
    the same tokenizer share prepared texts; else the chain itself.

    Returns
    -------
    transform : Transform
    told : mapping of str to object
        What the chain itself adds to every batch.
    """
    spec = override(TextPreprocessing(prefix=prompt), entry)
    theirs = preprocess(model, [_TRIAL], spec.prefix)
    told = {name: value for name, value in theirs.items() if not _is_tensor(value)}
    first = model[0]
    tokenizer: Any = getattr(first, "tokenizer", None)
    if MASK not in theirs or not hasattr(tokenizer, "model_max_length"):
        return ChainTransform(model, spec.prefix), told
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
        return ChainTransform(model, spec.prefix), told
    return transform, told


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


def check_parts(folder: Path) -> None:
    """Refuse a chain that names a part, or a class within one, that is not the library's own.

    Raises
    ------
    SourceError
        Naming the class.
    """
    named = [part["type"] for part in _parts(folder)]
    for file in _configurations(folder):
        config = _json(file)
        if not isinstance(config, dict):
            continue
        types = config.get("types")  # of a router, whose file has had two names
        named += map(str, types.values()) if isinstance(types, dict) else ()
        # Without a dot it is transformers' own name for one.
        named += [each for each in (str(config.get("tokenizer_class")),) if "." in each]
        function = str(config.get("activation_function"))
        if "." in function and not _ACTIVATION.fullmatch(function):
            _refuse_part(function)
    for each in named:
        if not _OWN_PART.fullmatch(each):
            _refuse_part(each)


def _refuse_part(name: str) -> NoReturn:
    raise SourceError(
        f"its part {brief(name)} is none of sentence-transformers' own: a stranger's code "
        "is never run"
    )


def _configurations(folder: Path) -> Iterator[Path]:
    """Every configuration in a folder, through links too, as the library follows them."""
    seen: set[str] = set()
    for place, inner, names in os.walk(folder, followlinks=True):
        inner[:] = [each for each in inner if os.path.realpath(Path(place, each)) not in seen]
        seen.update(os.path.realpath(Path(place, each)) for each in inner)
        yield from (Path(place, name) for name in names if name.endswith("config.json"))


def choose(files: Sequence[str]) -> Iterator[str]:
    """Of the files of a repository those that a chain is read from."""
    yield from [name for name in (MODULES, CARD) if name in files]
    folders: dict[str, list[str]] = {}
    for file in files:
        path = PurePosixPath(file)
        if path.parts[0] not in _OTHER_BACKENDS:
            folders.setdefault(str(path.parent), []).append(path.name)
    for folder, names in folders.items():
        for name in (*filter(_describes, names), *choose_weights(names)):
            yield str(PurePosixPath(folder, name))


def lacks(folder: Path) -> str:
    """What a folder lacks for its chain to be built, or nothing."""
    for part in _parts(folder):
        place = folder / part["path"]
        kind = part["type"].rpartition(".")[2]
        if kind == "Transformer" and not (place / CONFIG).is_file():
            return str(PurePosixPath(part["path"], CONFIG))
        if kind in ("Transformer", "Dense", "StaticEmbedding") and not weight_files(place):
            return str(PurePosixPath(part["path"], "weights"))
    return ""


def _parts(folder: Path) -> list[dict[str, str]]:
    """Parts of a chain: those of its list, else a network that the library pools."""
    if not (folder / MODULES).is_file():
        return [{"type": f"{_OWN}Transformer", "path": ""}]
    parts = _json(folder / MODULES)
    try:
        found = [{"type": str(part["type"]), "path": str(part["path"])} for part in parts]
    except (TypeError, KeyError):
        raise SourceError(f"{MODULES} is no list of a chain's parts") from None
    for part in found:
        path = PurePosixPath(part["path"])
        if path.is_absolute() or ".." in path.parts:
            raise SourceError(f"{MODULES} leads out of its folder: {brief(part['path'])}")
    return found


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{file.name} cannot be read: {one_line(error)}") from None


def _weights(folder: Path) -> Iterator[Path]:
    for part in _parts(folder):
        place = folder / part["path"]
        yield from (place / name for name in weight_files(place))


def _beside(folder: Path) -> Iterator[Path]:
    """Files that describe the parts, those of parts within a part too."""
    yield from (folder / name for name in (MODULES,) if (folder / name).is_file())
    places = {folder / part["path"] for part in _parts(folder)}
    nested = {each for place in places - {folder} if place.is_dir() for each in place.rglob("*")}
    for place in sorted({folder, *places, *filter(Path.is_dir, nested)}):
        if place.is_dir():
            files = sorted(each for each in place.iterdir() if each.is_file())
            yield from (each for each in files if _describes(each.name))


def _describes(name: str) -> bool:
    """Whether a file says what a part is, or how it splits texts."""
    return name in TOKENIZERS or (name.endswith("config.json") and name != "data_config.json")


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _set_fields(entry: Entry) -> set[str]:
    return set() if entry.preprocessing is None else entry.preprocessing.model_fields_set
