"""The record of a search: one sender for all trials, and what it could not send."""

import shutil
from pathlib import Path

import pytest

from risexp.app.study_record import (
    StudyRecord,
    close_used_up,
    say_of_study,
    study_labels,
)
from risexp.hpo.breaker import FAILING
from risexp.hpo.studies import StudyRef
from risexp.hpo.table import StudyTable, TrialRow, TrialWord
from risexp.tracking.spool import Spool
from risexp.tracking.stores import Store, embedded
from tests.records import ask, due, finished, held, place, run_ids

STUDY = StudyRef("toy", 1, "0123456789abcdef", 3, {})


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An embedded store that is there."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    return place(embedded())


def test_runs_are_filed_under_their_study(store: Store) -> None:
    labels = study_labels(STUDY, "smoke", store)

    assert ("embedded", "smoke", "toy") == (labels.store, labels.preset, labels.study)
    assert labels.parent is not None
    assert (STUDY.name, STUDY.uid) == (labels.parent.name, labels.parent.uid)
    assert "off" == study_labels(STUDY, None, None).store


def test_all_trials_are_in_the_store_when_a_search_has_ended(store: Store) -> None:
    labels = study_labels(STUDY, "smoke", store)
    with StudyRecord(STUDY, store) as record:
        folders = [finished(f"toy-00{number}", labels=labels) for number in (0, 2)]

    assert record.failure is None
    assert 0 == record.unsent()
    for folder in folders:
        assert 1 == len(run_ids(folder, store))
        assert due(folder) == held(folder, store)
    parents = ask(
        store,
        "SELECT DISTINCT p.value FROM tags p WHERE p.key = 'mlflow.parentRunId'",
    )
    assert 1 == len(parents)


def test_a_run_of_another_study_is_left_alone(store: Store) -> None:
    other = finished("toys-000", labels=study_labels(STUDY, None, store))
    with StudyRecord(STUDY, store) as record:
        pass

    assert (None, 0) == (record.failure, record.unsent())
    assert [] == run_ids(other, store)


def test_what_a_store_misses_is_counted_and_said(store: Store) -> None:
    assert store.database is not None
    shutil.rmtree(store.database.parent)
    store.database.parent.write_text("no folder", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISEXP_HOME", str(store.database.parents[1] / "other"))
        folder = finished("toy-000", labels=study_labels(STUDY, None, store))
        with StudyRecord(STUDY, store) as record:
            pass

        assert record.failure is not None
        assert Spool(folder.path).unsent() == record.unsent() > 0


def test_a_study_that_is_not_recorded_misses_nothing(store: Store) -> None:
    finished("toy-000", labels=study_labels(STUDY, None, None))
    with StudyRecord(STUDY, None) as record:
        pass

    assert (None, 0) == (record.failure, record.unsent())
    assert [] == ask(store, "SELECT run_uuid FROM runs")


def trial(number: int, state: TrialWord, reason: str | None, value: float | None) -> TrialRow:
    """A trial of the study."""
    return TrialRow(number, state, reason, 3, 2, 4.0, 4.0, value, {}, None)


def test_a_trial_whose_attempts_are_used_up_has_a_run_that_failed(store: Store) -> None:
    labels = study_labels(STUDY, "smoke", store)
    done, dead = (finished(f"toy-00{number}", labels=labels) for number in (0, 1))
    before = done.outcome()
    (dead.path / "outcome.json").unlink()
    rows = (trial(0, "complete", "finished", 4.0), trial(1, "failed", "attempts", None))

    with StudyRecord(STUDY, store):
        close_used_up(StudyTable("toy", 2, None, rows))

    assert before == done.outcome()
    outcome = dead.outcome()
    assert outcome is not None
    assert ("failed", "attempts") == (outcome.status, outcome.reason)
    states = ask(store, "SELECT name, status FROM runs WHERE name LIKE 'toy-%' ORDER BY name")
    assert [("toy-000", "FINISHED"), ("toy-001", "FAILED")] == states


@pytest.mark.parametrize(
    ("state", "ended", "status"),
    [
        ("complete", None, "FINISHED"),
        ("waiting", "stopped by hand", "KILLED"),
        ("waiting", FAILING, "FAILED"),
        ("waiting", "k_loc 3.9 is below 4, though one failed", "KILLED"),
    ],
)
def test_the_run_of_a_study_says_how_it_ended(
    store: Store, state: TrialWord, ended: str | None, status: str
) -> None:
    value = 4.0 if state == "complete" else None
    table = StudyTable("toy", 1, ended, (trial(0, state, None, value),))

    assert say_of_study(store, STUDY, table) is None

    assert [("toy", status)] == ask(store, "SELECT name, status FROM runs")
    left = ask(store, "SELECT value FROM tags WHERE key = 'risexp.left'")
    assert [("" if state == "complete" else "0",)] == left
