"""A manifest is read whole, or refused in one line that says where and why."""

from __future__ import annotations

import os
import pickle
import re
import resource
import time
from dataclasses import replace
from pathlib import Path

import pytest

from zoorank.cli import DEMO_MANIFEST
from zoorank.errors import ManifestError, SourceError
from zoorank.sources.base import Trust
from zoorank.sources.files import SourceFile
from zoorank.sources.manifest import load_zoo
from zoorank.sources.torch.source import RandomWeights
from zoorank.sources.weights import FileWeights, PackageWeights

MODEL = """
[[model]]
name = "one"
factory = "package:build"
arguments = { depth = 3 }
weights.random = { seed = 7 }
preprocessing = { input = "image", size = 32, scaling = 255 }
cuts = "penultimate"
"""


def _load(tmp_path: Path, text: str):
    manifest = tmp_path / "zoo.toml"
    manifest.write_text(text)
    return load_zoo(manifest)


def _error(tmp_path: Path, text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        _load(tmp_path, text)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{tmp_path}/zoo.toml")
    return message.removeprefix(f"{tmp_path}/")


def test_everything_a_model_can_say(tmp_path: Path) -> None:
    (spec,) = _load(tmp_path, MODEL).models
    assert spec.name == "one"
    assert spec.arguments == {"depth": 3}
    assert spec.weights == RandomWeights(seed=7)
    assert spec.preprocessing.size == (32, 32)
    assert spec.preprocessing.scaling == 255
    assert spec.cuts == ("penultimate",)
    assert spec.trust == Trust()


def test_the_demonstration() -> None:
    zoo = load_zoo(DEMO_MANIFEST)
    assert [spec.name for spec in zoo.models] == ["lite0", "lite1", "lite2", "lite0-random"]
    assert zoo.data == "sklearn:digits"
    assert isinstance(zoo.models[0].weights, PackageWeights)
    assert all(len(zoo.cuts_of(spec)) == 4 for spec in zoo.models)


def test_paths_are_relative_to_the_manifest(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ZOO_TEST_DIR", "/elsewhere")
    text = 'data = "data/d.npz"\n' + MODEL.replace("random = { seed = 7 }", 'file = "w/a.pt"')
    zoo = _load(tmp_path, text)
    assert zoo.data == str(tmp_path / "data" / "d.npz")
    assert zoo.models[0].weights == FileWeights(path=SourceFile("w/a.pt", tmp_path / "w" / "a.pt"))
    zoo = _load(tmp_path, 'data = "${ZOO_TEST_DIR}/d.npz"\n' + MODEL)
    assert zoo.data == "/elsewhere/d.npz"


def test_what_a_model_was_trained_on_is_a_path_or_a_name(tmp_path: Path) -> None:
    for said, meant in (("d/x.npz", str(tmp_path / "d/x.npz")), ("sklearn:iris", "sklearn:iris")):
        assert _load(tmp_path, MODEL + f'trained_on = "{said}"\n').models[0].trained_on == meant
    assert _load(tmp_path, MODEL).models[0].trained_on is None
    message = _error(tmp_path, MODEL + 'trained_on = "${NO_SUCH_DIR}/x.npz"\n')
    assert "model 1 'one', trained_on: " in message
    assert "NO_SUCH_DIR, which is not set" in message


@pytest.mark.parametrize(
    "reference",
    ["onnx:a.onnx", "keras:a.keras", "keras:MobileNetV2", "exported:a.pt2", "vectors:glove.txt",
     "timm:resnet18.a1_in1k", "torchvision:resnet18", "hf:some/model", "st:some/model"],
)  # fmt: skip
def test_a_licence_stands_over_what_is_published(tmp_path: Path, reference: str) -> None:
    entry = f'[[model]]\nsource = "{reference}"\n'
    (said,) = _load(tmp_path, f'{entry}licence = "Mine-1.0"').models
    assert said.known().licence == "Mine-1.0"
    (silent,) = _load(tmp_path, entry).models
    assert replace(said.known(), licence=silent.known().licence) == silent.known()


def test_a_source_that_cannot_be_had_keeps_its_licence(tmp_path: Path) -> None:
    entry = '[[model]]\nsource = "onnx:a.onnx"\npackage = "no_such_package"\nlicence = "MIT"\n'
    (model,) = _load(tmp_path, entry).models
    assert model.known().licence == "MIT"
    with pytest.raises(SourceError, match="no_such_package"):
        model.identity()


def test_networks_and_families_have_a_licence(tmp_path: Path) -> None:
    (tmp_path / "a.pt").touch()
    shared = 'factory = "module:Class"\npreprocessing = { input = "table" }\nlicence = "MIT"\n'
    entries = '[[model]]\nname = "m"\nweights.random = {}\n', '[[family]]\nfiles = "*.pt"\n'
    models = _load(tmp_path, "".join(entry + shared for entry in entries)).models
    assert [(model.name, model.known().licence) for model in models] == [("m", "MIT"), ("a", "MIT")]


def test_defaults_are_inherited_and_overruled(tmp_path: Path) -> None:
    zoo = _load(
        tmp_path,
        """
        cuts = ["a", "b"]
        batch_size = 5
        factory = "package:build"
        preprocessing = { input = "table" }
        [[model]]
        name = "one"
        weights.random = {}
        [[model]]
        name = "two"
        factory = "package:other"
        weights.random = {}
        preprocessing = { input = "series" }
        cuts = ["c"]
        """,
    )
    one, two = zoo.models
    assert (one.factory, two.factory) == ("package:build", "package:other")
    assert (one.preprocessing.input, two.preprocessing.input) == ("table", "series")
    assert (zoo.cuts_of(one), zoo.cuts_of(two)) == (("a", "b"), ("c",))
    assert zoo.batch_size == 5


FAMILY = """
[[family]]
files = "w/*.safetensors"
factory = "package:build"
preprocessing = { input = "series" }
"""


def test_a_family_is_a_model_for_each_file(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    for name in ("b.safetensors", "a.safetensors", "c.txt"):
        (tmp_path / "w" / name).touch()
    zoo = _load(tmp_path, FAMILY)
    assert [spec.name for spec in zoo.models] == ["a", "b"]
    assert zoo.models[0].weights.locate().path == tmp_path / "w" / "a.safetensors"
    zoo = _load(tmp_path, FAMILY + 'trained_on = "ucr/{stem}.npz"\n')
    assert [spec.trained_on for spec in zoo.models] == [
        str(tmp_path / "ucr" / "a.npz"),
        str(tmp_path / "ucr" / "b.npz"),
    ]
    zoo = _load(tmp_path, FAMILY + 'name = "fcn-{stem}"\n')
    assert [spec.name for spec in zoo.models] == ["fcn-a", "fcn-b"]


@pytest.mark.parametrize("key", ["allow_packages", "trust"])
def test_a_manifest_cannot_allow_a_package(tmp_path: Path, key: str) -> None:
    assert f"unknown key '{key}'" in _error(tmp_path, MODEL + f'{key} = ["."]\n')


@pytest.mark.parametrize("key", ["trust", "pinned"])
def test_nor_does_one_that_names_its_factory_by_a_reference(tmp_path: Path, key: str) -> None:
    named = MODEL.replace('factory = "', 'source = "torch:')
    _load(tmp_path, named)
    assert f"unknown key '{key}'" in _error(tmp_path, named + f"{key} = {{}}\n")


def test_a_manifest_cannot_allow_code(tmp_path: Path) -> None:
    assert "unknown key 'allow_code'" in _error(tmp_path, MODEL + 'allow_code = ["."]\n')


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "one"', "", "zoo.toml, line 2, model 1, name: is missing"),
        (
            "weights.random",
            "wieghts.random",
            "zoo.toml, line 6, model 1 'one': unknown key 'wieghts'; did you mean 'weights'?",
        ),
        (
            "weights.random = { seed = 7 }",
            "weights.fil = 'a'",
            "line 6, model 1 'one', weights: unknown source of weights 'fil'; did you mean 'file'?",
        ),
        (
            "weights.random = { seed = 7 }",
            "weights = { random = {}, file = 'a' }",
            "line 6, model 1 'one', weights: needs exactly one of file, package, random",
        ),
        (
            "weights.random = { seed = 7 }",
            "weights.package = { package = 'p', file = '../../x.pt' }",
            "line 6, model 1 'one', weights: package.file: must be a path inside the package",
        ),
        (
            "weights.random = { seed = 7 }",
            "weights.file = '${ZOO_NOT_SET}/a.pt'",
            "needs the environment variable ZOO_NOT_SET, which is not set",
        ),
        (
            "seed = 7",
            "seed = 'x'",
            "line 6, model 1 'one', weights: random.seed: input should be a",
        ),
        (
            '"package:build"',
            '"build"',
            "line 4, model 1 'one', factory: must read 'module:function'",
        ),
        ("size = 32", "size = 0", "line 7, model 1 'one', preprocessing.size: must be at least 1"),
        (
            "size = 32",
            "siz = 32",
            "line 7, model 1 'one', preprocessing: unknown key 'siz'; did you",
        ),
        ("scaling = 255", "scaling = 'minmx'", "unknown scaling 'minmx'; a positive number or did"),
        ("scaling = 255", "scaling = -1", "preprocessing.scaling: must be a positive number"),
        ("scaling = 255", "mean = [0.1, 0.2]", "mean has 2 numbers for 3 channels"),
        ("scaling = 255", "interpolation = 'cubic'", "'cubic' is not one of 'bilinear', 'bicubic'"),
        ('"image"', '"picture"', "'picture' is not one of 'image', 'series', 'table'"),
        ('input = "image", ', "", "needs input = 'image', 'series', 'table', 'text' or 'audio'"),
        ('"penultimate"', "[]", "line 8, model 1 'one', cuts:"),
        (
            "arguments =",
            "sha256 = 'ab'\narguments =",
            "line 5, model 1 'one', sha256: string should",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert old in MODEL
    assert expected in _error(tmp_path, MODEL.replace(old, new))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "zoo.toml: names no model; add a [[model]] or a [[family]]"),
        ("a = = 1", "zoo.toml: not valid TOML: Invalid value (at line 1, column 5)"),
        ("[[modle]]\n", "zoo.toml, line 1: unknown key 'modle'; did you mean 'model'?"),
        ("batch_size = 0\n" + MODEL, "zoo.toml, line 1, batch_size: input should be greater"),
        (MODEL + MODEL, "line 11, model 2 'one', name: 'one' is already the name of model 1 'one'"),
        (FAMILY, "zoo.toml, line 3, family 1, files: no file matches 'w/*.safetensors'"),
        (FAMILY + "name = 'x'", "zoo.toml, line 6, family 1 'x', name:"),
        ('data = "${ZOO_NOT_SET}"\n' + MODEL, "zoo.toml, line 1, data: '${ZOO_NOT_SET}' needs the"),
    ],
)
def test_what_is_wrong_with_the_whole(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in _error(tmp_path, text)


SHARED = """\
factory = "package:build"
[preprocessing]
input = "image"
size = 32

[[model]]
name = "one"
weights.random = {}

[[model]]
name = "two"
weights.random = {}
[model.preprocessing]
input = "series"
length = 9
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("size = 32", "size = 0", "zoo.toml, line 4, preprocessing.size: must be at least 1"),
        ("size = 32", "siz = 32", "zoo.toml, line 4, preprocessing: unknown key 'siz'; did you"),
        ('"package:build"', '"build"', "zoo.toml, line 1, factory: must read 'module:function'"),
        ("length = 9", "length = 0", "line 15, model 2 'two', preprocessing.length: input should"),
        ("length = 9", "lenth = 9", "line 15, model 2 'two', preprocessing: unknown key 'lenth'"),
        ('input = "series"', "", "line 13, model 2 'two', preprocessing: needs input ="),
    ],
)
def test_what_is_wrong_is_blamed_on_the_table_that_says_it(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    _load(tmp_path, SHARED)
    assert old in SHARED
    assert _error(tmp_path, SHARED.replace(old, new)).startswith(
        (expected, f"zoo.toml, {expected}")
    )


def test_several_faults_are_listed_in_one_line(tmp_path: Path) -> None:
    text = MODEL.replace("scaling = 255", "channels = 2").replace('"penultimate"', "3")
    assert _error(tmp_path, text) == (
        "zoo.toml, line 7, model 1 'one', preprocessing.channels: 2 is not one of 1 or 3; "
        "also line 8, cuts: must be a list of names, not 3"
    )
    text = text.replace('"package:build"', '"build"').replace("size = 32", "fit = 1, layout = 2")
    message = _error(tmp_path, text)
    assert message.count("; also line ") == 2
    assert message.endswith("; and 2 more")
    assert "unknown key 'b'; allowed: " in _error(tmp_path, MODEL + "b = 1\nc = 2\n")
    assert "; also line 10, unknown key 'c'; allowed: " in _error(
        tmp_path, MODEL + "b = 1\nc = 2\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"penultimate"', "3", "cuts: must be a list of names, not 3"),
        ('"penultimate"', "[]", "cuts: must be a list of names, not []"),
        ('"penultimate"', "[1]", "cuts.0: input should be a valid string, not 1"),
        ("size = 32", 'size = "x"', "size: must be a number or [height, width], not 'x'"),
        ("size = 32", "size = [1, 2, 3]", "size: must be a number or [height, width], not [1, 2"),
        ("size = 32", 'mean = "x"', "mean: must be a number or a list of numbers, not 'x'"),
        ("{ depth = 3 }", "3", "arguments: must be a table, not 3"),
        ('{ input = "image", size = 32, scaling = 255 }', "3", "preprocessing: must be a table"),
        ("[[model]]", "[model]", "line 2, model: must be an array of tables: write [[model]]"),
    ],
)
def test_types_are_said_in_the_words_of_toml(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert old in MODEL
    message = _error(tmp_path, MODEL.replace(old, new))
    assert expected in message
    assert not re.search("tuple|dictionary|mapping|instance", message)


def test_lines_inside_strings_are_not_taken_for_entries(tmp_path: Path) -> None:
    text = MODEL.replace("{ depth = 3 }", "{ text = '''\n[[model]]\nname = 1\n''' }")
    second = MODEL.replace('"one"', "2")
    assert "zoo.toml, line 14, model 2, name: " in _error(tmp_path, text + second)


def test_a_missing_manifest_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "zoo.toml").touch()
    with pytest.raises(ManifestError, match=r"does not exist; did you mean 'zoo.toml'\?"):
        load_zoo(tmp_path / "zo.toml")
    with pytest.raises(ManifestError, match="does not exist"):
        load_zoo(tmp_path / "nowhere" / "zoo.toml")
    (tmp_path / "pyproject.toml").touch()
    with pytest.raises(ManifestError, match=r"absent\.toml does not exist$"):
        load_zoo(tmp_path / "absent.toml")
    with pytest.raises(ManifestError, match="is a directory"):
        load_zoo(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match="not UTF-8"):
        load_zoo(tmp_path / "binary.toml")


def test_allowed_code_must_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "zoo.toml").write_text(MODEL)
    with pytest.raises(ManifestError, match=r"no directory .*none to allow code from"):
        load_zoo(tmp_path / "zoo.toml", allow_code=[tmp_path / "none"])


@pytest.mark.parametrize("kind", [str, Path])
def test_code_is_allowed_from_one_directory_without_a_list(tmp_path: Path, kind: type) -> None:
    (tmp_path / "zoo.toml").write_text(MODEL)
    (spec,) = load_zoo(tmp_path / "zoo.toml", allow_code=kind(tmp_path)).models
    assert spec.trust == Trust(code=(tmp_path.resolve(),))


SOURCE = """
[[model]]
source = "onnx:mine.onnx"
"""


def test_a_model_may_be_named_by_its_reference(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ZOO_TEST_DIR", "/elsewhere")
    text = """
        factory = "package:build"
        preprocessing = { input = "image", size = 32, mean = 104 }
        [[model]]
        source = "onnx:a.onnx"
        [[model]]
        source = "onnx:${ZOO_TEST_DIR}/b.onnx::logits"
        name = "b"
        preprocessing = { input = "table" }
        trained_on = "d.npz"
        [[model]]
        name = "c"
        weights.random = {}
    """
    zoo = _load(tmp_path, text)
    assert [model.name for model in zoo.models] == ["onnx:a.onnx", "b", "c"]
    assert [zoo.cuts_of(model) for model in zoo.models[:2]] == [("penultimate",), ("logits",)]
    assert [model.modalities for model in zoo.models[:2]] == [{"image"}, {"table"}]
    assert zoo.models[1].trained_on == str(tmp_path / "d.npz")
    assert pickle.loads(pickle.dumps(zoo)) == zoo


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("onnx:mine", "onxn:mine", "zoo.toml, line 3, model 1 'onxn:mine.onnx', source: unknown"),
        ("onnx:mine.onnx", "mine.onnx", "source: 'mine.onnx' is no reference of the form"),
        ("onnx:mine.onnx", "onnx:", "source: 'onnx:' lacks a model after 'onnx:'"),
        ("onnx:mine.onnx", "onnx:a::", "source: 'onnx:a::' lacks a cut after '::'"),
        ('onnx"\n', 'onnx::a"\ncuts = "b"\n', "line 4, model 1 'onnx:mine.onnx::a', cuts: the ref"),
        ('onnx"\n', 'onnx"\nsha256 = "1"\n', "line 4, model 1 'onnx:mine.onnx', sha256: string"),
        (
            'onnx"\n',
            'onnx"\nfactory = "a:b"\n',
            "line 4, model 1 'onnx:mine.onnx', factory: is none",
        ),
        (
            'onnx"\n',
            'onnx"\npreprocesing = {}\n',
            "line 4, model 1 'onnx:mine.onnx': unknown key 'preprocesing'; did you mean 'prepr",
        ),
        (
            'onnx"\n',
            'onnx"\noutput = 3\n',
            "line 4, model 1 'onnx:mine.onnx', output: input should",
        ),
        (
            'onnx"\n',
            f'onnx"\n{SOURCE}',
            "line 5, model 2 'onnx:mine.onnx', name: 'onnx:mine.onnx' is",
        ),
    ],
)
def test_what_is_wrong_with_a_reference_is_said_with_its_place(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert old in SOURCE
    assert expected in _error(tmp_path, SOURCE.replace(old, new))


def test_no_message_tells_what_the_manifest_could_not_know(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ZOO_TEST_SECRET", "/swordfish")
    text = FAMILY.replace("w/*", "${ZOO_TEST_SECRET}/*")
    assert "swordfish" not in _error(tmp_path, text)
    (model,) = _load(tmp_path, SOURCE.replace("mine", "${ZOO_TEST_SECRET}/mine")).models
    assert model.name == "onnx:${ZOO_TEST_SECRET}/mine.onnx"
    with pytest.raises(SourceError) as caught:
        model.resolve(print)
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"wrong{number} = 1\n" for number in range(3500)) + MODEL,
        MODEL + "".join(f"wrong{number} = 1\n" for number in range(3500)),
        "".join(f"[[model]]\nname = {number}\n" for number in range(3500)),
        "".join(f"[[model]]\nsource = 'nosuch:{number}'\n" for number in range(3500)),
        MODEL.replace("{ depth = 3 }", "[\n" + "1,\n" * 3500 + "]"),
        MODEL + f"{'x' * 10**6} = 1\n",
        MODEL.replace('"penultimate"', f"[{'1, ' * 10**4}]"),
        MODEL.replace("size = 32", f"size = [{'1, ' * 10**4}]"),
        MODEL.replace("size = 32", f"mean = [{'[], ' * 10**4}]"),
        f"model = [{'1, ' * 10**4}]",
        'preprocessing = { input = "' + "x" * 10**6 + '" }',
        "a" + ".a" * 30_000 + " = 1",
        "x" * (5 * 2**20),
    ],
    ids=range(13),
)
def test_a_manifest_of_many_faults_is_refused_at_once(tmp_path: Path, text: str) -> None:
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    assert len(_error(tmp_path, text)) < 2000
    assert time.monotonic() - begun < 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500 * 1024  # of 1024 bytes


def test_a_manifest_is_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "zoo.toml")
    with pytest.raises(ManifestError, match="is no regular file"):
        load_zoo(tmp_path / "zoo.toml")
    with pytest.raises(ManifestError, match="is no regular file"):
        load_zoo("/dev/zero")
