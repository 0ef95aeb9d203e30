"""The one who drives a run: every event to every listener, and a typed outcome whatever happens."""

import signal
from collections.abc import Callable, Generator, Iterable, Sequence, Sized
from contextlib import ExitStack, closing
from typing import Protocol

from risexp.errors import TrainingAborted
from risexp.runs.outcome import EndRun, Outcome, StopNow, aborted, complete, failed, signalled
from risexp.training.events import Event, RunEnded, RunStarted, StopTraining
from risexp.training.plan import Plan
from risexp.training.progress import Progress

Callback = Callable[[Event], None]
"""Told every event of a run, in its order; it may end the run only by raising."""


class RunnableTrainer(Protocol):
    """What can be driven; a `Trainer` is one."""

    @property
    def plans(self) -> Sequence[Plan]:
        """One an epoch."""

    @property
    def batches(self) -> Sized:
        """Of an epoch."""

    @property
    def progress(self) -> Progress:
        """What lies behind the run."""

    def run(self) -> Generator[Event, None, None]:
        """Train on, telling what happens."""


def run_loop(
    trainer: RunnableTrainer,
    observers: Sequence[Callback],
    run_id: str,
    record: Callable[[Outcome], None],
) -> Outcome:
    """Drive a run to its end.

    Args:
        trainer: What is trained.
        observers: Told in this order. Each is told `RunEnded` once, even where another one fails.
        run_id: The run's name.
        record: Told the outcome last, also that of an error.

    Returns:
        How it ended: by itself, by a listener, by a guard or by a signal.

    Raises:
        Exception: Any other error, once every observer was told the end.
    """
    try:
        outcome = _driven(trainer, observers, run_id)
    except BaseException as error:
        _close(observers, failed(error), record)
        raise
    _close(observers, outcome, record)
    return outcome


def _driven(trainer: RunnableTrainer, observers: Sequence[Callback], run_id: str) -> Outcome:
    done, epochs = trainer.progress.epoch, len(trainer.plans)
    try:
        _tell(observers, RunStarted(run_id, epochs, done, len(trainer.batches)))
        with closing(trainer.run()) as events:
            for event in events:
                _tell(observers, event)
    except (EndRun, StopNow) as end:
        return end.outcome
    except StopTraining as stop:
        done = trainer.progress.epoch
        # Whoever wants to stop after the last epoch comes too late: nothing was cut short.
        return complete(stop.reason if done < epochs else "finished", done)
    except TrainingAborted as fault:
        return aborted(fault)
    except KeyboardInterrupt:
        return signalled(signal.SIGINT)
    return complete("finished", trainer.progress.epoch)


def _tell(observers: Iterable[Callback], event: Event) -> None:
    for observer in observers:
        observer(event)


def _close(
    observers: Iterable[Callback], outcome: Outcome, record: Callable[[Outcome], None]
) -> None:
    """Tell everybody the end, whoever of them fails."""
    with ExitStack() as left:
        # What is pushed last is called first.
        left.callback(record, outcome)
        for observer in reversed([*observers]):
            left.callback(observer, RunEnded(outcome.reason))
