"""What was left behind is told, and mended where that loses nothing; a second time does nothing."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from risexp.app.doctor import fix as mend
from risexp.hpo.store.leases import USED_UP
from risexp.hpo.studies.study import SLOT, SURPLUS
from risexp.hpo.trials.trial_result import TrialResult
from risexp.runs.folder import find_run
from risexp.runs.outcome import complete
from risexp.tracking.stores import embedded
from risexp.tracking.upload_state import UploadState
from tests.support.homes import (
    WAITS,
    change,
    change_record,
    check_of,
    client,
    die_amid_a_trial,
    folder_of,
    found,
    mended,
    mlflow_id,
    parent,
    record_of,
    sent,
    taken,
    the_study,
    trained,
    wrong,
)
from tests.support.searches import begun
from tests.support.uploads import due, finished, held, stored
from tests.support.worker_processes import owner, queue_of


@pytest.fixture(autouse=True)
def at_once(in_order: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Owners of leases that are over get no time to renew them."""
    monkeypatch.setattr(mend, "PATIENCE_S", 0.0)
    return in_order


def die_after_telling() -> None:
    change("UPDATE risexp_attempts SET ended = NULL, expires_at = 0 WHERE run_id = 'toy-000'")


def die_closing_a_second_trial() -> None:
    with the_study(begin=4) as (store, study):
        handle = optuna.load_study(study_name=study.name, storage=store.storage)
        handle.enqueue_trial({}, user_attrs={SLOT: 3})
        begun(store, study.name, 4)
        claim = queue_of(store, study).claim(owner())
        assert claim is not None
        claim.finish(TrialResult("failed", "InvalidInput"))
    change("UPDATE risexp_attempts SET ended = NULL, expires_at = 0 WHERE run_id = ?", SURPLUS)


def leave_a_trial_unsent() -> None:
    with the_study(begin=4) as (store, study):
        claim, folder = taken(store, study)
        trained(claim, folder)
        folder.close(complete("finished", 3))
        claim.finish(TrialResult("complete", "finished", 3.25))


def leave_a_run_unsent() -> None:
    finished("late")


def use_up_a_trial() -> None:
    with the_study(begin=4) as (store, study):
        claim, folder = taken(store, study)
        trained(claim, folder)
        sent(store, study)
        claim.finish(TrialResult("failed", USED_UP))


def fail_the_run_of_a_trial_that_waits() -> None:
    with the_study(begin=4) as (store, study):
        claim, folder = taken(store, study)
        trained(claim, folder)
        claim.release()
        sent(store, study)
    client().set_terminated(mlflow_id(3), "FAILED")


def change_a_status() -> None:
    client().set_terminated(mlflow_id(1), "FINISHED")


def let_a_run_go_on() -> None:
    run = stored(find_run("alone"), embedded())
    client().update_run(run.info.run_id, status="RUNNING")


def let_the_study_go_on() -> None:
    client().update_run(parent().info.run_id, status="RUNNING")


def write_in_place() -> None:
    with closing(sqlite3.connect("mlruns/optuna.db")) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


LEFT: dict[str, tuple[Callable[[], None], dict[str, str], str, dict[str, str]]] = {
    "a lease is over": (
        die_amid_a_trial,
        {"toy: I2": "fail", "toy: leases": "warn"},
        "trial 3 of toy was held by nobody, and is waiting",
        WAITS,
    ),
    "a lease of a trial that is done is over": (
        die_after_telling,
        {"toy: I2": "fail", "toy: leases": "warn"},
        "trial 0 of toy was held by nobody, and is complete",
        {},
    ),
    "a lease of a second trial that was closed is over": (
        die_closing_a_second_trial,
        {"toy: leases": "warn"},
        "trial 4 of toy was held by nobody, and is surplus",
        {},
    ),
    "a trial is unsent": (
        leave_a_trial_unsent,
        {"unsent": "warn"},
        "run toy-003: 8 lines were sent to embedded",
        {},
    ),
    "a run is unsent": (
        leave_a_run_unsent,
        {"unsent": "warn"},
        "run late: 8 lines were sent to embedded",
        {},
    ),
    "a status is another one": (
        change_a_status,
        {"toy: I5": "fail"},
        "the run of trial 1 of toy is KILLED",
        {},
    ),
    "a run that is to go on failed": (
        fail_the_run_of_a_trial_that_waits,
        {"toy: I5": "fail", **WAITS},
        "the run of trial 3 of toy is RUNNING",
        WAITS,
    ),
    "a run goes on that ended": (
        let_a_run_go_on,
        {"runs": "warn"},
        "run alone is FINISHED",
        {},
    ),
    "a study goes on that ended": (
        let_the_study_go_on,
        {"toy: run of the study": "warn"},
        "the run of study toy says how it ended",
        {},
    ),
}


@pytest.mark.parametrize("left", LEFT)
def test_what_was_left_is_told_and_mended(left: str) -> None:
    leave, before, done, after = LEFT[left]
    leave()

    assert before == wrong(found())

    said, diagnosis = mended()
    assert done in said
    assert after == wrong(diagnosis)
    assert 0 == diagnosis.exit_code


def test_a_trial_whose_attempts_are_used_up_has_a_run_that_failed() -> None:
    use_up_a_trial()

    assert {"toy: I5": "fail"} == wrong(found())
    said, diagnosis = mended()
    assert "the run of trial 3 of toy says it ended" in said
    assert {} == wrong(diagnosis)
    assert "FAILED" == record_of(3).info.status
    outcome = folder_of(3).outcome()
    assert outcome is not None
    assert USED_UP == outcome.reason


def test_what_is_sent_is_what_the_journal_says() -> None:
    leave_a_trial_unsent()
    mended()

    assert due(folder_of(3)) == held(folder_of(3), embedded())
    assert "FINISHED" == record_of(3).info.status
    assert 0 == UploadState(folder_of(3).path).unsent()


def test_a_database_that_does_not_write_ahead_does_so_again() -> None:
    write_in_place()

    assert "warn" == check_of(found(), "journal mode").verdict
    said, diagnosis = mended()
    assert ("optuna.db writes ahead",) == said
    assert "ok" == check_of(diagnosis, "journal mode").verdict


def test_missing_tables_are_no_fault_and_made_only_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "new"
    monkeypatch.setenv("RISEXP_HOME", str(home))

    assert {} == wrong(found())
    assert not home.exists()

    said, diagnosis = mended()
    assert ("made the tables of studies", "made the tables of records") == said
    assert {} == wrong(diagnosis)
    assert {"mlflow.db", "optuna.db"} <= {path.name for path in (home / "mlruns").iterdir()}


def test_what_cannot_be_mended_is_told_and_the_rest_is_mended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    die_amid_a_trial()
    monkeypatch.setenv("RISEXP_TRACKING_URI", "http://127.0.0.1:9")
    finished("late", labels=None)
    said: list[str] = []

    diagnosis = found(fix=True, tell=said.append)

    assert ("trial 3 of toy was held by nobody, and is waiting",) == diagnosis.done
    assert any("run late was not sent: the store does not answer" in each for each in said)
    assert {"records": "fail", "unsent": "warn", **WAITS} == wrong(diagnosis)
    assert 1 == diagnosis.exit_code


def test_a_value_that_differs_stays_as_it_is() -> None:
    change_record(
        "UPDATE metrics SET value = 7 WHERE key = 'beta' AND step = 3 AND run_uuid = ?",
        mlflow_id(2),
    )

    said, diagnosis = mended()

    assert ((), {"toy: values": "fail"}, 4) == (said, wrong(diagnosis), diagnosis.exit_code)
