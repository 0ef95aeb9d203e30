"""Once: K was stuck at one class, its cross entropy at ln 5, and the run went on for days."""

import math
from collections.abc import Mapping

import pytest

from risexp.callbacks.epoch_table import cells
from risexp.callbacks.learning_guards import ChanceGuard
from tests.support.recorded_runs import (
    DEAD,
    SCORES,
    Told,
    ended_of,
    guarded,
    plan_of,
    plans_of,
    telling,
)

FIVE = math.log(5.0)
STUCK: Mapping[str, float] = {**DEAD, "k_acc": 0.201, "count_entropy": 0.0, "count_nll": FIVE}
GUESSING: Mapping[str, float] = {**DEAD, "k_acc": 0.226, "count_entropy": 1.58, "count_nll": FIVE}
SURE_AND_WRONG: Mapping[str, float] = {**DEAD, "count_entropy": 0.1, "count_nll": 0.9}


@pytest.mark.parametrize("scores", [STUCK, GUESSING, SURE_AND_WRONG])
def test_a_count_at_chance_ends_the_run_after_so_many_epochs(scores: Mapping[str, float]) -> None:
    trainer = Told(plans_of(*("joint",) * 20), telling(*[scores] * 20))

    outcome = guarded(trainer, ChanceGuard(epochs=5))

    assert ("chance", 4) == (outcome.reason, outcome.exit_code)
    assert outcome.sentence.startswith("epoch 5: for 5 judged epochs the count was at chance")


def test_a_count_that_wakes_up_in_time_ends_nothing() -> None:
    trainer = Told(plans_of(*("joint",) * 9), telling(*[STUCK] * 4, *[SCORES] * 5))

    assert "finished" == guarded(trainer, ChanceGuard(epochs=5)).reason


def test_epochs_before_the_ramps_end_are_not_held_against_a_run() -> None:
    plans = tuple(plan_of(epoch, judged=epoch > 6) for epoch in range(1, 9))

    assert "finished" == guarded(Told(plans, telling(*[STUCK] * 8)), ChanceGuard(epochs=5)).reason


@pytest.mark.parametrize("scores", [STUCK, GUESSING, SURE_AND_WRONG])
def test_a_count_at_chance_is_called_so_on_the_screen(scores: Mapping[str, float]) -> None:
    assert cells(ended_of(plan_of(1), scores))["remark"].startswith("at chance")
    assert "" == cells(ended_of(plan_of(1), SCORES))["remark"]
