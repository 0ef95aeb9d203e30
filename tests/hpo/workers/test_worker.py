"""A worker with a toy in place of training: what it claims, and what it records."""

import signal
from threading import Thread

import pytest

from risexp.errors import TrainingAborted
from risexp.hpo.search.parameters import stored
from risexp.hpo.search.pruning_callback import PRUNING_COUNTS
from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_study
from risexp.hpo.trials.heartbeat import fenced
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.workers import worker as module
from risexp.hpo.workers.worker import Job, JobResult
from risexp.runs.outcome import EndRun, aborted, complete, pruned, signalled
from risexp.training.events import EpochEnded, RunStarted
from tests.support.recorded_runs import ended_of, joint, plan_of
from tests.support.spaces import planted, spec_of
from tests.support.toy_workers import (
    DONE,
    TOY_SPEC,
    attempts,
    reasons,
    searched,
    toy,
    trials,
    work,
    worker,
)
from tests.support.worker_processes import EMBEDDED, opened, states

pytestmark = EMBEDDED


@pytest.fixture
def study(store: StudyStore) -> StudyRef:
    return searched(store, 3)


def test_every_trial_is_trained_once_and_recorded(store: StudyStore, study: StudyRef) -> None:
    train = toy()

    code, _ = work(store, study, train)

    assert 0 == code
    assert ["toy-000", "toy-001", "toy-002"] == [job.run_id for job in train.jobs]
    assert [("complete", 1.5)] * 3 == [(each.state, each.value) for each in trials(store, study)]
    assert ["finished"] * 3 == [each.ended for each in attempts(store, study)]
    base, *others = (job.config for job in train.jobs)
    assert TOY_SPEC.base == base
    assert TOY_SPEC.base not in others
    for job in train.jobs:
        known = job.config.flat()
        assert dict(job.values) == {path: known[path] for path in job.values}

    end_study(store, study, "stopped by hand")
    assert (0, ["study toy ended: stopped by hand"]) == work(store, study, train)


def test_the_study_records_how_every_run_ended(store: StudyStore) -> None:
    endings: dict[tuple[str, str], object] = {
        ("complete", "early-stop"): JobResult(complete("early-stop", 2), 0.5),
        ("failed", "no-score"): JobResult(DONE, None),
        ("pruned", "non-finite"): JobResult(DONE, float("nan")),
        ("pruned", "pruned"): pruned("it was worse"),
        ("pruned", "chance"): aborted(TrainingAborted("it counts nothing", guard="chance")),
        ("failed", "ZeroDivisionError"): ZeroDivisionError("no scenes"),
        ("complete", "finished"): JobResult(DONE, 1.5),
    }
    study = searched(store, len(endings))

    code, said = work(store, study, toy(*endings.values()))

    recorded = store.storage.get_all_trials(study.id)
    assert 0 == code
    assert [*endings] == [*zip(states(store, study), reasons(store, study), strict=True)]
    assert [{}, {}, {"non-finite": 1.0}, {}, {"chance": 1.0}, {}, {}] == [
        dict(trial.constraints) for trial in recorded
    ]
    assert "trial 5: ZeroDivisionError: no scenes" in said
    assert any("Traceback" in each for each in said)


def test_values_without_a_valid_configuration_fail_only_their_trial(store: StudyStore) -> None:
    """The space allows every value, but not all of them together are a configuration."""
    clash = {"training.batch": {"kind": "choice", "options": [64, 48]}}
    odd = spec_of(planted(clash, base="smoke", fixed={"training.accumulation": 64}))
    study = searched(store, 1, odd)
    trial = store.storage.list_trials(study.id)[0].trial_id
    store.storage.set_trial_system_attr(
        trial, "fixed_params", stored(odd.space.vary, {"training.batch": 48})
    )

    code = worker(store, study, toy()).run(lambda _: None)

    assert 0 == code
    assert ["failed"] == states(store, study)
    assert ["ConfigInvalid"] == reasons(store, study)


@pytest.mark.parametrize("knows", [True, False])
def test_a_worker_that_lost_its_lease_writes_nothing_and_claims_another_trial(
    store: StudyStore, study: StudyRef, knows: bool
) -> None:
    train = toy(fenced("another worker has it") if knows else JobResult(DONE, 99.0))

    def lose(job: Job) -> JobResult:
        if not train.jobs:
            leases = Leases(store, study.uid)
            (held,) = leases.look().living
            Reaper(leases, study).abandon(held.lease.owner)
        return train(job)

    code, said = work(store, study, lose)

    assert 0 == code
    assert "died" == attempts(store, study)[0].ended
    assert [(0, 1), (0, 2), (1, 1), (2, 1)] == [(job.number, job.attempt) for job in train.jobs]
    assert [1.5] * 3 == [each.value for each in trials(store, study)]
    assert knows or any("another worker goes on" in each for each in said)


def test_a_trial_is_released_after_the_epoch_in_which_its_study_ended(
    store: StudyStore, study: StudyRef
) -> None:
    epoch = ended_of(plan_of(1))

    def ends(job: Job) -> JobResult:
        _pruner, check_end, _limit, _signals = job.callbacks.enders
        check_end(epoch)
        end_study(store, study, "12 s are over")
        check_end(RunStarted("toy-000", 3, 0, 4))
        with pytest.raises(EndRun) as stop:
            check_end(epoch)
        return JobResult(stop.value.outcome, None)

    code, said = work(store, study, ends)

    assert 0 == code
    assert ["waiting"] * 3 == states(store, study)
    assert ["released"] == [each.ended for each in attempts(store, study)]
    assert "study toy ended: 12 s are over" == said[-1]


def test_counts_of_the_pruner_are_added_up_over_the_attempts_at_a_trial(store: StudyStore) -> None:
    study = searched(store, 1)
    first, second, third = (ended_of(plan) for plan in joint(3).plans)

    def train(job: Job) -> JobResult:
        (report,) = job.callbacks.recorders
        report(RunStarted(job.run_id, 3, 0, 4))
        if job.attempt == 1:
            call(job, first)
            call(job, second)
            return JobResult(signalled(signal.SIGTERM), None)
        call(job, third)
        return JobResult(DONE, third.scores["k_loc"])

    work(store, study, train)
    work(store, study, train)

    (trial,) = store.storage.get_all_trials(study.id)
    counts = trial.user_attrs[PRUNING_COUNTS]
    assert (3, 2) == (counts["reports"], counts["asked"])
    assert [1, 2, 3] == sorted(trial.intermediate_values)


def call(job: Job, epoch: EpochEnded) -> None:
    for callback in (*job.callbacks.recorders, *job.callbacks.enders):
        callback(epoch)


def test_a_worker_waits_for_a_trial_that_another_one_may_give_back(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_POLL_S", 0.01)
    study = searched(store, 1)
    left: list[int] = []

    def waits() -> None:
        with opened(store.url) as own:
            left.append(worker(own, study, toy()).run(lambda _: None))

    waiter = Thread(target=waits)

    def given_back_late(_job: Job) -> JobResult:
        waiter.start()
        return JobResult(signalled(signal.SIGTERM), None)

    code, _ = work(store, study, given_back_late)
    waiter.join(60.0)

    assert (75, [0]) == (code, left)
    assert ["complete"] == states(store, study)
