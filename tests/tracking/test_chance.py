import math

import pytest

from risexp.tracking.chance import (
    NEEDED,
    Chance,
    near_chance_loss,
    one_answer,
    within_noise,
)
from risexp.tracking.columns import remarks
from risexp.training.events import EpochEnded
from tests.runs_followed import DEAD, SCORES, ended_of, plan_of, plans_of, reading


def counts(guard: Chance, *ended: EpochEnded) -> list[float]:
    return [reading(guard, each).value for each in ended]


@pytest.mark.parametrize(
    ("k_acc", "scenes", "expected"),
    [(0.213, 1024, True), (0.24, 1024, True), (0.25, 1024, False), (0.24, 8192, False)],
)
def test_more_scenes_tell_a_smaller_lead_from_noise(
    k_acc: float, scenes: float, expected: bool
) -> None:
    assert expected == within_noise({**SCORES, "k_acc": k_acc, "scenes": scenes})


def test_whoever_does_worse_than_a_guess_is_within_its_noise() -> None:
    assert within_noise({**SCORES, "k_acc": 0.05})


def test_where_all_scenes_hold_as_many_sources_nobody_guesses() -> None:
    alone = {**SCORES, "k_acc": 1.0, "k_majority": 1.0, "count_entropy": 0.0, "count_nll": 0.0}

    assert [0] == counts(Chance(), ended_of(plan_of(1), {**alone, "count_nll_chance": 0.0}))
    assert [] == remarks(ended_of(plan_of(1), alone))


def test_one_answer_is_nearly_always_the_same_count() -> None:
    nearly = -(0.96 * math.log(0.96) + 0.04 * math.log(0.04))

    assert one_answer({**SCORES, "count_entropy": nearly})
    assert not one_answer({**SCORES, "count_entropy": math.log(2.0)})


def test_the_loss_is_near_chance_from_two_percent_below_it_upwards() -> None:
    chance = SCORES["count_nll_chance"]

    found = [near_chance_loss({**SCORES, "count_nll": f * chance}) for f in (0.97, 0.985, 1.3)]

    assert [False, True, True] == found


def test_epochs_at_chance_are_counted_in_a_row() -> None:
    plans = plans_of(*("joint",) * 4)

    found = counts(Chance(), *map(ended_of, plans, (DEAD, DEAD, SCORES, DEAD)))

    assert [1, 2, 0, 1] == found


def test_a_count_that_is_right_by_chance_and_learns_is_not_at_chance() -> None:
    learning = {**DEAD, "count_entropy": 1.2, "count_nll": 1.4}

    assert [0] == counts(Chance(), ended_of(plan_of(1), learning))


def test_varied_answers_that_know_nothing_are_at_chance() -> None:
    assert [1] == counts(Chance(), ended_of(plan_of(1), {**DEAD, "count_entropy": 1.6}))


def test_another_phase_begins_anew() -> None:
    geometry, joint = plans_of("geometry", "joint")

    assert [1, 1] == counts(Chance(), ended_of(geometry, DEAD), ended_of(joint, DEAD))


def test_epochs_that_are_not_judged_or_do_not_weigh_the_count_are_left_out() -> None:
    guard = Chance()
    ramp = ended_of(plan_of(1, judged=False), DEAD)
    geometry_alone = ended_of(plan_of(2, weights={"cov": 1.0, "count": 0.0}), DEAD)

    assert [] == [*guard.look(ramp), *guard.look(geometry_alone)]


def test_a_resumed_run_counts_on() -> None:
    guard = Chance(epochs=5, row=4, phase="joint")

    assert reading(guard, ended_of(plan_of(9), DEAD)).fault is not None


@pytest.mark.parametrize("name", NEEDED)
def test_a_validation_without_what_is_needed_is_a_fault(name: str) -> None:
    scores = {key: value for key, value in SCORES.items() if key != name}

    fault = reading(Chance(), ended_of(plan_of(1), scores)).fault

    assert fault is not None
    assert f"gave no {name}" in fault
