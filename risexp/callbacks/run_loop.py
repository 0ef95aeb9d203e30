"""Runs a trainer: passes every event to every callback, and returns how the run ended."""

import signal
from collections.abc import Callable, Generator, Iterable, Sequence, Sized
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Final, Protocol

from risexp.callbacks.guards import GuardCallback
from risexp.errors import TrainingAborted
from risexp.runs.outcome import EndRun, Outcome, StopNow, aborted, complete, failed, signalled
from risexp.training.events import Event, RunEnded, RunStarted, StopTraining
from risexp.training.plan import Plan
from risexp.training.progress import Progress

Callback = Callable[[Event], None]
"""Receives all events of a run in order; it can end the run only by raising."""


WriteGuard = Callable[[Callable[[Any], None]], Callable[[Any], None]]
"""Wraps callbacks that write, e.g. to silence them once another process owns the run."""


def identity(callback: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return the callback as it is."""
    return callback


@dataclass(frozen=True)
class Callbacks:
    """Callbacks of a run besides its own recorders, guards and checkpoints."""

    first: tuple[Callback, ...] = ()
    """Called before all others."""
    recorders: tuple[Callback, ...] = ()
    enders: tuple[Callback, ...] = ()
    """May end the run; called before signals are honoured."""
    write_guard: WriteGuard = identity
    before_begin: Callable[[], None] = lambda: None
    """Called right before an attempt changes the run's folder; raises if another has the run."""


NO_CALLBACKS: Final = Callbacks()


class RunnableTrainer(Protocol):
    """The part of a `Trainer` that the loop needs."""

    @property
    def plans(self) -> Sequence[Plan]:
        """One per epoch."""

    @property
    def batches(self) -> Sized:
        """Batches of an epoch."""

    @property
    def progress(self) -> Progress:
        """Epochs and steps so far."""

    def run(self) -> Generator[Event, None, None]:
        """Train the remaining epochs."""


def callback_order(
    guards: GuardCallback,
    recorders: Sequence[Callback],
    checkpoint: Callback,
    enders: Sequence[Callback],
) -> tuple[Callback, ...]:
    """The order of a run's callbacks: read guards, record, enforce guards, save, end the run.

    An epoch with a fault is recorded and not saved, since going on would meet the fault again. The
    last epoch of a run that is pruned or stopped is recorded and saved. Of the enders, signals come
    last.
    """
    return (guards, *recorders, guards.enforce, checkpoint, *enders)


def run_loop(
    trainer: RunnableTrainer,
    callbacks: Sequence[Callback],
    run_id: str,
    record: Callable[[Outcome], None],
) -> Outcome:
    """Run a trainer to its end; the outcome says how that came.

    All callbacks receive `RunEnded`, even if another one fails; then `record` receives the outcome,
    also that of an error.
    """
    try:
        outcome = _outcome(trainer, callbacks, run_id)
    except BaseException as error:
        _close(callbacks, failed(error), record)
        raise
    _close(callbacks, outcome, record)
    return outcome


def _outcome(trainer: RunnableTrainer, callbacks: Sequence[Callback], run_id: str) -> Outcome:
    done, epochs = trainer.progress.epoch, len(trainer.plans)
    try:
        _call(callbacks, RunStarted(run_id, epochs, done, len(trainer.batches)))
        with closing(trainer.run()) as events:
            for event in events:
                _call(callbacks, event)
    except (EndRun, StopNow) as end:
        return end.outcome
    except StopTraining as stop:
        done = trainer.progress.epoch
        # A stop after the last epoch comes too late: nothing was cut short.
        return complete(stop.reason if done < epochs else "finished", done)
    except TrainingAborted as fault:
        return aborted(fault)
    except KeyboardInterrupt:
        return signalled(signal.SIGINT)
    return complete("finished", trainer.progress.epoch)


def _call(callbacks: Iterable[Callback], event: Event) -> None:
    for callback in callbacks:
        callback(event)


def _close(
    callbacks: Iterable[Callback], outcome: Outcome, record: Callable[[Outcome], None]
) -> None:
    """Send `RunEnded` to all callbacks, even if some of them fail."""
    with ExitStack() as stack:
        # The last one pushed is called first.
        stack.callback(record, outcome)
        for callback in reversed([*callbacks]):
            stack.callback(callback, RunEnded(outcome.reason))
