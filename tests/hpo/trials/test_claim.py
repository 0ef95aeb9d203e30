from collections.abc import Callable

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import ThresholdPruner
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from risexp.errors import TrainingAborted
from risexp.hpo.store.leases import Fenced, LeaseOwner
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.queue import Queue, Standing
from risexp.hpo.trials.trial_result import TrialResult, unsound
from tests.support.worker_processes import draw, owner, queue_of, train, violations, work_here

DONE = TrialResult("complete", "finished", 0.5)


@pytest.fixture
def queue(store: StudyStore, study: StudyRef) -> Queue:
    return queue_of(store, study)


def claimed(queue: Queue, by: LeaseOwner | None = None) -> Claim:
    claim = queue.claim(owner() if by is None else by)
    assert claim is not None
    return claim


def stored(store: StudyStore, claim: Claim) -> FrozenTrial:
    return store.storage.get_trial(claim.lease.trial_id)


def test_trials_are_claimed_in_their_order_and_each_once(queue: Queue) -> None:
    claims = [queue.claim(owner()) for _ in range(5)]

    assert [0, 1, 2, 3, None] == [None if each is None else each.number for each in claims]
    assert Standing(waiting=0, running=4, complete=0, pruned=0, failed=0) == queue.standing()


def test_a_claim_says_what_it_is_of(queue: Queue) -> None:
    claim = claimed(queue)

    assert ("toy-000", 0, 1) == (claim.run_id, claim.number, claim.attempt)


def test_a_trial_is_trained_to_its_end(store: StudyStore, study: StudyRef, queue: Queue) -> None:
    work_here(store, study)

    assert queue.standing().over
    assert Standing(waiting=0, running=0, complete=4, pruned=0, failed=0) == queue.standing()
    assert [] == violations(store, study)
    assert [] == [*queue.leases.look().living]


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


def test_parameters_that_an_earlier_attempt_did_not_come_to_are_drawn(
    store: StudyStore, queue: Queue
) -> None:
    claim = claimed(queue)
    claim.suggest(lambda trial: trial.suggest_float("x", 0.0, 1.0))
    claim.release()

    again = claimed(queue)
    x, y = again.suggest(draw)

    assert {"x": x, "y": y} == stored(store, again).params
    assert 0.5 == x


def test_parameters_are_those_of_the_store_where_another_drew_first(
    store: StudyStore, queue: Queue
) -> None:
    """One who has lost the trial and does not know it yet: the first value stays."""
    claim = claimed(queue)
    handle = optuna.load_study(study_name="toy", storage=store.storage)
    zombie = Trial(handle, claim.lease.trial_id)
    drawn: list[int] = []

    def interrupted(trial: Trial) -> int:
        if not drawn:
            drawn.append(zombie.suggest_int("y", 1, 10**9))
        return trial.suggest_int("y", 1, 10**9)

    assert drawn == [claim.suggest(interrupted)]
    assert {"y": drawn[0]} == stored(store, claim).params


def test_no_step_is_reported_twice(store: StudyStore, queue: Queue) -> None:
    claim = claimed(queue)

    told = [claim.report(1, 0.5), claim.report(1, 0.5), claim.report(1, 0.25), claim.report(2, 0.1)]

    assert ["written", "known", "different", "written"] == told
    assert {1: 0.5, 2: 0.1} == stored(store, claim).intermediate_values


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_no_finite_number_is_never_reported(
    store: StudyStore, queue: Queue, value: float
) -> None:
    claim = claimed(queue)

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


@pytest.mark.parametrize(
    ("ending", "state", "value"),
    [
        (DONE, TrialState.COMPLETE, 0.5),
        (TrialResult("pruned", "pruned"), TrialState.PRUNED, 0.75),
        (unsound("collapse"), TrialState.PRUNED, 0.75),
        (TrialResult("failed", "ValueError"), TrialState.FAIL, None),
    ],
    ids=lambda each: each.reason if isinstance(each, TrialResult) else None,
)
def test_a_trial_ends_as_it_is_told(
    store: StudyStore, queue: Queue, ending: TrialResult, state: TrialState, value: float | None
) -> None:
    claim = claimed(queue)
    claim.report(1, 0.75)

    claim.finish(ending)

    trial = stored(store, claim)
    assert (state, value) == (trial.state, trial.value)
    assert ending.reason == trial.user_attrs["reason"]
    assert ending.constraints == trial.constraints
    assert ending.constraints == {
        key.removeprefix("c/"): told
        for key, told in trial.user_attrs.items()
        if key.startswith("c/")
    }


def test_an_attempt_that_finishes_anew_tells_its_constraint_anew(
    store: StudyStore, queue: Queue
) -> None:
    """It died between its constraint and its state."""
    claim = claimed(queue)
    store.storage.set_trial_system_attr(claim.lease.trial_id, "constraints:collapse", 1.0)

    claim.finish(unsound("collapse"))

    assert {"collapse": 1.0} == stored(store, claim).constraints


def test_an_ending_whose_answer_was_lost_is_told_again(store: StudyStore, queue: Queue) -> None:
    claim = claimed(queue)
    store.storage.set_trial_state_values(claim.lease.trial_id, TrialState.COMPLETE, [0.5])

    claim._tell(DONE, stored(store, claim))

    assert 0.5 == stored(store, claim).value


def test_a_trial_that_somebody_set_waiting_meanwhile_is_finished(
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


@pytest.mark.parametrize("write", WRITES)
def test_whoever_lost_the_trial_writes_nothing(store: StudyStore, queue: Queue, write: str) -> None:
    zombie = claimed(queue)
    zombie.suggest(draw)
    queue.leases.end(zombie.lease, "died")
    store.storage.set_trial_state_values(zombie.lease.trial_id, TrialState.WAITING)
    heir = claimed(queue)
    before, attempts = stored(store, heir), queue.leases.attempts()

    with pytest.raises(Fenced):
        WRITES[write](zombie)

    assert before == stored(store, heir)
    assert attempts == queue.leases.attempts()


def test_whoever_finds_its_trial_finished_is_fenced_and_lets_go(
    store: StudyStore, queue: Queue
) -> None:
    """By one who had lost it, and was stopped between its check and its write."""
    claim = claimed(queue)
    store.storage.set_trial_state_values(claim.lease.trial_id, TrialState.COMPLETE, [0.25])

    with pytest.raises(Fenced, match="trial 0 is finished already"):
        claim.report(1, 0.5)

    assert () == queue.leases.look().living
    assert 0.25 == stored(store, claim).value


def test_whoever_finds_its_trial_told_otherwise_does_not_take_it_for_its_own_telling(
    store: StudyStore, queue: Queue
) -> None:
    claim = claimed(queue)
    store.storage.set_trial_state_values(claim.lease.trial_id, TrialState.COMPLETE, [0.25])

    with pytest.raises(UpdateFinishedTrialError, match="trial 0 is COMPLETE already"):
        claim._tell(DONE, stored(store, claim))


def test_a_trial_that_the_machine_failed_waits_again_and_then_fails(
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


def test_released_attempts_are_not_deaths(queue: Queue) -> None:
    for _ in range(5):
        claimed(queue).release()

    train(claimed(queue))

    assert 1 == queue.standing().complete
    assert 6 == len(queue.leases.attempts())


def test_a_trial_that_was_finished_since_it_was_listed_is_passed_over(
    store: StudyStore, study: StudyRef, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = store.storage.list_trials(study.id)
    train(claimed(queue))
    monkeypatch.setattr(store.storage, "list_trials", lambda *_: old)

    claim = claimed(queue)

    assert (1, 1) == (claim.number, claim.attempt)
    assert [claim.lease] == [each.lease for each in queue.leases.look().living]
    assert ["finished", "void", None] == [each.ended for each in queue.leases.attempts()]


def test_a_claim_whose_running_was_lost_on_the_way_is_had(
    store: StudyStore, study: StudyRef, queue: Queue
) -> None:
    """The database set it running, and its answer came to nobody: asked again it says no."""
    first = store.storage.list_trials(study.id)[0]
    lease = queue.leases.take(first.trial_id, owner(), "toy-000")
    assert lease is not None
    store.storage.set_trial_state_values(lease.trial_id, TrialState.RUNNING)

    assert queue._begins(lease)
