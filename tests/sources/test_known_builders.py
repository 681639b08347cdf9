"""Known builders, called with what a stranger might give them.

A sweep, not a proof: it says that nothing was compiled, opened, started or connected by the calls
that it made, each with one hostile argument beside plain ones.
"""

from __future__ import annotations

import importlib
import inspect
import os
import random
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import torch

from zoorank.errors import SourceError
from zoorank.sources.torch.known import LISTS, known, safe_arguments
from zoorank.sources.trust import KNOWN

HOSTILE = (
    "__import__('os').system('touch ran')",
    "import os; os.system('touch ran')\n",
    "os.system",
    "torch.fx.graph_module:reduce_graph_module",
    "ran",
    "/etc/passwd",
    "http://127.0.0.1:9/w.pt",
    "hf-hub:a/b",
    "local-dir:/tmp",
    "__class__",
    "{0.__class__.__init__.__globals__}",
    "",
    "relu",
    -1,
    0,
    33,
    float("nan"),
    True,
    [],
    [1, -1],
    ["__import__('os').system('touch ran')"],
    None,
)
_OFFENCES = {"subprocess", "socket", "urllib", "ctypes", "pty", "os.system", "os.exec", "os.remove"}
_OFFENCES |= {"os.posix_spawn", "os.fork", "os.rename", "os.mkdir", "shutil", "webbrowser"}
_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))


class _Watch:
    """Notes what audit events say about this thread while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        self.on = False  # what is done here is not the subject's
        try:
            if event == "open" and not _is_library(arguments):
                self.seen.append(f"opened {arguments[0]}")
            elif event == "compile" and not _is_library((arguments[1],)):
                self.seen.append(f"compiled {arguments[0]!r} of {arguments[1]}")
            elif event == "exec" and not _is_library((arguments[0].co_filename,)):
                self.seen.append(f"executed {arguments[0]}")
            elif event in _OFFENCES or event.partition(".")[0] in _OFFENCES:
                self.seen.append(f"{event} {arguments}")
                raise PermissionError(event)
        finally:
            self.on = True


def _is_library(arguments: tuple[Any, ...]) -> bool:
    """Whether a file is one that an import reads, and is not written to."""
    path, *rest = arguments
    writes = any(isinstance(mode, str) and set(mode) & set("wax+") for mode in rest[:1])
    return isinstance(path, str) and path.startswith(_LIBRARIES) and not writes


@pytest.fixture(scope="module")
def watch() -> _Watch:
    return _Watch()


@contextmanager
def _watched(watch: _Watch) -> Iterator[None]:
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        watch.on = True
        try:
            yield
        finally:
            watch.on = False


def _call(watch: _Watch, build: Callable[..., Any], arguments: dict[str, Any]) -> bool:
    """Build as zoorank does; tell whether a network came of it."""
    try:
        arguments = safe_arguments(build, arguments)
    except SourceError:
        return False
    with _watched(watch):
        try:
            build(**arguments)
        except Exception:  # noqa: BLE001 - a refusal by the builder is what most of them deserve
            return False
    return True


def _plain(build: Callable[..., Any]) -> dict[str, Any]:
    """Arguments that most builders accept."""
    required = {
        name: 4
        for name, parameter in inspect.signature(build).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    lists = {"normalized_shape", "output_size", "unflattened_size", "cutoffs"}
    return {name: [2, 2] if name in lists else value for name, value in required.items()}


def _offences(
    watch: _Watch, build: Callable[..., Any], plain: dict[str, Any], parameters: list[str]
) -> tuple[int, list[str]]:
    """Call once for each parameter and hostile value; give the count and what was seen."""
    _call(watch, build, plain)  # whatever is imported late is imported now
    offences = []
    for parameter in parameters:
        for value in HOSTILE:
            watch.seen.clear()
            _call(watch, build, {**plain, parameter: value})
            offences += [f"{build}({parameter}={value!r}): {each}" for each in watch.seen]
    return len(parameters) * len(HOSTILE), offences


def test_the_watch_sees_what_it_is_for(watch, tmp_path: Path) -> None:
    def evil(what: str) -> None:
        if what == "open":
            (tmp_path / "ran").write_text("")
        elif what == "eval":
            eval("1 + 1")
        elif what == "exec":
            exec("x = 1", {})
        elif what == "connect":
            import socket

            socket.create_connection(("127.0.0.1", 9))
        else:
            os.system("true")

    for what in ("open", "eval", "exec", "connect", "system"):
        watch.seen.clear()
        _call(watch, evil, {"what": what})
        assert watch.seen, what


def test_classes_of_torch_nn(watch, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    calls, offences = 0, []
    for build in known("torch").values():
        parameters = [
            each
            for each, parameter in inspect.signature(build).parameters.items()
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        ]
        made, seen = _offences(watch, build, _plain(build), [*parameters, "undefined"])
        calls, offences = calls + made, offences + seen
    assert not offences
    assert calls > 10_000
    assert not list(tmp_path.iterdir())


_NAMING = {"get_model": "name", "create_model": "model_name"}
# What builders of published models commonly take, beside what they say in their signatures.
_COMMON = [
    "act_layer", "aux_logits", "backbone_name", "block", "depth", "drop_rate", "dropout",
    "embed_dim", "features_only", "global_pool", "image_size", "img_size", "in_chans",
    "init_weights", "jit", "layers", "mlp_layer", "norm_layer", "num_classes", "out_indices",
    "patch_size", "pretrained", "pretrained_cfg", "progress", "pruned", "quantize", "scriptable",
    "transform_input", "weights", "weights_backbone",
]  # fmt: skip


def test_the_demo_s_efficientnet(watch, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="pip install 'zoorank[demo]'")
    monkeypatch.chdir(tmp_path)
    (build,) = known("efficientnet_lite_pytorch").values()
    fields = importlib.import_module("efficientnet_lite_pytorch.utils").GlobalParams._fields
    plain = {"model_name": "efficientnet-lite0", "image_size": 32}
    _call(watch, build, plain)
    watch.seen.clear()
    parameters = ["model_name", "in_channels", *fields]
    # One value a field, in turn: a network takes a tenth of a second.
    for values in (HOSTILE, HOSTILE[::-1]):
        for parameter, value in zip(parameters, values, strict=False):
            _call(watch, build, {**plain, parameter: value})
    assert not watch.seen
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("package", "each"),
    [
        pytest.param("torchvision", 4, marks=pytest.mark.slow),
        pytest.param("timm", 1, marks=pytest.mark.long),
    ],
)
def test_lists_of_models_of_packages(
    watch, package: str, each: int, tmp_path: Path, monkeypatch
) -> None:
    _import(f"{package}.models")
    monkeypatch.chdir(tmp_path)
    chance, hostile, calls, offences = random.Random(0), cycle(HOSTILE), 0, []
    warm = set()
    for name, build in known(package).items():
        plain: dict[str, Any] = {"num_classes": 2}
        if name in _NAMING:
            plain[_NAMING[name]] = "resnet18"
        if build.__module__ not in warm:
            _call(watch, build, plain)  # whatever is imported late is imported now
            warm.add(build.__module__)
        for parameter in chance.sample(_COMMON, each):
            value = next(hostile)
            watch.seen.clear()
            _call(watch, build, {**plain, parameter: value})
            calls += 1
            offences += [f"{name}({parameter}={value!r}): {seen}" for seen in watch.seen]
    assert not offences
    assert calls == each * len(known(package)) > 100
    assert not list(tmp_path.iterdir())


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{module} cannot be imported: {error}")


@pytest.mark.parametrize(
    ("factory", "arguments", "words"),
    [
        ("timm:create_model", {"model_name": "hf-hub:a/b"}, "timm has no model 'hf-hub:a/b'"),
        ("timm:create_model", {"model_name": "local-dir:/x"}, "timm has no model 'local-dir:/x'"),
        ("timm:create_model", {"model_name": "resnet19"}, "did you mean 'resnet18'"),
        ("timm.models:resnet18", {"pretrained": True}, "'pretrained' would fetch weights"),
        ("timm.models:resnet18", {"checkpoint_path": "w.pt"}, "would fetch weights or read"),
        ("timm.models:resnet18", {"block_args": {"a": 1}}, "'block_args' is a dict; builders"),
        ("torchvision.models:resnet18", {"weights": "DEFAULT"}, "'weights' would fetch weights"),
        ("torchvision.models:get_model", {"name": "nothing"}, "torchvision has no model 'nothing'"),
    ],
)
def test_arguments_that_would_fetch_or_read(factory: str, arguments, words: str) -> None:
    module, _, name = factory.partition(":")
    build = getattr(_import(module), name)
    with pytest.raises(SourceError, match=words):
        safe_arguments(build, arguments)
    plain = {"num_classes": 3, "weights": None, "pretrained": False}
    if name in _NAMING:
        plain[_NAMING[name]] = "resnet18"
    assert safe_arguments(build, plain) == plain


def test_a_backbone_is_not_fetched_by_default() -> None:
    models = _import("torchvision.models")
    fcn_resnet50, get_model = models.segmentation.fcn_resnet50, models.get_model
    assert safe_arguments(fcn_resnet50, {}) == {"weights_backbone": None}
    named = {"name": "fcn_resnet50"}
    assert safe_arguments(get_model, named) == {**named, "weights_backbone": None}


def test_every_package_that_may_be_imported_has_its_list() -> None:
    assert set(LISTS) == set(KNOWN)
