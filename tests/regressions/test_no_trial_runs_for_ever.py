"""Once: trials of dead workers ran for ever, crashes were finished, and pruned ones had failed."""

import os
import signal
from pathlib import Path

import optuna
import pytest

from risexp.errors import TrainingAborted
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.study import find_study, open_study
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.snapshot import study_snapshot
from risexp.hpo.trials.trial_result import trial_result
from risexp.runs.outcome import Outcome, aborted, complete, failed, pruned
from tests.support.worker_processes import (
    NAME,
    exit_codes,
    owner,
    plan,
    queue_of,
    start,
    violations,
    work,
    work_here,
)


def optimise(url: str) -> None:
    """As it once was: Optuna's own loop; the process dies in its first trial."""
    storage = optuna.storages.RDBStorage(url)
    optuna.create_study(study_name=NAME, storage=storage).optimize(die, n_trials=2)


def die(_trial: optuna.Trial) -> float:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0.0


def test_a_dead_workers_trial_runs_for_ever_by_optunas_own_loop(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    assert [-9] == exit_codes(start(optimise, url))

    store = open_store(url)
    study = optuna.load_study(study_name=NAME, storage=store.storage)
    study.optimize(lambda _: 1.0, n_trials=1)
    states = [trial.state.name for trial in study.trials]
    store.close()

    assert ["RUNNING", "COMPLETE"] == states


def test_a_dead_workers_trial_is_done_under_its_own_number(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'optuna.db'}")
    study = open_study(store, plan(2))
    dead = owner()
    assert [-9] == exit_codes(start(work, store.url, dead, 60.0, 0.0, crash="report.written"))
    assert ["I2"] * 2 == [each.rule for each in violations(store, study)]

    Reaper(queue_of(store, study).leases, study).abandon(dead.id)
    work_here(store, find_study(store, NAME))

    record = study_snapshot(store, study)
    assert [] == violations(store, study)
    store.close()
    assert [(0, "complete"), (1, "complete")] == [
        (each.number, each.state) for each in record.trials
    ]
    assert [1, 2] == sorted(record.trials[0].tried)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (complete("finished", 20), "complete"),
        (pruned("worse than the median"), "pruned"),
        (aborted(TrainingAborted("at chance", guard="chance")), "pruned"),
        (failed(RuntimeError("a crash")), "failed"),
    ],
    ids=lambda each: each.reason if isinstance(each, Outcome) else None,
)
def test_every_end_has_a_state_of_its_own(outcome: Outcome, state: str) -> None:
    ending = trial_result(outcome, 0.5)

    assert ending is not None
    assert state == ending.state
