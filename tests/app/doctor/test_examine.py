"""The doctor's checks of a home: a sound one passes, and every fault has its sentence."""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from risexp.app.doctor import tracking_checks
from risexp.app.doctor.stores import studies_store
from risexp.hpo.studies.hosts import HostNote
from risexp.hpo.studies.study import find_study
from risexp.runs.journal import STARTED, Row
from risexp.runs.journal_writer import Journal
from risexp.tracking.sent_metrics import sent_values
from risexp.tracking.stores import embedded
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
    flip_a_bit,
    folder_of,
    mlflow_id,
    parent_run,
    problems,
    remove_an_outcome,
)
from tests.support.recorded_runs import without_spares
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


def damage_a_journal() -> None:
    journal = folder_of(1).journal
    without_spares(journal.parent)
    journal.write_text(journal.read_text("utf-8").replace("{", "", 1), encoding="utf-8")


def lose_the_best() -> None:
    first, *_, last = checkpoints(3, "toy-002")
    progress = replace(last.state.progress, best=first.state.progress.best)
    later = replace(last, state=replace(last.state, progress=progress))
    CheckpointStore(attempt(2), CheckpointOwner("toy-002", last.config_sha)).save(later)


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
        (
            damage_a_journal,
            "journals",
            "trial 1: 1 lines of its journal are damaged in both copies",
        ),
        (lambda: change_studies(VALUE, 0), "scores", "trial 0 has value 0.001, and by its journal"),
        (lambda: flip_a_bit(0), "checkpoints", "does not have the checksum it was written with"),
        (lose_the_best, "checkpoints", "trial 2: the checkpoint of epoch 1, its best, is missing"),
        (
            lambda: remove_an_outcome(0),
            "folders",
            "trial 0 is complete, and its folder does not say how it ",
        ),
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
    machine = [check.what for check in diagnosis.checks if check.area == "environment"]
    assert ["versions", "devices", "disk", "home", "journal mode"] == machine
    assert "2 complete, 1 pruned of 3 trials" == check_of(diagnosis, "toy: state").sentence
    rows = ask(embedded(), "SELECT 1 FROM metrics JOIN runs USING (run_uuid) WHERE name != 'alone'")
    compared = check_of(diagnosis, "toy: values").sentence
    assert f"{len(rows)} values in MLflow are those of the journals" == compared


def test_values_of_a_sound_home_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list[int]()

    def counted(row: Row, keys: frozenset[str]) -> dict[str, float]:
        rows.append(row.step)
        return sent_values(row, keys)

    monkeypatch.setattr(tracking_checks, "sent_values", counted)

    assert {} == problems(diagnose())

    assert 3 * [1, 2, 3] == rows


@pytest.mark.parametrize("place", FAULTS)
def test_every_fault_fails_its_check(place: str) -> None:
    for plant, _, _ in FAULTS[place]:
        plant()

    diagnosis = diagnose()

    failing = {f"{NAME}: {what}": "fail" for _, what, _ in FAULTS[place]}
    assert (failing, 4) == (problems(diagnosis), diagnosis.exit_code)
    for _, what, sentence in FAULTS[place]:
        assert sentence in " ".join(check_of(diagnosis, f"{NAME}: {what}").details)


def test_missing_and_damaged_documents_are_found() -> None:
    """The document of one run is missing and that of another one damaged, and both are named."""
    for number in (0, 2):
        without_spares(folder_of(number).path)
    for name in DOCUMENTS:
        missing, damaged = (folder_of(number).path / name for number in (0, 2))
        contents = missing.read_bytes(), damaged.read_bytes()
        missing.unlink()
        damaged.write_bytes(b"{")

        checks = diagnose().checks

        faults = " ".join(" ".join(each.details) for each in checks if each.verdict != "ok")
        assert re.search("toy-000|trial 0", faults), name
        assert re.search("toy-002|trial 2", faults), name
        missing.write_bytes(contents[0])
        damaged.write_bytes(contents[1])


def test_a_lost_store_is_a_fault_of_every_run_that_was_sent() -> None:
    database = embedded().database
    assert database is not None
    database.unlink()

    check = check_of(diagnose(), "sent")

    names = ("alone", "toy-000", "toy-001", "toy-002")
    assert ("fail", True) == (check.verdict, "`risexp sync --again`" in check.sentence)
    assert {f"run {name}: embedded has lost it" for name in names} == {*check.details}


def zombie_writes() -> None:
    """A worker that lost trial 1 after its check writes its row after all."""
    folder = folder_of(1)
    (folder.path / "checkpoints" / "attempt-02").mkdir()
    folder.open_journal().note(1, STARTED, {})
    Journal(folder.journal, "toy-001", attempt=1).write(9, {"beta": 0.5})


def test_what_is_no_fault_of_the_record_is_told_all_the_same() -> None:
    zombie_writes()
    flip_a_bit(0, newest=False)
    folder = folder_of(2).path
    (folder / "config.json").write_bytes(b"{")
    with studies_store() as opened:
        assert opened.store is not None
        HostNote(opened.store, find_study(opened.store, NAME), "far").set("the disk is full")

    diagnosis = diagnose()

    for what, sentence in (
        (f"{NAME}: late lines", "trial 1: 1 lines of attempt 1 came late"),
        (f"{NAME}: hosts", "host far claims no trial: the disk is full"),
        (f"{NAME}: old checkpoints", "does not have the checksum it was written with"),
        ("small files", "toy-002/config.json"),
    ):
        check = check_of(diagnosis, what)
        assert ("warn", True) == (check.verdict, sentence in check.details[0])
