"""Errors a user can cause and mend; each prints as one line."""

from __future__ import annotations


class ZoorankError(Exception):
    """Base of every error zoorank raises outside the numerical engine.

    The engine itself raises ``ValueError`` and ``TypeError``, as scikit-learn
    does, so that its functions are drop-in replacements.

    Attributes
    ----------
    exit_code : int
        What the command line returns: 1 for work that failed, 2 for bad usage.
    """

    exit_code: int = 1

    def __str__(self) -> str:
        """Give the message in one line, whatever a file or a library put into it."""
        return " ".join(super().__str__().splitlines())


class UsageError(ZoorankError):
    """An argument, option, cut or metric that does not exist or does not fit."""

    exit_code = 2


class ManifestError(UsageError):
    """A zoo manifest that is missing, malformed or inconsistent."""


class DataError(ZoorankError):
    """Target data that cannot be read, or on which no score is defined."""


class SourceError(ZoorankError):
    """One source model that cannot be used; the others of the zoo go on."""


class StoreError(ZoorankError):
    """The encoding store cannot be read or written."""
