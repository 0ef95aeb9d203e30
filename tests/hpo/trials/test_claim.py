from collections.abc import Callable

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import ThresholdPruner
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from risexp.errors import TrainingAborted
from risexp.hpo.store.leases import Fenced
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.trial_result import TrialResult, unsound
from tests.support.worker_processes import (
    AT_NIGHT,
    draw,
    owner,
    queue_of,
    states,
    train,
    violations,
    work_here,
)

pytestmark = AT_NIGHT

DONE = TrialResult("complete", "finished", 0.5)


@pytest.fixture
def queue(store: StudyStore, study: StudyRef) -> Queue:
    return queue_of(store, study)


def claimed(queue: Queue) -> Claim:
    claim = queue.claim(owner())
    assert claim is not None
    return claim


def stored(store: StudyStore, claim: Claim) -> FrozenTrial:
    return store.storage.get_trial(claim.lease.trial_id)


def test_trials_are_claimed_in_their_order_and_once(
    store: StudyStore, study: StudyRef, queue: Queue
) -> None:
    claims = [claimed(queue) for _ in range(4)]

    assert [("toy-000", 0, 1), ("toy-003", 3, 1)] == [
        (claim.run_id, claim.number, claim.attempt) for claim in (claims[0], claims[3])
    ]
    assert queue.claim(owner()) is None
    assert ["running"] * 4 == states(store, study)
    assert not queue.is_done()


def test_trials_are_trained_to_their_end(store: StudyStore, study: StudyRef, queue: Queue) -> None:
    assert not queue.is_done()

    work_here(store, study)

    assert queue.is_done()
    assert ["complete"] * 4 == states(store, study)
    assert [] == violations(store, study)
    assert () == queue.leases.look().living


def test_a_released_trial_is_claimed_first_and_keeps_what_it_has(
    store: StudyStore, study: StudyRef, queue: Queue
) -> None:
    claim = claimed(queue)
    drawn = claim.suggest(draw)
    claim.report(1, 0.75)
    claim.release()

    again = claimed(queue)

    assert (0, 2) == (again.number, again.attempt)
    assert {1: 0.75} == again.reports
    assert drawn == again.suggest(draw)
    again.finish(TrialResult("failed", "ValueError"))
    work_here(store, study)
    assert [] == violations(store, study)


def test_parameters_that_an_earlier_attempt_has_not_drawn_are_drawn(
    store: StudyStore, queue: Queue
) -> None:
    claim = claimed(queue)
    claim.suggest(lambda trial: trial.suggest_float("x", 0.0, 1.0))
    claim.release()

    again = claimed(queue)
    x, y = again.suggest(draw)

    assert {"x": x, "y": y} == stored(store, again).params
    assert 0.5 == x


def test_the_first_drawn_value_stays_although_two_workers_draw(
    store: StudyStore, queue: Queue
) -> None:
    """The other worker has lost the trial and does not know it yet."""
    claim = claimed(queue)
    handle = optuna.load_study(study_name="toy", storage=store.storage)
    zombie = Trial(handle, claim.lease.trial_id)
    drawn: list[int] = []

    def draw_second(trial: Trial) -> int:
        if not drawn:
            drawn.append(zombie.suggest_int("y", 1, 10**9))
        return trial.suggest_int("y", 1, 10**9)

    assert drawn == [claim.suggest(draw_second)]
    assert {"y": drawn[0]} == stored(store, claim).params


def test_no_step_is_reported_twice(store: StudyStore, queue: Queue) -> None:
    claim = claimed(queue)

    reports = [claim.report(*each) for each in ((1, 0.5), (1, 0.5), (1, 0.25), (2, 0.1))]

    assert ["written", "known", "different", "written"] == reports
    assert {1: 0.5, 2: 0.1} == stored(store, claim).intermediate_values


def test_a_score_that_is_not_finite_is_never_reported(store: StudyStore, queue: Queue) -> None:
    claim = claimed(queue)

    for value in (float("nan"), -float("inf")):
        with pytest.raises(TrainingAborted, match="the score of step 1 is") as abort:
            claim.report(1, value)

        assert "non-finite" == abort.value.guard
    assert {} == stored(store, claim).intermediate_values


def test_the_pruner_sees_what_was_reported(store: StudyStore, study: StudyRef) -> None:
    claim = claimed(Queue(store, study, RandomSampler(), ThresholdPruner(upper=1.0)))

    claim.report(1, 0.5)
    assert not claim.should_prune()
    claim.report(2, 2.0)

    assert claim.should_prune()


def test_a_trial_ends_with_its_result(store: StudyStore, queue: Queue) -> None:
    for result, expected in (
        (DONE, (TrialState.COMPLETE, 0.5)),
        (TrialResult("pruned", "pruned"), (TrialState.PRUNED, 0.75)),
        (unsound("collapse"), (TrialState.PRUNED, 0.75)),
        (TrialResult("failed", "ValueError"), (TrialState.FAIL, None)),
    ):
        claim = claimed(queue)
        claim.report(1, 0.75)

        claim.finish(result)

        trial = stored(store, claim)
        attributes = {f"c/{name}": value for name, value in result.constraints.items()}
        assert expected == (trial.state, trial.value)
        assert result.constraints == trial.constraints
        assert {"slot": claim.number, "reason": result.reason, **attributes} == trial.user_attrs


def test_a_constraint_of_an_attempt_that_died_before_its_end_stays(
    store: StudyStore, queue: Queue
) -> None:
    claim = claimed(queue)
    store.storage.set_trial_system_attr(claim.lease.trial_id, "constraints:collapse", 1.0)

    claim.finish(unsound("collapse"))

    assert {"collapse": 1.0} == stored(store, claim).constraints


def test_a_result_whose_answer_was_lost_is_written_again(store: StudyStore, queue: Queue) -> None:
    claim = claimed(queue)
    store.storage.set_trial_state_values(claim.lease.trial_id, TrialState.COMPLETE, [0.5])

    claim._tell(DONE, stored(store, claim))

    assert 0.5 == stored(store, claim).value


def test_a_trial_that_a_reaper_has_requeued_meanwhile_is_finished(
    store: StudyStore, queue: Queue
) -> None:
    claim = claimed(queue)
    store.storage.set_trial_state_values(claim.lease.trial_id, TrialState.WAITING)
    assert claimed(queue).number == 1

    claim.finish(DONE)

    assert TrialState.COMPLETE == stored(store, claim).state


WRITES: dict[str, Callable[[Claim], object]] = {
    "suggest": lambda claim: claim.suggest(draw),
    "report": lambda claim: claim.report(2, 0.5),
    "note": lambda claim: claim.note("link", "http"),
    "finish": lambda claim: claim.finish(DONE),
    "release": lambda claim: claim.release(),
    "give_up": lambda claim: claim.give_up(),
}


def test_a_worker_that_lost_the_trial_writes_nothing(store: StudyStore, queue: Queue) -> None:
    zombie = claimed(queue)
    zombie.suggest(draw)
    queue.leases.end(zombie.lease, "died")
    store.storage.set_trial_state_values(zombie.lease.trial_id, TrialState.WAITING)
    heir = claimed(queue)
    before, attempts = stored(store, heir), queue.leases.attempts()

    for write, call in WRITES.items():
        with pytest.raises(Fenced):
            call(zombie)

        assert before == stored(store, heir), write
        assert attempts == queue.leases.attempts(), write


def test_a_worker_whose_trial_another_has_finished_is_fenced(
    store: StudyStore, queue: Queue
) -> None:
    """The other one had lost the trial, and was stopped between its check and its write."""
    claim = claimed(queue)
    store.storage.set_trial_state_values(claim.lease.trial_id, TrialState.COMPLETE, [0.25])

    with pytest.raises(UpdateFinishedTrialError, match="trial 0 is COMPLETE already"):
        claim._tell(DONE, stored(store, claim))
    with pytest.raises(Fenced, match="trial 0 is finished already"):
        claim.report(1, 0.5)

    assert () == queue.leases.look().living
    assert 0.25 == stored(store, claim).value


def test_a_trial_that_is_given_up_waits_again_and_then_fails(
    store: StudyStore, queue: Queue
) -> None:
    claims = []
    for _ in range(3):
        claims.append(claimed(queue))
        claims[-1].give_up()

    assert [(0, 1), (0, 2), (0, 3)] == [(each.number, each.attempt) for each in claims]
    trial = stored(store, claims[-1])
    assert (TrialState.FAIL, "attempts") == (trial.state, trial.user_attrs["reason"])
    assert 1 == claimed(queue).number


def test_released_attempts_are_not_deaths(store: StudyStore, study: StudyRef, queue: Queue) -> None:
    for _ in range(3):
        claimed(queue).release()

    train(claimed(queue))

    assert "complete" == states(store, study)[0]
    assert 4 == len(queue.leases.attempts())


def test_a_trial_that_was_finished_after_it_was_listed_is_skipped(
    store: StudyStore, study: StudyRef, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = store.storage.list_trials(study.id)
    train(claimed(queue))
    monkeypatch.setattr(store.storage, "list_trials", lambda *_: old)

    claim = claimed(queue)

    assert (1, 1) == (claim.number, claim.attempt)
    assert [claim.lease] == [each.lease for each in queue.leases.look().living]
    assert ["finished", "void", None] == [each.ended for each in queue.leases.attempts()]


def test_a_claim_succeeds_although_the_answer_to_its_start_was_lost(
    store: StudyStore, study: StudyRef, queue: Queue
) -> None:
    """The database set it running already, so it says no when it is asked again."""
    first = store.storage.list_trials(study.id)[0]
    lease = queue.leases.take(first.trial_id, owner(), "toy-000")
    assert lease is not None
    store.storage.set_trial_state_values(lease.trial_id, TrialState.RUNNING)

    assert queue._begins(lease)
