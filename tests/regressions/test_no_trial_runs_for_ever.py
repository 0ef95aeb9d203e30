"""Once: trials of dead workers ran for ever."""

import os
import signal
from pathlib import Path

import optuna

from risexp.hpo.studies.study import find_study
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.snapshot import study_snapshot
from tests.support.worker_processes import (
    NAME,
    exit_codes,
    opened,
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

    with opened(url) as store:
        study = optuna.load_study(study_name=NAME, storage=store.storage)
        study.optimize(lambda _: 1.0, n_trials=1)
        states = [trial.state.name for trial in study.trials]

    assert ["RUNNING", "COMPLETE"] == states


def test_a_dead_workers_trial_is_finished_under_its_number(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'optuna.db'}") as store:
        study, dead = toy_study(store, 2), owner()
        assert [-9] == exit_codes(start(work, store.url, dead, 60.0, 0.0, crash="report.written"))
        before = [each.rule for each in violations(store, study)]

        Reaper(queue_of(store, study).leases, study).abandon(dead.id)
        work_here(store, find_study(store, NAME))
        record, after = study_snapshot(store, study), violations(store, study)

    assert (["I2"] * 2, []) == (before, after)
    assert [(0, "complete"), (1, "complete")] == [
        (each.number, each.state) for each in record.trials
    ]
    assert [1, 2] == sorted(record.trials[0].tried)
