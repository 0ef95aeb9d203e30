"""The doctor's checks of a home: a sound one passes, and every fault has its sentence."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from risexp.tracking.stores import embedded
from risexp.training.checkpoint_manifest import committed
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore
from tests.support.homes import (
    NAME,
    attempt,
    change_a_status,
    change_studies,
    change_tracking,
    check_of,
    client,
    diagnose,
    duplicate_run,
    folder_of,
    mlflow_id,
    parent_run,
    problems,
)
from tests.support.trainers import checkpoints
from tests.support.uploads import ask

pytestmark = pytest.mark.usefixtures("in_order")

DOCUMENTS = (
    "config.json",
    "plans.json",
    "labels.json",
    "journal.jsonl",
    "environment.json",
    "mlflow.json",
    "outcome.json",
)
Fault = tuple[Callable[[], object], str, str]


OF_TRIAL = "trial_id = (SELECT trial_id FROM trials WHERE number = ?)"
SLOT = "UPDATE trial_user_attributes SET value_json = '1' WHERE key = 'slot' AND value_json = '2'"
NO_REPORT = "DELETE FROM trial_intermediate_values WHERE step = 2 AND " + OF_TRIAL  # noqa: S608
REPORT = (
    "UPDATE trial_intermediate_values SET intermediate_value = 1.0 WHERE step = 2 AND "  # noqa: S608
    + OF_TRIAL
)
VALUE = "UPDATE trial_values SET value = 0.001 WHERE " + OF_TRIAL  # noqa: S608
PARAMETERS = "UPDATE risexp_attempts SET parameters = '{}' WHERE run_id = 'toy-002'"
METRIC = "UPDATE metrics SET value = value + 1 WHERE key = 'beta' AND step = 3 AND run_uuid = ?"
NO_METRIC = "DELETE FROM metrics WHERE key = 'beta' AND step = 1 AND run_uuid = ?"


def double_a_metric() -> None:
    (row,) = [each for each in client().get_metric_history(mlflow_id(0), "beta") if each.step == 2]
    client().log_metric(mlflow_id(0), "beta", row.value, row.timestamp + 1, step=2)


def flip_a_bit() -> None:
    path = max(attempt().glob("*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def lose_the_best() -> None:
    first, *_, last = checkpoints(3, "toy-002")
    progress = replace(last.state.progress, best=first.state.progress.best)
    later = replace(last, state=replace(last.state, progress=progress))
    CheckpointStore(attempt(2), CheckpointOwner("toy-002", last.config_sha)).save(later)


def remove_an_outcome() -> None:
    (folder_of(0).path / "outcome.json").unlink()


FAULTS: dict[str, Sequence[Fault]] = {
    "in the database": (
        (lambda: change_studies(SLOT), "I1", "2 trials have slot 1"),
        (lambda: change_studies(NO_REPORT, 0), "I3", "trial 0: it reported steps [1, 3]"),
        (lambda: change_studies(PARAMETERS), "I4", "trial 2: attempt 1 had other parameters"),
        (lambda: change_studies(REPORT, 1), "reports", "trial 1 reported 1.0 at epoch 2, and its "),
    ),
    "in MLflow": (
        (change_a_status, "I5", "trial 1: a pruned trial's run is FINISHED"),
        (double_a_metric, "I5", "trial 0: beta has 2 rows at step 2"),
        (lambda: duplicate_run(parent_run(), "FINISHED"), "I5", "the study itself has 2 runs"),
        (
            lambda: change_tracking(METRIC, mlflow_id(2)),
            "values",
            "trial 2: MLflow has beta = ",
        ),
        (
            lambda: change_tracking(NO_METRIC, mlflow_id(2)),
            "values",
            "trial 2: MLflow has no beta at epoch 1, and its journal has",
        ),
        (
            lambda: client().log_metric(mlflow_id(2), "beta", 0.5, step=9),
            "values",
            "trial 2: MLflow has beta at epoch 9, and its journal has not",
        ),
    ),
    "in run folders": (
        (lambda: change_studies(VALUE, 0), "scores", "trial 0 has value 0.001, and by its journal"),
        (flip_a_bit, "checkpoints", "does not have the checksum it was written with"),
        (lose_the_best, "checkpoints", "trial 2: the checkpoint of epoch 1, its best, is missing"),
        (remove_an_outcome, "folders", "trial 0 is complete, and its folder does not say how it "),
    ),
    "of lost folders": (
        (
            lambda: shutil.rmtree(folder_of(0).path),
            "folders",
            "trial 0 is complete and has a run, and no folder of it can be read here",
        ),
        (
            lambda: shutil.rmtree(attempt(2).parent),
            "checkpoints",
            "trial 2: it is complete, and no checkpoint of it is kept",
        ),
    ),
}


def test_a_sound_home_passes() -> None:
    diagnosis = diagnose()

    assert ({}, 0, ()) == (problems(diagnosis), diagnosis.exit_code, diagnosis.done)
    assert "2 complete, 1 pruned of 3 trials" == check_of(diagnosis, "toy: state").sentence
    rows = ask(embedded(), "SELECT 1 FROM metrics JOIN runs USING (run_uuid) WHERE name != 'alone'")
    compared = check_of(diagnosis, "toy: values").sentence
    assert f"{len(rows)} values in MLflow are those of the journals" == compared


@pytest.mark.parametrize("place", FAULTS)
def test_every_fault_fails_its_check(place: str) -> None:
    for plant, _, _ in FAULTS[place]:
        plant()

    diagnosis = diagnose()

    failing = {f"{NAME}: {what}": "fail" for _, what, _ in FAULTS[place]}
    assert (failing, 4) == (problems(diagnosis), diagnosis.exit_code)
    for _, what, sentence in FAULTS[place]:
        assert sentence in " ".join(check_of(diagnosis, f"{NAME}: {what}").details)


def test_a_damaged_journal_fails_without_hiding_other_checks() -> None:
    journal = folder_of(2).journal
    journal.write_text(journal.read_text("utf-8").replace("{", "", 1), encoding="utf-8")

    diagnosis = diagnose()

    assert "journal.jsonl is damaged at byte 0" in check_of(diagnosis, "toy: journals").details[0]
    assert 4 == diagnosis.exit_code


def test_fixing_moves_no_damaged_checkpoint_and_ends_no_run_without_an_outcome() -> None:
    flip_a_bit()
    remove_an_outcome()
    files, before = sorted(attempt().iterdir()), client().get_run(mlflow_id(0))

    diagnosis = diagnose(fix=True)

    after = client().get_run(mlflow_id(0))
    assert ((), 4) == (diagnosis.done, diagnosis.exit_code)
    assert (before.info.status, before.data.tags) == (after.info.status, after.data.tags)
    assert files == sorted(attempt().iterdir())
    assert 3 in committed(attempt())


def test_missing_and_damaged_documents_are_found() -> None:
    unseen = list[str]()
    for name in DOCUMENTS:
        path = folder_of(0).path / name
        content = path.read_bytes()
        for state in ("missing", "damaged"):
            path.unlink() if state == "missing" else path.write_bytes(b"{")
            unseen += [] if problems(diagnose()) else [f"{name} is {state}"]
        path.write_bytes(content)
    assert [] == unseen


def test_a_lost_run_id_is_repaired_by_uploading_again() -> None:
    (folder_of(0).path / "mlflow.json").unlink()

    assert {} == problems(diagnose(fix=True))
