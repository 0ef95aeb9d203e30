from collections.abc import Callable

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import ThresholdPruner
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from risexp.hpo.store.leases import Fenced
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.trial_result import TrialResult, unsound
from tests.support.worker_processes import (
    claimed,
    draw,
    owner,
    states,
    train,
    violations,
)

DONE = TrialResult("complete", "finished", 0.5)


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
    for claim in claims:
        train(claim)
    assert queue.is_done()
    assert [] == violations(store, study)
    assert () == queue.leases.look().living


def test_a_released_trial_is_claimed_first_keeps_what_it_has_and_draws_the_rest(
    store: StudyStore, queue: Queue
) -> None:
    claim = claimed(queue)
    assert 0.5 == claim.suggest(lambda trial: trial.suggest_float("x", 0.0, 1.0))
    claim.report(1, 0.75)
    for _ in range(2):
        claim.release()
        claim = claimed(queue)

    x, y = claim.suggest(draw)

    assert (0, 3, {1: 0.75}) == (claim.number, claim.attempt, claim.reports)
    assert {"x": 0.5, "y": y} == {"x": x, "y": y} == stored(store, claim).params
    claim.release()
    claim = claimed(queue)
    assert (x, y) == claim.suggest(draw)


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


def test_what_an_attempt_wrote_whose_answer_was_lost_is_written_again(
    store: StudyStore, queue: Queue
) -> None:
    first, second = claimed(queue), claimed(queue)
    store.storage.set_trial_system_attr(first.lease.trial_id, "constraints:collapse", 1.0)
    store.storage.set_trial_state_values(second.lease.trial_id, TrialState.COMPLETE, [0.5])

    first.finish(unsound("collapse"))
    second._tell(DONE, stored(store, second))

    assert {"collapse": 1.0} == stored(store, first).constraints
    assert 0.5 == stored(store, second).value


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
    "give back": lambda claim: claim.release("environment"),
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


def test_a_trial_that_is_given_back_waits_again_however_often(
    store: StudyStore, queue: Queue
) -> None:
    claims = []
    for _ in range(5):
        claims.append(claimed(queue))
        claims[-1].release("environment")

    assert [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)] == [(x.number, x.attempt) for x in claims]
    assert TrialState.WAITING == stored(store, claims[0]).state
    assert ["environment"] * 5 == [each.ended for each in queue.leases.attempts()]


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
