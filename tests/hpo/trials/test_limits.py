"""Limits that end a trial or a study early."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from math import inf

from risexp.callbacks.run_loop import Callback
from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_of
from risexp.hpo.trials.limits import (
    FAILING,
    TimeLimit,
    limit_of,
    set_limit,
    spent_s,
)
from risexp.hpo.workers.worker import Job, JobResult
from risexp.runs.outcome import EndRun, Outcome, signalled
from risexp.training.events import Event, RunStarted
from tests.support.recorded_runs import SCORES, ended_of, joint
from tests.support.toy_workers import DONE, attempts, reasons, searched, toy, work
from tests.support.worker_processes import EMBEDDED, owner, states


def events_of(epochs: int, last: int) -> Iterator[Event]:
    """The events of a run with this number of epochs, up to its `last` epoch."""
    yield RunStarted("run-1", epochs, 0, 4)
    yield from (ended_of(epoch_plan, SCORES) for epoch_plan in joint(epochs).plans[:last])


def outcome_of(limit: Callback, epochs: int, last: int) -> Outcome | None:
    """The outcome by which a time limit ends a run; None if it does not."""
    try:
        for event in events_of(epochs, last):
            limit(event)
    except EndRun as end:
        return end.outcome
    return None


def time_limit(limit_s: float | None, spent: float) -> TimeLimit:
    """A limit whose clock moves on by 10 s at every reading."""
    return TimeLimit(limit_s, spent, count(0.0, 10.0).__next__)


def test_a_trial_is_pruned_after_the_epoch_that_exceeds_its_limit() -> None:
    outcome = outcome_of(time_limit(30.0, 0.0), epochs=9, last=9)
    later = outcome_of(time_limit(30.0, 15.0), epochs=9, last=9)

    assert outcome is not None
    assert ("pruned", "limit", 0) == (outcome.status, outcome.reason, outcome.exit_code)
    assert "have taken 30 s at epoch 3 of 9, and 30 s are the limit" in outcome.sentence
    assert "at epoch 2 of 9" in str(later), "earlier attempts count"


def test_no_trial_ends_after_its_last_epoch_or_without_a_limit() -> None:
    limits = [time_limit(30.0, 0.0), time_limit(None, 1e9), time_limit(inf, 1e9)]

    assert [None] * 3 == [outcome_of(limit, epochs=3, last=3) for limit in limits]


def test_the_study_keeps_a_limit_until_another_one_is_set(
    store: StudyStore, study: StudyRef
) -> None:
    kept = []
    for seconds in (None, 90.0, 30.0, None):
        set_limit(store, study, seconds)
        kept.append(limit_of(store, study))

    assert [None, 90.0, 30.0, None] == kept


def test_ended_attempts_are_timed_by_the_database(store: StudyStore, study: StudyRef) -> None:
    leases = Leases(store, study.uid)
    lease = leases.take(1, owner(), "run")
    assert lease is not None
    assert 0.0 == spent_s(leases.attempts(1))
    leases.end(lease, "released")
    (ended,) = leases.attempts(1)

    shifted = replace(ended, began_at=ended.began_at - 5.0)

    assert ended.ended_at is not None
    assert ended.ended_at - ended.began_at + 5.0 == spent_s([shifted])


@EMBEDDED
def test_every_worker_obeys_the_limit_of_its_study(store: StudyStore) -> None:
    """The first attempt is released at once; the next worker reads the limit from the study."""
    study = searched(store, 1)
    set_limit(store, study, 0.0)

    def train(job: Job) -> JobResult:
        if job.attempt == 1:
            return JobResult(signalled(15), None)
        outcome = outcome_of(job.callbacks.enders[-2], epochs=3, last=2)
        return JobResult(outcome or DONE, 1.5)

    codes = [work(store, study, train)[0] for _ in range(2)]

    assert [75, 0] == codes
    assert (["pruned"], ["limit"]) == (states(store, study), reasons(store, study))
    assert ["released", "finished"] == [each.ended for each in attempts(store, study)]


@EMBEDDED
def test_five_failures_in_a_row_end_the_study_until_it_is_opened_again(store: StudyStore) -> None:
    study = searched(store, 8)
    first, *others = (ValueError(str(place)) for place in range(6))

    code, said = work(store, study, toy(first, JobResult(DONE, 1.0), *others))

    end = end_of(store, study)
    assert 0 == code
    assert ["failed", "complete", *["failed"] * 5, "waiting"] == states(store, study)
    assert end is not None
    assert (FAILING, (7,)) == (end.reason, end.left)
    assert f"study toy ended: {FAILING}" == said[-1]
    work(store, searched(store, 8), toy())
    assert "complete" == states(store, study)[-1]
