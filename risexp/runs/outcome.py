"""How a run ended: a word for machines, a sentence for people, and whether it can go on."""

import signal
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from risexp.config.words import one_sentence
from risexp.core.signals import exit_code_of
from risexp.errors import DataInvalid, EnvironmentFailed, RisexpError, TrainingAborted
from risexp.training.events import StopTraining

Status = Literal["complete", "pruned", "aborted", "released", "interrupted", "failed"]


@dataclass(frozen=True)
class Outcome:
    """The end of a run."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    status: Status
    """To its last epoch or to an early stop (`complete`), `pruned` by its study, `aborted` by a
    guard, `released` by a signal, `interrupted` by hand, or `failed` by an error."""
    reason: str
    """One word: `finished`, `early-stop`, `time-limit`, `pruned`, a guard's name, `interrupted`,
    or the kind of the error."""
    sentence: str
    """What happened, and what to do where something can be done."""
    exit_code: int
    resumable: bool = False
    """Whether the same run goes on from its last checkpoint."""
    traceback: str | None = None
    """Of an error nobody expected."""

    def as_json(self) -> dict[str, Any]:
        """The outcome as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, text: bytes, source: Path) -> Self:
        """The outcome that `as_json` described, `source` naming it in errors.

        Raises:
            DataInvalid: It is none.
        """
        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError as error:
            raise DataInvalid(f"{source}: {one_sentence(error)}") from None


class EndRun(StopTraining):
    """Raised by a listener that knows how the run ends, where that is not `complete`."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class StopNow(KeyboardInterrupt):
    """Raised by a second signal wherever the process is; like Ctrl-C, no error to be caught."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def complete(reason: str, epochs: int) -> Outcome:
    """The run has gone as far as it should."""
    sentence = f"the run ended after epoch {epochs}: {reason}"
    return Outcome("complete", reason, sentence, 0, resumable=reason == "time-limit")


def pruned(sentence: str) -> Outcome:
    """Its study has better ones."""
    return Outcome("pruned", "pruned", sentence, 0)


def aborted(fault: TrainingAborted) -> Outcome:
    """A guard fired."""
    return Outcome("aborted", fault.guard, fault.reason, fault.exit_code)


def signalled(number: int) -> Outcome:
    """A signal asked for the end; the epochs before it stand."""
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
    """An error ended the run; it can go on where only the machine was at fault."""
    kind, said = type(error).__name__, " ".join(str(error).split())
    if isinstance(error, RisexpError):
        resumable = isinstance(error, EnvironmentFailed)
        return Outcome("failed", kind, said, error.exit_code, resumable)
    trace = "".join(traceback.format_exception(error))
    return Outcome("failed", kind, f"{kind}: {said}", 1, traceback=trace)
