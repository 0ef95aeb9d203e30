"""A worker that is asked to end: it gives its trial back, and somebody goes on with it."""

import signal

import pytest

from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.workers.worker import JobResult
from risexp.runs.outcome import signalled
from tests.support.toy_workers import DONE, attempts, searched, states, toy, work


@pytest.fixture(params=["sqlite"])
def backend(request: pytest.FixtureRequest) -> str:
    """A worker knows nothing of databases: one is enough."""
    return str(request.param)


@pytest.fixture
def study(store: StudyStore) -> StudyRef:
    return searched(store, 3)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_gives_the_trial_back_and_ends_the_worker(
    store: StudyStore, study: StudyRef, number: int, code: int
) -> None:
    train = toy(JobResult(DONE, 1.0), signalled(number))

    left, _ = work(store, study, train)

    assert code == left
    assert ["complete", "waiting", "waiting"] == states(store, study)
    assert ["finished", "released"] == [each.ended for each in attempts(store, study)]


def test_a_released_trial_goes_on_as_the_next_attempt(store: StudyStore, study: StudyRef) -> None:
    work(store, study, toy(signalled(signal.SIGTERM)))
    train = toy()

    work(store, study, train)

    assert [(0, 2), (1, 1), (2, 1)] == [(job.number, job.attempt) for job in train.jobs]
    assert ["complete"] * 3 == states(store, study)


class Leaves(BaseException):
    """A signal that comes while nothing is trained."""


def test_a_signal_between_trainings_is_no_death(store: StudyStore, study: StudyRef) -> None:
    with pytest.raises(Leaves):
        work(store, study, toy(Leaves()))

    assert ["waiting"] * 3 == states(store, study)
    assert ["released"] == [each.ended for each in attempts(store, study)]
