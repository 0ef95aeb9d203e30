"""A study whose trials fail one after another ends, and goes on when asked again."""

import pytest

from risexp.errors import EnvironmentFailed
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import end_of
from risexp.hpo.trials.circuit_breaker import FAILING
from risexp.hpo.workers.worker import JobResult
from tests.support.toy_workers import DONE, searched, states, toy, work


@pytest.fixture(params=["sqlite"])
def backend(request: pytest.FixtureRequest) -> str:
    """A worker knows nothing of databases: one is enough."""
    return str(request.param)


def test_five_failures_in_a_row_end_the_study(store: StudyStore) -> None:
    study = searched(store, 8)
    errors = [ValueError(str(place)) for place in range(8)]

    code, said = work(store, study, toy(errors[0], JobResult(DONE, 1.0), *errors[1:]))

    end = end_of(store, study)
    assert 0 == code
    assert ["failed", "complete", *["failed"] * 5, "waiting"] == states(store, study)
    assert end is not None
    assert (FAILING, (7,)) == (end.reason, end.left)
    assert f"study toy ended: {FAILING}" == said[-1]


def test_a_study_that_ended_of_failures_goes_on_when_asked_again(store: StudyStore) -> None:
    study = searched(store, 7)
    work(store, study, toy(*(ValueError(str(place)) for place in range(5))))
    assert ["waiting"] * 2 == states(store, study)[5:]

    work(store, searched(store, 7), toy())

    assert ["complete"] * 2 == states(store, study)[5:]


def test_a_machine_that_fails_every_trial_ends_the_study(store: StudyStore) -> None:
    study = searched(store, 6)
    full = EnvironmentFailed("cannot write: no space left on device")

    work(store, study, toy(*[full] * 18))

    assert [*["failed"] * 5, "waiting"] == states(store, study)
    end = end_of(store, study)
    assert end is not None
    assert FAILING == end.reason
