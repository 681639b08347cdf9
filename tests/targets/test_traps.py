"""Files that are made to hang or to fill the memory are refused at once, in one line."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.targets.common import X, Y, refusal, write_images

from zoorank.errors import DataError
from zoorank.targets import load_target

MEGABYTE = 2**20

# Beyond start-up: what loading the packages takes is measured first, by a target that is fine.
MEASURED = """
import json, resource, sys, time
from zoorank.errors import ZoorankError
from zoorank.targets import load_target
fine, options, *paths = sys.argv[1:]
load_target(fine)
before, found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
for path in paths:
    begun = time.perf_counter()
    try:
        said = str(len(load_target(path, **json.loads(options))))
    except ZoorankError as error:
        said = str(error)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found.append([said, (after - before) / 1024, time.perf_counter() - begun])
print(json.dumps(found))
"""


@pytest.fixture
def measured(tmp_path: Path):
    """Load targets in a process of its own, and check the memory and time that each takes."""
    fine = tmp_path / "fine.npz"
    np.savez(fine, X=X, y=Y)

    def load(*paths: Path, **options) -> list[str]:
        call = [sys.executable, "-c", MEASURED, str(fine), json.dumps(options), *map(str, paths)]
        done = subprocess.run(call, capture_output=True, text=True, timeout=100, check=True)
        for said, megabytes, seconds in json.loads(done.stdout):
            assert "\n" not in said
            assert megabytes < 500
            assert seconds < 3
        return [said for said, _, _ in json.loads(done.stdout)]

    return load


def test_a_line_of_twenty_million_values(measured, tmp_path: Path) -> None:
    with (tmp_path / "d.tsv").open("wb") as stream:
        stream.write(b"1\t0.5\t0.25\n2")
        for _ in range(200):
            stream.write(b"\t0.25" * 100_000)
    paths = [tmp_path / f"d.{suffix}" for suffix in ("tsv", "txt", "ts", "csv", "conll")]
    for path in paths[1:]:
        path.hardlink_to(paths[0])
    for path, said in zip(paths, measured(*paths), strict=True):
        assert f"{path}: line 2 is longer than 16,777,216 bytes" in said


def test_a_packed_text_that_unpacks_to_gigabytes(measured, tmp_path: Path) -> None:
    piece = gzip.compress(b"a,b\n" * MEGABYTE)
    for suffix in ("csv", "json", "ts"):
        with (tmp_path / f"d.{suffix}.gz").open("wb") as stream:
            for _ in range(500):
                stream.write(piece)
    for said in measured(*tmp_path.glob("*.gz")):
        assert "gz: unpacks to more than 205,520,896 bytes" in said


@pytest.mark.parametrize("key", ["X", "y"])
def test_an_archive_that_unpacks_to_gigabytes(measured, tmp_path: Path, key: str) -> None:
    head = BytesIO()
    shape = (6, 10**9)
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    other = {"X": "y", "y": "X"}[key]
    with zipfile.ZipFile(tmp_path / "d.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(f"{key}.npy", "w", force_zip64=True) as stream:
            stream.write(head.getvalue())
            for _ in range(600):
                stream.write(bytes(MEGABYTE))
        whole = BytesIO()
        np.save(whole, Y if other == "y" else X)
        archive.writestr(f"{other}.npy", whole.getvalue())
    assert f"{key}.npy unpacks to 629,1" in measured(tmp_path / "d.npz")[0]


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_a_shape_that_nothing_fills(measured, tmp_path: Path, suffix: str) -> None:
    head = BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (6, 10**11)}
    np.lib.format.write_array_header_1_0(head, shape)
    content = head.getvalue() + bytes(64)
    if suffix == "npy":
        (tmp_path / "d.npy").write_bytes(content)
        np.save(tmp_path / "d_labels.npy", Y)
    else:
        with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
            archive.writestr("X.npy", content)
            whole = BytesIO()
            np.save(whole, Y)
            archive.writestr("y.npy", whole.getvalue())
    assert "not a readable" in measured(tmp_path / f"d.{suffix}")[0]


@pytest.mark.filterwarnings("error")
def test_a_shape_beyond_all_numbers_is_one_line(tmp_path: Path) -> None:
    with (tmp_path / "d.npy").open("wb") as stream:
        shape = {"descr": "<f8", "fortran_order": False, "shape": (2**62, 4)}
        np.lib.format.write_array_header_1_0(stream, shape)
    np.save(tmp_path / "d_labels.npy", Y)
    with pytest.raises(DataError, match=r"not a readable \.npy file: array is too big"):
        load_target(tmp_path / "d.npy")


def test_an_array_that_is_mostly_zero_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "d.npz", X=np.zeros((6, 10**6)), y=Y)
    from zoorank.targets import load_target

    assert len(load_target(tmp_path / "d.npz")) == 6


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("fifo", "is a FIFO; files are read"),
        ("device", "is a device; files are read"),
        ("kernel", "is made by the kernel while it is read; files are read"),
        ("loop", "does not exist"),
        ("folder", "empty; needs one sub-folder"),
    ],
)
def test_what_is_no_file(measured, tmp_path: Path, kind: str, expected: str) -> None:
    suffixes = ("npz", "npy", "tsv", "ts", "csv", "json", "conll", "parquet", "txt")
    paths = [tmp_path / f"d.{suffix}" for suffix in suffixes]
    np.save(tmp_path / "labels.npy", Y)
    for path in paths:
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "kernel":
            path.symlink_to("/proc/self/status")
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero" if kind == "device" else path)
    assert all(expected in said for said in measured(*paths))


def test_labels_that_are_no_file(measured, tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    os.mkfifo(tmp_path / "labels.npy")
    assert "no labels beside it" in measured(tmp_path / "X.npy")[0]


def test_folders_that_lead_in_circles(measured, tmp_path: Path) -> None:
    write_images(tmp_path / "d")
    for k in range(12):
        (tmp_path / "d" / "cat" / f"sub{k}").mkdir()
    for k in range(12):
        for other in range(12):
            (tmp_path / "d" / "cat" / f"sub{k}" / f"to{other}").symlink_to(
                tmp_path / "d" / "cat" / f"sub{other}"
            )
    assert measured(tmp_path / "d") == ["6"]


def test_fifty_thousand_classes_with_a_limit(measured, tmp_path: Path) -> None:
    labels = np.repeat(np.arange(50_000), 3)
    np.savez(tmp_path / "d.npz", X=np.zeros((150_000, 2), np.float32), y=labels)
    text = np.array([f"class {label}" for label in labels])
    np.savez(tmp_path / "e.npz", X=np.zeros((150_000, 2), np.float32), y=text)
    paths = [tmp_path / "d.npz", tmp_path / "e.npz"]
    assert measured(*paths, limit=100_000) == ["100000"] * 2


def test_images_that_say_to_be_huge(measured, tmp_path: Path) -> None:
    write_images(tmp_path / "d")
    Image.new("1", (30_000, 30_000)).save(tmp_path / "d" / "cat" / "bomb.png")
    Image.new("L", (20_000, 20_000)).save(tmp_path / "d" / "cat" / "bomb.jpg")
    assert measured(tmp_path / "d") == ["6"]


def test_json_that_is_nested_deeply(measured, tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text("[" * 5_000_000)
    (tmp_path / "d.jsonl").write_text('{"a":' * 100_000)
    paths = [tmp_path / "d.json", tmp_path / "d.jsonl"]
    assert all("not a readable .json" in said for said in measured(*paths))


def test_names_with_a_line_break_stay_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b[2J.npz"
    path.write_bytes(b"junk")
    assert "a\\nb\\x1b[2J.npz: not a readable .npz file" in refusal(path)
    assert "x\\ny" in refusal(tmp_path / "x\ny.npz")
