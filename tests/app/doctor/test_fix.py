"""`doctor --fix` repairs what loses nothing, past no living process; a second call does nothing."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from risexp.app.doctor import fix
from risexp.app.doctor.status import FolderState, folder_state
from risexp.hpo.store.leases import USED_UP, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import SLOT, SURPLUS, StudyRef
from risexp.hpo.trials.trial_result import TrialResult
from risexp.runs.folder import RunFolder, find_run
from risexp.tracking.stores import embedded
from risexp.tracking.upload_state import UploadState
from tests.support import homes
from tests.support.searches import begun
from tests.support.uploads import finished, stored
from tests.support.worker_processes import owner, queue_of


@pytest.fixture(autouse=True)
def no_patience(in_order: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Owners of expired leases get no time to renew them."""
    monkeypatch.setattr(fix, "PATIENCE_S", 0.0)
    return in_order


def fail_the_run_of_a_waiting_trial() -> None:
    with homes.open_study(begin=4) as (store, study):
        claim, folder = homes.claimed(store, study)
        homes.trained(claim, folder)
        claim.release()
        homes.uploaded(store, study)
    homes.client().set_terminated(homes.mlflow_id(3), "FAILED")


def test_expired_leases_are_given_back() -> None:
    homes.die_amid_a_trial()
    homes.change_studies(
        "UPDATE risexp_attempts SET ended = NULL, expires_at = 0 WHERE run_id = 'toy-000'"
    )

    assert {"toy: I2": "fail", "toy: leases": "warn"} == homes.problems(homes.diagnose())

    sentences, diagnosis = homes.repaired()
    assert "trial 3 of toy had an expired lease, and is waiting" in sentences
    assert "trial 0 of toy had an expired lease, and is complete" in sentences
    assert (homes.WAITING, 0) == (homes.problems(diagnosis), diagnosis.exit_code)


def test_the_lease_of_a_surplus_trial_is_ended() -> None:
    with homes.open_study(begin=4) as (store, study):
        handle = optuna.load_study(study_name=study.name, storage=store.storage)
        handle.enqueue_trial({}, user_attrs={SLOT: 3})
        begun(store, study.name, 4)
        claim = queue_of(store, study).claim(owner())
        assert claim is not None
        claim.finish(TrialResult("failed", "InvalidInput"))
    homes.change_studies(
        "UPDATE risexp_attempts SET ended = NULL, expires_at = 0 WHERE run_id = ?", SURPLUS
    )

    assert {"toy: leases": "warn"} == homes.problems(homes.diagnose())

    sentences, diagnosis = homes.repaired()
    assert "trial 4 of toy had an expired lease, and is surplus" in sentences
    assert {} == homes.problems(diagnosis)


def test_a_running_trial_without_a_lease_gets_one_first() -> None:
    with homes.open_study(begin=4):
        homes.change_studies("UPDATE trials SET state = 'RUNNING' WHERE number = 3")

    diagnosis = homes.diagnose()
    assert {"toy: I2": "fail", "toy: leases": "warn"} == homes.problems(diagnosis)
    details = homes.check_of(diagnosis, "toy: I2").details
    assert ("trial 3: it is running, and nothing says why",) == details

    sentences, diagnosis = homes.repaired()
    assert 1 == len(sentences)
    assert "trial 3 of toy runs without a lease: it got one" in sentences[0]
    assert ({"toy: leases": "warn"}, 0) == (homes.problems(diagnosis), diagnosis.exit_code)
    sentence = homes.check_of(diagnosis, "toy: leases").sentence
    assert re.search(r"^trial 3 has no worker, and waits again in \d+ s: once its time", sentence)

    homes.expire_leases()
    sentences, diagnosis = homes.repaired()
    assert ("trial 3 of toy had an expired lease, and is waiting",) == sentences
    assert homes.WAITING == homes.problems(diagnosis)


def test_a_trial_that_is_being_given_back_is_left_to_its_reaper() -> None:
    with homes.open_study(begin=4) as (store, study):
        claim, _ = homes.claimed(store, study)
        Leases(store, study.uid).end(claim.lease, "died")

    sentences, diagnosis = homes.repaired()

    assert ((), {"toy: leases": "warn"}) == (sentences, homes.problems(diagnosis))

    homes.change_studies("UPDATE risexp_attempts SET ended_at = 0 WHERE ended = 'died'")
    sentences, diagnosis = homes.repaired()
    assert ("trial 3 of toy ran without a lease, and is waiting",) == sentences
    assert homes.WAITING == homes.problems(diagnosis)


def test_owners_get_time_to_renew_their_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fix, "PATIENCE_S", 30.0)
    homes.die_amid_a_trial()
    waits: list[float] = []

    def renew(seconds: float) -> None:
        waits.append(seconds)
        homes.change_studies("UPDATE risexp_attempts SET expires_at = 9e9 WHERE ended IS NULL")

    monkeypatch.setattr(fix, "sleep", renew)

    diagnosis = homes.diagnose(fix=True)

    assert () == diagnosis.done
    assert max(waits) > 30.0
    assert {} == homes.problems(diagnosis)


def test_wrong_statuses_and_unsent_lines_are_repaired_together() -> None:
    finished("late")
    homes.client().set_terminated(homes.mlflow_id(1), "FINISHED")
    for run in (stored(find_run("alone"), embedded()), homes.parent_run()):
        homes.client().update_run(run.info.run_id, status="RUNNING")

    assert {
        "toy: I5": "fail",
        "toy: run of the study": "warn",
        "unsent": "warn",
        "runs": "warn",
    } == homes.problems(homes.diagnose())

    sentences, diagnosis = homes.repaired()
    assert (
        "run late: 8 lines were sent to embedded",
        "the run of trial 1 of toy is KILLED",
        "run alone is FINISHED",
        "the run of study toy says how it ended",
    ) == sentences
    assert ({}, 0) == (homes.problems(diagnosis), diagnosis.exit_code)


def test_the_failed_run_of_a_waiting_trial_runs_again() -> None:
    fail_the_run_of_a_waiting_trial()

    assert {"toy: I5": "fail", **homes.WAITING} == homes.problems(homes.diagnose())

    sentences, diagnosis = homes.repaired()
    assert "the run of trial 3 of toy is RUNNING" in sentences
    assert homes.WAITING == homes.problems(diagnosis)


def test_a_trial_without_attempts_left_gets_an_outcome_and_a_failed_run() -> None:
    with homes.open_study(begin=4) as (store, study):
        claim, folder = homes.claimed(store, study)
        homes.trained(claim, folder)
        homes.uploaded(store, study)
        claim.finish(TrialResult("failed", USED_UP))

    assert {"toy: I5": "fail"} == homes.problems(homes.diagnose())
    sentences, diagnosis = homes.repaired()
    assert "the run of trial 3 of toy says it ended" in sentences
    assert {} == homes.problems(diagnosis)
    assert "FAILED" == homes.run_of(3).info.status
    outcome = homes.folder_of(3).outcome()
    assert outcome is not None
    assert USED_UP == outcome.reason


def test_a_database_in_another_journal_mode_writes_ahead_again() -> None:
    with closing(sqlite3.connect("mlruns/optuna.db")) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")

    assert "warn" == homes.check_of(homes.diagnose(), "journal mode").verdict
    sentences, diagnosis = homes.repaired()
    assert ("optuna.db writes ahead",) == sentences
    assert "ok" == homes.check_of(diagnosis, "journal mode").verdict


def test_missing_tables_are_no_fault_and_made_on_request_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "new"
    monkeypatch.setenv("RISEXP_HOME", str(home))

    assert {} == homes.problems(homes.diagnose())
    assert not home.exists()

    sentences, diagnosis = homes.repaired()
    assert ("made the tables of studies", "made the tables of records") == sentences
    assert {} == homes.problems(diagnosis)
    assert {"mlflow.db", "optuna.db"} <= {path.name for path in (home / "mlruns").iterdir()}


def test_a_failed_repair_is_reported_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    homes.die_amid_a_trial()
    monkeypatch.setenv("RISEXP_TRACKING_URI", "http://127.0.0.1:9")
    finished("late", labels=None)
    messages: list[str] = []

    diagnosis = homes.diagnose(fix=True, tell=messages.append)

    assert ("trial 3 of toy had an expired lease, and is waiting",) == diagnosis.done
    assert any("run late was not sent: the store does not answer" in each for each in messages)
    assert {"records": "fail", "unsent": "warn", **homes.WAITING} == homes.problems(diagnosis)
    assert 1 == diagnosis.exit_code


def before_setting(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Act after the first reading and before a status is set."""
    done = list[object]()

    def late(run: RunFolder) -> FolderState:
        if not done:
            done.append(action())
        return folder_state(run)

    monkeypatch.setattr(fix, "folder_state", late)


def claim_again(store: StudyStore, study: StudyRef) -> None:
    assert queue_of(store, study).claim(owner()) is not None


def test_a_status_is_not_set_once_a_worker_has_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_the_run_of_a_waiting_trial()
    with homes.open_study() as (store, study):
        before_setting(monkeypatch, lambda: claim_again(store, study))

        assert () == homes.diagnose(fix=True).done

    assert "FAILED" == homes.run_of(3).info.status


def test_a_status_is_not_set_during_an_upload() -> None:
    homes.client().set_terminated(homes.mlflow_id(1), "FINISHED")
    messages: list[str] = []

    with UploadState(homes.folder_of(1).path).sending():
        diagnosis = homes.diagnose(fix=True, tell=messages.append)

    assert () == diagnosis.done
    assert ["another process sends the record of toy-001"] == messages
    assert "FINISHED" == homes.run_of(1).info.status


def test_the_status_of_a_run_that_began_anew_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = find_run("alone")
    run_id = stored(alone, embedded()).info.run_id
    homes.client().update_run(run_id, status="RUNNING")
    before_setting(monkeypatch, (alone.path / "outcome.json").unlink)

    assert () == homes.diagnose(fix=True).done
    assert "RUNNING" == homes.client().get_run(run_id).info.status


def test_different_values_and_surplus_runs_stay_with_advice() -> None:
    ids = [homes.mlflow_id(number) for number in range(3)]
    homes.client().delete_run(ids[1])
    homes.duplicate_run(homes.run_of(0), "FINISHED")
    homes.change_tracking(
        "UPDATE metrics SET value = 7 WHERE key = 'beta' AND step = 3 AND run_uuid = ?",
        ids[2],
    )

    sentences, diagnosis = homes.repaired()

    assert ((), 4) == (sentences, diagnosis.exit_code)
    assert {"toy: I5": "fail", "toy: values": "fail"} == homes.problems(diagnosis)
    runs, values = (homes.check_of(diagnosis, name) for name in ("toy: I5", "toy: values"))
    text = " ".join((runs.sentence, *runs.details))
    assert f"trial 1: it has 0 runs ({ids[1]} is in its mlflow.json)" in text
    assert f"trial 0: it has 2 runs ({ids[0]} is in its mlflow.json; " in text
    assert "`mlflow runs restore --run-id ID`" in text
    assert "`mlflow gc --run-ids ID`" in " ".join((values.sentence, *values.details))
