"""The files of a chain of sentence-transformers: which there are, and what they may name."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from zoorank.errors import SourceError
from zoorank.messages import brief, one_line
from zoorank.sources.huggingface import CONFIG, TOKENIZERS, choose_weights, weight_files
from zoorank.sources.published import CARD

MODULES = "modules.json"

# Of these only the library's own classes are built: a name elsewhere would be a stranger's code.
_OWN = "sentence_transformers."
# The name of a class where the library keeps its parts, and not of what it imports there.
_OWN_PART = re.compile(
    r"sentence_transformers\.(Transformer|(\w+\.)*(models|modules)(\.\w+){0,2}\.[A-Z]\w*)"
)
_ACTIVATION = re.compile(r"torch\.nn(\.modules(\.[a-z]\w*)?)?\.[A-Z]\w*")
_OTHER_BACKENDS = ("onnx", "openvino")


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


def weights(folder: Path) -> Iterator[Path]:
    """Files of the weights of every part."""
    for part in _parts(folder):
        place = folder / part["path"]
        yield from (place / name for name in weight_files(place))


def beside(folder: Path) -> Iterator[Path]:
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
