"""The failures a user can fix. Anything else is a bug and keeps its traceback."""

from __future__ import annotations


class NeuralidError(Exception):
    """Base class: a one-line message, an optional hint, and the exit code of the command line."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(NeuralidError):
    """A setting is out of range, or two settings exclude each other."""

    exit_code = 2


class ImageError(NeuralidError):
    """A picture cannot be read, or is not what a stage needs."""


class DataError(NeuralidError):
    """A data set is missing, empty or too small."""


class OutputError(NeuralidError):
    """A result cannot be written to the place requested."""


class DeviceError(NeuralidError):
    """The requested device is not available."""


class LatentError(NeuralidError):
    """A latent file is damaged, or belongs to other weights."""


class TrainingError(NeuralidError):
    """A training run cannot start, resume or continue."""


class WeightsError(NeuralidError):
    """Weights are missing, damaged, or belong to another model."""

    exit_code = 3
