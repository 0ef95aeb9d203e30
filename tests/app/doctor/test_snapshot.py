"""A study is read again before a fault counts, and studies that change meanwhile are warnings."""

import json
from dataclasses import replace

import pytest
from optuna.study import StudyDirection

from risexp.app.doctor import snapshot, stores
from risexp.app.doctor.status import StudyStatus, study_status
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_study
from risexp.hpo.trials.invariants import State
from risexp.runs.folder import find_run
from risexp.runs.spec import read_labels, write_labels
from tests.support import homes

pytestmark = pytest.mark.usefixtures("in_order")


def with_state(status: StudyStatus, state: State) -> StudyStatus:
    """The same status with trial 1 in another state."""
    trials = [
        replace(trial, state=state) if trial.number == 1 else trial
        for trial in status.record.trials
    ]
    return replace(status, record=replace(status.record, trials=tuple(trials)))


@pytest.mark.parametrize("state", ["running", "complete"])
def test_a_fault_of_one_reading_does_not_count(
    monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    readings = list[str]()

    def torn(store: StudyStore, study: StudyRef) -> StudyStatus:
        status = study_status(store, study)
        readings.append(study.name)
        return with_state(status, state) if len(readings) == 1 else status

    monkeypatch.setattr(snapshot, "study_status", torn)

    diagnosis = homes.diagnose()

    assert (0, 2) == (diagnosis.exit_code, len(readings))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "PATIENCE_S", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_study_in_creation_is_a_warning_and_its_folders_are_no_strangers() -> None:
    labels = read_labels(homes.folder_of(2).path)
    assert labels is not None
    assert labels.parent is not None
    with homes.open_study() as (store, _), store.locked("study young"):
        store.storage.create_new_study([StudyDirection.MINIMIZE], "young")
        new = replace(labels, study="young", trial=0, parent=replace(labels.parent, uid="new"))
        write_labels(find_run("alone").path, new)

        diagnosis = homes.diagnose()

    assert {"young: state": "warn"} == homes.problems(diagnosis)
    assert "it is being created" in homes.check_of(diagnosis, "young: state").sentence
    assert "studies" not in {check.what for check in diagnosis.checks if check.area == "stale"}


@pytest.mark.usefixtures("impatient")
def test_a_study_whose_budget_grows_at_this_moment_is_a_warning() -> None:
    with homes.open_study() as (store, _), store.locked("study toy"):
        homes.change_studies(
            "UPDATE study_user_attributes SET value_json = '9' WHERE key = 'risexp.trials'"
        )

        diagnosis = homes.diagnose()

        assert ({"toy: state": "warn"}, 0) == (homes.problems(diagnosis), diagnosis.exit_code)
    assert {"toy: I1": "fail"} == homes.problems(homes.diagnose())


def test_a_waiting_trial_that_the_end_does_not_name_violates_i2() -> None:
    with homes.open_study(begin=5) as (store, study):
        claim, _ = homes.claimed(store, study)
        end_study(store, study, "stopped by hand")
        claim.release()

        assert {} == homes.problems(homes.diagnose())

    end = json.dumps({"reason": "stopped by hand", "left": [4]})
    homes.change_studies(
        "UPDATE study_user_attributes SET value_json = ? WHERE key = 'risexp.end'", end
    )
    diagnosis = homes.diagnose()

    assert ({"toy: I2": "fail"}, 4) == (homes.problems(diagnosis), diagnosis.exit_code)
    details = homes.check_of(diagnosis, "toy: I2").details
    assert ("trial 3: it is waiting, and nothing says why",) == details
