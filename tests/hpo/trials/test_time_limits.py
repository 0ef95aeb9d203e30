"""A limit of time for each trial: kept for all workers, over all attempts, after an epoch."""

from collections.abc import Iterator
from dataclasses import replace
from math import inf

import pytest

from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.time_limits import TimeLimit, limit_of, set_limit, spent_s
from risexp.hpo.workers.worker import Job, JobResult
from risexp.runs.outcome import EndRun, Outcome, signalled
from risexp.training.events import Event, RunStarted
from tests.support.recorded_runs import SCORES, ended_of, joint
from tests.support.toy_workers import DONE, attempts, reasons, searched, states, work
from tests.support.worker_processes import owner


@pytest.fixture(params=["sqlite"])
def backend(request: pytest.FixtureRequest) -> str:
    """A limit knows nothing of databases: one is enough."""
    return str(request.param)


def told(limit: TimeLimit, epochs: int, last: int) -> Outcome | None:
    """How a run of so many epochs ends that is told to some epoch."""
    events: Iterator[Event] = iter(
        [
            RunStarted("run-1", epochs, 0, 4),
            *(ended_of(plan, SCORES) for plan in joint(epochs).plans[:last]),
        ]
    )
    try:
        for event in events:
            limit(event)
    except EndRun as end:
        return end.outcome
    return None


def steps_of(seconds: float) -> Iterator[float]:
    """A clock that moves on by so much each time it is looked at."""
    now = 0.0
    while True:
        yield now
        now += seconds


def limit(limit_s: float | None, spent: float, step_s: float = 10.0) -> TimeLimit:
    return TimeLimit(limit_s, spent, steps_of(step_s).__next__)


def test_a_trial_is_pruned_with_the_epoch_that_passes_its_limit() -> None:
    outcome = told(limit(30.0, 0.0), epochs=9, last=9)

    assert outcome is not None
    assert ("pruned", "limit", 0) == (outcome.status, outcome.reason, outcome.exit_code)
    assert "have taken 30 s at epoch 3 of 9, and 30 s are the limit" in outcome.sentence


def test_earlier_attempts_count() -> None:
    outcome = told(limit(30.0, 15.0), epochs=9, last=9)

    assert outcome is not None
    assert "at epoch 2 of 9" in outcome.sentence


def test_the_last_epoch_is_no_place_to_end() -> None:
    assert told(limit(30.0, 0.0), epochs=3, last=3) is None


@pytest.mark.parametrize("limit_s", [None, inf])
def test_without_a_limit_a_trial_takes_as_long_as_it_takes(limit_s: float | None) -> None:
    assert told(limit(limit_s, 1e9), epochs=3, last=3) is None


def test_a_limit_is_kept_with_its_study_until_another_one_is_set(
    store: StudyStore, study: StudyRef
) -> None:
    found = []
    for seconds in (None, 90.0, 30.0, None):
        set_limit(store, study, seconds)
        found.append(limit_of(store, study))

    assert [None, 90.0, 30.0, None] == found


def test_attempts_are_timed_by_the_database_once_they_have_ended(
    store: StudyStore, study: StudyRef
) -> None:
    leases = Leases(store, study.uid)
    lease = leases.take(1, owner(), "run")
    assert lease is not None
    assert 0.0 == spent_s(leases.attempts(1))
    leases.end(lease, "released")
    (ended,) = leases.attempts(1)

    shifted = replace(ended, began_at=ended.began_at - 5.0)

    assert ended.ended_at is not None
    assert ended.ended_at - ended.began_at + 5.0 == spent_s([shifted])


def test_every_worker_obeys_the_limit_of_its_study(store: StudyStore) -> None:
    """The first attempt is released at once; the next worker learns the limit from the study."""
    study = searched(store, 1)
    set_limit(store, study, 0.0)

    def train(job: Job) -> JobResult:
        if job.attempt == 1:
            return JobResult(signalled(15), None)
        outcome = told(job.limit, epochs=3, last=2)
        return JobResult(outcome or DONE, 1.5)

    codes = [work(store, study, train)[0] for _ in range(2)]

    assert [75, 0] == codes
    assert (["pruned"], ["limit"]) == (states(store, study), reasons(store, study))
    assert ["released", "finished"] == [each.ended for each in attempts(store, study)]
