"""Once: the main weight was lost on one path, and the run descended a total loss of exactly 0."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from risexp.callbacks.guards import EpochGuard
from risexp.training.epoch_checks import Limits
from risexp.training.events import EpochEnded
from risexp.training.meters import Losses
from risexp.training.plan import Plan
from tests.support.recorded_runs import Told, ended_of, guarded, joint, plans_of

GUARD = EpochGuard(Limits())


def told(total: float, weighted: Mapping[str, float]) -> Told:
    """A run that says so of the loss of its second epoch."""

    def tell(plan: Plan) -> EpochEnded:
        ended = ended_of(plan)
        raw = dict.fromkeys(plan.active, 0.0) if not any(weighted.values()) else ended.losses.raw
        losses = Losses(64, total, raw, {**dict.fromkeys(plan.active, 0.0), **weighted})
        return replace(ended, losses=losses) if plan.epoch == 2 else ended

    return Told(plans_of(*("joint",) * 3), tell)


def test_a_total_of_zero_ends_the_run() -> None:
    outcome = guarded(told(0.0, {}), GUARD)

    assert ("loss", 4) == (outcome.reason, outcome.exit_code)
    assert outcome.sentence.startswith("epoch 2: the total loss is exactly zero; give a main term")


@pytest.mark.parametrize("total", [0.0, 1.35, -1.35625])
def test_a_total_that_its_terms_do_not_make_ends_the_run(total: float) -> None:
    weighted = {"cov": 0.08125, "cov_pred": 0.025, "count": 1.25}

    outcome = guarded(told(total, weighted), GUARD)

    assert "loss" == outcome.reason


def test_a_small_total_that_its_terms_make_ends_nothing() -> None:
    assert "finished" == guarded(joint(3), GUARD).reason
