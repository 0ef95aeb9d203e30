"""The record of a study in MLflow: one uploader for all trials, and its own run."""

import shutil
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna_dashboard import get_note  # type: ignore[import-untyped]

from risexp.app.search.study_record import (
    StudyUploader,
    opening,
    say_of_study,
    study_labels,
)
from risexp.errors import EnvironmentFailed
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.links import PAGE, RUN, Links
from risexp.hpo.studies.study import StudyRef, TrialWord
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.hpo.trials.limits import FAILING
from risexp.runs.folder import RunFolder, find_run, is_run
from risexp.runs.spec import Labels
from risexp.tracking.stores import TrackingStore, embedded
from risexp.tracking.upload_state import UploadState
from tests.support.searches import begun
from tests.support.uploads import ask, due, finished, held, place, run_ids

STUDY = StudyRef("toy", 1, "0123456789abcdef", 3, {})


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrackingStore:
    """An embedded store that is there."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    return place(embedded())


def test_all_trials_are_in_the_store_when_a_search_has_ended(store: TrackingStore) -> None:
    labels = study_labels(STUDY, "smoke", store)
    with StudyUploader(STUDY, store) as record:
        folders = [finished(f"toy-00{number}", labels=labels) for number in (0, 2)]

    assert ("embedded", "smoke", "toy") == (labels.store, labels.preset, labels.study)
    assert labels.parent is not None
    assert (STUDY.name, STUDY.uid) == (labels.parent.name, labels.parent.uid)
    assert "off" == study_labels(STUDY, None, None).store
    assert (None, 0) == (record.failure, record.unsent())
    for folder in folders:
        assert 1 == len(run_ids(folder, store))
        assert due(folder) == held(folder, store)
    parents = "SELECT DISTINCT p.value FROM tags p WHERE p.key = 'mlflow.parentRunId'"
    assert 1 == len(ask(store, parents))


@pytest.fixture
def search(own_store: StudyStore) -> tuple[StudyStore, StudyRef]:
    """A store of studies with one of three trials."""
    return own_store, begun(own_store, "toy", 3)


def test_trials_and_study_are_told_their_runs_in_mlflow(
    store: TrackingStore, search: tuple[StudyStore, StudyRef]
) -> None:
    studies, study = search
    labels = study_labels(study, "smoke", store)
    first = opening(study)

    failures = []
    for _ in range(2):
        with StudyUploader(study, store, Links(studies, study), first) as record:
            folder_of(labels)
        failures.append(record.failure)

    folder = folder_of(labels)
    assert [None, None] == failures
    (run,) = run_ids(folder, store)
    known = studies.storage
    trial, *others = (known.get_trial(each.trial_id) for each in known.list_trials(study.id))
    page = f"#/experiments/1/runs/{run}"
    assert {RUN: run, PAGE: page} == {name: trial.user_attrs[name] for name in (RUN, PAGE)}
    assert all(RUN not in each.user_attrs for each in others)
    note = get_note(optuna.load_study(study_name="toy", storage=studies.storage))
    (parent,) = ask(store, "SELECT run_uuid FROM runs WHERE name = 'toy'")
    assert f"study `#/experiments/1/runs/{parent[0]}`, experiment `#/experiments/1`" in note


def test_the_run_of_a_study_is_there_from_its_start_with_what_it_searches(
    store: TrackingStore, search: tuple[StudyStore, StudyRef]
) -> None:
    _, study = search
    more = replace(study, trials=5)

    with StudyUploader(study, store, first=opening(study)):
        pass
    before = ask(store, "SELECT value FROM tags WHERE key = 'risexp.trials'")
    with StudyUploader(more, store, first=opening(more)) as record:
        pass

    assert record.failure is None
    assert [("toy", "RUNNING")] == ask(store, "SELECT name, status FROM runs")
    assert ([("3",)], [("5",)]) == (
        before,
        ask(store, "SELECT value FROM tags WHERE key = 'risexp.trials'"),
    )
    params = dict(ask(store, "SELECT key, value FROM params"))
    assert {
        "space": "planted",
        "base": "smoke",
        "sampler": "tpe",
        "pruner": "none",
        "epochs": "3",
    } == params
    assert store.artifacts is not None
    assert [*store.artifacts.glob("*/*/artifacts/space.yaml")]
    (note,) = ask(store, "SELECT value FROM tags WHERE key = 'mlflow.note.content'")
    assert f"`/dashboard/studies/{study.id}`" in note[0]


def test_a_store_of_studies_that_is_away_is_no_fault_of_the_record(
    store: TrackingStore, search: tuple[StudyStore, StudyRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    studies, study = search

    def away(*_: object) -> None:
        raise EnvironmentFailed("the database is away")

    monkeypatch.setattr(Links, "tell_trial", away)
    with StudyUploader(study, store, Links(studies, study)) as record:
        folder = folder_of(study_labels(study, "smoke", store))

    assert (None, 0) == (record.failure, record.unsent())
    assert due(folder) == held(folder, store)


def folder_of(labels: Labels) -> RunFolder:
    """The run of trial 0, finished once however often it is asked for."""
    return find_run("toy-000") if is_run("toy-000") else finished("toy-000", labels=labels)


def test_runs_of_another_study_or_without_a_store_are_not_uploaded(store: TrackingStore) -> None:
    other = finished("toys-000", labels=study_labels(STUDY, None, store))
    results = []
    for place_ in (store, None):
        with StudyUploader(STUDY, place_) as record:
            pass
        results.append((record.failure, record.unsent()))
        if place_ is not None:
            finished("toy-000", labels=study_labels(STUDY, None, None))

    assert [(None, 0)] * 2 == results
    assert [] == run_ids(other, store)
    assert [] == ask(store, "SELECT run_uuid FROM runs")


@pytest.mark.fault("F10")
@pytest.mark.parametrize(
    "name", ["labels.json", "mlflow.json", "outcome.json", "config.json", "a folder"]
)
def test_one_damaged_run_is_named_once_and_keeps_no_other_from_its_store(
    store: TrackingStore, name: str
) -> None:
    labels, said = study_labels(STUDY, "smoke", store), list[str]()
    damaged, sound = (finished(f"toy-00{number}", labels=labels) for number in range(2))
    for path in (damaged.path / name, damaged.path / "spares" / name):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"{")
    if name == "a folder":
        damaged.journal.unlink()
        damaged.journal.mkdir()

    with StudyUploader(STUDY, store, say=said.append) as record:
        pass

    assert due(sound) == held(sound, store)
    assert record.failure is None
    assert [damaged.run_id] * (name != "mlflow.json") == [*record.damaged]
    assert len(record.damaged) == len(said)


def test_what_a_store_misses_is_counted_and_said(store: TrackingStore) -> None:
    assert store.database is not None
    shutil.rmtree(store.database.parent)
    store.database.parent.write_text("no folder", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISEXP_HOME", str(store.database.parents[1] / "other"))
        folder = finished("toy-000", labels=study_labels(STUDY, None, store))
        with StudyUploader(STUDY, store) as record:
            pass

        assert record.failure is not None
        assert UploadState(folder.path).unsent() == record.unsent() > 0


def test_the_run_of_a_study_has_the_status_of_its_end(store: TrackingStore) -> None:
    cases: list[tuple[TrialWord, str | None, str]] = [
        ("complete", None, "FINISHED"),
        ("waiting", "stopped by hand", "KILLED"),
        ("waiting", FAILING, "FAILED"),
        ("waiting", "k_loc 3.9 is below 4, though one failed", "KILLED"),
    ]

    for number, (state, ended, _) in enumerate(cases):
        name = f"study-{number}"
        value = 4.0 if state == "complete" else None
        table = StudyTable(
            name, 1, ended, (TrialRow(0, state, None, 3, 2, 4.0, 4.0, value, {}, None),)
        )
        study = replace(STUDY, name=name, uid=f"{number:016x}")
        assert say_of_study(store, study, table) is None

    assert [(f"study-{number}", status) for number, (*_, status) in enumerate(cases)] == ask(
        store, "SELECT name, status FROM runs ORDER BY name"
    )
    left = ask(store, "SELECT value FROM tags WHERE key = 'risexp.left' ORDER BY value")
    assert [("",), ("0",), ("0",), ("0",)] == left
