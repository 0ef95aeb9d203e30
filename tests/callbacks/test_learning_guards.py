import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from risexp.callbacks.guard import Guard, GuardCallback
from risexp.callbacks.learning_guards import (
    BlendGuard,
    EpochGuard,
    GradientGuard,
    PlanGuard,
    never_touched,
)
from risexp.config.training import Part
from risexp.errors import TrainingAborted
from risexp.training.epoch_checks import Limits
from risexp.training.events import BatchEnded, EpochEnded, EpochStarted, Event
from risexp.training.plan import Plan
from risexp.training.replay import Refusal
from tests.support.recorded_runs import (
    SCORES,
    ended_of,
    joint,
    plan_of,
    plans_of,
    reading,
    started_of,
    steps_of,
)
from tests.support.trainers import epochs_of, small_trainer

ACCOUNTS = EpochGuard(Limits())
QUIET: tuple[Event, ...] = (
    started_of(joint(1)),
    EpochStarted(plan_of(1)),
    BatchEnded(1, 0, 4),
)


def values(guard: Guard, event: Event) -> dict[str, float]:
    return {each.guard: each.value for each in guard.look(event)}


def sentence(guard: Guard, event: Event) -> str:
    """The first fault, which has to be one sentence."""
    watch = GuardCallback([guard])
    watch(event)
    with pytest.raises(TrainingAborted) as caught:
        watch.enforce(event)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_sound_epoch_has_no_fault_of_any_kind() -> None:
    found = values(ACCOUNTS, ended_of(plan_of(1)))

    counted = ("steps", "refused", "moved", "weights", "average", "loss", "covariance", "plan")
    assert dict.fromkeys(counted, 0) == found


def test_the_accounts_look_at_the_ends_of_epochs_only() -> None:
    assert [{}, {}, {}] == [values(ACCOUNTS, event) for event in QUIET]


def test_refused_steps_are_explained_with_the_first_that_was_replayed() -> None:
    refusal = Refusal(2, "value", ("eigengap",), ("backbone.weight",), ())
    steps = replace(steps_of(1), taken=3, refused=(2,))
    ended = replace(ended_of(plan_of(1)), steps=steps, refused=(refusal,))

    said = sentence(ACCOUNTS, ended)

    assert "1 of 4 steps were refused, more than 5%" in said
    assert "batch 2: value in eigengap at backbone.weight; lower training.optimizer.lr" in said


def test_a_fault_without_advice_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risexp.callbacks.learning_guards._ADVICE", {})
    ended = replace(ended_of(plan_of(1)), steps=replace(steps_of(1), taken=0))

    assert "epoch 1: 0 of 4 batches" in sentence(ACCOUNTS, ended)


def test_a_plan_as_made_has_no_field_apart() -> None:
    plans = plans_of("geometry", "joint")
    guard = PlanGuard(plans)

    seen = [values(guard, event) for event in (EpochStarted(plans[1]), ended_of(plans[1]))]

    assert [{"curriculum": 0}] * 2 == seen
    assert {} == values(guard, started_of(joint(1)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (plan_of(2, weights={**plan_of(1).weights, "count": 0.05}), r"weights\.count = 0\.05"),
        (plan_of(2, beta=0.1), r"beta = 0\.1, and the plan made before the run says 0\.0"),
        (plan_of(2, phase="count"), "phase = 'count'"),
        (plan_of(2, weights={**plan_of(1).weights, "new": 1.0}), r"weights\.new = 1\.0"),
        (replace(plan_of(2), rates={"backbone": 0.0, "heads": 1.0}), r"rates\.backbone = 0\.0"),
    ],
)
def test_a_plan_that_was_changed_on_the_way_is_seen_before_its_epoch(
    changed: Plan, said: str
) -> None:
    found = sentence(PlanGuard(plans_of("joint", "joint")), EpochStarted(changed))

    assert re.search(said, found)


class Probe:
    """Answers which parameters received no gradient, and counts how often it is asked."""

    def __init__(self, untouched: Mapping[Part, Sequence[str]]) -> None:
        self.untouched = untouched
        self.asked = 0

    def __call__(self) -> Mapping[Part, Sequence[str]]:
        self.asked += 1
        return self.untouched


def test_parameters_without_a_gradient_are_named() -> None:
    probe = Probe({"backbone": ["a.weight", "a.bias"], "heads": ["b.weight", "b.bias"]})

    said = sentence(GradientGuard(probe, joint(3).plans), ended_of(plan_of(3)))

    assert "a.weight, a.bias, b.weight and 1 more never received a gradient" in said


def test_frozen_parts_need_no_gradient() -> None:
    probe = Probe({"backbone": ["a.weight"], "heads": []})
    plan = replace(plan_of(1), rates={"backbone": 0.0, "heads": 1.0})

    assert {"gradient": 0} == values(GradientGuard(probe, [plan]), ended_of(plan))


def test_gradients_are_asked_for_in_the_last_phase_until_all_is_well() -> None:
    probe = Probe({"backbone": [], "heads": []})
    plans = plans_of("geometry", "joint", "joint")
    guard = GradientGuard(probe, plans)

    found = [values(guard, ended_of(plan)) for plan in plans]

    assert [{}, {"gradient": 0}, {"gradient": 0}] == found
    assert 1 == probe.asked


def one_step(epoch: int, refused: int = 0) -> EpochEnded:
    """The end of an epoch of one step, after as many others and so many that were refused."""
    steps = replace(steps_of(epoch), batches=1, taken=1, total=epoch - refused)
    return replace(ended_of(plan_of(epoch)), steps=steps)


def test_epochs_of_one_step_are_not_judged_before_the_tenth() -> None:
    guard = GradientGuard(Probe({"backbone": ["a.weight"]}), joint(12).plans)

    (ninth,), (tenth,) = (guard.look(one_step(epoch)) for epoch in (9, 10))

    assert (1, None) == (ninth.value, ninth.fault)
    assert (1, True) == (tenth.value, tenth.fault is not None)


def test_steps_that_were_refused_are_none() -> None:
    guard = GradientGuard(Probe({"backbone": ["a.weight"]}), joint(12).plans)

    (tenth,), (eleventh,) = (guard.look(one_step(epoch, refused=1)) for epoch in (10, 11))

    assert [False, True] == [each.fault is not None for each in (tenth, eleventh)]


def test_steps_of_earlier_phases_are_not_those_of_the_last() -> None:
    plans = plans_of(*("geometry",) * 5, *("joint",) * 4)
    guard = GradientGuard(Probe({"backbone": ["a.weight"]}), plans)

    found = [reading(guard, ended_of(plan)) for plan in plans[5:]]

    assert [False, False, True, True] == [each.fault is not None for each in found]


def test_the_probe_of_a_trainer_names_exactly_what_no_term_depends_on() -> None:
    trainer = small_trainer()
    before = never_touched(trainer.stepper)

    epochs_of(trainer)

    assert {"backbone", "heads"} == before.keys()
    assert ["backbone.weight", "backbone.bias"] == before["backbone"]
    assert {"backbone": [], "heads": []} == never_touched(trainer.stepper)


def test_a_blend_is_measured_over_beta() -> None:
    ended = ended_of(plan_of(1, beta=0.2), {**SCORES, "blend_effect": 9.0})

    assert {"blend": pytest.approx(45.0)} == values(BlendGuard(), ended)


def test_without_beta_there_is_no_blend_to_measure() -> None:
    assert {} == values(BlendGuard(), ended_of(plan_of(1)))


@pytest.mark.parametrize("effect", [0.0, 1e-5, math.nan])
def test_a_blend_that_moves_nothing_is_a_fault(effect: float) -> None:
    ended = ended_of(plan_of(1, beta=0.2), {**SCORES, "blend_effect": effect})

    assert "the samples are not used" in sentence(BlendGuard(), ended)


def test_a_validation_that_does_not_measure_the_blend_is_a_fault() -> None:
    assert "gave no blend_effect" in sentence(BlendGuard(), ended_of(plan_of(1, beta=0.2)))


def test_batches_leave_the_readings_alone() -> None:
    watch = GuardCallback([ACCOUNTS])
    watch(ended_of(plan_of(1)))
    before = watch.values()

    watch(BatchEnded(2, 0, 4))

    assert before == watch.values()
    assert "steps" in before
