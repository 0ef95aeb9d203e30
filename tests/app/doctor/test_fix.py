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
from risexp.hpo.studies.study import SLOT, SURPLUS
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.trial_result import TrialResult
from risexp.runs.folder import RunFolder, find_run
from risexp.tracking import schema
from risexp.tracking.stores import embedded
from risexp.tracking.upload_state import UploadState
from risexp.training.checkpoint_manifest import committed
from tests.support import homes
from tests.support.searches import begun
from tests.support.uploads import finished, from_template, stored
from tests.support.worker_processes import owner, queue_of


@pytest.fixture(autouse=True)
def no_patience(in_order: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Owners of expired leases get no time to renew them."""
    monkeypatch.setattr(fix, "PATIENCE_S", 0.0)
    return in_order


EXPIRED = "UPDATE risexp_attempts SET ended = NULL, expires_at = 0 WHERE run_id IN ('toy-000', ?)"


def test_expired_leases_are_given_back() -> None:
    """That of a waiting trial, of a final one, and of one that the budget has no slot for."""
    with homes.open_study(begin=5) as (store, study):
        handle = optuna.load_study(study_name=study.name, storage=store.storage)
        handle.enqueue_trial({}, user_attrs={SLOT: 4})
        begun(store, study.name, 5)
        claim, _ = homes.claimed(store, study)
        claim.finish(TrialResult("failed", "InvalidInput"))
        homes.claimed(store, study)
    homes.expire_leases()
    homes.change_studies(EXPIRED, SURPLUS)

    assert {"toy: I2": "fail", "toy: leases": "warn"} == homes.problems(homes.diagnose())

    sentences, diagnosis = homes.repaired()
    assert (
        "trial 0 of toy had an expired lease, and is complete",
        "trial 4 of toy had an expired lease, and is waiting",
        "trial 5 of toy had an expired lease, and is surplus",
    ) == sentences
    assert (homes.WAITING, 0) == (homes.problems(diagnosis), diagnosis.exit_code)
    end = homes.check_of(diagnosis, "toy: end")
    assert (("trial 4 waits",), True) == (end.details, "`risexp study stop NAME`" in end.sentence)


def test_a_running_trial_without_a_lease_gets_one_and_its_reaper_is_waited_for() -> None:
    with homes.open_study(begin=5) as (store, study):
        claim, _ = homes.claimed(store, study)
        Leases(store, study.uid).end(claim.lease, "died")
        homes.change_studies("UPDATE trials SET state = 'RUNNING' WHERE number = 4")

    diagnosis = homes.diagnose()
    assert {"toy: I2": "fail", "toy: leases": "warn"} == homes.problems(diagnosis)
    details = homes.check_of(diagnosis, "toy: I2").details
    assert ("trial 4: it is running, and nothing says why",) == details

    sentences, diagnosis = homes.repaired()
    assert 1 == len(sentences)
    assert "trial 4 of toy runs without a lease: it got one" in sentences[0]
    assert ({"toy: leases": "warn"}, 0) == (homes.problems(diagnosis), diagnosis.exit_code)
    sentence = homes.check_of(diagnosis, "toy: leases").sentence
    assert re.search(r"^trial 3 has no worker, and waits again in \d+ s \(and 1 more\)", sentence)

    homes.expire_leases()
    homes.change_studies("UPDATE risexp_attempts SET ended_at = 0 WHERE ended = 'died'")
    sentences, diagnosis = homes.repaired()
    assert {
        "trial 4 of toy had an expired lease, and is waiting",
        "trial 3 of toy ran without a lease, and is waiting",
    } == {*sentences}
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


def test_records_and_databases_are_repaired_together() -> None:
    with homes.open_study(begin=4) as (store, study):
        claim, folder = homes.claimed(store, study)
        homes.trained(claim, folder)
        homes.uploaded(store, study)
        claim.finish(TrialResult("failed", USED_UP))
    finished("late")
    homes.client().set_terminated(homes.mlflow_id(1), "FINISHED")
    for run in (stored(find_run("alone"), embedded()), homes.parent_run()):
        homes.client().update_run(run.info.run_id, status="RUNNING")
    (homes.folder_of(2).path / "mlflow.json").unlink()
    with closing(sqlite3.connect("mlruns/optuna.db")) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")

    diagnosis = homes.diagnose()
    assert {
        "toy: I5": "fail",
        "toy: run of the study": "warn",
        "unsent": "warn",
        "runs": "warn",
    } == homes.problems(diagnosis)
    assert "warn" == homes.check_of(diagnosis, "journal mode").verdict

    sentences, diagnosis = homes.repaired()
    assert (
        "optuna.db writes ahead",
        "the run of trial 3 of toy says it ended",
        "run late: 8 lines were sent to embedded",
        "run toy-002: 8 lines were sent to embedded",
        "run toy-003: 1 lines were sent to embedded",
        "the run of trial 1 of toy is KILLED",
        "run alone is FINISHED",
        "the run of study toy says how it ended",
    ) == sentences
    assert ({}, 0) == (homes.problems(diagnosis), diagnosis.exit_code)
    assert "ok" == homes.check_of(diagnosis, "journal mode").verdict
    assert "FAILED" == homes.run_of(3).info.status
    outcome = homes.folder_of(3).outcome()
    assert outcome is not None
    assert USED_UP == outcome.reason


def test_missing_tables_are_no_fault_and_made_on_request_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "new"
    monkeypatch.setenv("RISEXP_HOME", str(home))
    monkeypatch.setattr(schema, "_make_tables", from_template)

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


def test_the_failed_run_of_a_waiting_trial_runs_again_unless_a_worker_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with homes.open_study(begin=4) as (store, study):
        claim, folder = homes.claimed(store, study)
        homes.trained(claim, folder)
        claim.release()
        homes.uploaded(store, study)
        homes.client().set_terminated(homes.mlflow_id(3), "FAILED")
        queue, again = queue_of(store, study), list[Claim | None]()
        before_setting(monkeypatch, lambda: again.append(queue.claim(owner())))

        assert () == homes.diagnose(fix=True).done
        assert "FAILED" == homes.run_of(3).info.status

        (claimed,) = again
        assert claimed is not None
        claimed.release()
    assert {"toy: I5": "fail", **homes.WAITING} == homes.problems(homes.diagnose())
    sentences, diagnosis = homes.repaired()
    assert "the run of trial 3 of toy is RUNNING" in sentences
    assert homes.WAITING == homes.problems(diagnosis)


def test_a_status_is_not_set_during_an_upload_or_once_the_run_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    homes.client().set_terminated(homes.mlflow_id(1), "FINISHED")
    alone = find_run("alone")
    run_id = stored(alone, embedded()).info.run_id
    homes.client().update_run(run_id, status="RUNNING")
    before_setting(monkeypatch, (alone.path / "outcome.json").unlink)
    messages: list[str] = []

    with UploadState(homes.folder_of(1).path).sending():
        diagnosis = homes.diagnose(fix=True, tell=messages.append)

    assert () == diagnosis.done
    assert ["another process sends the record of toy-001"] == messages
    assert "FINISHED" == homes.run_of(1).info.status
    assert not (alone.path / "outcome.json").exists()
    assert "RUNNING" == homes.client().get_run(run_id).info.status


def test_what_would_lose_something_stays_with_advice() -> None:
    """Different values, surplus runs, damaged checkpoints, and a final run without an outcome."""
    ids = [homes.mlflow_id(number) for number in range(3)]
    homes.client().delete_run(ids[1])
    homes.client().set_terminated(ids[0], "FAILED")
    homes.duplicate_run(homes.run_of(0), "FINISHED")
    homes.change_tracking(
        "UPDATE metrics SET value = 7 WHERE key = 'beta' AND step = 3 AND run_uuid = ?",
        ids[2],
    )
    homes.flip_a_bit(2)
    homes.remove_an_outcome(2)
    files, before = sorted(homes.attempt(2).iterdir()), homes.client().get_run(ids[2])

    sentences, diagnosis = homes.repaired()

    assert ((), 4) == (sentences, diagnosis.exit_code)
    failed = ("toy: I5", "toy: values", "toy: folders", "toy: checkpoints")
    assert dict.fromkeys(failed, "fail") == homes.problems(diagnosis)
    runs, values = (homes.check_of(diagnosis, name) for name in ("toy: I5", "toy: values"))
    text = " ".join((runs.sentence, *runs.details))
    assert f"trial 1: it has 0 runs ({ids[1]} is in its mlflow.json)" in text
    assert f"trial 0: it has 2 runs ({ids[0]} is in its mlflow.json; " in text
    assert "`mlflow runs restore --run-id ID`" in text
    assert "`mlflow gc --run-ids ID`" in " ".join((values.sentence, *values.details))
    after = homes.client().get_run(ids[2])
    assert (before.info.status, before.data.tags) == (after.info.status, after.data.tags)
    assert files == sorted(homes.attempt(2).iterdir())
    assert 3 in committed(homes.attempt(2))
