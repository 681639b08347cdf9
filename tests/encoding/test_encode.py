"""A source is encoded once, whole, and again only where something is missing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.sources import tiny_nets
from tests.sources.opened import batch_of, opened, prepared

from zoorank.encoding import encode
from zoorank.encoding.encode import Plan, encode_source
from zoorank.errors import DataError, SourceError, StoreError, UsageError
from zoorank.sources.base import Trust
from zoorank.sources.manifest import load_zoo
from zoorank.sources.torch.source import load
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target
from zoorank.targets.base import Target
from zoorank.transforms.specs import ImagePreprocessing

ALL = ("1", "3", "penultimate")


@pytest.fixture
def store(tmp_path: Path) -> EncodingStore:
    return EncodingStore(tmp_path / "store")


def _contents(store: EncodingStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.directory.glob("*.npy")}


def test_encodings_are_those_of_the_network(make_spec, table: Target, store) -> None:
    spec = make_spec("TinyMLP", cuts=list(ALL))
    told: list[tuple[int, int]] = []
    encoded = encode_source(
        spec, table, store=store, batch_size=25, on_batch=lambda *done: told.append(done)
    )
    assert told == [(25, 60), (50, 60), (60, 60)]
    assert [each.record.cut for each in encoded.encodings] == list(ALL)
    model = load(spec).module
    batch = prepared(spec.preprocessing, table, range(60))
    layers = list(model)
    first, second = (torch.nn.Sequential(*layers[:n])(batch) for n in (2, 4))
    expected = {"1": first, "3": second, "penultimate": second}
    for each in encoded.encodings:
        X = each.load()
        assert X.shape == (60, each.record.dim) == (60, 6)
        assert X.dtype == np.float32
        assert np.allclose(X, expected[each.record.cut].numpy(), atol=1e-6)
        assert not each.reused
        assert each.record.seconds > 0
    assert encoded.encodings[0].record.seconds < encoded.encodings[1].record.seconds
    assert encoded.encodings[0].record.parameters == sum(
        value.numel() for value in model.parameters()
    )
    assert encoded.note == ""


def test_only_what_is_missing_is_done(make_spec, table: Target, store, monkeypatch) -> None:
    spec = make_spec("TinyMLP")
    (first,) = encode_source(spec, table, cuts=["1"], store=store).encodings
    both = encode_source(spec, table, cuts=["1", "penultimate"], store=store).encodings
    assert [each.reused for each in both] == [True, False]
    assert both[0].path == first.path
    every = encode_source(spec, table, cuts=["all"], store=store).encodings
    assert {each.record.cut: each.reused for each in every} == {
        "1": True,
        "3": False,
        "penultimate": True,
    }
    monkeypatch.setattr(type(spec), "open", None)  # not even loaded again
    again = encode_source(spec, table, cuts=ALL, store=store)
    assert all(each.reused for each in again.encodings)
    assert [replace(each, reused=False) for each in every] == [
        replace(each, reused=False) for each in again.encodings
    ]


def test_another_source_or_target_is_another_encoding(make_spec, table: Target, store) -> None:
    specs = [
        make_spec("TinyMLP"),
        make_spec("TinyMLP", "random = { seed = 1 }"),
        make_spec("TinyMLP", arguments={"width": 7}),
        make_spec("TinyMLP", preprocessing={"input": "table", "scaling": "none"}),
    ]
    paths = {encode_source(spec, table, store=store).encodings[0].path for spec in specs}
    other = load_target((np.asarray(table.X) + 1, table.labels))
    paths.add(encode_source(specs[0], other, store=store).encodings[0].path)
    assert len(paths) == 5


def test_edited_code_is_another_source(make_spec, table: Target, store, tmp_path: Path) -> None:
    paths = set()
    for size in (2, 3):
        (tmp_path / "edited_net.py").write_text(
            "import torch\nclass Net(torch.nn.Sequential):\n    def __init__(self):\n"
            f"        super().__init__(torch.nn.Linear(4, {size}), torch.nn.Linear({size}, 2))\n"
        )
        sys.modules.pop("edited_net", None)
        spec = make_spec("TinyMLP").model_copy(
            update={"factory": "edited_net:Net", "trust": Trust((tmp_path,))}
        )
        (encoding,) = encode_source(spec, table, store=store).encodings
        paths.add(encoding.path)
    assert len(paths) == 2


def _key(spec, table: Target, store) -> str:
    return encode_source(spec, table, store=store).encodings[0].path.name


def test_edited_code_beside_the_factory_is_another_source(
    make_spec, table: Target, store, tmp_path: Path
) -> None:
    package = tmp_path / "code" / "layered"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from layered.net import Net\n")
    (package / "net.py").write_text(
        "import torch\nfrom layered.layers import inner\n"
        "class Net(torch.nn.Sequential):\n    def __init__(self):\n"
        "        super().__init__(inner(), torch.nn.Linear(4, 2))\n"
    )
    spec = make_spec("TinyMLP").model_copy(
        update={"factory": "layered:Net", "trust": Trust((tmp_path / "code",))}
    )
    keys = []
    for body in ("torch.nn.Identity()", "torch.nn.Tanh()"):
        for name in [name for name in sys.modules if name.partition(".")[0] == "layered"]:
            del sys.modules[name]
        shutil.rmtree(package / "__pycache__", ignore_errors=True)
        (package / "layers.py").write_text(f"import torch\ndef inner():\n    return {body}\n")
        keys += [_key(spec, table, store), _key(spec, table, store)]
    # Edited while loaded: the old code still runs, so its key must stay.
    (package / "layers.py").write_text("import torch\ndef inner():\n    return torch.nn.ReLU()\n")
    keys.append(_key(spec, table, store))
    assert keys[0] == keys[1] != keys[2] == keys[3] == keys[4]


def test_another_torch_is_another_encoding(make_spec, table: Target, store, monkeypatch) -> None:
    spec = make_spec("TinyMLP")
    before = _key(spec, table, store)
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    assert _key(spec, table, store) != before


def test_what_is_loaded_is_what_was_hashed(
    make_spec, table: Target, store, tmp_path: Path, monkeypatch
) -> None:
    file = tmp_path / "w.pt"
    torch.save(tiny_nets.TinyMLP().state_dict(), file)
    of = Plan.of

    def swapped(*arguments):
        plan = of(*arguments)
        torch.save(tiny_nets.TinyMLP().state_dict(), file)
        return plan

    monkeypatch.setattr(Plan, "of", swapped)
    with pytest.raises(SourceError, match=r"w\.pt: has changed since the run began; run it again"):
        encode_source(make_spec("TinyMLP", 'file = "w.pt"'), table, store=store)
    assert not _contents(store)


def test_memory_that_runs_out_halves_the_batch(make_spec, table: Target, store) -> None:
    spec = make_spec("Hungry", arguments={"most": 10})
    encoded = encode_source(spec, table, store=store, batch_size=40)
    assert encoded.note == "batch halved to 10 after out of memory"
    plain = make_spec("Hungry", arguments={"most": 100})
    expected = encode_source(plain, table, store=store, batch_size=40).encodings[0].load()
    assert np.allclose(encoded.encodings[0].load(), expected, atol=1e-6)


def after_trial(monkeypatch, fault) -> None:
    """Let a source pass its trial and then do something else."""
    original = encode.tried

    def tried(feed, wanted):
        trial = original(feed, wanted)
        monkeypatch.setattr(type(feed.encoder), "encode", fault)
        return trial

    monkeypatch.setattr(encode, "tried", tried)


def test_too_little_memory_for_one_sample(make_spec, table: Target, store, monkeypatch) -> None:
    def full(*_args: object) -> None:
        raise MemoryError

    after_trial(monkeypatch, full)
    with pytest.raises(SourceError, match="out of memory on cpu even with one sample at a time"):
        encode_source(make_spec("TinyMLP"), table, store=store)
    assert list(store.directory.iterdir()) == []


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_encodings_that_are_not_numbers_name_cut_and_row(
    make_spec, table: Target, store, value: str
) -> None:
    column = prepared(make_spec("Bad").preprocessing, table, range(60))[:, 0]
    row = int(torch.argmax(column))
    limit = float(column.sort().values[-2])
    spec = make_spec("Bad", arguments={"value": value, "limit": limit})
    with pytest.raises(SourceError, match=rf"cut '1' gives (NaN|infinity) for row {row}$"):
        encode_source(spec, table, cuts=["all"], store=store, batch_size=7)
    assert list(store.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("network", "preprocessing", "reason"),
    [
        ("TinyResNet", {"input": "image"}, "needs images; the target's samples have shape"),
        ("TinyResNet", {"input": "table"}, "cannot be fed a batch of shape \\(2, 4\\)"),
        ("FirstTwoMixed", {"input": "table"}, "gives 3 rows for 2 samples"),
    ],
)
def test_a_source_that_does_not_fit_says_why(
    make_spec, table: Target, store, network: str, preprocessing: dict, reason: str
) -> None:
    with pytest.raises(SourceError, match=reason) as caught:
        encode_source(make_spec(network, preprocessing=preprocessing), table, store=store)
    assert "\n" not in str(caught.value)
    assert list(store.directory.iterdir()) == []


def test_a_batch_that_fails_later_names_its_rows(make_spec, table: Target, store, monkeypatch):
    def broken(*_args: object) -> None:
        raise RuntimeError("kernel\nfailed")

    after_trial(monkeypatch, broken)
    with pytest.raises(SourceError, match="failed on rows 0 to 31: kernel failed"):
        encode_source(make_spec("TinyMLP"), table, store=store, batch_size=32)
    monkeypatch.undo()
    after_trial(monkeypatch, broken)
    with pytest.raises(SourceError, match="failed on row 0: kernel failed"):
        encode_source(make_spec("TinyMLP"), table, store=store, batch_size=1)


def test_bad_arguments(make_spec, table: Target, store) -> None:
    spec = make_spec("TinyMLP")
    with pytest.raises(UsageError, match="unknown device 'cud'; did you mean 'cuda'"):
        encode_source(spec, table, store=store, device="cud")
    with pytest.raises(UsageError, match="unknown cut 'penultimat'"):
        encode_source(spec, table, store=store, cuts=["penultimat"])
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="torch sees 0 CUDA devices"):
            encode_source(spec, table, store=store, device="cuda")


def test_a_full_disk_is_the_store_s_error(make_spec, table: Target, store, monkeypatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(StoreError, match=r"no space left in .*store: 1,440 bytes are needed"):
        encode_source(make_spec("TinyMLP"), table, store=store)
    assert list(store.directory.iterdir()) == []


def test_a_random_network_is_calibrated_when_asked(make_spec, images: Target, store) -> None:
    def encode(calibrate: str) -> np.ndarray:
        spec = make_spec(
            "TinyResNet",
            f"random = {{ seed = 0, calibrate = {calibrate} }}",
            preprocessing={"input": "image"},
        )
        (encoding,) = encode_source(spec, images, cuts=["bn1"], store=store).encodings
        return encoding.load()

    assert np.abs(encode("true").mean(axis=0)).max() < 1e-5  # the mean over time and samples
    assert np.abs(encode("false").mean(axis=0)).max() > 1e-2


def test_calibration_leaves_a_network_in_evaluation_mode(images: Target) -> None:
    model = tiny_nets.TinyResNet().eval()
    momentum = model.bn1.momentum
    encoder = opened(model)
    encoder.calibrate(batch_of(prepared(ImagePreprocessing(), images, range(20))))
    assert not any(module.training for module in model.modules())
    assert model.bn1.momentum == momentum
    with pytest.raises(SourceError, match="cannot be calibrated: "):
        encoder.calibrate(batch_of(torch.zeros(2, 4)))
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("keep", ["store", "memory"])
def test_nothing_is_made_of_a_target_that_changes_meanwhile(
    make_spec, table: Target, store, tmp_path: Path, keep
) -> None:
    spec, file = make_spec("TinyMLP"), tmp_path / "X.npy"
    np.save(file, np.asarray(table.X))
    np.save(tmp_path / "labels.npy", table.labels)
    status, content = file.stat(), file.read_bytes()
    other = content[:-1000] + bytes(1000)

    def change(done: int, total: int) -> None:
        if done == 20:
            file.write_bytes(other)

    target = load_target(tmp_path)
    with pytest.raises(DataError, match=r"X\.npy was changed meanwhile; run again"):
        encode_source(spec, target, store=store, batch_size=20, on_batch=change, keep=keep)
    assert _contents(store) == {}
    assert [path.name for path in store.directory.iterdir()] == []
    # Put back as it was, its time too: nothing of the other content is left anywhere.
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    target = load_target(tmp_path)
    (found,) = encode_source(spec, target, store=store, batch_size=20, keep=keep).encodings
    (right,) = encode_source(spec, table, store=EncodingStore(tmp_path / "other")).encodings
    assert np.array_equal(found.load(), right.load())


KILLED = """
import os, signal, sys
import torch
from zoorank.encoding.encode import Plan, encode_source
from zoorank.sources.base import Trust
from zoorank.sources.manifest import load_zoo
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target

torch.set_num_threads(1)
manifest, code, data, store = sys.argv[1:]
batches = 0

def on_batch(done, total):
    global batches
    batches += 1
    if batches == 5:  # the second batch of three of the second of three models
        os.kill(os.getpid(), signal.SIGKILL)

target = load_target(data)
for spec in load_zoo(manifest, allow_code=[code]).models:
    encode_source(
        spec, target, cuts=["all"], store=EncodingStore(store), batch_size=20, on_batch=on_batch
    )
"""


def test_a_run_killed_in_the_middle_is_resumed(tmp_path: Path, table: Target) -> None:
    code = Path(tiny_nets.__file__).parent
    manifest = tmp_path / "zoo.toml"
    manifest.write_text(
        "".join(
            f'[[model]]\nname = "m{seed}"\nfactory = "tiny_nets:TinyMLP"\n'
            f'weights.random = {{ seed = {seed} }}\npreprocessing = {{ input = "table" }}\n'
            for seed in range(3)
        )
    )
    np.savez(tmp_path / "d.npz", X=np.asarray(table.X), y=table.labels)
    command = [sys.executable, "-c", KILLED, manifest, code, tmp_path / "d.npz", tmp_path / "store"]
    killed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list((tmp_path / "store").glob("*.json"))) == 3
    assert len(list((tmp_path / "store").glob(".*.partial"))) == 3

    def run(store: EncodingStore) -> dict[str, list[bool]]:
        zoo = load_zoo(manifest, allow_code=[code])
        encoded = [
            encode_source(spec, table, cuts=["all"], store=store, batch_size=20)
            for spec in zoo.models
        ]
        return {each.model: [cut.reused for cut in each.encodings] for each in encoded}

    store, clean = (EncodingStore(tmp_path / name) for name in ("store", "clean"))
    assert run(store) == {"m0": [True] * 3, "m1": [False] * 3, "m2": [False] * 3}
    assert list(store.directory.glob(".*")) == []
    run(clean)
    assert _contents(store) == _contents(clean)
    assert len(_contents(store)) == 9 + 1  # the labels
