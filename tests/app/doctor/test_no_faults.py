"""What the doctor calls no fault: trials at work, late uploads, other homes, and leftovers."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from risexp.hpo.store.address import embedded as studies_url
from risexp.hpo.trials.trial_result import TrialResult
from risexp.runs.folder import list_runs
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
    with open_study(begin=5) as (store, study):
        claim, folder = claimed(store, study)
        trained(claim, folder)
        next(folder.attempts()[0].glob("*.safetensors")).unlink()

        diagnosis = diagnose()

        assert {} == problems(diagnosis)
        sentence = check_of(diagnosis, "toy: state").sentence
        assert "2 complete, 1 pruned, 1 running, 1 waiting of 5 trials; 1 at work" in sentence
        assert "toy: I2" not in {each.what for each in diagnosis.checks}


def test_workers_see_to_a_lease_that_is_over_and_it_is_listed() -> None:
    change_studies("UPDATE risexp_attempts SET ended = NULL, expires_at = 0 WHERE run_id='toy-000'")
    with open_study(begin=5) as (store, study):
        claim, _ = claimed(store, study)

        leases = check_of(diagnose(), "toy: leases")

        claim.release()
    assert ("ok", 1) == (leases.verdict, len(leases.details))
    assert "at trial 0 on" in leases.details[0]


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


def test_a_sound_trial_beside_a_late_one_is_judged() -> None:
    with open_study(begin=4) as (store, study):
        claim, folder = claimed(store, study)
        trained(claim, folder)
        change_a_status()

        diagnosis = diagnose()

    (detail,) = check_of(diagnosis, "toy: I5").details
    assert f"trial 1: a pruned trial's run is FINISHED ({mlflow_id(1)} is in its " in detail


def test_a_waiting_trial_is_a_warning() -> None:
    with open_study(begin=4):
        pass

    diagnosis = diagnose()

    assert ({"toy: end": "warn"}, 0) == (problems(diagnosis), diagnosis.exit_code)
    assert "`risexp study stop NAME` writes one" in check_of(diagnosis, "toy: end").sentence


def test_a_trial_that_failed_before_it_wrote_anything_needs_no_run() -> None:
    with open_study(begin=4) as (store, study):
        claim, _ = claimed(store, study)
        claim.finish(TrialResult("failed", "InvalidInput"))

    assert {} == problems(diagnose())


def stop_tracking(number: int) -> None:
    """Make a trial one that was never to be tracked."""
    client().delete_run(mlflow_id(number))
    folder = folder_of(number).path
    labels = read_labels(folder)
    assert labels is not None
    write_labels(folder, replace(labels, store=OFF))
    (folder / "mlflow.json").unlink()


def test_trials_without_tracking_need_no_run() -> None:
    stop_tracking(1)
    assert {} == problems(diagnose())

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


def test_a_study_of_another_program_is_a_warning_unless_other_studies_are_named() -> None:
    optuna.create_study(study_name="theirs", storage=studies_url())

    diagnosis = diagnose()

    assert {"theirs: state": "warn"} == problems(diagnosis)
    assert "was not made by risexp" in check_of(diagnosis, "theirs: state").sentence
    assert {} == problems(diagnose(NAME))


def test_a_run_in_training_is_not_called_unsent() -> None:
    folder = new_run("busy")
    train(folder)

    with folder.held():
        assert {} == problems(diagnose())
        assert () == diagnose(fix=True).done
    assert {"unsent": "warn"} == problems(diagnose())


def test_run_folders_of_a_deleted_study_are_a_warning_and_stay() -> None:
    with open_study() as (store, study):
        store.storage.delete_study(study.id)
    before = [each.run_id for each in list_runs()]

    diagnosis = diagnose(fix=True)

    stale = [check for check in diagnosis.checks if check.area == "stale"]
    assert {"studies"} == {check.what for check in stale if check.verdict != "ok"}
    assert () == diagnosis.done
    assert before == [each.run_id for each in list_runs()]


def test_partial_and_damaged_files_are_warnings_and_stay() -> None:
    paths = [attempt() / "epoch-1.json.partial", attempt() / "epoch-2.safetensors.corrupt"]
    for path in paths:
        path.touch()
    os.utime(paths[0], (0, 0))

    diagnosis = diagnose(fix=True)

    assert ((), 0) == (diagnosis.done, diagnosis.exit_code)
    assert {"partial files": "warn", "checkpoints": "warn"} == problems(diagnosis)
    assert "epoch-2.safetensors.corrupt" in check_of(diagnosis, "checkpoints").sentence
    assert all(path.exists() for path in paths)
