"""Workers with a toy in place of training, and the results in their study."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from risexp.callbacks.signals import SignalCallback
from risexp.hpo.store.leases import Attempt, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.start import StudyStart
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.invariants import TrialSnapshot
from risexp.hpo.trials.snapshot import study_snapshot
from risexp.hpo.workers.worker import Job, JobResult, Train, Worker
from risexp.runs.outcome import EndRun, complete
from risexp.space.study_spec import StudySpec
from risexp.training.events import EpochEnded, Event, RunStarted
from tests.support.spaces import learning, spec_of
from tests.support.trainers import epochs_of, small_trainer
from tests.support.worker_processes import owner

TOY_SPEC = spec_of(learning(pruner={"kind": "none"}))


DONE = complete("finished", 3)


def searched(
    store: StudyStore, trials: int, of: StudySpec = TOY_SPEC, name: str = "toy"
) -> StudyRef:
    return StudyStart.new(of).open(store, name, trials)


@dataclass
class Toy:
    """Trains nothing; every job ends with the next result, outcome, or error."""

    endings: Iterator[Any]
    jobs: list[Job] = field(default_factory=list)

    def __call__(self, job: Job) -> JobResult:
        self.jobs.append(job)
        ending = next(self.endings)
        if isinstance(ending, BaseException):
            raise ending
        return ending if isinstance(ending, JobResult) else JobResult(ending, None)


def toy(*endings: object) -> Toy:
    """A toy whose jobs end like this, and all later ones well."""

    def all_of_them() -> Iterator[object]:
        yield from endings
        while True:
            yield JobResult(DONE, 1.5)

    return Toy(all_of_them())


def worker(
    store: StudyStore,
    study: StudyRef,
    train: Train,
    home_fault: Callable[[], str | None] = lambda: None,
) -> Worker:
    """A worker that hears no signals: not every thread may."""
    return Worker(store, study, owner(), train, SignalCallback(), home_fault)


def work(store: StudyStore, study: StudyRef, train: Train) -> tuple[int, list[str]]:
    """The exit code of one worker, and its messages."""
    messages: list[str] = []
    return worker(store, study, train).run(messages.append), messages


def trials(store: StudyStore, study: StudyRef) -> tuple[TrialSnapshot, ...]:
    return study_snapshot(store, study).trials


def reasons(store: StudyStore, study: StudyRef) -> list[object]:
    found = store.storage.get_all_trials(study.id)
    return [each.user_attrs.get("reason") for each in found]


def attempts(store: StudyStore, study: StudyRef) -> list[Attempt]:
    return Leases(store, study.uid).attempts()


def report_epochs(job: Job) -> JobResult:
    """Train as a run does: every event to every callback."""
    told, epochs = job.callbacks, _epochs()
    try:
        events: tuple[Event, ...] = (RunStarted(job.run_id, len(epochs), 0, 4), *epochs)
        for event in events:
            for callback in (*told.first, *told.recorders, *told.enders):
                callback(event)
    except EndRun as end:
        return JobResult(end.outcome, None)
    return JobResult(DONE, epochs[-1].scores["k_loc"])


@cache
def _epochs() -> list[EpochEnded]:
    return epochs_of(small_trainer())
