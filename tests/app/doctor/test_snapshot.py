"""What the doctor calls no fault: trials at work, late uploads, other homes, changes meanwhile."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.study import StudyDirection

from risexp.app.doctor import snapshot, stores
from risexp.app.doctor.status import StudyStatus, study_status
from risexp.hpo.store.address import embedded as studies_url
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_study
from risexp.hpo.trials.trial_result import TrialResult
from risexp.runs.folder import find_run, list_runs
from risexp.runs.spec import read_labels, write_labels
from risexp.tracking.stores import OFF
from tests.support.homes import (
    NAME,
    attempt,
    change_a_status,
    change_studies,
    check_of,
    claimed,
    client,
    diagnose,
    folder_of,
    mlflow_id,
    open_study,
    problems,
    trained,
    uploaded,
)
from tests.support.uploads import new_run, train

pytestmark = pytest.mark.usefixtures("in_order")


def test_a_study_at_work_is_not_judged_by_the_trials_it_holds() -> None:
    """Its workers see to a lease that is over, and its other trials are judged."""
    with open_study(begin=5) as (store, study):
        claim, folder = claimed(store, study)
        trained(claim, folder)
        next(folder.attempts()[0].glob("*.safetensors")).unlink()
        change_studies(
            "UPDATE risexp_attempts SET ended = NULL, expires_at = 0 WHERE run_id = 'toy-000'"
        )

        diagnosis = diagnose()

        assert {} == problems(diagnosis)
        sentence = check_of(diagnosis, "toy: state").sentence
        assert "2 complete, 1 pruned, 1 running, 1 waiting of 5 trials; 1 at work" in sentence
        assert "toy: I2" not in {each.what for each in diagnosis.checks}
        (lease,) = check_of(diagnosis, "toy: leases").details
        assert "at trial 0 on" in lease

        change_a_status()
        (detail,) = check_of(diagnose(), "toy: I5").details
        assert f"trial 1: a pruned trial's run is FINISHED ({mlflow_id(1)} is in its " in detail


def test_the_run_of_a_trial_that_may_begin_at_any_moment_is_not_judged() -> None:
    with open_study(begin=5) as (store, study):
        (claim, folder), (other, _) = claimed(store, study), claimed(store, study)
        trained(claim, folder)
        uploaded(store, study)
        client().set_terminated(mlflow_id(3), "FAILED")
        claim.release()

        assert () == diagnose().failed

        other.release()
        assert ["toy: I5"] == [each.what for each in diagnose().failed]


def stop_tracking(number: int) -> None:
    """Make a trial one that was never to be tracked."""
    client().delete_run(mlflow_id(number))
    folder = folder_of(number).path
    labels = read_labels(folder)
    assert labels is not None
    write_labels(folder, replace(labels, store=OFF))
    (folder / "mlflow.json").unlink()


def test_trials_without_tracking_and_those_that_wrote_nothing_need_no_run() -> None:
    with open_study(begin=4) as (store, study):
        claim, _ = claimed(store, study)
        claim.finish(TrialResult("failed", "InvalidInput"))
    stop_tracking(1)
    assert {} == problems(diagnose())

    shutil.rmtree(folder_of(3).path)
    stop_tracking(0)
    stop_tracking(2)
    diagnosis = diagnose(NAME)
    assert {} == problems(diagnosis)
    assert not {"toy: I5", "toy: values"} & {each.what for each in diagnosis.checks}


def test_runs_of_another_home_under_the_same_name_are_left_out(in_order: Path) -> None:
    change_studies(
        "UPDATE study_user_attributes SET value_json = '\"other\"' WHERE key = 'risexp.uid'"
    )
    shutil.rmtree(in_order / "mlruns" / "runs")

    diagnosis = diagnose()

    assert not {"toy: I5", "toy: values"} & {each.what for each in diagnosis.checks}


def test_run_folders_of_a_deleted_study_are_a_warning_and_stay() -> None:
    with open_study() as (store, study):
        store.storage.delete_study(study.id)
    before = [each.run_id for each in list_runs()]

    diagnosis = diagnose(fix=True)

    stale = [check for check in diagnosis.checks if check.area == "stale"]
    assert {"studies"} == {check.what for check in stale if check.verdict != "ok"}
    assert () == diagnosis.done
    assert before == [each.run_id for each in list_runs()]


def test_leftovers_and_a_study_of_another_program_are_warnings_and_stay() -> None:
    """A run in training is not even a warning."""
    optuna.create_study(study_name="theirs", storage=studies_url())
    train(new_run("busy"))
    paths = [attempt() / "epoch-1.json.partial", attempt() / "epoch-2.safetensors.corrupt"]
    for path in paths:
        path.touch()
    os.utime(paths[0], (0, 0))

    with find_run("busy").held():
        diagnosis = diagnose(fix=True)
        of_one = problems(diagnose(NAME))

    leftovers = {"partial files": "warn", "checkpoints": "warn"}
    assert {"theirs: state": "warn", **leftovers} == problems(diagnosis)
    assert leftovers == of_one
    assert ((), 0) == (diagnosis.done, diagnosis.exit_code)
    assert "was not made by risexp" in check_of(diagnosis, "theirs: state").sentence
    assert "epoch-2.safetensors.corrupt" in check_of(diagnosis, "checkpoints").sentence
    assert all(path.exists() for path in paths)


def test_a_fault_of_one_reading_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = list[str]()

    def torn(store: StudyStore, study: StudyRef) -> StudyStatus:
        """At first with another state of trial 1."""
        status = study_status(store, study)
        readings.append(study.name)
        first, second, third = status.record.trials
        trials = (first, replace(second, state="complete"), third)
        record = replace(status.record, trials=trials)
        return replace(status, record=record) if len(readings) == 1 else status

    monkeypatch.setattr(snapshot, "study_status", torn)

    diagnosis = diagnose()

    assert (0, 2) == (diagnosis.exit_code, len(readings))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "PATIENCE_S", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_study_in_creation_is_a_warning_and_its_folders_are_no_strangers() -> None:
    labels = read_labels(folder_of(2).path)
    assert labels is not None
    assert labels.parent is not None
    with open_study() as (store, _), store.locked("study young"):
        store.storage.create_new_study([StudyDirection.MINIMIZE], "young")
        new = replace(labels, study="young", trial=0, parent=replace(labels.parent, uid="new"))
        write_labels(find_run("alone").path, new)

        diagnosis = diagnose()

    assert {"young: state": "warn"} == problems(diagnosis)
    assert "it is being created" in check_of(diagnosis, "young: state").sentence
    assert "studies" not in {check.what for check in diagnosis.checks if check.area == "stale"}


@pytest.mark.usefixtures("impatient")
def test_a_study_whose_budget_grows_at_this_moment_is_a_warning() -> None:
    with open_study() as (store, _), store.locked("study toy"):
        change_studies(
            "UPDATE study_user_attributes SET value_json = '9' WHERE key = 'risexp.trials'"
        )

        diagnosis = diagnose()

        assert ({"toy: state": "warn"}, 0) == (problems(diagnosis), diagnosis.exit_code)
    assert {"toy: I1": "fail"} == problems(diagnose())


def test_a_waiting_trial_that_the_end_does_not_name_violates_i2() -> None:
    with open_study(begin=5) as (store, study):
        claim, _ = claimed(store, study)
        end_study(store, study, "stopped by hand")
        claim.release()

        assert {} == problems(diagnose())

    end = json.dumps({"reason": "stopped by hand", "left": [4]})
    change_studies("UPDATE study_user_attributes SET value_json = ? WHERE key = 'risexp.end'", end)
    diagnosis = diagnose()

    assert ({"toy: I2": "fail"}, 4) == (problems(diagnosis), diagnosis.exit_code)
    details = check_of(diagnosis, "toy: I2").details
    assert ("trial 3: it is waiting, and nothing says why",) == details
