"""How a run ended: a status for programs, a sentence for people, and whether it can go on."""

import errno
import os
import signal
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import ConfigDict, TypeAdapter

from risexp.core.redaction import redacted, secrets_of
from risexp.core.signals import exit_code_of
from risexp.errors import DeviceFailed, EnvironmentFailed, RisexpError, TrainingAborted
from risexp.runs.spec import validated
from risexp.training.events import StopTraining

_MACHINES: Final = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.ESTALE,
        errno.ENOTCONN,
        errno.ENODEV,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.EFBIG,
        errno.ETIMEDOUT,
    }
)
"""Errors of the system that are the machine's, not of what it computes."""

_DEVICES: Final = (
    *("uncorrectable ecc error", "uncorrectable nvlink error", "no cuda-capable device"),
    *("no cuda gpus are available", "no nvidia driver", "busy or unavailable", "device lost"),
    *("gpu is lost", "cuda error: unknown error", "cuda error: initialization error"),
    "cuda error: out of memory",  # not of PyTorch's own allocator, which raises OutOfMemoryError
)
"""Words of PyTorch's errors that are the device's, not of what it computes."""
_NO_MEMORY: Final = "can't allocate memory"
"""Words of PyTorch's error that the machine, not the device, is out of memory."""
BROKEN_DEVICE: Final = frozenset({"DeviceFailed", "AcceleratorError"})
"""Reasons of runs after which a process cannot use its device any more."""

Status = Literal["complete", "pruned", "aborted", "released", "interrupted", "failed"]


@dataclass(frozen=True)
class Outcome:
    """The end of a run, as `outcome.json` holds it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    status: Status
    """`complete` (last epoch or early stop), `pruned` by the study, `aborted` by a guard,
    `released` by a signal, `interrupted` by Ctrl-C, or `failed` with an error."""
    reason: str
    """One word: `finished`, `early-stop`, `time-limit`, `pruned`, a guard's name, `interrupted`,
    or the class of the error."""
    sentence: str
    """What happened, and the next step if there is one."""
    exit_code: int
    resumable: bool = False
    """True if the same run can go on from its last checkpoint."""
    traceback: str | None = None
    """Of an error that is not ours."""

    def as_json(self) -> dict[str, Any]:
        """The outcome as plain values."""
        return asdict(self)

    @staticmethod
    def from_json(text: bytes, source: Path) -> "Outcome":
        """Read what `as_json` wrote; `source` names the file in errors."""
        return validated(_OUTCOME, text, source, strict=None)


_OUTCOME: Final = TypeAdapter(Outcome)


class EndRun(StopTraining):
    """Raised by a callback to end the run with an outcome other than `complete`."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class StopNow(KeyboardInterrupt):
    """Raised by a second signal at any point; like Ctrl-C, `except Exception` does not catch it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def complete(reason: str, epochs: int) -> Outcome:
    """The run trained as long as it should."""
    sentence = f"the run ended after epoch {epochs}: {reason}"
    return Outcome("complete", reason, sentence, 0, resumable=reason == "time-limit")


def pruned(sentence: str) -> Outcome:
    """The study's pruner ended the run."""
    return Outcome("pruned", "pruned", sentence, 0)


def aborted(fault: TrainingAborted) -> Outcome:
    """A guard ended the run."""
    return Outcome("aborted", fault.guard, fault.reason, fault.exit_code)


def signalled(number: int) -> Outcome:
    """A signal ended the run; the epochs before it are kept."""
    name = signal.Signals(number).name
    by_hand = number == signal.SIGINT
    return Outcome(
        status="interrupted" if by_hand else "released",
        reason="interrupted",
        sentence=f"{name} ended the run; it goes on from the last epoch that was kept",
        exit_code=exit_code_of(number),
        resumable=True,
    )


def failed(error: BaseException) -> Outcome:
    """An error ended the run; it can go on only if the environment was at fault.

    Secrets in its message or its traceback are masked.
    """
    error = _environments(error) or error
    known = secrets_of(os.environ)
    kind, message = type(error).__name__, " ".join(redacted(str(error), known).split())
    if isinstance(error, RisexpError):
        resumable = isinstance(error, EnvironmentFailed)
        return Outcome("failed", kind, message, error.exit_code, resumable)
    trace = redacted("".join(traceback.format_exception(error)), known)
    return Outcome("failed", kind, f"{kind}: {message}", 1, traceback=trace)


def _environments(error: BaseException) -> EnvironmentFailed | None:
    """An error of the machine or its device as what it is; None if it may be the run's."""
    words = str(error).lower()
    if isinstance(error, OSError) and error.errno in _MACHINES:
        named = "" if error.filename is None else f"{error.filename}: "
        return EnvironmentFailed(f"{named}{error.strerror}")
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_MEMORY in words):
        return EnvironmentFailed("the machine has no memory left for this process")
    if isinstance(error, RuntimeError) and any(each in words for each in _DEVICES):
        return DeviceFailed(f"the device failed: {str(error).strip().splitlines()[0]}")
    return None
