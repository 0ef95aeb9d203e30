"""Which epoch is the best: only a judged one, in the stated direction, never a failed one."""

import math
from dataclasses import replace
from itertools import product
from typing import get_args

import pytest

from risexp.config.training import Phase, Selection
from risexp.errors import TrainingAborted
from risexp.evaluation.metrics import METRICS
from risexp.training.plan import Plan
from risexp.training.progress import CRITERIA, Best, Progress
from tests.training.test_plan import SOME


def plan(epoch: int, phase: Phase = "joint", *, judged: bool = True) -> Plan:
    return replace(SOME, epoch=epoch, phase=phase, judged=judged)


def after(selection: Selection, *values: float) -> Progress:
    progress = Progress()
    for epoch, value in enumerate(values, start=1):
        progress = progress.closed(plan(epoch), epoch * 4, value, CRITERIA[selection])
    return progress


def test_the_direction_of_a_selection_is_its_own() -> None:
    best = {name: after(name, 0.5, 0.9, 0.0, 0.7).best for name in get_args(Selection)}

    assert {"k_loc": 3, "loss": 3, "success": 2} == {
        name: each and each.epoch for name, each in best.items()
    }
    assert set(get_args(Selection)) == set(CRITERIA)
    for criterion in CRITERIA.values():
        if criterion.score in METRICS:
            assert METRICS[criterion.score].direction == criterion.direction


def test_epochs_since_the_best_are_counted_and_an_equal_value_is_no_better() -> None:
    assert Best(1, "joint", 0.5) == after("k_loc", 0.5, 0.5).best
    assert [0, 1, 2, 0] == [
        after("k_loc", *values).since_best for values in ((5,), (5, 6), (5, 6, 7), (5, 6, 7, 4))
    ]


def test_scores_are_compared_across_phases_and_losses_are_not() -> None:
    assert Best(1, "geometry", 0.1) == in_two_phases("k_loc").best
    assert Best(3, "joint", 0.3) == in_two_phases("loss").best
    assert 1 == in_two_phases("k_loc").since_best  # patience begins anew with a phase


def test_a_value_that_is_not_finite_is_an_error() -> None:
    for value, judged in product((math.nan, math.inf, -math.inf), (True, False)):
        with pytest.raises(TrainingAborted, match="epoch 1: the validation gave k_loc") as caught:
            Progress().closed(plan(1, judged=judged), 4, value, CRITERIA["k_loc"])

        assert "validation" == caught.value.guard


def test_an_epoch_that_is_not_judged_is_neither_best_nor_a_miss() -> None:
    progress = Progress().closed(plan(1, judged=False), 4, -1.0, CRITERIA["k_loc"])

    assert (None, 0) == (progress.best, progress.since_best)
    assert (1, 4, "joint") == (progress.epoch, progress.step, progress.phase)


def in_two_phases(selection: Selection) -> Progress:
    progress = Progress()
    rows: list[tuple[Phase, float]] = [("geometry", 0.1), ("geometry", 0.2), ("joint", 0.3)]
    for epoch, (phase, value) in enumerate(rows, start=1):
        progress = progress.closed(plan(epoch, phase), epoch, value, CRITERIA[selection])
    return progress
