"""Load damaged copies of good files, one after the other, for some seconds.

Run as ``python mutate.py KIND SEED SECONDS FOLDER``; prints what went wrong as JSON. It is a
program of its own, so that memory can be measured and a crash is seen for what it is.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np

from zoorank.errors import ZoorankError
from zoorank.targets import load_target

X = np.arange(40.0).reshape(10, 4)
Y = np.arange(10) % 2
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 14, 3), np.uint8)
TONE = np.sin(np.arange(2000) * 0.3)
SLOW, LARGE = 5.0, 1024  # seconds, megabytes


def _npz(pack: bool) -> bytes:
    stream = BytesIO()
    (np.savez_compressed if pack else np.savez)(stream, X=X, y=Y.astype(str), groups=Y)
    return stream.getvalue()


def _npy() -> bytes:
    stream = BytesIO()
    np.save(stream, X)
    return stream.getvalue()


def _parquet() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    stream = BytesIO()
    table = pa.table({"text": [f"text {k}" for k in range(10)], "label": Y, "n": X[:, 0]})
    parquet.write_table(table, stream)
    return stream.getvalue()


def _image(kind: str, **options) -> bytes:
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(PIXELS).save(stream, kind, **options)
    return stream.getvalue()


def _sound(kind: str) -> bytes:
    import soundfile

    stream = BytesIO()
    soundfile.write(stream, TONE, 8000, format=kind)
    return stream.getvalue()


ROWS = [",".join(map(str, row)) for row in X]
# The name of the file that is damaged, and what is in it when it is whole.
KINDS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "npz": ("d.npz", lambda: _npz(pack=False)),
    "npz-packed": ("d.npz", lambda: _npz(pack=True)),
    "npy": ("X.npy", _npy),
    "tsv": (
        "d.tsv",
        lambda: "\n".join(
            f"{y}\t{row}".replace(",", "\t") for y, row in zip(Y, ROWS, strict=True)
        ).encode(),
    ),
    "ts": (
        "d.ts",
        lambda: "\n".join(
            ["@problemName d", "@data", *(f"{r}:{r}:{y}" for r, y in zip(ROWS, Y, strict=True))]
        ).encode(),
    ),
    "csv": (
        "d.csv",
        lambda: "\n".join(
            ["text,label", *(f'"a, {k}\n""b""",{y}' for k, y in enumerate(Y))]
        ).encode(),
    ),
    "table": (
        "d.csv",
        lambda: "\n".join(
            ["a,b,c,d,label", *(f"{r},{y}" for r, y in zip(ROWS, Y, strict=True))]
        ).encode(),
    ),
    "json": (
        "d.json",
        lambda: json.dumps(
            [{"text": f"text {k}", "label": int(y), "x": [1.5, None]} for k, y in enumerate(Y)]
        ).encode(),
    ),
    "jsonl": (
        "d.jsonl",
        lambda: "\n".join(
            json.dumps({"tokens": ["a", f"b{k}"], "tags": ["X", "Y"]}) for k in range(10)
        ).encode(),
    ),
    "conll": ("d.conll", lambda: b"a X\nb Y\n\n" * 10),
    "conllu": (
        "d.conllu",
        lambda: (
            (b"# c\n" + b"1\ta\tl\tX\tX\t_\t0\tr\t_\t_\n2\tb\tl\tY\tX\t_\t0\tr\t_\t_\n" + b"\n") * 9
        ),
    ),
    "idx": (
        "train-images-idx3-ubyte",
        lambda: bytes([0, 0, 8, 3]) + np.array([10, 4, 1], ">i4").tobytes() + bytes(range(40)),
    ),
    "parquet": ("d.parquet", _parquet),
    "state": (
        "state.json",
        lambda: json.dumps({"_data_files": [{"filename": "d.arrow"}]}).encode(),
    ),
    **{
        f"image-{kind}": (f"cat/x.{kind}", lambda kind=kind: _image(kind))
        for kind in (
            "png",
            "jpeg",
            "gif",
            "tiff",
            "webp",
            "bmp",
            "tga",
            "ico",
            "avif",
            "ppm",
            "pcx",
        )
    },
    "image-apng": ("cat/x.png", lambda: _image("png", save_all=True, append_images=[])),
    **{
        f"sound-{kind}": (f"cat/x.{kind}", lambda kind=kind: _sound(kind))
        for kind in ("wav", "flac", "ogg", "mp3", "aiff", "au", "caf")
    },
}


def beside(kind: str, folder: Path) -> None:
    """What has to lie beside the damaged file."""
    if kind == "npy":
        np.save(folder / "labels.npy", Y)
    elif kind == "idx":
        (folder / "train-labels-idx1-ubyte").write_bytes(
            bytes([0, 0, 8, 1]) + np.array([10], ">i4").tobytes() + Y.astype(np.uint8).tobytes()
        )
    elif kind == "state":
        (folder / "dataset_info.json").write_text("{}")
        (folder / "d.arrow").write_bytes(b"ARROW1")
    elif kind.partition("-")[0] in ("image", "sound"):
        whole = KINDS[kind][1]()
        for label in ("cat", "dog"):
            (folder / label).mkdir()
            for k in range(2):
                name = f"{k}{Path(KINDS[kind][0]).suffix}"
                (folder / label / name).write_bytes(whole)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """One to four changes: bytes flipped, cut out, doubled, moved, or numbers made absurd."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if not data:
            break
        start = int(rng.integers(len(data)))
        stop = min(len(data), start + int(rng.integers(1, 1 + rng.choice([2, 8, 64]))))
        match rng.integers(8):
            case 0:
                data[start:stop] = rng.bytes(stop - start)
            case 1:
                del data[start:stop]
            case 2:
                data[start:start] = data[start:stop]
            case 3:
                del data[start:]
            case 4:
                data[start:stop] = b"\xff" * (stop - start)
            case 5:
                data[start:stop] = bytes(stop - start)
            case 6:
                data[start] ^= 1 << int(rng.integers(8))
            case 7:
                words = [
                    b"9" * 30,
                    b"-1",
                    b"1e999",
                    b"nan",
                    b"\n",
                    b"\0",
                    b"]",
                    b"}",
                    b'"',
                    b",",
                    b"\t",
                    b":",
                    b"(",
                    b"'",
                    b"\xef\xbb\xbf",
                    "\u202e".encode(),
                    b"\\u0000",
                ]
                data[start:stop] = words[int(rng.integers(len(words)))]
    return bytes(data)


def tried(
    path: Path,
    content: bytes,
    read: Callable[[], object],
    folder: Path,
    seed: int,
    seconds: float,
    damaged: Callable[[bytes, np.random.Generator], bytes] = damaged,
) -> dict[str, object]:
    """Damage a file and read it, again and again, until something goes wrong."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rng, begun, times, refused = np.random.default_rng(seed), time.perf_counter(), 0, 0
    while time.perf_counter() - begun < seconds or times < 4:
        damage = damaged(content, rng)
        path.write_bytes(damage)
        (folder / "last").write_bytes(damage)  # what a crash leaves behind
        started, wrong = time.perf_counter(), ""
        try:
            read()
        except ZoorankError as error:
            refused += 1
            wrong = "" if "\n" not in str(error) else f"two lines: {error}"
        except BaseException:  # noqa: BLE001 - whatever it is, it is wrong
            wrong = traceback.format_exc()
        times += 1
        if time.perf_counter() - started > SLOW:
            wrong = wrong or "slow"
        if (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 > LARGE:
            wrong = wrong or "large"
        if wrong:
            return {"tried": times, "refused": refused, "wrong": wrong, "file": damage.hex()}
    return {"tried": times, "refused": refused, "wrong": ""}


def main(kind: str, seed: int, seconds: float, folder: Path) -> dict:
    warnings.simplefilter("ignore")
    name, whole = KINDS[kind]
    beside(kind, folder)
    path = folder / name
    target = folder if kind in ("npy", "idx", "state") or "/" in name else path
    content = whole()
    path.write_bytes(content)
    if kind == "state":
        import datasets  # noqa: F401 - takes longer than a short run
    else:
        assert len(load_target(target)) > 1
    return tried(path, content, lambda: load_target(target), folder, seed, seconds)


if __name__ == "__main__":
    kind, seed, seconds, folder = sys.argv[1:]
    print(json.dumps(main(kind, int(seed), float(seconds), Path(folder))))
