"""Models of transformers, read from a folder as one module that takes one modality."""

from __future__ import annotations

import inspect
import json
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoorank.errors import SourceError
from zoorank.messages import brief, one_line
from zoorank.sources.extractors import REAL
from zoorank.sources.published import package
from zoorank.sources.torch.bounds import bounded_by
from zoorank.sources.torch.factory import only_safe_loads
from zoorank.sources.torch.hooks import Caller, Inputs
from zoorank.sources.trust import no_network
from zoorank.targets.base import Modality
from zoorank.transforms.base import ONLY

if TYPE_CHECKING:
    from zoorank.sources.files import Pin

EXTRA = "huggingface"

_FILES_OF_TIMM = ("checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay")
_ELSEWHERE = re.compile(r"[/:]")  # a repository, or what timm looks for on a hub or a disk

# Classes with a head, by the end of the name that a configuration gives as its architecture.
_HEADS = (
    "ForImageClassification",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForAudioClassification",
)
_FEATURES: Mapping[Modality, str] = {
    "image": "get_image_features",
    "text": "get_text_features",
    "audio": "get_audio_features",
}
# What the names of the other tower's parts contain.
_OTHERS: Mapping[Modality, tuple[str, ...]] = {
    "image": ("text", "audio"),
    "text": ("vis", "image", "audio"),
    "audio": ("text", "vis", "image"),
}


@dataclass(frozen=True)
class Tower:
    """A model, or the part of one, that takes one modality.

    Attributes
    ----------
    module : nn.Module
        Called with keyword arguments; parts of it have the names that they have in the whole.
    accepts : frozenset of str
        Its keyword arguments.
    missing : frozenset of str
        Parameters that the checkpoint does not hold: they have initial values.
    output : str
        What its own output is called.
    has_head : bool
        Whether the output is a linear map of features.
    dropped : tuple of str
        Parts that were taken off, for they run behind what they do not change and the
        checkpoint holds nothing of them.
    prefix : str
        Where the model without its head lies in it, with a dot; empty where it is that itself.
    """

    module: nn.Module
    accepts: frozenset[str]
    missing: frozenset[str]
    output: str = "last_hidden_state"
    has_head: bool = False
    dropped: tuple[str, ...] = ()
    prefix: str = ""


class Part(nn.Module):
    """Some parts of a model under their own names, and the method of it that runs them."""

    def __init__(
        self, parts: Mapping[str, nn.Module], run: Callable[..., Any], gives_features: bool = False
    ) -> None:
        super().__init__()
        self.gives_features = gives_features
        for name, part in parts.items():
            self.add_module(name, part)
        self._run = (run,)  # in a tuple, for a module would become one more part

    def forward(self, **inputs: Any) -> Any:
        """Run it; of features that come with more than themselves, give them alone."""
        output = self._run[0](**inputs)
        if self.gives_features and "output_hidden_states" not in inputs:
            return getattr(output, "pooler_output", output)
        return output

    @property
    def accepts(self) -> Callable[..., Any]:
        """Whose keyword arguments it takes."""
        return getattr(self._run[0], "forward", self._run[0])


def modalities(folder: Path) -> frozenset[Modality]:
    """What a model takes in, by its configuration alone."""
    kind = model_class(read_config(folder))
    said = getattr(kind, "input_modalities", "text")
    names = {said} if isinstance(said, str) else set(said)
    if "audio" in names and not is_two(kind):
        return frozenset({"audio"})  # of speech to text the encoder is taken
    return frozenset(each for each in _FEATURES if each in names)


def is_double(folder: Path) -> bool:
    """Whether a model has a tower for each of two modalities."""
    return is_two(model_class(read_config(folder)))


def is_two(kind: Any) -> bool:
    """Whether a class of models has a tower for each of two modalities."""
    return sum(hasattr(kind, name) for name in _FEATURES.values()) > 1


def read_config(folder: Path) -> Any:
    """The configuration in a folder.

    Raises
    ------
    SourceError
        When transformers does not know it, or it asks for code of its own.
    """
    transformers = package("transformers", EXTRA)
    with quiet(), no_network(), _explained():
        _check_is_whole(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        return transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )


def _check_is_whole(said: Any) -> None:
    """Refuse a configuration that takes a part of its network from elsewhere."""
    if isinstance(said, Mapping):
        names = [(key, said.get(key)) for key in ("backbone", "architecture")]
        found = [(key, name) for key, name in names if _ELSEWHERE.search(str(name))]
        arguments = said.get("model_args")
        if isinstance(arguments, Mapping):  # of timm's builder
            found += [(key, arguments[key]) for key in _FILES_OF_TIMM if arguments.get(key)]
        for key, name in found:
            raise SourceError(
                f"its {key} is {brief(str(name))}, which lies elsewhere: a model is read from "
                "its own folder alone"
            )
    if isinstance(said, Mapping | list):
        for each in said.values() if isinstance(said, Mapping) else said:
            _check_is_whole(each)


def model_class(config: Any) -> Any:
    """The class of transformers that a configuration builds, without a head."""
    mapping = package("transformers.models.auto.modeling_auto", EXTRA).MODEL_MAPPING
    if type(config) not in mapping:
        raise SourceError(f"transformers has no model without a head for {config.model_type!r}")
    kind = mapping[type(config)]
    return kind[0] if isinstance(kind, tuple | list) else kind


def load(folder: Path, modality: Modality, weights: Sequence[Pin]) -> Tower:
    """Read a model from a folder.

    Parameters
    ----------
    folder : Path
    modality : Modality
        Of a model with two towers the one that takes it is kept.
    weights : sequence of Pin
        Its files of weights; those that are not safetensors are read as tensors alone.

    Raises
    ------
    SourceError
        When it cannot be read, or takes something else.
    """
    config = read_config(folder)
    bare = model_class(config)
    if "noise" in inspect.signature(bare.forward).parameters and hasattr(config, "mask_ratio"):
        config.mask_ratio = 0.0  # of a masked autoencoder: it sees whole images
    auto, headed = _auto(config)
    safetensors = all(each.path.suffix == ".safetensors" for each in weights)
    with quiet(), no_network(), only_safe_loads(), bounded_by(weights), _explained():
        whole, report = auto.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=safetensors,
            weights_only=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    whole.eval().requires_grad_(False)
    fresh = {id(value) for name, value in _tensors(whole) if name in _not_read(report)}
    dropped = drop_pooler(whole, fresh)
    module: nn.Module = whole
    output, is_map = ("logits", True) if headed else ("last_hidden_state", False)
    if is_two(bare):
        module = _one_of_two(whole, modality)
        output = "features"
        is_map = any(isinstance(part, nn.Linear) for part in module.children())
    elif getattr(config, "is_encoder_decoder", False) and not headed:
        encoder = whole.get_encoder()
        place = next((name for name, part in whole.named_modules() if part is encoder), "encoder")
        module = encoder if "." in place else Part({place: encoder}, encoder)
    accepts = module.accepts if isinstance(module, Part) else module.forward
    return Tower(
        module,
        frozenset(inspect.signature(accepts).parameters),
        frozenset(name for name, value in _tensors(module) if id(value) in fresh),
        output,
        is_map,
        dropped,
        f"{whole.base_model_prefix}." if headed and whole.base_model_prefix else "",
    )


def drop_pooler(whole: Any, fresh: Collection[int]) -> tuple[str, ...]:
    """Take off a pooler of which the checkpoint holds nothing, and say how it is called.

    It runs behind the last hidden state, and is the one part that models do without.
    """
    pooler = getattr(whole, "pooler", None)
    parameters = list(pooler.parameters()) if isinstance(pooler, nn.Module) else []
    if not parameters or any(id(each) not in fresh for each in parameters):
        return ()
    whole.pooler = None
    return ("pooler",)


def pixel_feed(tower: Tower, config: Any) -> Caller:
    """What calls a model with the images of a batch."""
    kept = getattr(getattr(config, "vision_config", config), "image_size", None)
    own = (kept, kept) if isinstance(kept, int) else kept and tuple(kept)

    def feed(module: nn.Module, inputs: Inputs) -> Any:
        pixels = inputs[ONLY]
        more: dict[str, Any] = {name: value for name, value in inputs.items() if name != ONLY}
        if own and tuple(pixels.shape[-2:]) != own and "interpolate_pos_encoding" in tower.accepts:
            more["interpolate_pos_encoding"] = True
        if "noise" in tower.accepts:  # a masked autoencoder would hide parts of it at random
            patch = config.patch_size
            patches = (pixels.shape[-2] // patch) * (pixels.shape[-1] // patch)
            order = torch.arange(patches, device=pixels.device, dtype=pixels.dtype)
            more["noise"] = order.expand(len(pixels), -1)
        return module(pixel_values=pixels, **more)

    return feed


def sound_feed(module: nn.Module, inputs: Inputs) -> Any:
    """Call a model with the sounds of a batch, and with the mask where it takes one."""
    return module(**{name: value for name, value in inputs.items() if name != REAL})


def longest(module: nn.Module, config: Any) -> int | None:
    """Tokens that a text model has positions for; None where nothing limits them."""
    limits = []
    if isinstance(said := getattr(config, "max_position_embeddings", None), int) and said > 0:
        limits.append(said)
    for name, part in module.named_modules():
        if isinstance(part, nn.Embedding) and "position" in name.rpartition(".")[2]:
            # Positions of models that count from behind the padding's begin that much later.
            skipped = 0 if part.padding_idx is None else part.padding_idx + 1
            limits.append(part.num_embeddings - skipped)
    return min(limits, default=None)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from telling standard error what it does."""
    logging = package("transformers.utils.logging", EXTRA)
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def absent() -> Iterator[set[int]]:
    """Collect the identities of parameters that checkpoints read meanwhile do not hold.

    Libraries above transformers do not hand on what it reports.
    """
    kind = package("transformers", EXTRA).PreTrainedModel
    own = kind.__dict__["from_pretrained"]
    found: set[int] = set()

    def from_pretrained(cls: Any, *arguments: Any, **options: Any) -> Any:
        model, report = own.__get__(None, cls)(*arguments, **options, output_loading_info=True)
        found.update(id(value) for name, value in _tensors(model) if name in _not_read(report))
        return model

    kind.from_pretrained = classmethod(from_pretrained)
    try:
        yield found
    finally:
        kind.from_pretrained = own


def _not_read(report: Mapping[str, Any]) -> set[str]:
    return {*report["missing_keys"], *(str(each[0]) for each in report["mismatched_keys"])}


@contextmanager
def _explained() -> Iterator[None]:
    """Turn whatever transformers raises into one line."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:  # reading a model runs a library's code: anything may come
        text = one_line(error)
        if "trust_remote_code" in str(error):
            text = "its code lies beside its weights (trust_remote_code), and is never run"
        raise SourceError(f"transformers cannot read it: {text}") from error


def _auto(config: Any) -> tuple[Any, bool]:
    """The auto class that builds what a checkpoint holds, and whether that has a head."""
    transformers = package("transformers", EXTRA)
    named = (getattr(config, "architectures", None) or [""])[0]
    for head in _HEADS:
        auto = getattr(transformers, f"AutoModel{head}")
        known = auto._model_mapping  # noqa: SLF001
        if type(config) not in known:
            continue
        kinds = known[type(config)]
        kinds = kinds if isinstance(kinds, tuple | list) else (kinds,)
        # An encoder and a decoder with a head are no longer the encoder alone, but for sounds.
        whole = getattr(config, "is_encoder_decoder", False) and head != "ForAudioClassification"
        if any(each.__name__ == named for each in kinds) and not whole:
            return auto, True
    return transformers.AutoModel, False


def _one_of_two(whole: Any, modality: Modality) -> Part:
    method = _FEATURES[modality]
    if not hasattr(whole, method):
        raise SourceError(f"it has no tower for {modality} samples")
    parts = {}
    for name, part in list(whole.named_children()):
        if any(word in name for word in _OTHERS[modality]):
            setattr(whole, name, None)  # its memory goes
        else:
            parts[name] = part
    return Part(parts, getattr(whole, method), gives_features=True)


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers by every name that they have."""
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)
