"""What Python programs hold instead of files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tests.targets.common import PIXELS, X, Y, refusal, write_images

from zoorank.errors import UsageError
from zoorank.targets import load_target
from zoorank.transforms import transform_of
from zoorank.transforms.specs import ImagePreprocessing, TablePreprocessing

TEXTS = [f"text {k}" for k in range(6)]
SIZES = [PIXELS[k, : 10 + k] for k in range(6)]


def test_texts_and_pairs() -> None:
    for texts in (TEXTS, tuple(TEXTS), np.array(TEXTS), pd.Series(TEXTS), np.array(TEXTS, "O")):
        target = load_target((texts, Y))
        assert (target.modality, target.take(range(6))) == ("text", TEXTS)
    pairs = load_target(([(text, "other") for text in TEXTS], Y))
    assert pairs.take(range(1)) == [("text 0", "other")]
    words = load_target(([["a", "b"], ["c"]], [["X", "Y"], ["X"]]))
    assert (words.n_rows, words.labels.tolist()) == (3, ["X", "Y", "X"])
    flat = load_target(([["a", "b"], ["c"]], ["X", "Y", "X"]))
    assert flat.fingerprint == words.fingerprint
    assert "row 1 has 1 words but 2 labels" in refusal(([["a"], ["b"]], [["X"], ["Y", "X"]]))


def test_images() -> None:
    arrays = load_target((PIXELS[:6], Y))
    assert load_target((list(PIXELS[:6]), Y)).fingerprint == arrays.fingerprint
    pictures = [Image.fromarray(pixels) for pixels in PIXELS[:6]]
    assert load_target((pictures, Y)).fingerprint == arrays.fingerprint
    assert load_target((torch.tensor(PIXELS[:6]), Y)).fingerprint == arrays.fingerprint
    assert load_target(([torch.tensor(p) for p in PIXELS[:6]], Y)).fingerprint == arrays.fingerprint


def test_images_of_several_sizes(tmp_path: Path) -> None:
    several = [*SIZES[:5], SIZES[5][..., 0]]
    target = load_target((several, Y))
    assert (target.modality, target.shape) == ("image", "(height, width, channels)")
    assert load_target(([Image.fromarray(each) for each in several], Y)).fingerprint == (
        target.fingerprint
    )
    assert target.baseline().shape == (6, 32 * 32 * 3)
    transform = transform_of(ImagePreprocessing(size=8)).fitted(target)
    batch = transform.collate([transform.prepare(sample) for sample in target.take(range(6))])
    assert batch.only.shape == (6, 3, 8, 8)
    assert target.statistics.maximum <= 255
    sent = pickle.loads(pickle.dumps(target.spilled(tmp_path)))
    assert all(map(np.array_equal, sent.take(range(6)), several))
    assert "row 2 has shape (4, 4, 4, 4), which is no image" in refusal(
        ([*several[:2], np.zeros((4, 4, 4, 4))], [0, 1, 0])
    )
    assert "row 1 holds NaN" in refusal(([SIZES[0] / 1, SIZES[1] * np.nan, SIZES[2]], [0, 1, 0]))


def test_paths(tmp_path: Path) -> None:
    write_images(tmp_path)
    paths = [tmp_path / c / f"{k}.png" for c in ("cat", "dog") for k in range(3)]
    target = load_target((paths, Y))
    assert target.take(range(6)) == paths
    strings = load_target((list(map(str, paths)), Y), modality="image")
    assert strings.fingerprint == target.fingerprint
    assert load_target((list(map(str, paths)), Y), modality="text").modality == "text"
    encoded = load_target(([path.read_bytes() for path in paths], Y))
    assert encoded.modality == "image"


def test_data_frames() -> None:
    frame = pd.DataFrame({"text": TEXTS, "label": list("aabbcc"), "patient": [1, 2] * 3})
    target = load_target(frame, group_column="patient")
    assert (target.modality, target.labels.tolist()) == ("text", list("aabbcc"))
    assert target.groups.tolist() == ["1", "2"] * 3
    table = pd.DataFrame(X, columns=["a", "b"])
    alone = load_target((table, Y))
    assert (alone.modality, alone.X.tolist()) == ("table", X.tolist())
    together = load_target(table.assign(label=pd.Categorical(list("aabbcc"))))
    assert together.X.tolist() == X.tolist()
    assert together.labels.tolist() == list("aabbcc")
    missing = pd.DataFrame({"a": [1.0, None, 3.0], "b": [1, 2, None], "y": [0, 1, 0]})
    filled = load_target(missing.astype({"b": "Int64"}))
    assert filled.X.tolist() == [[1, 1], [2, 2], [3, 1.5]]
    assert filled.notes[1] == "2 missing values filled in, the first in row 1: means of columns"
    columns = load_target({"text": TEXTS, "label": list("aabbcc")})
    assert columns.fingerprint == load_target(frame.drop(columns="patient")).fingerprint
    one = load_target(frame, input_column="patient", label_column="label")
    assert one.X.ravel().tolist() == [1, 2] * 3
    assert "has no column 'tekst'; did you mean 'text'?" in refusal(
        frame, UsageError, input_column="tekst"
    )


def test_sparse_tables(tmp_path: Path) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.where(X % 3 == 0, X, 0)
    target = load_target((sparse.csr_matrix(dense), Y))
    assert (target.modality, target.shape, len(target)) == ("table", "(2)", 6)
    assert np.array_equal(target.take(range(6)), dense)
    assert np.array_equal(target.take(np.array([3, 0])), dense[[3, 0]])
    assert np.array_equal(target.baseline(), dense)
    other = [load_target((form(dense), Y)) for form in (sparse.coo_array, sparse.csc_matrix)]
    assert {each.fingerprint for each in other} == {target.fingerprint}
    for scaling in ("standardize", "minmax", "none"):
        transform = transform_of(TablePreprocessing(scaling=scaling))
        batches = [
            transform.fitted(each).collate([transform.prepare(row) for row in each.take(range(6))])
            for each in (target, load_target((dense, Y)))
        ]
        assert np.array_equal(batches[0].only, batches[1].only)
    small = load_target((sparse.csr_matrix(dense), Y % 2), limit=4)
    assert small.take(range(4)).shape == (4, 2)
    assert pickle.loads(pickle.dumps(target.spilled(tmp_path))).shape == "(2)"
    assert "row 2 holds NaN" in refusal((sparse.csr_matrix(np.where(X == 4, np.nan, X)), Y))


class Pairs(torch.utils.data.Dataset):
    """A data set of torch; `noise` makes every sample another one each time."""

    def __init__(self, samples, labels, noise: bool = False) -> None:
        self.samples, self.labels, self.noise = samples, labels, noise

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int):
        if row >= len(self):
            raise IndexError(row)
        sample = self.samples[row]
        return sample + torch.rand(sample.shape) if self.noise else sample, self.labels[row]


def test_data_sets_of_torch(tmp_path: Path) -> None:
    channels_first = torch.tensor(PIXELS[:6]).permute(0, 3, 1, 2) / 255
    target = load_target(Pairs(channels_first, torch.tensor(Y)))
    assert (target.modality, target.labels.tolist()) == ("image", Y.tolist())
    assert np.allclose(target.take(range(1))[0], channels_first[0].numpy())
    pictures = load_target(Pairs([Image.fromarray(each) for each in SIZES], list("aabbcc")))
    assert pictures.labels.tolist() == list("aabbcc")
    assert pictures.baseline().shape == (6, 32 * 32 * 3)
    spilled = pictures.spilled(tmp_path)
    for _ in range(2):  # the second time from the file
        sent = pickle.loads(pickle.dumps(pictures.spilled(tmp_path)))
        assert all(map(np.array_equal, sent.take(range(6)), SIZES))
    assert spilled.fingerprint == pictures.fingerprint
    assert len(load_target(Pairs(channels_first, Y % 2), limit=4).take(range(4))) == 4
    table = load_target(Pairs(torch.tensor(X), Y))
    assert table.X.tolist() == X.tolist()
    assert load_target(Pairs(TEXTS, Y)).modality == "text"
    subset = torch.utils.data.Subset(Pairs(torch.tensor(X), Y), [5, 4, 2, 3])
    assert load_target(subset).labels.tolist() == [2, 2, 1, 1]


def test_data_sets_that_cannot_be_used() -> None:
    images = torch.tensor(PIXELS[:6]).permute(0, 3, 1, 2) / 255
    assert "take random augmentation off" in refusal(Pairs(images, Y, noise=True))
    assert "Pairs: row 3: index 3 is out of bounds" in refusal(Pairs(images, Y[:3]))
    assert "holds no samples" in refusal(Pairs([], []))
    assert "row 0 is a Tensor; (sample, label) is allowed" in refusal(Only(images))
    assert "row 2 is no image as row 0 is" in refusal(Pairs([*images[:2], "text"], [0, 1, 0]))


class Only(Pairs):
    """Samples without labels."""

    def __init__(self, samples) -> None:
        super().__init__(samples, samples)

    def __getitem__(self, row: int):
        return self.samples[row]


def test_what_is_no_data() -> None:
    allowed = "data of type object; allowed: a path, (X, labels), a mapping, a data frame"
    assert allowed in refusal(object(), UsageError)
    assert "data of type ndarray; allowed" in refusal(X, UsageError)
    assert "data: holds no samples" in refusal(([], []))
    assert "row 0 is a str, row 1 a int" in refusal((["a", 1, "b"], [0, 1, 0]))


def test_saved_data_sets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    whole = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1] * 3}, features=features)
    target = load_target(whole)
    assert (target.modality, target.take(range(6))) == ("text", TEXTS)
    assert target.labels.tolist() == ["no", "yes"] * 3
    whole.save_to_disk(tmp_path / "whole")
    assert load_target(tmp_path / "whole").fingerprint == target.fingerprint
    parts = datasets.DatasetDict({"train": whole, "validation": whole.select(range(4))})
    parts.save_to_disk(tmp_path / "parts")
    for split, n in (("train", 6), ("test", 4), ("all", 10)):
        assert len(load_target(tmp_path / "parts", split=split)) == n
        assert len(load_target(parts, split=split)) == n
    assert "the part 'validation' is the test part" in load_target(parts, split="test").notes
    whole.to_parquet(tmp_path / "d.parquet")
    assert load_target(tmp_path / "d.parquet").labels.tolist() == ["no", "yes"] * 3
    (tmp_path / "whole" / "state.json").write_text("{")
    assert "not a readable saved data set" in refusal(tmp_path / "whole")


def test_saved_images_and_words(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    pictures = [Image.fromarray(pixels) for pixels in SIZES]
    images = datasets.Dataset.from_dict({"image": pictures, "label": Y.tolist()}).cast_column(
        "image", datasets.Image()
    )
    images.save_to_disk(tmp_path / "images")
    for target in (load_target(images), load_target(tmp_path / "images")):
        assert target.modality == "image"
        decoded = next(target.samples.blocks())[0]
        assert np.array_equal(decoded, SIZES[0])
    kept = images.select([5, 0, 3, 2])
    assert load_target(kept).labels.tolist() == [2, 0, 1, 1]
    tags = datasets.Sequence(datasets.ClassLabel(names=["O", "B"]))
    words = datasets.Dataset.from_dict(
        {"tokens": [["a", "b"], ["c"]], "ner_tags": [[1, 0], [1]]},
        features=datasets.Features(
            {"tokens": datasets.Sequence(datasets.Value("string")), "ner_tags": tags}
        ),
    )
    assert load_target(words).labels.tolist() == ["B", "O", "B"]


def test_data_sets_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1] * 3})
    asked = []

    def load_dataset(name: str):
        asked.append(name)
        return datasets.DatasetDict({"train": whole})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    target = load_target("hf:org/reviews")
    assert (asked, target.name, target.place) == (
        ["org/reviews"],
        "reviews (train)",
        "hf:org/reviews",
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda name: 1 / 0)
    assert refusal("hf:org/reviews") == (
        "hf:org/reviews: not a readable data set: division by zero"
    )


def test_a_target_is_data() -> None:
    first = load_target((np.eye(8), list("abababab")), groups=list("aabbccdd"))
    assert load_target(first) is first
    some = load_target(first, limit=4)
    assert (len(some), some.source) == (4, "arrays (limit 4)")
    assert some.fingerprint == load_target((np.eye(8), list("abababab")), limit=4).fingerprint
    assert some.groups is not None
    assert len(some.groups) == 4
    assert "a Target already" in refusal(first, UsageError, task="numbers")
