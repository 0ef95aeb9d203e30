import math
from collections.abc import Mapping

import pytest
import torch

from risexp.callbacks.chance_guard import (
    NEEDED,
    ChanceGuard,
    near_chance_loss,
    one_answer,
    scenes_needed,
    too_few,
    within_noise,
)
from risexp.callbacks.epoch_table import remarks
from risexp.training.events import EpochEnded
from tests.support.recorded_runs import DEAD, SCORES, ended_of, plan_of, plans_of, reading


def counts(guard: ChanceGuard, *ended: EpochEnded) -> list[float]:
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

    assert [0] == counts(ChanceGuard(), ended_of(plan_of(1), {**alone, "count_nll_chance": 0.0}))
    assert [] == remarks(ended_of(plan_of(1), alone))


def share_within_noise(k_acc: float, guess: float, scenes: int) -> float:
    """In how many of many validations a count that is right so often is within noise."""
    drawn = torch.Generator().manual_seed(1)
    counts = torch.full((20_000,), float(scenes), dtype=torch.float64)
    hits = torch.binomial(counts, torch.full_like(counts, k_acc), generator=drawn)
    score = {**SCORES, "k_majority": guess, "scenes": float(scenes)}
    return sum(within_noise({**score, "k_acc": hit / scenes}) for hit in hits.tolist()) / len(hits)


@pytest.mark.parametrize("guess", [0.2, 0.36, 0.5])
def test_on_the_scenes_needed_a_modest_count_is_told_apart_and_on_a_few_dozen_it_is_not(
    guess: float,
) -> None:
    enough = scenes_needed(guess)

    assert share_within_noise(guess + 0.1, guess, enough) < 0.02
    assert share_within_noise(guess + 0.1, guess, 48) > 0.5
    assert share_within_noise(guess, guess, enough) > 0.97


@pytest.mark.parametrize(("scenes", "said"), [(412, True), (413, False)])
def test_too_few_scenes_are_said_to_be_with_how_many_would_do(scenes: float, said: bool) -> None:
    sentence = too_few({**SCORES, "scenes": scenes})

    assert said == (sentence is not None)
    assert sentence is None or sentence.startswith("412 validation scenes are too few")
    assert sentence is None or "set validation.scenes to 413" in sentence


def test_where_there_is_nothing_to_count_no_number_of_scenes_is_too_small() -> None:
    assert too_few({**SCORES, "k_majority": 1.0, "scenes": 1.0}) is None


@pytest.mark.parametrize(("scenes", "ends"), [(48, False), (412, False), (413, True)])
def test_too_few_scenes_are_counted_and_end_no_run(scenes: float, ends: bool) -> None:
    guard, few = ChanceGuard(epochs=2), {**DEAD, "scenes": scenes}

    readings = [reading(guard, ended_of(plan_of(epoch), few)) for epoch in (1, 2, 3)]

    assert [1, 2, 3] == [each.value for each in readings]
    assert [False, ends, ends] == [each.fault is not None for each in readings]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (DEAD, ["at chance", "one answer"]),
        ({**DEAD, "scenes": 48.0}, ["one answer"]),
        ({**DEAD, "scenes": 48.0, "count_entropy": 1.3}, []),
    ],
)
def test_too_few_scenes_are_not_called_at_chance(
    scores: Mapping[str, float], expected: list[str]
) -> None:
    assert expected == remarks(ended_of(plan_of(1), scores))


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

    found = counts(ChanceGuard(), *map(ended_of, plans, (DEAD, DEAD, SCORES, DEAD)))

    assert [1, 2, 0, 1] == found


def test_a_count_that_is_right_by_chance_and_learns_is_not_at_chance() -> None:
    learning = {**DEAD, "count_entropy": 1.2, "count_nll": 1.4}

    assert [0] == counts(ChanceGuard(), ended_of(plan_of(1), learning))


def test_varied_answers_that_know_nothing_are_at_chance() -> None:
    assert [1] == counts(ChanceGuard(), ended_of(plan_of(1), {**DEAD, "count_entropy": 1.6}))


def test_another_phase_begins_anew() -> None:
    geometry, joint = plans_of("geometry", "joint")

    assert [1, 1] == counts(ChanceGuard(), ended_of(geometry, DEAD), ended_of(joint, DEAD))


def test_epochs_that_are_not_judged_or_do_not_weigh_the_count_are_left_out() -> None:
    guard = ChanceGuard()
    ramp = ended_of(plan_of(1, judged=False), DEAD)
    geometry_alone = ended_of(plan_of(2, weights={"cov": 1.0, "count": 0.0}), DEAD)

    assert [] == [*guard.look(ramp), *guard.look(geometry_alone)]


def test_a_resumed_run_counts_on() -> None:
    guard = ChanceGuard(epochs=5, row=4, phase="joint")

    assert reading(guard, ended_of(plan_of(9), DEAD)).fault is not None


@pytest.mark.parametrize("name", NEEDED)
def test_a_validation_without_what_is_needed_is_a_fault(name: str) -> None:
    scores = {key: value for key, value in SCORES.items() if key != name}

    fault = reading(ChanceGuard(), ended_of(plan_of(1), scores)).fault

    assert fault is not None
    assert f"gave no {name}" in fault
