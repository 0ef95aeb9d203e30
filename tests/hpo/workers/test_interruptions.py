"""A worker that hangs or is signalled gives its trial back."""

import signal

import pytest

from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_study
from risexp.hpo.studies.table import study_table
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.workers.worker import Job, JobResult
from risexp.runs.outcome import signalled
from tests.support.toy_workers import DONE, attempts, reasons, searched, toy, work
from tests.support.worker_processes import EMBEDDED, states

pytestmark = EMBEDDED


@pytest.fixture
def study(store: StudyStore) -> StudyRef:
    return searched(store, 3)


def test_a_worker_that_hangs_gives_its_trial_back_and_writes_nothing_more(
    store: StudyStore, study: StudyRef
) -> None:
    written: list[bool] = []

    def hang(job: Job) -> JobResult:
        if job.attempt == 1 and job.number == 0:
            job.on_hang()
            job.callbacks.write_guard(lambda _: written.append(True))("a word")
        return JobResult(DONE, 1.5)

    code, said = work(store, study, hang)

    assert (0, []) == (code, written)
    assert ["complete"] * 3 == states(store, study)
    assert ["hung", "finished", "finished", "finished"] == [
        each.ended for each in attempts(store, study)
    ]
    assert any("has lost its lease" in each for each in said)


def test_a_trial_whose_attempts_hung_or_died_has_used_them_up(store: StudyStore) -> None:
    study = searched(store, 2)

    def end(job: Job) -> JobResult:
        if job.number == 0 or job.attempt == 2:
            job.on_hang()
            return JobResult(DONE, 1.5)
        leases = Leases(store, study.uid)
        (held,) = leases.look().living
        Reaper(leases, study).abandon(held.lease.owner)
        return JobResult(DONE, 1.5)

    work(store, study, end)

    hung, mixed = ["hung"] * 3, ["died", "hung", "died"]
    assert [*hung, *mixed] == [each.ended for each in attempts(store, study)]
    assert ["hung", "attempts"] == reasons(store, study)
    row, _ = study_table(store, study).trials
    assert ("failed", "hung") == (row.state, row.reason)


def test_a_waiting_trial_shows_that_it_hung_until_it_ends(store: StudyStore) -> None:
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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_gives_the_trial_back_and_ends_the_worker(
    store: StudyStore, study: StudyRef, number: int, code: int
) -> None:
    train = toy(JobResult(DONE, 1.0), signalled(number))

    exit_code, _ = work(store, study, train)

    assert code == exit_code
    assert ["complete", "waiting", "waiting"] == states(store, study)
    assert ["finished", "released"] == [each.ended for each in attempts(store, study)]
    work(store, study, train)
    assert [(1, 2), (2, 1)] == [(job.number, job.attempt) for job in train.jobs[2:]]
    assert ["complete"] * 3 == states(store, study)


class Leaves(BaseException):
    """A signal outside training."""


def test_a_signal_outside_training_is_no_death(store: StudyStore, study: StudyRef) -> None:
    with pytest.raises(Leaves):
        work(store, study, toy(Leaves()))

    assert ["waiting"] * 3 == states(store, study)
    assert ["released"] == [each.ended for each in attempts(store, study)]
