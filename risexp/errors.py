"""The errors a person may meet, each with the exit code its kind stands for."""

from typing import ClassVar


class RisexpError(Exception):
    """Something a person can act on: one sentence with field, value and next step."""

    exit_code: ClassVar[int] = 1


class EnvironmentFailed(RisexpError):
    """The machine failed, not the input: a full disk, a forbidden folder, no device."""

    exit_code = 1


class InvalidInput(RisexpError):
    """What was given cannot be used; nothing was written."""

    exit_code = 2


class ConfigInvalid(InvalidInput):
    """A configuration value is missing, unknown or impossible."""


class SpaceInvalid(InvalidInput):
    """A search space would draw runs that cannot be."""


class DataInvalid(InvalidInput):
    """A file or a set of scenes is not what it says it is."""


class GateFailed(RisexpError):
    """A candidate was judged and does not become a model; nothing was changed."""

    exit_code = 3


class VerificationFailed(RisexpError):
    """A check was made and found the thing wanting."""

    exit_code = 4


class CheckpointDamaged(DataInvalid):
    """A checkpoint's files are not, byte for byte, what was committed."""


class CheckpointRefused(InvalidInput):
    """A sound checkpoint that belongs to another run, another configuration or another network."""


class ModelRefused(InvalidInput):
    """A model's files are not what was shipped, or this version cannot use them."""


class TrainingAborted(RisexpError):
    """A guard found that a run does not learn what it was told to."""

    exit_code = 4

    def __init__(self, reason: str, *, guard: str) -> None:
        """Name the guard that fired, and say in one sentence what it saw."""
        super().__init__(reason)
        self.reason = reason
        self.guard = guard
