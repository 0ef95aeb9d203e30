"""Once: trials of dead workers ran for ever, crashes were finished, and pruned ones had failed."""

import signal

import optuna
import pytest

from risexp.errors import EnvironmentFailed, TrainingAborted
from risexp.hpo.store.store import StudyStore
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.snapshot import study_snapshot
from risexp.hpo.trials.trial_result import TrialResult, trial_result, unsound
from risexp.runs.outcome import aborted, complete, failed, pruned, signalled
from tests.support.studies import study_of
from tests.support.worker_processes import (
    Died,
    FailPoints,
    owner,
    queue_of,
    toy_study,
    violations,
    work,
    work_here,
)


def die(_trial: optuna.Trial) -> float:
    raise Died


def test_a_dead_workers_trial_runs_for_ever_in_optunas_own_loop() -> None:
    study = study_of()
    with pytest.raises(Died):
        study.optimize(die, n_trials=2)

    study.optimize(lambda _: 1.0, n_trials=1)

    assert ["RUNNING", "COMPLETE"] == [trial.state.name for trial in study.trials]


def test_a_dead_workers_trial_is_finished_under_its_number(
    own_store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, dead = toy_study(own_store, 2), owner()
    with monkeypatch.context() as patch:
        FailPoints(patch).die_at("report.written")
        with pytest.raises(Died):
            work(own_store.url, dead, 60.0, 0.0)
    before = [each.rule for each in violations(own_store, study)]

    Reaper(queue_of(own_store, study).leases, study).abandon(dead.id)
    work_here(own_store, study)
    record, after = study_snapshot(own_store, study), violations(own_store, study)

    assert (["I2"] * 2, []) == (before, after)
    assert [(0, "complete"), (1, "complete")] == [
        (each.number, each.state) for each in record.trials
    ]
    assert [1, 2] == sorted(record.trials[0].tried)


def test_every_outcome_has_its_own_state_and_a_run_that_can_continue_has_none() -> None:
    results = {
        complete("early-stop", 12): TrialResult("complete", "early-stop", 3.5),
        pruned("worse than the median"): TrialResult("pruned", "pruned"),
        aborted(TrainingAborted("at chance", guard="chance")): unsound("chance"),
        failed(RuntimeError("a crash")): TrialResult("failed", "RuntimeError"),
        signalled(signal.SIGTERM): None,
        failed(EnvironmentFailed("the disk is full")): None,
    }

    assert [*results.values()] == [trial_result(outcome, 3.5) for outcome in results]
    assert TrialResult("failed", "no-score") == trial_result(complete("finished", 20), None)
