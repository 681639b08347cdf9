"""Which callables a manifest may name, and what is imported before that is decided."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from zoorank.errors import ManifestError, SourceError
from zoorank.sources import trust as trust_module
from zoorank.sources.base import Trust
from zoorank.sources.manifest import load_zoo
from zoorank.sources.torch.factory import build, find_factory, fingerprint_imported
from zoorank.sources.torch.source import RandomWeights, TorchSource
from zoorank.sources.trust import trusted
from zoorank.transforms.specs import TablePreprocessing

NOTHING = Trust()
needs_efficientnet = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite_pytorch") is None,
    reason="pip install 'zoorank[demo]'",
)

# Refused before anything is imported: no flag was given for their package.
_OTHER_PACKAGES = """
    numpy:load numpy:memmap numpy.f2py:compile numpy.ctypeslib:load_library numpy.testing:rundocs
    typer:launch typer:run typer.main:get_command click:edit click.testing:CliRunner.invoke
    joblib:load cloudpickle:load pandas:read_pickle pandas:eval pandas.core.computation.eval:eval
    scipy.io:loadmat sympy:sympify sympy.parsing.sympy_parser:parse_expr numba:jit
    jinja2:Template pytest:main pip:main setuptools:setup safetensors.torch:load_file
    zoorank:rank zoorank.sources.torch.factory:build zoorank.sources.torch.factory:importlib.reload
    sklearn.utils:Bunch matplotlib.pyplot:savefig
"""
_STANDARD = """
    os:system posix:system subprocess:run subprocess:Popen builtins:exec builtins:eval
    zipfile:ZipFile runpy:run_path code:interact ctypes:CDLL importlib:import_module pdb:run
    timeit:timeit sys:exit shutil:rmtree multiprocessing:Process
"""
# Of torch only the classes of torch.nn are called, and nothing else of it is even looked up.
_TORCH = """
    torch.fx.graph_module:reduce_graph_module torch.fx.graph_module:reduce_package_graph_module
    torch.fx.graph_module:reduce_deploy_graph_module torch.fx:GraphModule torch.fx:symbolic_trace
    torch.fx.GraphModule torch.fx.experimental.proxy_tensor:make_fx
    torch.jit:load torch.jit:CompilationUnit torch:load torch.load torch:compile torch.hub:load
    torch.package:PackageImporter torch.utils.cpp_extension:load_inline torch.export:load
    torch.utils.model_zoo:load_url torch:ops.load_library torch.classes:load_library
    torch.serialization:os.system torch.distributed.run:main
    torch.distributed.nn.api.remote_module:RemoteModule torch.nn.modules.linear:Linear
    torch.nn.functional:linear torch.nn.init:uniform_
    torch.nn.utils.parametrize:register_parametrization
    torch.nn.parallel:DistributedDataParallel torch.ao.quantization.fx:convert
    functorch.compile:aot_module functorch:vmap functorch.experimental.control_flow:cond
"""
_PRIVATE = """
    numpy.f2py.__main__:x torch.nn:Linear.__class__ torch.nn:Linear.__init__.__globals__
    torch.nn:Linear.__subclasses__ torch.nn:Linear.__base__.__subclasses__ torch.nn:__builtins__
    torch.nn:Linear.__dict__.get torch.nn:Linear.forward.__globals__.get
    torch.nn:Linear.__reduce_ex__ torch._dynamo:optimize torch.nn.modules._functions:SyncBatchNorm
    torch._inductor.codecache:PyCodeCache.load __main__:x pip.__main__:main _frozen_importlib:x
    efficientnet_lite_pytorch:EfficientNet.__class__
    efficientnet_lite_pytorch:__loader__.exec_module
    efficientnet_lite_pytorch.__main__:x
"""
# Their module may be imported; what is named in it is in no list.
_NOT_LISTED = """
    torch.nn:Linear.mro torch.nn:Linear.register torch.nn:Linear.forward torch.nn:Module.apply
    torch.nn:Module.get_submodule torch.nn:Module.load_state_dict torch.nn:Embedding.from_pretrained
    torch.nn:DataParallel torch.nn:Parameter torch.nn:Buffer torch.nn:UninitializedParameter
    torch.nn:modules.linear.Linear torch.nn:functional.linear
    torch.nn:factory_kwargs torch.nn:nothing
    torch.nn:parallel.DistributedDataParallel torch.nn:utils.parametrize.cached
    efficientnet_lite_pytorch:EfficientNet.from_pretrained
    efficientnet_lite_pytorch:EfficientNet.get_image_size
    efficientnet_lite_pytorch:EfficientNet.mro efficientnet_lite_pytorch:EfficientNet
    efficientnet_lite_pytorch:EfficientNet.load_state_dict
    efficientnet_lite_pytorch.model:load_pretrained_weights
    efficientnet_lite_pytorch.model:torch.load efficientnet_lite_pytorch.model:nn.Linear
    efficientnet_lite_pytorch.model:MBConvBlock efficientnet_lite_pytorch:BlockDecoder.decode
    efficientnet_lite_pytorch:model.torch.hub.load
"""


def _spec(factory: str, trust: Trust = NOTHING, **keys: Any) -> TorchSource:
    keys = {"weights": RandomWeights(), **keys}
    return TorchSource(
        name="m", factory=factory, preprocessing=TablePreprocessing(), trust=trust, **keys
    )


def _message(factory: str, trust: Trust = NOTHING, **arguments: Any) -> str:
    with pytest.raises(SourceError) as caught:
        build(_spec(factory, trust), arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Modules that the code under test has asked for."""
    asked: list[str] = []
    real = importlib.import_module

    def note(name: str, package: str | None = None) -> Any:
        asked.append(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", note)
    return asked


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("factory", _TORCH.split())
def test_nothing_of_torch_but_torch_nn(factory: str, allowed: bool, imported) -> None:
    trust = Trust(packages=("torch", "functorch")) if allowed else Trust()
    assert "only the classes of torch.nn are called" in _message(factory, trust)
    assert imported == []


@pytest.mark.parametrize("factory", _PRIVATE.split())
def test_what_is_private_is_never_called(factory: str, imported) -> None:
    everything = Trust(
        (Path(__file__).parent,), ("torch", "numpy", "pip", "efficientnet_lite_pytorch")
    )
    for trust in (Trust(), everything):
        assert "is private, and never called" in _message(factory, trust)
    assert imported == []


@pytest.mark.parametrize("factory", _OTHER_PACKAGES.split())
def test_packages_that_nobody_named(factory: str, imported) -> None:
    package = factory.replace(":", ".").partition(".")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    text = _message(factory)
    assert f"package {package!r} is none whose models zoorank knows" in text
    assert f"say --allow-package {package} (in Python: allow_packages={package!r})" in text
    assert imported == []


@pytest.mark.parametrize("factory", _STANDARD.split())
def test_the_standard_library_is_no_zoo(factory: str, imported) -> None:
    for trust in (Trust(), Trust(packages=(factory.partition(":")[0],))):
        assert "is not an installed package" in _message(factory, trust)
    assert imported == []


@needs_efficientnet
@pytest.mark.parametrize("factory", _NOT_LISTED.split())
def test_what_is_in_no_list_of_models(factory: str, imported) -> None:
    text = _message(factory, model_name="efficientnet-lite0")
    assert "list of models" in text or "has no class or function" in text
    assert len(imported) == 1
    assert imported[0].partition(".")[0] in ("torch", "efficientnet_lite_pytorch")


@needs_efficientnet
def test_the_module_of_a_known_package_is_one_of_models(imported) -> None:
    text = _message("efficientnet_lite_pytorch.utils:load_pretrained_weights")
    assert "efficientnet_lite_pytorch.utils holds no models that zoorank knows" in text
    assert "--allow-package efficientnet_lite_pytorch" in text
    assert imported == []


_PICKLED = {"import_block": "import os; os.system('touch ran')\n"}
_BODY = {"body": {"_code": "def forward(self, x): return x\n"}}


def test_the_manifest_that_ran_its_argument(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo.toml").write_text(
        '[[model]]\nname = "m"\nfactory = "torch.fx.graph_module:reduce_graph_module"\n'
        'weights.random = { seed = 0 }\npreprocessing = { input = "table" }\n[model.arguments]\n'
        "import_block = \"import os; os.system('touch ran')\\n\"\n"
        'body = { _code = "def forward(self, x): return x\\n" }\n'
    )
    zoo = load_zoo("zoo.toml")
    assert "of torch only the classes of torch.nn are called" in zoo.models[0].refusal()
    for use in (lambda spec: build(spec, spec.arguments), fingerprint_imported):
        with pytest.raises(SourceError, match="of torch only the classes of"):
            use(zoo.models[0])
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package among the installed ones, with what packages have in them."""
    folder = tmp_path / "site" / "zr_nets"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        """
import os
from functools import partial
import torch
from torch import nn
from torch.fx.graph_module import reduce_graph_module
from torch.fx.graph_module import reduce_graph_module as build
from torch.fx import GraphModule
from torch.nn import Linear

alias = reduce_graph_module
with_less = partial(reduce_graph_module, {"_code": "def forward(self, x): return x"})

class Getter:
    def __get__(self, instance, owner):
        (lambda: open(owner.place, "w"))()
        return owner

class Meta(type(nn.Module)):
    def of_meta(cls, **arguments):
        open(cls.place, "w")
        return cls(**arguments)

class Net(nn.Linear, metaclass=Meta):
    place = os.environ["ZR_RAN"]
    getter = Getter()
    def __init__(self, n=2):
        super().__init__(n, n)
    @classmethod
    def from_name(cls, n=2):
        return cls(n)
    @staticmethod
    def unannotated(n=2):
        return Net(n)
    @staticmethod
    def make(n=2) -> nn.Module:
        return Net(n)
    def method(self, n=2) -> nn.Module:
        return Net(n)
    @classmethod
    def from_pretrained(cls, url):
        from urllib.request import urlopen
        return urlopen(url)
    @classmethod
    def from_process(cls, command):
        import subprocess
        return subprocess.run(command)

def net(n=2) -> nn.Linear:
    return Net(n)

def plain(n=2):
    return Net(n)

def runs(code) -> int:
    return exec(code)

def wrong(n=2) -> "undefined.Name":
    return Net(n)

def leaves(n=2) -> nn.Module:
    raise SystemExit("bye")

instance = Net()
""",
        encoding="utf-8",
    )
    (folder / "ending.py").write_text("raise SystemExit(0)\n")
    (folder / "failing.py").write_text("class Odd(BaseException): pass\nraise Odd('two\\nlines')\n")
    monkeypatch.setenv("ZR_RAN", str(tmp_path / "ran"))
    monkeypatch.syspath_prepend(str(folder.parent))
    roots = (*trust_module._roots(), folder.parent.resolve())
    monkeypatch.setattr(trust_module, "_roots", lambda: roots)
    yield "zr_nets"
    for name in [name for name in sys.modules if name.partition(".")[0] == "zr_nets"]:
        del sys.modules[name]


ALLOWED = Trust(packages=("zr_nets",))
_NOT_BUILDERS = """
    reduce_graph_module build alias with_less GraphModule os.system torch.load plain runs wrong
    instance Net.unannotated Net.method Net.of_meta Net.getter Net.mro Net.register_forward_hook
    Net.forward Net.place Net.get_submodule partial Getter Meta
"""


@pytest.mark.parametrize("name", ["Net", "Net.from_name", "Net.make", "net", "Linear"])
def test_an_allowed_package_builds_networks(installed, name: str) -> None:
    arguments = {"in_features": 3, "out_features": 3} if name == "Linear" else {"n": 3}
    assert build(_spec(f"zr_nets:{name}", ALLOWED), arguments).in_features == 3
    assert "none whose models zoorank knows" in _message(f"zr_nets:{name}")


@pytest.mark.parametrize(
    "name",
    _NOT_BUILDERS.split(),
)
def test_all_else_in_an_allowed_package_is_not_called(installed, tmp_path, name: str) -> None:
    text = _message(f"zr_nets:{name}", ALLOWED, **_PICKLED, **_BODY)
    assert (
        "is neither a torch.nn.Module class" in text
        or "has no class" in text
        or ("not callable" in text)
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["reduce_graph_module", "alias", "GraphModule", "with_less"])
def test_to_allow_torch_too_admits_nothing_of_it(installed, tmp_path, monkeypatch, name) -> None:
    monkeypatch.chdir(tmp_path)
    text = _message(f"zr_nets:{name}", Trust(packages=("zr_nets", "torch")), **_PICKLED, **_BODY)
    assert "is neither a torch.nn.Module class" in text
    assert not (tmp_path / "ran").exists()


def test_a_constructor_that_fetches_or_starts_something_fails(installed) -> None:
    text = _message("zr_nets:Net.from_pretrained", ALLOWED, url="http://localhost:9/w.pt")
    assert "PermissionError" in text or "no network" in text
    text = _message("zr_nets:Net.from_process", ALLOWED, command=["true"])
    assert "no network and no processes while a network is built" in text
    import subprocess

    assert subprocess.run(["true"], check=False).returncode == 0  # afterwards nothing is held back


@pytest.mark.parametrize(
    ("factory", "cause", "words"),
    [
        ("zr_nets.ending:x", SystemExit, "zr_nets.ending cannot be imported: SystemExit: 0"),
        ("zr_nets.failing:x", BaseException, "cannot be imported: Odd: two lines"),
        ("zr_nets:leaves", SystemExit, "factory zr_nets:leaves failed: SystemExit: bye"),
        ("zr_nets:Net.from_name", TypeError, "failed: TypeError: "),
    ],
)
def test_whatever_is_raised_is_the_source_s_own(installed, factory, cause, words) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        build(_spec(factory, ALLOWED), {"m": 2} if cause is TypeError else {})
    assert isinstance(caught.value.__cause__, cause)


def test_ctrl_c_is_nobody_s_failure(installed, monkeypatch) -> None:
    module = importlib.import_module("zr_nets")

    def interrupted(n: int = 2) -> torch.nn.Module:
        raise KeyboardInterrupt

    interrupted.__module__ = "zr_nets"
    monkeypatch.setattr(module, "net", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(_spec("zr_nets:net", ALLOWED), {})


_OWN = """
import os
from functools import partial
from os import system
from torch import load, nn
from torch.fx.graph_module import reduce_graph_module
from torch.nn import Linear

class Net(nn.Linear):
    @classmethod
    def of(cls, n): return cls(n, n)
    class Inner(nn.Linear): pass

def unannotated(n): return nn.Linear(n, n)
small = partial(unannotated, 3)
linear = partial(Linear, 3, 3)
hidden = partial(system, "true")
"""


@pytest.fixture
def own(tmp_path: Path) -> Trust:
    """A directory that the user allows code from."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "zr_own.py").write_text(_OWN)
    yield trusted(tmp_path / "code")
    sys.modules.pop("zr_own", None)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Net.of", {"n": 3}),
        ("Net.Inner", {"in_features": 3, "out_features": 3}),
        ("unannotated", {"n": 3}),
        ("small", {}),
        ("linear", {}),
        ("Linear", {"in_features": 3, "out_features": 3}),
    ],
)
def test_whatever_is_defined_in_an_allowed_directory(own, name, arguments) -> None:
    assert build(_spec(f"zr_own:{name}", own), arguments).in_features == 3


@pytest.mark.parametrize(
    "name",
    ["system", "load", "reduce_graph_module", "hidden", "os.system", "Net.forward.x", "partial"],
)
def test_what_it_merely_imports_is_not_called(own, name: str) -> None:
    text = _message(f"zr_own:{name}", own)
    assert "is neither defined there nor a builder" in text or "has no class or function" in text


@pytest.mark.parametrize("name", ["torch", "sympy", "os"])
def test_a_folder_of_a_package_s_name_does_not_open_the_package(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    trust = trusted(tmp_path)
    factory = {
        "torch": "torch.fx.graph_module:reduce_graph_module",
        "sympy": "sympy.core.sympify:sympify",
        "os": "os:system",
    }[name]
    text = _message(factory, trust)
    assert "of torch only" in text or "does not come from a directory of" in text


def test_what_merely_lies_on_the_import_path_is_not_installed(tmp_path, monkeypatch) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "lying_about.py").write_text(f"open({str(ran)!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    for entry in ("", str(tmp_path)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "path", [entry, *sys.path])
            text = _message("lying_about:Net", Trust(packages=("lying_about",)))
        assert "not an installed package but comes from" in text
        assert "say --allow-code DIR (in Python: allow_code=DIR)" in text
    assert "is not installed; install it, or name the directory" in _message("lying_about:Net")
    assert not ran.exists()


def test_allowed_code_shadows_an_earlier_namesake(tmp_path: Path) -> None:
    for name, size in (("a", 2), ("b", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same_name_net.py").write_text(
            f"import torch\ndef net():\n    return torch.nn.Linear(1, {size})\n"
        )
        spec = _spec("same_name_net:net", Trust((tmp_path / name,)))
        assert build(spec, {}).out_features == size
    assert str(tmp_path / "b") not in sys.path


def test_allowed_code_does_not_replace_what_others_have_loaded(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("def net():\n    raise RuntimeError\n")
    import json

    text = _message("json:net", Trust((tmp_path,)))
    assert "has the name of a module that is loaded already" in text
    assert sys.modules["json"] is json


def test_a_factory_s_own_torch_load_is_safe_too(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / "w.pt")
    (tmp_path / "loading_net.py").write_text(
        "import torch\ndef net(path):\n    return torch.load(path, weights_only=False)\n"
    )
    text = _message("loading_net:net", Trust((tmp_path,)), path=str(tmp_path / "w.pt"))
    assert "failed: UnpicklingError" in text


def test_what_is_allowed_is_checked(tmp_path: Path) -> None:
    assert trusted(str(tmp_path), "timm") == Trust((tmp_path.resolve(),), ("timm",))
    with pytest.raises(ManifestError, match=r"no directory .* to allow code from"):
        trusted([tmp_path / "none"])
    with pytest.raises(
        ManifestError, match="'a-b' is no package to allow; give the name that Python"
    ):
        trusted(allow_packages=["timm", "a-b"])


def _names(builders: Sequence[str]) -> set[str]:
    return {find_factory(each, Trust()).home for each in builders}


@needs_efficientnet
def test_known_builders_are_found() -> None:
    assert _names(["torch.nn.Linear", "torch.nn:Transformer", "torch.nn.Identity"]) == {"known"}
    assert _names(["efficientnet_lite_pytorch:EfficientNet.from_name"]) == {"known"}
