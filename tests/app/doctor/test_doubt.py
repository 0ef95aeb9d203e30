"""What changes while a check-up looks is no fault, and nothing is mended past whoever is at it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from optuna.study import StudyDirection

from risexp.app.doctor import fix as mend
from risexp.app.doctor import snapshot as look
from risexp.app.doctor import stores
from risexp.app.doctor.facts import StudyStatus, study_facts
from risexp.app.doctor.folders import Seen, see
from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_study
from risexp.runs.folder import RunFolder, find_run
from risexp.runs.spec import read_labels, write_labels
from risexp.tracking.stores import embedded
from risexp.tracking.upload_state import UploadState
from tests.support.homes import (
    change,
    check_of,
    client,
    folder_of,
    found,
    mlflow_id,
    record_of,
    sent,
    taken,
    the_study,
    trained,
    wrong,
)
from tests.support.uploads import stored
from tests.support.worker_processes import owner, queue_of

pytestmark = pytest.mark.usefixtures("in_order")


def with_state(facts: StudyStatus, state: Any) -> StudyStatus:  # noqa: ANN401 - one of its words
    """The same, and trial 1 in another state."""
    trials = [
        replace(each, state=state) if each.number == 1 else each for each in facts.record.trials
    ]
    return replace(facts, record=replace(facts.record, trials=tuple(trials)))


@pytest.mark.parametrize("state", ["running", "complete"])
def test_what_is_wrong_at_one_reading_only_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    read = list[str]()

    def torn(store: StudyStore, study: StudyRef) -> StudyStatus:
        facts = study_facts(store, study)
        read.append(study.name)
        return with_state(facts, state) if len(read) == 1 else facts

    monkeypatch.setattr(look, "study_facts", torn)

    diagnosis = found()

    assert 0 == diagnosis.exit_code
    assert 2 == len(read)


def test_attempts_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, real = list[int](), Leases.attempts

    def counted(leases: Leases) -> object:
        calls.append(1)
        return real(leases)

    with the_study() as (store, study):
        monkeypatch.setattr(Leases, "attempts", counted)
        facts = study_facts(store, study)

    assert 1 == len(calls)
    assert all(each.tried for each in facts.record.trials)


def fail_the_run_of_a_trial_that_waits() -> None:
    with the_study(begin=4) as (store, study):
        claim, folder = taken(store, study)
        trained(claim, folder)
        claim.release()
        sent(store, study)
    client().set_terminated(mlflow_id(3), "FAILED")


def before(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Do something after the first look and before a status is set."""
    done = list[object]()

    def late(run: RunFolder) -> Seen:
        if not done:
            done.append(action())
        return see(run)

    monkeypatch.setattr(mend, "see", late)


def test_a_status_is_not_set_once_a_worker_has_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_the_run_of_a_trial_that_waits()
    with the_study() as (store, study):
        before(monkeypatch, lambda: taken_again(store, study))

        assert () == found(fix=True).done

    assert "FAILED" == record_of(3).info.status


def taken_again(store: StudyStore, study: StudyRef) -> None:
    """Let a worker have the trial whose folder is there already."""
    assert queue_of(store, study).claim(owner()) is not None


def test_a_status_is_not_set_while_a_record_is_sent() -> None:
    client().set_terminated(mlflow_id(1), "FINISHED")
    said: list[str] = []

    with UploadState(folder_of(1).path).sending():
        diagnosis = found(fix=True, tell=said.append)

    assert () == diagnosis.done
    assert ["another process sends the record of toy-001"] == said
    assert "FINISHED" == record_of(1).info.status


def test_the_status_of_a_run_that_began_anew_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = find_run("alone")
    run_id = stored(alone, embedded()).info.run_id
    client().update_run(run_id, status="RUNNING")
    before(monkeypatch, (alone.path / "outcome.json").unlink)

    assert () == found(fix=True).done
    assert "RUNNING" == client().get_run(run_id).info.status


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for."""
    monkeypatch.setattr(stores, "PATIENCE_S", 0.0)


@pytest.mark.usefixtures("impatient")
def test_studies_are_read_while_another_one_is_made() -> None:
    with the_study() as (store, _), store.locked("study another"):
        assert {} == wrong(found())


@pytest.mark.usefixtures("impatient")
def test_a_study_that_is_being_made_is_a_warning_and_its_folders_are_no_strangers() -> None:
    labels = read_labels(folder_of(2).path)
    assert labels is not None
    assert labels.parent is not None
    with the_study() as (store, _), store.locked("study young"):
        store.storage.create_new_study([StudyDirection.MINIMIZE], "young")
        new = replace(labels, study="young", trial=0, parent=replace(labels.parent, uid="new"))
        write_labels(find_run("alone").path, new)

        diagnosis = found()

    assert {"young: state": "warn"} == wrong(diagnosis)
    assert "somebody is making it" in check_of(diagnosis, "young: state").sentence
    assert "studies" not in {each.what for each in diagnosis.checks if each.area == "stale"}


@pytest.mark.usefixtures("impatient")
def test_a_study_whose_budget_grows_at_this_moment_is_a_warning() -> None:
    with the_study() as (store, _), store.locked("study toy"):
        change("UPDATE study_user_attributes SET value_json = '9' WHERE key = 'risexp.trials'")

        diagnosis = found()

        assert ({"toy: state": "warn"}, 0) == (wrong(diagnosis), diagnosis.exit_code)
    assert {"toy: I1": "fail"} == wrong(found())


def test_a_trial_that_an_end_does_not_name_is_a_violation() -> None:
    with the_study(begin=5) as (store, study):
        claim, _ = taken(store, study)
        end_study(store, study, "stopped by hand")
        claim.release()

        assert {} == wrong(found())

    told = json.dumps({"reason": "stopped by hand", "left": [4]})
    change("UPDATE study_user_attributes SET value_json = ? WHERE key = 'risexp.end'", told)
    diagnosis = found()

    assert ({"toy: I2": "fail"}, 4) == (wrong(diagnosis), diagnosis.exit_code)
    details = check_of(diagnosis, "toy: I2").details
    assert ("trial 3: it is waiting, and nothing says why",) == details
