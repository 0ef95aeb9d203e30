"""Once: months of epochs with one optimizer step, or none, and curves that looked like training."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from risexp.callbacks.guards import EpochGuard
from risexp.training.epoch_checks import Limits
from risexp.training.events import EpochEnded
from risexp.training.meters import Steps
from risexp.training.plan import Plan
from tests.support.recorded_runs import Told, ended_of, guarded, joint, plans_of, steps_of

GUARD = EpochGuard(Limits())


def planted(fault: Callable[[Steps], Steps]) -> Told:
    """A run whose third epoch has steps like that."""

    def tell(plan: Plan) -> EpochEnded:
        ended = ended_of(plan)
        return replace(ended, steps=fault(ended.steps)) if plan.epoch == 3 else ended

    return Told(plans_of(*("joint",) * 5), tell)


def of_forty(refused: int) -> Callable[[Steps], Steps]:
    """So many of forty steps are refused."""
    return lambda steps: replace(
        steps, batches=40, taken=40 - refused, refused=tuple(range(refused))
    )


@pytest.mark.parametrize(
    ("fault", "guard", "said"),
    [
        (lambda steps: replace(steps, taken=1), "steps", "1 of 4 batches were a step"),
        (lambda steps: replace(steps, taken=0), "steps", "0 of 4 batches were a step"),
        (
            lambda steps: replace(steps, taken=0, refused=(0, 1, 2, 3)),
            "steps",
            "none of 4 steps was taken",
        ),
        (of_forty(3), "refused", "3 of 40 steps were refused, more than 5%"),
    ],
)
def test_steps_that_are_missing_end_the_run(
    fault: Callable[[Steps], Steps], guard: str, said: str
) -> None:
    outcome = guarded(planted(fault), GUARD)

    assert ("aborted", guard, 4) == (outcome.status, outcome.reason, outcome.exit_code)
    assert outcome.sentence.startswith(f"epoch 3: {said}")


def test_a_few_refused_steps_are_borne() -> None:
    assert "finished" == guarded(planted(of_forty(2)), GUARD).reason


def test_a_step_for_every_batch_ends_nothing() -> None:
    assert steps_of(1).batches == steps_of(1).taken
    assert "finished" == guarded(joint(5), GUARD).reason
