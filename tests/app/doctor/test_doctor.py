"""A check-up of a search: what is in order passes, and each fault is named."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from risexp.errors import InvalidInput
from risexp.hpo.store.address import embedded as studies_url
from risexp.hpo.trials.trial_result import TrialResult
from risexp.runs.spec import read_labels, write_labels
from risexp.tracking.stores import OFF, embedded
from tests.support.homes import (
    NAME,
    change,
    change_record,
    check_of,
    client,
    folder_of,
    found,
    mlflow_id,
    parent,
    record_of,
    sent,
    taken,
    the_study,
    trained,
    twin,
    wrong,
)
from tests.support.uploads import ask

pytestmark = pytest.mark.usefixtures("in_order")


def remove_a_trial() -> None:
    change("DELETE FROM trials WHERE number = 1")


def double_a_slot() -> None:
    change(
        "UPDATE trial_user_attributes SET value_json = '1' WHERE key = 'slot' AND value_json = '2'"
    )


def let_a_trial_run() -> None:
    change("UPDATE trials SET state = 'RUNNING' WHERE number = 1")


def remove_a_report() -> None:
    change(
        "DELETE FROM trial_intermediate_values WHERE step = 2 AND trial_id = "
        "(SELECT trial_id FROM trials WHERE number = 0)"
    )


def change_a_report() -> None:
    change(
        "UPDATE trial_intermediate_values SET intermediate_value = 1.0 WHERE step = 2 AND trial_id "
        "= (SELECT trial_id FROM trials WHERE number = 1)"
    )


def change_parameters() -> None:
    change("UPDATE risexp_attempts SET parameters = '{}' WHERE run_id = 'toy-002'")


def delete_a_run() -> None:
    client().delete_run(mlflow_id(1))


def change_a_status() -> None:
    client().set_terminated(mlflow_id(1), "FINISHED")


def double_a_value() -> None:
    (row,) = [each for each in client().get_metric_history(mlflow_id(0), "beta") if each.step == 2]
    client().log_metric(mlflow_id(0), "beta", row.value, row.timestamp + 1, step=2)


def change_a_value() -> None:
    change_record(
        "UPDATE metrics SET value = value + 1 WHERE key = 'beta' AND step = 3 AND run_uuid = ?",
        mlflow_id(2),
    )


def remove_a_value() -> None:
    change_record(
        "DELETE FROM metrics WHERE key = 'beta' AND step = 1 AND run_uuid = ?", mlflow_id(2)
    )


def damage_a_journal() -> None:
    text = folder_of(0).journal.read_text("utf-8")
    folder_of(0).journal.write_text(text.replace("{", "", 1), encoding="utf-8")


FAULTS: dict[str, tuple[Callable[[], object], str, str]] = {
    "a trial is gone": (remove_a_trial, "I1", "no trial has slot 1"),
    "a slot is taken twice": (double_a_slot, "I1", "2 trials have slot 1"),
    "nobody runs a trial": (let_a_trial_run, "I2", "trial 1: it is running, and nothing says why"),
    "a report is missing": (remove_a_report, "I3", "trial 0: it reported steps [1, 3]"),
    "an attempt differs": (change_parameters, "I4", "trial 2: attempt 1 had other parameters"),
    "a run is there twice": (
        lambda: twin(record_of(0), "FINISHED"),
        "I5",
        "trial 0: it has 2 runs",
    ),
    "a run is gone": (delete_a_run, "I5", "trial 1: it has 0 runs"),
    "a status is another one": (
        change_a_status,
        "I5",
        "trial 1: a pruned trial's run is FINISHED",
    ),
    "a row is there twice": (double_a_value, "I5", "trial 0: beta has 2 rows at step 2"),
    "the study has two runs": (
        lambda: twin(parent(), "FINISHED"),
        "I5",
        "the study itself has 2 runs",
    ),
    "a value is another one": (change_a_value, "values", "trial 2: MLflow has beta = "),
    "a value is missing": (
        remove_a_value,
        "values",
        "trial 2: MLflow has no beta at epoch 1, and its journal has",
    ),
    "a value is nobody's": (
        lambda: client().log_metric(mlflow_id(2), "beta", 0.5, step=9),
        "values",
        "trial 2: MLflow has beta at epoch 9, and its journal has not",
    ),
    "a report is another one": (
        change_a_report,
        "reports",
        "trial 1 reported 1.0 at epoch 2, and its journal says 3.25",
    ),
    "a journal is damaged": (damage_a_journal, "journals", "journal.jsonl is damaged at byte 0"),
}


def test_what_is_in_order_passes() -> None:
    diagnosis = found()

    assert ({}, 0, ()) == (wrong(diagnosis), diagnosis.exit_code, diagnosis.done)
    assert "2 complete, 1 pruned of 3 trials" == check_of(diagnosis, "toy: state").sentence
    rows = ask(embedded(), "SELECT 1 FROM metrics JOIN runs USING (run_uuid) WHERE name != 'alone'")
    compared = check_of(diagnosis, "toy: values").sentence
    assert f"{len(rows)} values in MLflow are those of the journals" == compared


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault: str) -> None:
    plant, what, sentence = FAULTS[fault]
    plant()

    diagnosis = found()

    check = check_of(diagnosis, f"toy: {what}")
    assert ("fail", 4) == (check.verdict, diagnosis.exit_code)
    assert sentence in " ".join(check.details)
    assert check in diagnosis.failed


def test_a_study_at_work_is_not_judged_by_what_it_holds() -> None:
    with the_study(begin=5) as (store, study):
        taken(store, study)

        diagnosis = found()

        assert {} == wrong(diagnosis)
        said = check_of(diagnosis, "toy: state").sentence
        assert "2 complete, 1 pruned, 1 running, 1 waiting of 5 trials; 1 at work" in said
        assert "toy: I2" not in {each.what for each in diagnosis.checks}


def test_the_run_of_a_trial_that_may_begin_at_any_moment_is_not_judged() -> None:
    with the_study(begin=5) as (store, study):
        (claim, folder), (other, _) = taken(store, study), taken(store, study)
        trained(claim, folder)
        sent(store, study)
        client().set_terminated(mlflow_id(3), "FAILED")
        claim.release()

        assert () == found().failed

        other.release()
        assert ["toy: I5"] == [each.what for each in found().failed]


def test_a_trial_that_waits_is_told_and_is_no_violation() -> None:
    with the_study(begin=4):
        pass

    diagnosis = found()

    assert ({"toy: end": "warn"}, 0) == (wrong(diagnosis), diagnosis.exit_code)


def test_a_trial_that_failed_before_it_wrote_anything_needs_no_run() -> None:
    with the_study(begin=4) as (store, study):
        claim, _ = taken(store, study)
        claim.finish(TrialResult("failed", "InvalidInput"))

    assert {} == wrong(found())


def record_nowhere(number: int) -> None:
    """Let a trial be one that was never to be recorded."""
    client().delete_run(mlflow_id(number))
    folder = folder_of(number).path
    labels = read_labels(folder)
    assert labels is not None
    write_labels(folder, replace(labels, store=OFF))
    (folder / "mlflow.json").unlink()


def test_a_trial_that_is_recorded_nowhere_needs_no_run() -> None:
    record_nowhere(1)

    assert {} == wrong(found())


def test_a_record_that_is_nowhere_is_not_asked_for() -> None:
    for number in range(3):
        record_nowhere(number)

    diagnosis = found(NAME)

    assert {} == wrong(diagnosis)
    assert not {"toy: I5", "toy: values"} & {each.what for each in diagnosis.checks}


def test_runs_of_another_home_under_the_same_name_are_left_out(in_order: Path) -> None:
    change("UPDATE study_user_attributes SET value_json = '\"other\"' WHERE key = 'risexp.uid'")
    shutil.rmtree(in_order / "mlruns" / "runs")

    diagnosis = found()

    assert not {"toy: I5", "toy: values"} & {each.what for each in diagnosis.checks}


def test_a_study_of_other_tools_is_said_and_left_alone() -> None:
    optuna.create_study(study_name="theirs", storage=studies_url())

    diagnosis = found()

    assert {"theirs: state": "warn"} == wrong(diagnosis)
    assert "was not made by risexp" in check_of(diagnosis, "theirs: state").sentence


def test_only_the_studies_that_are_named_are_looked_at() -> None:
    optuna.create_study(study_name="theirs", storage=studies_url())

    assert {} == wrong(found(NAME))


@pytest.mark.parametrize("fix", [False, True])
def test_a_study_that_is_not_there_is_refused(fix: bool) -> None:
    with pytest.raises(InvalidInput, match="there is no study 'tox'"):
        found("tox", fix=fix)


def test_a_sound_trial_beside_a_late_one_is_judged() -> None:
    with the_study(begin=4) as (store, study):
        claim, folder = taken(store, study)
        trained(claim, folder)
        change_a_status()

        diagnosis = found()

    (detail,) = check_of(diagnosis, "toy: I5").details
    assert f"trial 1: a pruned trial's run is FINISHED ({mlflow_id(1)} is in its " in detail
