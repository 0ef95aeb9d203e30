"""A worker in which nothing happens any more: what becomes of its trial, and what is said of it."""

import pytest

from risexp.errors import EnvironmentFailed
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_study
from risexp.hpo.studies.table import study_table
from risexp.hpo.workers.worker import Job, JobResult
from tests.support.toy_workers import DONE, attempts, reasons, searched, states, toy, work


@pytest.fixture(params=["sqlite"])
def backend(request: pytest.FixtureRequest) -> str:
    """A worker knows nothing of databases: one is enough."""
    return str(request.param)


@pytest.fixture
def study(store: StudyStore) -> StudyRef:
    return searched(store, 3)


def test_whoever_hangs_gives_its_trial_back_and_writes_no_more(
    store: StudyStore, study: StudyRef
) -> None:
    quiet: list[bool] = []

    def hang(job: Job) -> JobResult:
        if job.attempt == 1 and job.number == 0:
            job.on_hang()
            job.lease_guard.write_guard(lambda _: quiet.append(False))("a word")
        return JobResult(DONE, 1.5)

    code, said = work(store, study, hang)

    assert (0, []) == (code, quiet)
    assert ["complete"] * 3 == states(store, study)
    assert ["hung", "finished", "finished", "finished"] == [
        each.ended for each in attempts(store, study)
    ]
    assert any("has lost its lease" in each for each in said)


def test_a_trial_that_always_hangs_fails_and_says_so(store: StudyStore) -> None:
    study = searched(store, 1)

    def hang(job: Job) -> JobResult:
        job.on_hang()
        return JobResult(DONE, 1.5)

    work(store, study, hang)

    assert (["failed"], ["hung"]) == (states(store, study), reasons(store, study))
    assert ["hung"] * 3 == [each.ended for each in attempts(store, study)]
    (row,) = study_table(store, study).trials
    assert ("failed", "hung") == (row.state, row.reason)


def test_a_trial_of_which_one_attempt_hung_and_others_died_used_them_up(store: StudyStore) -> None:
    study = searched(store, 1)
    away = EnvironmentFailed("the disk is full")

    def end(job: Job) -> JobResult:
        if job.attempt == 2:
            job.on_hang()
        raise away

    work(store, study, end)

    assert ["died", "hung", "died"] == [each.ended for each in attempts(store, study)]
    assert ["attempts"] == reasons(store, study)


def test_a_trial_that_waits_after_it_hung_says_so_until_it_ends(store: StudyStore) -> None:
    study = searched(store, 1)

    def end(job: Job) -> JobResult:
        job.on_hang()
        end_study(store, study, "enough")
        return JobResult(DONE, 1.5)

    work(store, study, end)
    (waiting,) = study_table(store, study).trials
    work(store, searched(store, 1), toy())
    (done,) = study_table(store, study).trials

    assert ("waiting", "hung") == (waiting.state, waiting.reason)
    assert ("complete", "finished") == (done.state, done.reason)
