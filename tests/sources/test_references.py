"""References are taken apart, and find their kinds here or in other packages."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoorank
from zoorank.errors import SourceError, UsageError
from zoorank.sources.base import Entry, OpenOptions
from zoorank.sources.manifest import load_zoo, zoo_of
from zoorank.sources.references import (
    KINDS,
    is_known_kind,
    looks_like_reference,
    parse_reference,
    source_of,
    sources_of,
)

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "kinds.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("onnx:a.onnx", ("onnx", "a.onnx", None, None)),
        ("onnx:a@b.onnx::onnx::Conv_1", ("onnx", "a@b.onnx", None, "onnx::Conv_1")),
        ("onnx:C:/a.onnx", ("onnx", "C:/a.onnx", None, None)),
        ("timm:resnet18.a1_in1k::layer3", ("timm", "resnet18.a1_in1k", None, "layer3")),
        ("torchvision:resnet50@IMAGENET1K_V2", ("torchvision", "resnet50", "IMAGENET1K_V2", None)),
        ("hf:org/name@refs/pr/1#text::a.b", ("hf", "org/name#text", "refs/pr/1", "a.b")),
        ("hf:org/name#text", ("hf", "org/name#text", None, None)),
        ("st:./a@b", ("st", "./a@b", None, None)),
        ("st:~/a@b", ("st", "~/a@b", None, None)),
        ("st:${HUB}/a@b", ("st", "${HUB}/a@b", None, None)),
        ("torch:package.module:build", ("torch", "package.module:build", None, None)),
        ("vectors:a b.txt", ("vectors", "a b.txt", None, None)),
    ],
)
def test_a_reference_is_taken_apart(text: str, parts: tuple[str | None, ...]) -> None:
    found = parse_reference(text)
    assert (found.kind, found.identifier, found.revision, found.cut) == parts
    assert looks_like_reference(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resnet18", "'resnet18' is no reference of the form KIND:NAME, such as timm:resnet18.a1"),
        ("", "'' is no reference of the form"),
        (
            "tim:resnet18",
            "unknown kind of source 'tim'; did you mean 'timm'? allowed: torchvision,",
        ),
        ("ONNX:a.onnx", "unknown kind of source 'ONNX'; "),
        ("onnx:", "'onnx:' lacks a model after 'onnx:'"),
        ("onnx: ", "'onnx: ' lacks a model after 'onnx:'"),
        ("onnx:a::", "'onnx:a::' lacks a cut after '::'"),
        ("onnx:::cut", "lacks a model after 'onnx:'"),
        ("x\n:" + "y" * 10**5, "is no reference of the form"),
    ],
)
def test_what_is_no_reference_is_one_line(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        sources_of(text)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_every_kind_is_a_function_of_an_extra_that_there_is() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for kind, (function, extra, _) in KINDS.items():
        assert re.search(rf"^{extra} = \[", text, flags=re.MULTILINE), kind
        assert re.fullmatch(r"zoorank\.sources\.\w+:\w+", function)
        assert is_known_kind(kind)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"torch"}))  # which no reference names
def test_every_kind_is_named_wherever_somebody_looks_for_it(kind: str) -> None:
    extra = KINDS[kind].extra
    files = ("README.md", "docs/howto/models.md", "Makefile", "pyproject.toml", "tools/extras.py")
    readme, models, makefile, project, tool = ((ROOT / each).read_text("utf-8") for each in files)
    assert re.search(rf"^\|[^|]*`{kind}:", readme, re.MULTILINE)
    assert re.search(rf"^\|[^|]*`{extra}`", readme, re.MULTILINE)
    assert re.search(rf"^\| `{kind}:.*\| `{extra}` \|", models, re.MULTILINE)
    for line in (r"^\S+/test: EXTRAS := (.*)$", r'^all = \["zoorank\[(.*)\]"\]$'):
        found = re.search(line, makefile + project, re.MULTILINE)
        assert found is not None
        assert extra in found[1].split(",")
    assert re.search(rf'^    "{extra}": \("', tool, re.MULTILINE)
    assert f'["{kind}:' in tool


def test_names_and_cuts() -> None:
    assert source_of("onnx:a.onnx::x").name == "onnx:a.onnx::x"
    assert source_of("onnx:a.onnx::x").cuts == ("x",)
    assert source_of("onnx:a.onnx", Entry(name="a", cuts=("y", "z"))).cuts == ("y", "z")
    with pytest.raises(UsageError, match=r"'onnx:a.onnx::x': cuts: the reference itself names the"):
        source_of("onnx:a.onnx::x", Entry(cuts=("y",)))


def test_a_source_stands_for_itself_and_nothing_else_for_one() -> None:
    source = source_of("onnx:a.onnx")
    assert sources_of(source) == (source,)
    for other in (3, None, object, type(source), [source]):
        with pytest.raises(UsageError, match=r"a source of type .*; allowed: a reference, a"):
            sources_of(other)


def test_a_zoo_is_made_of_what_the_command_is_told(tmp_path: Path) -> None:
    manifest = tmp_path / "zoo.toml"
    manifest.write_text('data = "d.npz"\ncuts = "c"\n[[model]]\nsource = "onnx:a.onnx"\n')
    zoo = load_zoo(manifest)
    assert zoo_of(manifest) == zoo_of(str(manifest)) == zoo_of(zoo) == zoo_of([zoo]) == zoo
    both = zoo_of([str(manifest), "vectors:v.txt", source_of("onnx:b.onnx")])
    assert [model.name for model in both.models] == ["onnx:a.onnx", "vectors:v.txt", "onnx:b.onnx"]
    assert (both.data, both.cuts) == (zoo.data, ("c",))
    manifest.write_text(
        manifest.read_text() + '[[model]]\nsource = "onnx:c.onnx"\nname = "third"\n'
    )
    assert [model.name for model in zoo_of(f"{manifest}:third").models] == ["third"]
    with pytest.raises(UsageError, match=r"zoo.toml has no model 'thrid'; did you mean 'third'\?"):
        zoo_of(f"{manifest}:thrid")
    with pytest.raises(UsageError, match="2 manifests; name one, with references beside it"):
        zoo_of([manifest, manifest])
    with pytest.raises(UsageError, match=r"two models are called 'onnx:a.onnx'; give one another"):
        zoo_of(["onnx:a.onnx", "onnx:a.onnx"])
    with pytest.raises(UsageError, match="there is no model to rank; name one or more"):
        zoo_of([])
    with pytest.raises(UsageError, match=r"manifest none.toml does not exist"):
        zoo_of("none.toml")
    for name, reference in (("resnet18", "timm:resnet18"), ("google/vit", "hf:google/vit")):
        with pytest.raises(UsageError, match=f"needs its kind, such as {reference}$"):
            zoo_of(name)
    with pytest.raises(UsageError, match="unknown kind of source 'timmm'; did you mean 'timm'"):
        zoo_of("timmm:resnet18")


class _Point:
    """An entry point without a package."""

    value = "nowhere:sources"

    def __init__(self, function: Any) -> None:
        self._function = function
        self.name = "mine"

    def load(self) -> Any:
        if isinstance(self._function, Exception):
            raise self._function
        return self._function


def _raises(error: Exception) -> Any:
    def sources(*_: Any) -> Any:
        raise error

    return sources


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (ModuleNotFoundError("", name="torch.nn"), "this needs torch: pip install 'zoorank[zoo]'"),
        (ModuleNotFoundError("", name="evil"), "a package that it needs is not installed"),
        (OSError("libc.so: not\nfound"), "kind 'mine' failed: OSError: libc.so: not found"),
        ("no function", "kind 'mine': nowhere:sources is not a function but 'no function'"),
        (_raises(SourceError("not here")), "not here"),
        (_raises(ZeroDivisionError("by 0")), "kind 'mine' failed: ZeroDivisionError: by 0"),
    ],
)
def test_a_kind_that_fails_is_the_reason_of_its_source(
    monkeypatch, function: Any, reason: str
) -> None:
    monkeypatch.setattr("zoorank.sources.references.entry_points", lambda **_: [_Point(function)])
    source = source_of("mine:a::cut")
    assert (source.name, source.cuts) == ("mine:a::cut", ("cut",))
    for method in (
        lambda: source.resolve(print),
        source.identity,
        lambda: source.open(OpenOptions("image")),
    ):
        with pytest.raises(SourceError) as caught:
            method()
        assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda *_: (), "'mine:a' names no model"),
        (lambda *_: (3,), "kind 'mine' gave a int, no source"),
    ],
)
def test_what_a_kind_gives_is_checked(monkeypatch, function: Any, expected: str) -> None:
    monkeypatch.setattr("zoorank.sources.references.entry_points", lambda **_: [_Point(function)])
    with pytest.raises(UsageError, match=expected):
        source_of("mine:a")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of docs/kinds.md, installed in a folder of its own."""
    project = tmp_path_factory.mktemp("project")
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    (described,) = re.findall(r"```toml\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    (project / "zoorank_histogram.py").write_text(code)
    (project / "pyproject.toml").write_text(described)
    place = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    where = ("--no-deps", "--no-build-isolation", "--no-index", "--target", str(place))
    subprocess.run([*pip, *where, str(project)], check=True, timeout=120)
    return place


@pytest.fixture
def with_histogram(installed: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "zoorank_histogram", raising=False)


def _pictures() -> tuple[np.ndarray, np.ndarray]:
    """Two classes that differ in their colours alone."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    X[::2, ..., 0] //= 4
    return X, np.array(["green", "grey"] * 12)


@pytest.mark.usefixtures("with_histogram")
def test_the_kind_of_the_documentation_ranks(tmp_path: Path) -> None:
    ranking = zoorank.rank(["histogram:8", "histogram:2"], _pictures(), store=tmp_path)
    rows = {row.model: row for row in ranking.rows}
    assert (rows["histogram:8"].dim, rows["histogram:2"].dim) == (24, 6)
    assert ranking.best.model.startswith("histogram:")
    scores = {name: row.scores["euclidean"] for name, row in rows.items()}
    assert scores["histogram:8"] > scores["raw input"]


@pytest.mark.usefixtures("with_histogram")
def test_the_kind_of_the_documentation_in_a_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "zoo.toml"
    said = 'name = "colours"\nsource = "histogram:4"\ncuts = "counts"\nlicence = "MIT"\n'
    manifest.write_text(f"[[model]]\n{said}")
    (model,) = load_zoo(manifest).models
    assert (model.name, model.bins, model.cuts) == ("colours", 4, ("counts",))
    assert model.known().licence == "MIT"
    manifest.write_text('[[model]]\nsource = "histogram:many"\n')
    with pytest.raises(UsageError, match=r"line 2, model 1 'histogram:many', source: write"):
        load_zoo(manifest)
    with pytest.raises(UsageError, match=r"allowed: torchvision, .*, torch, histogram$"):
        sources_of("nothing:a")


def test_the_kind_of_the_documentation_is_short() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    assert sum(bool(line.strip()) for line in code.splitlines()) < 60


@pytest.mark.parametrize("kind", ["hf", "st", "timm", "onnx", "keras", "exported", "vectors"])
def test_a_path_that_leads_nowhere_is_the_reason_of_its_source(kind: str, tmp_path: Path) -> None:
    manifest, place = tmp_path / "zoo.toml", f"./nowhere{'.keras' if kind == 'keras' else ''}"
    says = ', preprocessing = { input = "table" }' if kind in ("onnx", "keras", "exported") else ""
    manifest.write_text(f'model = [{{ source = "{kind}:{place}"{says} }}]\n')
    for zoo in (load_zoo(manifest), zoo_of([f"{kind}:{place}"])):
        with pytest.raises(SourceError, match="nowhere"):
            zoo.models[0].resolve(lambda _: None)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"torch"}))
@pytest.mark.parametrize("page", ["README.md", "docs/howto/models.md", "docs/manifest.md"])
def test_every_kind_has_its_place_in_the_documents(kind, page):
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    assert f"`{kind}:" in text
