"""Failed trials that are tried again: what they have stays, and their deaths count no more."""

import pytest

from risexp.errors import InvalidInput
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.failed_trials import retry
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.reaper import Reaper
from tests.support.worker_processes import (
    ON_BOTH,
    claimed,
    draw,
    states,
    train,
    violations,
    work_here,
)

pytestmark = ON_BOTH


def die(queue: Queue, study: StudyRef, times: int) -> None:
    """Let workers die at the first trial that waits."""
    for _ in range(times):
        claim = claimed(queue)
        claim.suggest(draw)
        claim.report(1, 0.5)
        Reaper(queue.leases, study).abandon(claim.lease.owner)


def test_a_failed_trial_goes_on_and_may_die_as_often_as_a_new_one(
    store: StudyStore, study: StudyRef, queue: Queue
) -> None:
    die(queue, study, 3)
    before = store.storage.get_all_trials(study.id)[0]
    assert "failed" == states(store, study)[0]

    retry(store, study, [0])

    assert ["waiting"] * 4 == states(store, study)
    die(queue, study, 2)
    assert (["died"] * 5, "waiting") == (
        [each.ended for each in queue.leases.attempts()],
        states(store, study)[0],
    )
    after = store.storage.get_all_trials(study.id)[0]
    assert (before.params, before.intermediate_values) == (after.params, after.intermediate_values)
    train(claimed(queue))
    work_here(store, study)
    assert ["complete"] * 4 == states(store, study)
    assert [] == violations(store, study)


def test_a_trial_that_kills_workers_again_fails_again(
    store: StudyStore, study: StudyRef, queue: Queue
) -> None:
    die(queue, study, 3)
    retry(store, study, [0])

    die(queue, study, 3)

    assert "failed" == states(store, study)[0]


def test_only_failed_trials_are_tried_again_and_all_or_none(
    store: StudyStore, study: StudyRef, queue: Queue
) -> None:
    die(queue, study, 3)
    train(claimed(queue))

    for number, message in ((1, "trial 1 .* is complete: only a failed one"), (9, "no trial 9")):
        with pytest.raises(InvalidInput, match=message):
            retry(store, study, [0, number])

    assert ["failed", "complete", "waiting", "waiting"] == states(store, study)
