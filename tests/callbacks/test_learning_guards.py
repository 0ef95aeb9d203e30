"""The guards of gradients, of blended samples, and of a count that is at chance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import torch

from risexp.callbacks.epoch_table import remarks
from risexp.callbacks.learning_guards import (
    NEEDED,
    BlendGuard,
    ChanceGuard,
    GradientGuard,
    near_chance_loss,
    never_touched,
    one_answer,
    scenes_needed,
    too_few,
    within_noise,
)
from risexp.config.training import Part
from risexp.training.events import EpochEnded
from tests.support.recorded_runs import (
    DEAD,
    SCORES,
    ended_of,
    guard_values,
    joint,
    plan_of,
    plans_of,
    reading,
    steps_of,
)
from tests.support.recorded_runs import guard_fault as sentence
from tests.support.trainers import epochs_of, small_trainer


class Probe:
    """Returns the parameters without a gradient, and counts its calls."""

    def __init__(self, untouched: Mapping[Part, Sequence[str]]) -> None:
        self.untouched = untouched
        self.calls = 0

    def __call__(self) -> Mapping[Part, Sequence[str]]:
        self.calls += 1
        return self.untouched


def test_parameters_without_a_gradient_are_named_unless_their_part_is_frozen() -> None:
    probe = Probe({"backbone": ["a.weight", "a.bias"], "heads": ["b.weight", "b.bias"]})

    said = sentence(GradientGuard(probe, joint(3).plans), ended_of(plan_of(3)))

    assert "a.weight, a.bias, b.weight and 1 more never received a gradient" in said
    plan = replace(plan_of(1), rates={"backbone": 0.0, "heads": 1.0})
    guard = GradientGuard(Probe({"backbone": ["a.weight"], "heads": []}), [plan])
    assert {"gradient": 0} == guard_values(guard, ended_of(plan))


def test_gradients_are_checked_in_the_last_phase_until_none_is_missing() -> None:
    probe = Probe({"backbone": [], "heads": []})
    plans = plans_of("geometry", "joint", "joint")
    guard = GradientGuard(probe, plans)

    found = [guard_values(guard, ended_of(plan)) for plan in plans]

    assert [{}, {"gradient": 0}, {"gradient": 0}] == found
    assert 1 == probe.calls


def one_step(epoch: int, refused: int = 0) -> EpochEnded:
    """The end of an epoch of one step, after as many others and so many that were refused."""
    steps = replace(steps_of(epoch), batches=1, taken=1, total=epoch - refused)
    return replace(ended_of(plan_of(epoch)), steps=steps)


def test_no_run_ends_before_its_tenth_step_of_the_phase_without_the_refused_ones() -> None:
    guard = GradientGuard(Probe({"backbone": ["a.weight"]}), joint(12).plans)

    (ninth,), (tenth,) = (guard.look(one_step(epoch)) for epoch in (9, 10))
    (few,), (enough,) = (guard.look(one_step(epoch, refused=1)) for epoch in (10, 11))

    assert (1, None) == (ninth.value, ninth.fault)
    assert (1, True) == (tenth.value, tenth.fault is not None)
    assert [False, True] == [each.fault is not None for each in (few, enough)]
    phases = plans_of(*("geometry",) * 5, *("joint",) * 4)
    guard = GradientGuard(Probe({"backbone": ["a.weight"]}), phases)
    found = [reading(guard, ended_of(plan)) for plan in phases[5:]]
    assert [False, False, True, True] == [each.fault is not None for each in found]


def test_untouched_parameters_are_those_that_no_term_depends_on() -> None:
    trainer = small_trainer()
    before = never_touched(trainer.stepper)

    epochs_of(trainer)

    assert {"backbone", "heads"} == before.keys()
    assert ["backbone.weight", "backbone.bias"] == before["backbone"]
    assert {"backbone": [], "heads": []} == never_touched(trainer.stepper)


def test_a_blend_is_measured_over_beta_and_must_move_something() -> None:
    blended = plan_of(1, beta=0.2)

    measured = guard_values(BlendGuard(), ended_of(blended, {**SCORES, "blend_effect": 9.0}))

    assert {"blend": pytest.approx(45.0)} == measured
    assert {} == guard_values(BlendGuard(), ended_of(plan_of(1)))
    for effect in (0.0, 1e-5, math.nan):
        ended = ended_of(blended, {**SCORES, "blend_effect": effect})
        assert "the samples are not used" in sentence(BlendGuard(), ended)
    assert "gave no blend_effect" in sentence(BlendGuard(), ended_of(blended))


def counts(guard: ChanceGuard, *ended: EpochEnded) -> list[float]:
    return [reading(guard, each).value for each in ended]


def test_more_scenes_tell_a_smaller_lead_from_noise_and_one_count_has_no_chance_level() -> None:
    for k_acc, scenes, expected in (
        (0.05, 1024, True),
        (0.213, 1024, True),
        (0.24, 1024, True),
        (0.25, 1024, False),
        (0.24, 8192, False),
    ):
        assert expected == within_noise({**SCORES, "k_acc": k_acc, "scenes": scenes})

    alone = {**SCORES, "k_acc": 1.0, "k_majority": 1.0, "count_entropy": 0.0, "count_nll": 0.0}
    ended = ended_of(plan_of(1), {**alone, "count_nll_chance": 0.0})
    assert ([0], []) == (counts(ChanceGuard(), ended), remarks(ended))


def share_within_noise(k_acc: float, guess: float, scenes: int) -> float:
    """Share of validations in which a count with this k_acc is within noise."""
    drawn = torch.Generator().manual_seed(1)
    counts = torch.full((20_000,), float(scenes), dtype=torch.float64)
    hits = torch.binomial(counts, torch.full_like(counts, k_acc), generator=drawn)
    score = {**SCORES, "k_majority": guess, "scenes": float(scenes)}
    return sum(within_noise({**score, "k_acc": hit / scenes}) for hit in hits.tolist()) / len(hits)


def test_the_scenes_needed_tell_a_modest_count_from_a_guess_and_a_few_dozen_do_not() -> None:
    for guess in (0.2, 0.36, 0.5):
        enough = scenes_needed(guess)

        assert share_within_noise(guess + 0.1, guess, enough) < 0.02
        assert share_within_noise(guess + 0.1, guess, 48) > 0.5
        assert share_within_noise(guess, guess, enough) > 0.97


def test_too_few_scenes_end_no_run_and_are_reported_with_the_number_needed() -> None:
    for scenes, ends in ((412, False), (413, True)):
        guard, few = ChanceGuard(epochs=2), {**DEAD, "scenes": scenes}

        readings = [reading(guard, ended_of(plan_of(epoch), few)) for epoch in (1, 2, 3)]

        assert [1, 2, 3] == [each.value for each in readings]
        assert [False, ends, ends] == [each.fault is not None for each in readings]

    sentence = str(too_few({**SCORES, "scenes": 412.0}))
    assert sentence.startswith("412 validation scenes are too few")
    assert "set validation.scenes to 413" in sentence
    assert too_few({**SCORES, "scenes": 413.0}) is None
    assert too_few({**SCORES, "k_majority": 1.0, "scenes": 1.0}) is None


def test_a_remark_needs_enough_scenes() -> None:
    few = {**DEAD, "scenes": 48.0}
    for scores, expected in (
        (DEAD, ["at chance", "one answer"]),
        (few, ["one answer"]),
        ({**few, "count_entropy": 1.3}, []),
    ):
        assert expected == remarks(ended_of(plan_of(1), scores))


def test_one_answer_and_a_loss_near_chance_have_their_limits() -> None:
    nearly = -(0.96 * math.log(0.96) + 0.04 * math.log(0.04))
    chance = SCORES["count_nll_chance"]

    alike = [one_answer({**SCORES, "count_entropy": h}) for h in (nearly, math.log(2.0))]
    near = [near_chance_loss({**SCORES, "count_nll": f * chance}) for f in (0.97, 0.985, 1.3)]

    assert [True, False] == alike
    assert [False, True, True] == near


def test_epochs_at_chance_are_counted_in_a_row_that_a_phase_begins_anew() -> None:
    plans = plans_of(*("joint",) * 4)
    geometry, joint = plans_of("geometry", "joint")

    found = counts(ChanceGuard(), *map(ended_of, plans, (DEAD, DEAD, SCORES, DEAD)))

    assert [1, 2, 0, 1] == found
    assert [1, 1] == counts(ChanceGuard(), ended_of(geometry, DEAD), ended_of(joint, DEAD))
    resumed = ChanceGuard(epochs=5, row=4, phase="joint")
    assert reading(resumed, ended_of(plan_of(9), DEAD)).fault is not None


def test_a_count_within_noise_is_at_chance_unless_it_learns() -> None:
    learning = {**DEAD, "count_entropy": 1.2, "count_nll": 1.4}
    ignorant = {**DEAD, "count_entropy": 1.6}

    assert [0] == counts(ChanceGuard(), ended_of(plan_of(1), learning))
    assert [1] == counts(ChanceGuard(), ended_of(plan_of(1), ignorant))


def test_epochs_that_are_not_judged_or_have_no_loss_on_the_count_are_skipped() -> None:
    guard = ChanceGuard()
    ramp = ended_of(plan_of(1, judged=False), DEAD)
    geometry_alone = ended_of(plan_of(2, weights={"cov": 1.0, "count": 0.0}), DEAD)

    assert [] == [*guard.look(ramp), *guard.look(geometry_alone)]


def test_a_validation_without_a_score_that_is_needed_is_a_fault() -> None:
    for name in NEEDED:
        scores = {key: value for key, value in SCORES.items() if key != name}

        fault = reading(ChanceGuard(), ended_of(plan_of(1), scores)).fault

        assert fault is not None
        assert f"gave no {name}" in fault
