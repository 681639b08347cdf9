"""What a file of Keras holds, looked at before Keras does anything with it.

A model of Keras is a configuration that names classes and functions, and Keras imports and
calls what it names. Only layers, initializers and the like of Keras itself are let through,
and none that runs code or reads files of its own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from zoorank.messages import brief, one_line
from zoorank.sources.files import SourceFile

if TYPE_CHECKING:
    import h5py

_MODULES = re.compile(
    r"keras(\.src)?(\.(layers|models|ops|initializers|regularizers|constraints|activations"
    r"|dtype_policies|random|engine|quantizers)(\.\w+)*)?"
)
_FUNCTIONS = re.compile(r"keras(\.src)?\.activations(\.\w+)*")
# Layers that hold code, load models, or read the files that their configuration names.
_REFUSED = (
    "Lambda",
    "__lambda__",
    "__typespec__",
    "TFOpLambda",
    "TFSMLayer",
    "TorchModuleWrapper",
    "JaxLayer",
    "FlaxLayer",
    "StringLookup",
    "IntegerLookup",
    "IndexLookup",
    "TextVectorization",
)
_LARGEST_CONFIG = 64 * 2**20
# HDF5 itself may read a damaged list of attributes for ever, in code that nothing can interrupt. So
# a process that may be ended reads all of them first, which takes it a third of a second.
_WALK = """
import io, sys, zipfile, h5py
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
except ImportError:
    pass
def look(_, each):
    for name in each.attrs:
        each.attrs[name]
path, member = sys.argv[1:]
with open(path, "rb") as whole:
    place = zipfile.ZipFile(whole).open(member) if member else whole
    with h5py.File(place, "r") as file:
        look("", file)
        file.visititems(look)
"""
_PATIENCE = 60.0  # seconds, of a process that may have to wait for its share of the processor
_MOST_PACKED = 50  # times smaller than what is packed: weights hardly get smaller at all


def check_archive(file: SourceFile) -> None:
    """Refuse a file that is none of Keras, or whose model could run code or read other files.

    Raises
    ------
    SourceError
    """
    import h5py

    file.check()
    try:
        # By the suffix, as Keras itself decides: a file may be an archive and HDF5 at once.
        is_h5 = file.path.suffix != ".keras" and h5py.is_hdf5(file.path)
        if zipfile.is_zipfile(file.path) and not is_h5:
            with zipfile.ZipFile(file.path) as archive:
                _check_zip(file, archive)
            return
        _check_ends(file)
        with h5py.File(file.path, "r") as weights:
            _check_h5(file, weights)
            config = weights.attrs.get("model_config")
    except (OSError, KeyError, zipfile.BadZipFile, RuntimeError) as error:
        raise file.refuse(f"is no readable file of Keras: {one_line(error, 150)}") from None
    if config is None:
        raise file.refuse("holds weights alone; a model as model.save writes it is needed")
    _check_config(file, config if isinstance(config, bytes) else str(config).encode())


def _check_zip(file: SourceFile, archive: zipfile.ZipFile) -> None:
    import h5py

    for entry in archive.infolist():
        if entry.file_size > _MOST_PACKED * max(entry.compress_size, 2**16):
            raise file.refuse(f"unpacks {brief(entry.filename)} to {entry.file_size:,} bytes")
    names = archive.namelist()
    if "config.json" not in names or "model.weights.h5" not in names:
        raise file.refuse("is no file of Keras: config.json and model.weights.h5 are needed in it")
    if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
        raise file.refuse("its config.json is too large to be one")
    _check_config(file, archive.read("config.json"))
    _check_ends(file, "model.weights.h5")
    with archive.open("model.weights.h5") as member, h5py.File(member, "r") as weights:
        _check_h5(file, weights)


def _check_ends(file: SourceFile, member: str = "") -> None:
    """Refuse what HDF5 reads without an end, or dies of; what else is wrong is found here."""
    # Isolated: a module of the directory that this is run in has no say.
    call = [sys.executable, "-I", "-c", _WALK, str(file.path), member]
    try:
        done = subprocess.run(call, capture_output=True, timeout=_PATIENCE, check=False)  # noqa: S603
        code = done.returncode
    except subprocess.TimeoutExpired:
        code = -1
    if code < 0:
        raise file.refuse("is so damaged that HDF5 does not come to the end of it")


def _check_h5(file: SourceFile, weights: h5py.File) -> None:
    """Refuse links to other files, which HDF5 follows silently."""
    import h5py

    def is_link(name: str, link: Any) -> str | None:
        return name if isinstance(link, h5py.ExternalLink) else None

    def is_outside(name: str, each: Any) -> str | None:
        outside = isinstance(each, h5py.Dataset) and (each.external or each.is_virtual)
        return name if outside else None

    # What a visitor gives ends the visit; it must not raise through the library's lock.
    if (name := weights.visititems_links(is_link)) is not None:
        raise file.refuse(f"{brief(name)} is a link into another file")
    if (name := weights.visititems(is_outside)) is not None:
        raise file.refuse(f"{brief(name)} lies in another file")


def _check_config(file: SourceFile, content: bytes) -> None:
    try:
        config = json.loads(content)
    except (ValueError, RecursionError):
        raise file.refuse("its model's configuration is no JSON") from None
    for each in _objects(config):
        name = str(each["class_name"])
        module = each.get("module")
        # Keras looks up "layers.Lambda" of the module keras, too.
        if "." in name:
            raise file.refuse(f"{brief(name)} is no name of a class: it is never loaded")
        if name in _REFUSED:
            raise file.refuse(
                f"holds a {brief(name)}, which runs code or reads files: it is never loaded"
            )
        allowed = _FUNCTIONS if name == "function" else _MODULES
        if module is not None and not allowed.fullmatch(str(module)):
            raise file.refuse(f"{brief(name)} of {brief(module)} is none of Keras's own layers")


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every object that a configuration describes, however deep."""
    left = [config]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            if "class_name" in each:
                yield each
            left += each.values()
        elif isinstance(each, list):
            left += each
