"""Samples as a network wants them; no framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoorank.errors import SourceError

if TYPE_CHECKING:
    from zoorank.transforms.base import Transform
    from zoorank.transforms.specs import Preprocessing

__all__ = ["transform_of"]


def transform_of(preprocessing: Preprocessing) -> Transform:
    """Build what does as a preprocessing says, for models that bring nothing of their own.

    Parameters
    ----------
    preprocessing : Preprocessing

    Returns
    -------
    Transform
        Not yet fitted to a target.

    Raises
    ------
    SourceError
        For texts, which need the tokenizer of a model.

    Examples
    --------
    >>> import numpy as np
    >>> from zoorank.transforms.specs import ImagePreprocessing
    >>> transform_of(ImagePreprocessing(size=8)).prepare(np.zeros((4, 4), np.uint8)).value.shape
    (8, 8)
    """
    match preprocessing.input:
        case "image":
            from zoorank.transforms.image import ImageTransform

            return ImageTransform(preprocessing)
        case "series":
            from zoorank.transforms.series import SeriesTransform

            return SeriesTransform(preprocessing)
        case "table":
            from zoorank.transforms.table import TableTransform

            return TableTransform(preprocessing)
        case "audio":
            from zoorank.transforms.audio import AudioTransform

            return AudioTransform(preprocessing)
    raise SourceError("texts need a tokenizer, which this kind of source does not bring")
