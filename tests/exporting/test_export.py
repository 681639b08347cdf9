"""An exported encoder is the source as far as its cut, and a head trains on it."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exports need torch: pip install 'zoorank[zoo]'")
pytest.importorskip("sklearn", reason="heads need scikit-learn: pip install 'zoorank[scores]'")

from sklearn.linear_model import LogisticRegression  # noqa: E402
from tests.ranking.tiny_zoo import tiny_zoo  # noqa: E402
from torch import nn  # noqa: E402

import zoorank  # noqa: E402
from zoorank.cli import main  # noqa: E402
from zoorank.errors import DataError, SourceError, UsageError  # noqa: E402
from zoorank.exporting.export import export, load  # noqa: E402
from zoorank.targets import load_target  # noqa: E402
from zoorank.transforms.specs import (  # noqa: E402
    ImagePreprocessing,
    SeriesPreprocessing,
    TablePreprocessing,
)


class Residual(nn.Module):
    """Changes its input in place, as real networks do, and has a head that a cut drops."""

    def __init__(self, channels=3):
        super().__init__()
        self.stem = nn.Conv2d(channels, 24, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(24, 24, 3, padding=1), nn.BatchNorm2d(24))
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(24, 5000)

    def forward(self, x):
        x = self.relu(self.stem(x))
        x = self.relu(self.block(x).add_(x))
        return self.head(x.mean(dim=(2, 3)))


def made(module, preprocessing):
    torch.manual_seed(0)
    return module().eval(), preprocessing


IMAGES = Residual, ImagePreprocessing(size=12)
SERIES = (
    lambda: nn.Sequential(nn.Conv1d(1, 6, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
                          nn.Linear(6, 3)),
    SeriesPreprocessing(),
)  # fmt: skip
TABLE = lambda: nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)), TablePreprocessing()


def series():
    steps = np.linspace(0, 6, 40)
    X = np.stack([np.sin((1 + i % 3) * steps + i) for i in range(30)])
    return X, np.arange(30) % 3


@pytest.mark.parametrize(
    ("network", "data", "cut"),
    [
        (IMAGES, "sklearn:digits", "block"),
        (IMAGES, "sklearn:digits", "penultimate"),
        (SERIES, series(), "1"),
        (TABLE, "sklearn:iris", "1"),
    ],
    ids=["block of images", "penultimate of images", "series", "table"],
)
def test_the_file_encodes_as_the_source_does(network, data, cut, tmp_path):
    source = made(*network)
    expected = zoorank.encode(source, data, cut=cut)
    found = export(made(*network), data, tmp_path, cut=cut)
    target = load_target(data)
    samples = list(target.take(range(len(target))))
    encoded = load(tmp_path).encode(samples)
    assert encoded.shape == expected.shape == (len(target), found.dim)
    assert np.allclose(encoded, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert load(tmp_path).encode(samples[:1]) == pytest.approx(encoded[:1], abs=1e-4)


def test_what_lies_behind_the_cut_is_not_written(tmp_path):
    export(made(*IMAGES), "sklearn:digits", tmp_path, cut="block", limit=40)
    program = torch.export.load(tmp_path / "encoder.pt2")
    weights = sum(each.numel() for each in program.state_dict.values())
    assert weights < 7000  # the head alone has 125 000


def test_a_head_trains_on_it(tmp_path):
    export(made(*IMAGES), "sklearn:digits", tmp_path, cut="block", limit=600)
    target = load_target("sklearn:digits", limit=600)
    X = load(tmp_path).encode(list(target.take(range(600))))
    head = LogisticRegression(max_iter=5000).fit(X[:400] / X.std(), target.labels[:400])
    assert head.score(X[400:] / X.std(), target.labels[400:]) > 0.4  # one in ten by chance


def test_the_program_trains_together_with_a_head(tmp_path):
    export(made(*IMAGES), "sklearn:digits", tmp_path, cut="block", limit=60)
    loaded = load(tmp_path)
    target = load_target("sklearn:digits", limit=60)
    prepared = [loaded.transform.prepare(each) for each in target.take(range(60))]
    batch = torch.from_numpy(loaded.transform.collate(prepared).only)
    labels = torch.from_numpy(target.labels.astype(np.int64))
    prefix = torch.export.load(tmp_path / "encoder.pt2").module().requires_grad_(True)
    head = nn.Linear(24, 10)
    optimizer = torch.optim.Adam([*prefix.parameters(), *head.parameters()], 0.02)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(head(prefix(batch)), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert all(each.grad is not None for each in prefix.parameters())


class Counting(nn.Module):
    """Its code depends on how many samples there are."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.layer(x).relu().reshape(int(f"{len(x)}"), 6))


def test_a_network_that_counts_its_samples_is_fed_as_many_at_once(tmp_path):
    source = made(Counting, TablePreprocessing())
    expected = zoorank.encode(source, "sklearn:iris", cut="penultimate")
    found = export(made(Counting, TablePreprocessing()), "sklearn:iris", tmp_path)
    assert found.batch_size == 4
    target = load_target("sklearn:iris")
    samples = list(target.take(range(150)))  # no multiple of four
    assert load(tmp_path).encode(samples) == pytest.approx(expected, abs=1e-5)
    assert load(tmp_path).encode(samples[:0]).shape == (0, 6)


def test_onnx_is_written_where_torch_can(tmp_path):
    pytest.importorskip("onnxscript", reason="torch writes ONNX with onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    found = export(made(*IMAGES), "sklearn:digits", tmp_path, cut="block", limit=40)
    assert found.files == ("encoder.pt2", "encoder.onnx")
    loaded = load(tmp_path)
    target = load_target("sklearn:digits", limit=40)
    samples = list(target.take(range(7)))
    batch = loaded.transform.collate([loaded.transform.prepare(each) for each in samples])
    session = onnxruntime.InferenceSession(tmp_path / "encoder.onnx")
    (encoded,) = session.run(None, {session.get_inputs()[0].name: batch.only})
    assert encoded == pytest.approx(loaded.encode(samples), abs=1e-4)


@pytest.mark.parametrize("cut", ["a.out", "penultimate"])
def test_a_graph_is_written_as_a_graph(tmp_path, cut):
    onnx = pytest.importorskip("onnx", reason="graphs need onnx: pip install 'zoorank[onnx]'")
    from tests.sources.onnx_nets import residual_net

    onnx.save(residual_net(side=8), tmp_path / "net.onnx")
    source, out = f"onnx:{tmp_path / 'net.onnx'}", tmp_path / "out"
    expected = zoorank.encode(source, "sklearn:digits", cut=cut, limit=50)
    assert export(source, "sklearn:digits", out, cut=cut, limit=50).files == ("encoder.onnx",)
    target = load_target("sklearn:digits", limit=50)
    assert load(out).encode(list(target.take(range(50)))) == pytest.approx(expected, abs=1e-5)
    kept = {each.name for each in onnx.load(out / "encoder.onnx").graph.initializer}
    assert "head.w" not in kept
    assert ("b.w" in kept) == (cut == "penultimate")


def test_the_winner_of_a_ranking(tmp_path, monkeypatch, capsys):
    zoo = tiny_zoo(tmp_path / "zoo")
    monkeypatch.chdir(zoo.folder)
    ranking = zoorank.rank("zoo.toml", out="results", allow_code=[zoo.code])
    line = "export results --data target.npz --out winner --allow-code code"
    assert main(line.split()) == 0
    assert f"{ranking.best.model}, cut at {ranking.best.cut}" in capsys.readouterr().out
    target = load_target("target.npz")
    encoded = load("winner").encode(list(target.take(range(len(target)))))
    assert encoded == pytest.approx(ranking.encoding(ranking.best), abs=1e-4)
    assert main(["export", "results", "--out", "again", "--allow-code", "code"]) == 0


class TestMistakes:
    def test_a_folder_without_an_export(self, tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            load(tmp_path)

    def test_a_record_that_names_other_places(self, tmp_path):
        export(made(*TABLE), "sklearn:iris", tmp_path, cut="1")
        record = json.loads((tmp_path / "encoder.json").read_text())
        (tmp_path / "encoder.json").write_text(json.dumps({**record, "files": ["../x.pt2"]}))
        with pytest.raises(DataError, match="outside its folder"):
            load(tmp_path)

    def test_a_program_that_could_run_code_is_refused(self, tmp_path):
        export(made(*TABLE), "sklearn:iris", tmp_path, cut="1")
        (tmp_path / "encoder.pt2").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
        with pytest.raises(SourceError, match=r"is no \.pt2 file"):
            load(tmp_path).encode([[1.0, 2.0, 3.0, 4.0]])

    def test_several_cuts(self, tmp_path):
        with pytest.raises(UsageError, match="name one"):
            export(made(*TABLE), "sklearn:iris", tmp_path, cut="all")

    def test_a_cut_that_is_not_there(self, tmp_path):
        with pytest.raises(UsageError, match="nonsense"):
            export(made(*TABLE), "sklearn:iris", tmp_path, cut="nonsense")

    def test_files_that_would_give_other_encodings_are_an_error(self, tmp_path, monkeypatch):
        monkeypatch.setattr("zoorank.exporting.export._deviation", lambda *_: 0.5)
        with pytest.raises(SourceError, match="other encodings than the source"):
            export(made(*TABLE), "sklearn:iris", tmp_path, cut="1")
        assert not (tmp_path / "encoder.json").exists()
