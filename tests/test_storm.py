"""The comparison under kills: its accounts of each system's store, and its figures, can fail."""

import json
import shutil
import sys
import time
from pathlib import Path

import optuna
import pytest
import storm
from optuna.trial import TrialState, create_trial
from peers.accounts import (
    Accounts,
    count,
    journal_records,
    optuna_records,
    ray_records,
    risexp_records,
)
from peers.killer import Command, Fire, Schedule, figures
from peers.toy import NAME, Line, Settings

from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import SLOT
from tests.support.worker_processes import toy_study, work_here

WANTED = 4
STATES = ("COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE", "RUNNING")
RETRIED = {2: 1, 4: 0}
"""Trial 2 retries 1, and trial 4 does 0 a second time: 3 of 4 are done, one of them twice."""


PLANTED = Accounts(records=6, complete=4, lost=1, stuck=1, unfinished=1, twice=1, over=0)
UNUSED = Command([], [], {})
BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")


def settings_of(folder: Path, url: str = "", trials: int = WANTED, epochs: int = 2) -> Settings:
    return Settings(str(folder), url, trials, workers=2, epochs=epochs, epoch_s=0.01)


def plant(study: optuna.Study) -> None:
    for number, state in enumerate(STATES):
        value = 1.0 if state == "COMPLETE" else None
        attributes = {"failed_trial": RETRIED[number]} if number in RETRIED else {}
        study.add_trial(create_trial(state=TrialState[state], value=value, system_attrs=attributes))


def test_lost_and_doubled_trials_of_an_optuna_database_are_counted(
    tmp_path: Path, empty_database: Path
) -> None:
    url = f"sqlite:///{shutil.copy(empty_database, tmp_path / 'optuna.db')}"
    plant(optuna.create_study(study_name=NAME, storage=url))

    records = optuna_records(settings_of(tmp_path, url))

    assert PLANTED == count(records, WANTED)


def test_lost_and_doubled_trials_of_a_journal_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "optuna.log"
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    storage = optuna.storages.JournalStorage(backend)
    plant(optuna.create_study(study_name=NAME, storage=storage))

    records = journal_records(settings_of(tmp_path, f"journal://{path}"))

    counted = count(records, WANTED + 1)
    assert (6, 4, 1, 1) == (counted.records, counted.complete, counted.stuck, counted.lost)


def test_lost_and_doubled_trials_of_our_database_are_counted(
    tmp_path: Path, own_store: StudyStore
) -> None:
    study = toy_study(own_store, WANTED)
    work_here(own_store, study)
    settings = settings_of(tmp_path, own_store.url)
    sound = count(risexp_records(settings), WANTED)
    first, *_ = own_store.storage.get_all_trials(study.id)

    own_store.storage.set_trial_user_attr(own_store.storage.create_new_trial(study.id), SLOT, 0)
    doubled = create_trial(state=TrialState.COMPLETE, value=1.0, user_attrs={SLOT: 1})
    own_store.storage.create_new_trial(study.id, doubled)

    counted = count(risexp_records(settings), WANTED + 1)
    assert (4, 0, 0, 0) == (sound.complete, sound.lost, sound.twice, sound.stuck)
    assert (5, 1, 1, 1) == (counted.complete, counted.lost, counted.twice, counted.stuck)
    assert first.state == TrialState.COMPLETE


def test_a_trial_of_ray_is_complete_only_with_its_last_epoch(tmp_path: Path) -> None:
    folder = tmp_path / "experiments" / NAME
    folder.mkdir(parents=True)
    trials = [
        ("a", "TERMINATED", 2),
        ("b", "TERMINATED", 1),
        ("c", "ERROR", 2),
        ("d", "RUNNING", 0),
    ]
    data = [
        [
            json.dumps({"trial_id": name, "status": status}),
            json.dumps({"last_result": {"epoch": epoch}}),
        ]
        for name, status, epoch in trials
    ]
    (folder / "experiment_state-2.json").write_text(json.dumps({"trial_data": data}), "utf-8")
    before = folder / "experiment_state-1.json"  # which a continued search copies again
    before.write_text(json.dumps({"trial_data": []}), "utf-8")

    records = ray_records(settings_of(tmp_path))

    counted = count(records, WANTED)
    assert (1, 3, 1) == (counted.complete, counted.lost, counted.stuck)


def test_the_figures_tell_kills_without_another_attempt_and_epochs_done_again(
    tmp_path: Path,
) -> None:
    notes = [
        (0.0, 1, "a", "begin", 0),
        (1.0, 1, "a", "epoch", 1),
        (1.0, 2, "b", "begin", 0),
        (3.0, 3, "a", "begin", 0),
        (4.0, 3, "a", "epoch", 1),
        (5.0, 3, "a", "epoch", 2),
        (5.5, 3, "a", "end", 2),
        (6.0, 4, "", "crash", 0),
    ]
    lines = [Line(*note) for note in notes]
    settings = settings_of(tmp_path, trials=1)
    fire = Fire(settings, UNUSED, Schedule(1.0, 1, 1, 1.0), kills=[(1.5, "a"), (2.0, "b")])

    found = figures(fire, lines)

    assert (2, 1, 1) == (found.kills, found.never, found.crashes)
    assert (1.5, 1.5, 5.5) == (found.epochs, found.gap_p50_s, found.wall_s)


def test_a_busy_worker_is_killed_and_everything_is_ended(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, trials=1, epochs=10**6)
    call = (
        "from peers.toy import *; s = Settings.read(); "
        "train(s, 'a', State(), 1e-3, lambda state: None)"
    )
    command = Command(
        [sys.executable, "-c", call, settings.text()],
        [],
        {"PYTHONPATH": BENCHMARKS},
    )
    fire = Fire(settings, command, Schedule(0.1, 1, 1, 60.0))
    began = time.time()

    fire.run()

    assert ["a"] == [trial for _, trial in fire.kills]
    assert not fire.timed_out
    assert began < fire.kills[0][0]


def test_without_ray_the_comparison_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    results.touch()
    monkeypatch.setattr("sys.argv", ["storm.py", "--only", "ray", "--results", str(results)])

    storm.main()

    assert 'pip install "ray[tune]" optuna' in capsys.readouterr().out
