"""The networks of ``keras.applications``: their names, their input and their weights."""

from __future__ import annotations

import contextlib
import os
import warnings
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zoorank.errors import SourceError
from zoorank.messages import one_line
from zoorank.sources.base import Events
from zoorank.sources.hub import offline

if TYPE_CHECKING:
    from zoorank.transforms.specs import ImagePreprocessing

# As ``keras.applications`` has them; read here, so that a name is checked without Keras.
NAMES = (
    *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
    *(f"DenseNet{depth}" for depth in (121, 169, 201)),
    *(f"EfficientNetB{number}" for number in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *("InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2"),
    *("MobileNetV3Large", "MobileNetV3Small", "NASNetLarge", "NASNetMobile"),
    *(f"ResNet{depth}{version}" for version in ("", "V2") for depth in (50, 101, 152)),
    *("VGG16", "VGG19", "Xception"),
)


class Published(NamedTuple):
    """Weights that Keras publishes.

    Attributes
    ----------
    file : Path
        Where they are, or would be, in Keras's own cache.
    url : str
    digest : str or None
    """

    file: Path
    url: str
    digest: str | None


class _Asked(BaseException):
    """Ends the construction of a network where it asks for its weights."""


def matching(pattern: str) -> tuple[str, ...]:
    """Names that a pattern matches."""
    return tuple(name for name in NAMES if fnmatchcase(name, pattern))


def published(builder: Any) -> Published:
    """Find out which file a network's weights are, without fetching it."""
    from keras.src.utils import file_utils

    asked: list[Published] = []

    def get_file(
        fname: str | None = None,
        origin: str | None = None,
        cache_subdir: str = "datasets",
        file_hash: str | None = None,
        **_: Any,
    ) -> str:
        home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
        asked.append(Published(home / cache_subdir / str(fname), str(origin), file_hash))
        raise _Asked

    plain = file_utils.get_file
    file_utils.get_file = get_file
    try:
        with warnings.catch_warnings(), contextlib.suppress(_Asked):
            warnings.simplefilter("ignore")
            builder(weights="imagenet")
    finally:
        file_utils.get_file = plain
    if not asked:
        raise SourceError("this version of Keras does not say where its weights are")
    return asked[0]


def fetch(weights: Published, events: Events) -> None:
    """Fetch weights that the cache lacks, where the environment allows it.

    Raises
    ------
    SourceError
        When they may not be fetched, or cannot be.
    """
    import keras

    gap = f"Keras's cache {weights.file.parent} lacks {weights.file.name}"
    if reason := offline():
        raise SourceError(f"{gap}, and {reason} forbids to fetch it")
    events(f"fetching {weights.file.name} from {weights.url.split('/')[2]}")
    try:
        keras.utils.get_file(
            weights.file.name,
            weights.url,
            file_hash=weights.digest,
            cache_subdir=weights.file.parent.name,
        )
    except Exception as error:  # Keras raises plain Exceptions
        raise SourceError(f"{gap}, and it cannot be fetched: {one_line(error, 120)}") from error


def own_preprocessing(module: ModuleType, size: tuple[int, int]) -> ImagePreprocessing:
    """Say in a manifest's words what a network's ``preprocess_input`` does.

    It is affine in each channel and may exchange them: four pixels tell all of it.
    """
    from zoorank.transforms.specs import ImagePreprocessing

    pixels = np.vstack([np.zeros(3), 255 * np.eye(3)]).astype(np.float32)
    found = module.preprocess_input(pixels[None, None].copy(), data_format="channels_last")
    black, *colours = np.asarray(found, dtype=np.float64)[0, 0]
    width = np.array(colours) - black  # of each colour in, what it adds to each channel out
    swapped = abs(width[0, 2]) > abs(width[0, 0])
    scale = width[[2, 1, 0], [0, 1, 2]] if swapped else np.diag(width)
    return ImagePreprocessing(
        size=size,
        layout="nhwc",
        channel_order="bgr" if swapped else "rgb",
        mean=tuple((-black / scale).tolist()),
        std=tuple((1 / scale).tolist()),
    )
