"""Short runs of probes: the real training loop, without side effects."""

from collections.abc import Callable

import pytest
import torch

from risexp.config.run import RunConfig
from risexp.data.scenes import SceneGenerator
from risexp.diagnostics.k_head import Amount, probe_k_head, train_on_fresh
from risexp.diagnostics.litmus import probe_litmus
from risexp.diagnostics.overfit import probe_overfit
from risexp.diagnostics.probe_trainer import (
    CachedObjective,
    ProbeTrainer,
    ShortRun,
    batch_sizes,
    milestones,
    one_epoch_changes,
    probe_rate,
    short_run_changes,
    train_setup,
)
from risexp.model.network import Network
from risexp.training.curriculum import curriculum
from risexp.training.events import EpochEnded
from risexp.training.objective import Objective
from risexp.training.trainer import Trainer
from tests.diagnostics.faults import OutsideTheLoop, WithoutSteps, trained_by
from tests.diagnostics.reports import table
from tests.support.references import smoke

RAMPED: dict[str, object] = {
    "training.epochs": 600,
    "curriculum.count_ramp": 500,
    "curriculum.structure_ramp": 500,
    "loss.subspace": 0.1,
    "beta.final": 0.3,
    "beta.ramp_share": 1.0,
}


def short_run(
    trainer: ProbeTrainer | None = None,
    epochs: int = 3,
    batches: int = 2,
    enough: Callable[[EpochEnded], bool] = lambda _: False,
) -> ShortRun:
    trainer = trainer or ProbeTrainer()
    short = smoke().replace(short_run_changes(smoke().training, epochs, 4, batches, 1e-3))
    objective, network = trainer.objective_of(short), trainer.fresh_network(short)
    setup = train_setup(
        network, objective, CachedObjective(objective), lambda _, plan: {"loss": 1.0 / plan.epoch}
    )
    return trainer.train(short, setup, enough)


def test_a_short_run_takes_every_step_and_ends_when_it_is_enough() -> None:
    found, early = short_run(), short_run(enough=lambda ended: ended.scores["loss"] <= 0.5)

    check = found.step_check()
    assert (2, 4) == (len(early.epochs), early.taken)
    assert (True, False) == (early.step_check(4).passed, early.step_check(5).passed)
    assert (6, 6, None) == (found.taken, found.due, found.aborted)
    assert (True, 6.0, ">= 6") == (check.passed, check.value, check.needed)
    assert {"loss": 1.0 / 3.0} == dict(found.scores)


def test_steps_that_are_missing_are_told_in_the_words_of_the_guard() -> None:
    cases: list[tuple[type[Trainer], int, str]] = [
        (OutsideTheLoop, 1, "1 of 2 optimizer steps were taken (steps: epoch 1: "),
        (WithoutSteps, 0, "0 of 2 optimizer steps were taken (steps: epoch 1: "),
    ]
    for kind, taken, words in cases:
        found = short_run(ProbeTrainer(trainer=trained_by(kind)))

        check = found.step_check()
        assert (taken, False) == (found.taken, check.passed), (kind, taken, words)
        assert check.advice.startswith(words), (kind, taken, words)
        assert "inside the loop over batches" in check.advice, (kind, taken, words)


def test_two_runs_of_one_configuration_are_the_same_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()

    first, second = short_run(), short_run()

    assert torch.equal(before, torch.random.get_rng_state())
    assert [each.losses for each in first.epochs] == [each.losses for each in second.epochs]
    weights = second.network.state_dict()
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, weights[name])


def test_a_batch_is_looked_at_once_and_marked_as_the_teacher_would() -> None:
    config = smoke()
    objective, network = Objective.of(config), ProbeTrainer().fresh_network(config)
    scenes = SceneGenerator(config.physics, config.data).scenes("train", 0, 8)
    plan = short_run().trainer.plans[0]
    cached = CachedObjective(objective)

    loss = cached(network, scenes, plan)

    assert cached.observation(scenes.frames) is cached.observation(scenes[0:8].frames)
    assert cached.observation(scenes[0:4].frames) is not cached.observation(scenes.frames)
    torch.testing.assert_close(objective(network, scenes, plan).total, loss.total)


def test_an_epoch_has_several_batches_and_a_curve_shows_the_first_epochs_and_the_last() -> None:
    shown = milestones(short_run(epochs=7, batches=1).epochs)

    assert [(1, 1), (1, 3), (16, 4), (64, 8)] == [*map(batch_sizes, (1, 3, 64, 512))]
    assert [1, 2, 4, 7] == [each.plan.epoch for each in shown]


def test_a_probe_uses_its_own_rate_as_far_as_the_run_could_move_its_weights() -> None:
    for lr, epochs, scenes, expected in [
        (3e-3, 24, 16_384, 3e-3),
        (1e-2, 24, 16_384, 1e-2),
        (1e-4, 24, 16_384, 2e-3),
        (1e-7, 24, 16_384, 1e-7 * 6144 / 100),
        (1e-7, 1, 64, 1e-7 * 1000 / 100),
    ]:
        amount = {"training.epochs": epochs, "training.scenes_per_epoch": scenes}
        training = smoke().replace(amount | {"training.optimizer.lr": lr}).training

        assert pytest.approx(expected) == probe_rate(training, own=2e-3, steps=100), lr


def test_no_ramp_is_too_long_for_a_short_run() -> None:
    for epochs in [2, 5]:
        ramped = smoke().replace(RAMPED)
        plans = curriculum(ramped.replace(short_run_changes(ramped.training, epochs, 4, 1, 1e-3)))

        assert (0.3, True) == (plans[-1].beta, plans[-1].judged), epochs
        assert {1.0} == {plan.weights["count"] for plan in plans}, epochs


def test_in_one_epoch_everything_is_as_it_would_become() -> None:
    for phase in ["joint", "three-phase"]:
        config = smoke().replace({**RAMPED, "curriculum.phase": phase})

        (plan,) = curriculum(
            config.replace(
                short_run_changes(config.training, 1, 4, 1, 1e-3) | one_epoch_changes(config)
            )
        )

        assert ("joint", 0.3, True) == (plan.phase, plan.beta, plan.judged), phase


def test_fresh_scenes_teach_in_one_epoch_whatever_is_ramped() -> None:
    config = smoke().replace({**RAMPED, "curriculum.phase": "three-phase"})
    before = ProbeTrainer().fresh_network(config).state_dict()

    after = train_on_fresh(config, 64, ProbeTrainer()).state_dict()

    assert not all(torch.equal(before[name], after[name]) for name in before)


def test_a_probe_trains_on_its_device_and_compiles_there_as_the_run_will() -> None:
    seen: list[tuple[str, object]] = []

    class Placed(Network):
        def __init__(self, config: RunConfig) -> None:
            super().__init__(config.replace({"training.compile": False}))
            seen.append(("compile", config.training.compile))

        def to(self, device: torch.device) -> "Placed":  # type: ignore[override]
            seen.append(("network", device.type))
            return self

    def objective(config: RunConfig, device: torch.device) -> Objective:
        seen.append(("objective", device.type))
        return Objective.of(config)

    config = smoke().replace({"training.compile": True})
    for device in ("cpu", "cuda"):
        seen.clear()
        trainer = ProbeTrainer(Placed, objective, device=torch.device(device))
        trainer.fresh_network(config.replace(short_run_changes(config.training, 2, 4, 1, 1e-3)))
        trainer.objective_of(config)

        assert [("compile", device == "cuda"), ("network", device), ("objective", device)] == seen


def test_a_probe_learns_on_every_device(device: torch.device) -> None:
    trainer = ProbeTrainer(device=device)

    for report in (
        probe_litmus(smoke(), trainer),
        probe_k_head(smoke(), Amount(8, 1, 64, 8), trainer=trainer),
        probe_overfit(smoke(), 8, 1, trainer),
    ):
        assert float(str(table(report, "checks").rows[0][1])) >= 0.0
        assert trainer.scenes(smoke(), "train", 4).frames.y.device.type == device.type
