"""Once: trials of dead workers ran for ever, crashes were finished, and pruned ones had failed."""

import os
import signal
from pathlib import Path

import optuna

from risexp.errors import TrainingAborted
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.study import find_study
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.snapshot import study_snapshot
from risexp.hpo.trials.trial_result import trial_result
from risexp.runs.outcome import aborted, complete, failed, pruned
from tests.support.worker_processes import (
    NAME,
    exit_codes,
    owner,
    queue_of,
    start,
    toy_study,
    violations,
    work,
    work_here,
)


def optimise(url: str) -> None:
    """Optuna's own loop, as it was used once; the process dies in its first trial."""
    storage = optuna.storages.RDBStorage(url)
    optuna.create_study(study_name=NAME, storage=storage).optimize(die, n_trials=2)


def die(_trial: optuna.Trial) -> float:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0.0


def test_a_dead_workers_trial_runs_for_ever_in_optunas_own_loop(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    assert [-9] == exit_codes(start(optimise, url))

    store = open_store(url)
    study = optuna.load_study(study_name=NAME, storage=store.storage)
    study.optimize(lambda _: 1.0, n_trials=1)
    states = [trial.state.name for trial in study.trials]
    store.close()

    assert ["RUNNING", "COMPLETE"] == states


def test_a_dead_workers_trial_is_finished_under_its_number(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'optuna.db'}")
    study = toy_study(store, 2)
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


def test_every_outcome_has_its_own_state() -> None:
    outcomes = {
        complete("finished", 20): "complete",
        pruned("worse than the median"): "pruned",
        aborted(TrainingAborted("at chance", guard="chance")): "pruned",
        failed(RuntimeError("a crash")): "failed",
    }

    results = [trial_result(outcome, 0.5) for outcome in outcomes]

    assert [*outcomes.values()] == [result and result.state for result in results]
