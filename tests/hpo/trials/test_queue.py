"""A claim reads few of the trials that wait, and overlooks none."""

from collections.abc import Iterable

import pytest
from optuna.trial import TrialState

from risexp.hpo.store.patient_storage import Listed, PatientStorage
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import run_id
from tests.support.worker_processes import EMBEDDED, claimed, owner, queue_of, toy_study, train

pytestmark = EMBEDDED
WAITING = 60


def test_a_claim_reads_few_of_the_trials_that_wait(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_of(store, toy_study(store, WAITING))
    list_trials, read = PatientStorage.list_trials, list[Listed]()

    def counted(
        storage: PatientStorage,
        study_id: int,
        states: Iterable[TrialState] = tuple(TrialState),
        most: int | None = None,
    ) -> list[Listed]:
        found = list_trials(storage, study_id, states, most)
        read.extend(found)
        return found

    monkeypatch.setattr(PatientStorage, "list_trials", counted)

    claim = claimed(queue)
    done = queue.is_done()

    assert not done
    assert 0 == claim.number
    assert len(read) < WAITING / 2


def test_a_trial_is_claimed_though_others_lease_all_that_wait_before_it(
    store: StudyStore,
) -> None:
    study = toy_study(store, WAITING)
    queue = queue_of(store, study)
    for trial in store.storage.list_trials(study.id)[: WAITING - 1]:
        assert queue.leases.take(trial.trial_id, owner(), run_id(study.name, trial.number))

    claim = claimed(queue)

    assert WAITING - 1 == claim.number
    train(claim)
    assert queue.claim(owner()) is None
    assert not queue.is_done()


def test_trials_that_failed_here_are_claimed_after_all_others(store: StudyStore) -> None:
    study = toy_study(store, WAITING)
    queue = queue_of(store, study)
    failed = store.storage.list_trials(study.id)[: WAITING // 2]
    for trial in failed:
        queue.put_last(trial.trial_id)

    numbers = [claimed(queue).number for _ in range(WAITING)]

    assert [*range(WAITING // 2, WAITING), *range(WAITING // 2)] == numbers
