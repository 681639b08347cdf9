"""Samples as a network wants them; no framework."""

from zoorank.transforms.base import transform_of

__all__ = ["transform_of"]
