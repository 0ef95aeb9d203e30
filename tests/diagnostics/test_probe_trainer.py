"""Short runs for probes: the very loop that trains, without a trace in what comes after."""

import pytest
import torch
from torch.nn import Module

from risexp.data.scenes import SceneGenerator
from risexp.diagnostics.k_head import taught_fresh
from risexp.diagnostics.probe_trainer import (
    CachedObjective,
    ProbeTrainer,
    ShortRun,
    at_once,
    brief,
    lesson_of,
    milestones,
    pieces,
)
from risexp.training.curriculum import curriculum
from risexp.training.objective import Objective
from risexp.training.plan import Plan
from risexp.training.trainer import Trainer
from tests.diagnostics.faults import OutsideTheLoop, WithoutSteps, trained_by
from tests.support.references import smoke

RAMPED: dict[str, object] = {
    "training.epochs": 600,
    "curriculum.count_ramp": 500,
    "curriculum.structure_ramp": 500,
    "loss.subspace": 0.1,
    "beta.final": 0.3,
    "beta.ramp_share": 1.0,
}


def course(school: ProbeTrainer | None = None, epochs: int = 3, batches: int = 2) -> ShortRun:
    school = school or ProbeTrainer()
    short = smoke().replace(brief(epochs, 4, batches, 1e-3))
    teacher = school.teacher(short)
    lesson = lesson_of(school.begun(short), teacher, CachedObjective(teacher), unjudged)
    return school.taught(short, lesson)


def unjudged(_network: Module, plan: Plan) -> dict[str, float]:
    return {"loss": 1.0 / plan.epoch}


def test_a_short_run_takes_every_step_and_says_nothing() -> None:
    found = course()

    check = found.step_check()
    assert (6, 6, None) == (found.taken, found.due, found.aborted)
    assert (True, 6.0, ">= 6") == (check.passed, check.value, check.needed)
    assert {"loss": 1.0 / 3.0} == dict(found.scores)


def test_a_run_that_ended_before_its_due_steps_fails() -> None:
    assert not course(epochs=2).step_check(5).passed
    assert course(epochs=2).step_check(4).passed


@pytest.mark.parametrize(
    ("kind", "taken", "words"),
    [
        (OutsideTheLoop, 1, "1 of 2 optimizer steps were taken (steps: epoch 1: "),
        (WithoutSteps, 0, "0 of 2 optimizer steps were taken (steps: epoch 1: "),
    ],
)
def test_steps_that_are_missing_are_told_in_the_words_of_the_guard(
    kind: type[Trainer], taken: int, words: str
) -> None:
    found = course(ProbeTrainer(trainer=trained_by(kind)))

    check = found.step_check()
    assert (taken, False) == (found.taken, check.passed)
    assert check.advice.startswith(words)
    assert "inside the loop over batches" in check.advice


def test_a_run_that_is_enough_ends_early() -> None:
    school, short = ProbeTrainer(), smoke().replace(brief(5, 4, 1, 1e-3))
    teacher = school.teacher(short)
    lesson = lesson_of(school.begun(short), teacher, teacher, unjudged)

    found = school.taught(short, lesson, lambda ended: ended.scores["loss"] <= 0.5)

    assert 2 == len(found.epochs) == found.taken


def test_two_runs_of_one_configuration_are_the_same_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()

    first, second = course(), course()

    assert torch.equal(before, torch.random.get_rng_state())
    assert [each.losses for each in first.epochs] == [each.losses for each in second.epochs]
    weights = second.network.state_dict()
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, weights[name])


def test_a_batch_is_looked_at_once_and_marked_as_the_teacher_would() -> None:
    config = smoke()
    teacher, network = Objective.of(config), ProbeTrainer().begun(config)
    scenes = SceneGenerator(config.physics, config.data).scenes("train", 0, 8)
    plan = course().trainer.plans[0]
    objective = CachedObjective(teacher)

    loss = objective(network, scenes, plan)

    assert objective.observation(scenes.frames) is objective.observation(scenes[0:8].frames)
    assert objective.observation(scenes[0:4].frames) is not objective.observation(scenes.frames)
    torch.testing.assert_close(teacher(network, scenes, plan).total, loss.total)


@pytest.mark.parametrize(
    ("scenes", "expected"), [(1, (1, 1)), (3, (1, 3)), (64, (16, 4)), (512, (64, 8))]
)
def test_an_epoch_has_several_batches_wherever_it_can(
    scenes: int, expected: tuple[int, int]
) -> None:
    assert expected == pieces(scenes)


def test_a_curve_is_shown_by_its_first_epochs_and_its_last() -> None:
    shown = milestones(course(epochs=7, batches=1).epochs)

    assert [1, 2, 4, 7] == [each.plan.epoch for each in shown]


@pytest.mark.parametrize("epochs", [2, 5])
def test_no_ramp_is_too_long_for_a_short_run(epochs: int) -> None:
    plans = curriculum(smoke().replace(RAMPED).replace(brief(epochs, 4, 1, 1e-3)))

    assert (0.3, True) == (plans[-1].beta, plans[-1].judged)
    assert {1.0} == {plan.weights["count"] for plan in plans}


@pytest.mark.parametrize("phase", ["joint", "three-phase"])
def test_in_one_epoch_everything_is_as_it_would_become(phase: str) -> None:
    config = smoke().replace({**RAMPED, "curriculum.phase": phase})

    (plan,) = curriculum(config.replace(brief(1, 4, 1, 1e-3) | at_once(config)))

    assert ("joint", 0.3, True) == (plan.phase, plan.beta, plan.judged)


def test_fresh_scenes_teach_in_one_epoch_whatever_is_ramped() -> None:
    config = smoke().replace({**RAMPED, "curriculum.phase": "three-phase"})
    before = ProbeTrainer().begun(config).state_dict()

    after = taught_fresh(config, 64, ProbeTrainer()).state_dict()

    assert not all(torch.equal(before[name], after[name]) for name in before)
