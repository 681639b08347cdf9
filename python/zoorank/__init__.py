"""Rank a zoo of pre-trained models by how well each would transfer."""

from zoorank._core import __version__

__all__ = ["__version__"]
