"""The errors that users may meet, with their exit codes."""

from typing import ClassVar


class RisexpError(Exception):
    """An error that a user can act on: one sentence with field, value and next step."""

    exit_code: ClassVar[int] = 1


class EnvironmentFailed(RisexpError):
    """The machine failed, not the input: a full disk, no permission, no device."""

    exit_code = 1


class DeviceFailed(EnvironmentFailed):
    """The device failed, and no call to it succeeds in this process any more."""


class InvalidInput(RisexpError):
    """The input cannot be used; nothing was written."""

    exit_code = 2


class ConfigInvalid(InvalidInput):
    """A configuration value is missing, unknown or invalid."""


class SpaceInvalid(InvalidInput):
    """A search space is invalid or draws invalid runs."""


class DataInvalid(InvalidInput):
    """A file or a set of scenes is not what it claims to be."""


class GateFailed(RisexpError):
    """A candidate failed a gate; nothing was changed."""

    exit_code = 3


class VerificationFailed(RisexpError):
    """A check failed."""

    exit_code = 4


class CheckpointDamaged(DataInvalid):
    """A checkpoint's files differ from what was written."""


class CheckpointRefused(InvalidInput):
    """A sound checkpoint of another run, configuration or network."""


class ModelRefused(InvalidInput):
    """A model's files differ from what was shipped, or this version cannot use them."""


class TrainingAborted(RisexpError):
    """A guard stopped a run that does not learn what it should."""

    exit_code = 4

    def __init__(self, reason: str, *, guard: str) -> None:
        """Store the name of the guard and its sentence."""
        super().__init__(reason)
        self.reason = reason
        self.guard = guard
