"""The loop: its events, its steps, its silence towards the device, and its resumption."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import nn

from risexp.data.frames import Scenes
from risexp.errors import TrainingAborted
from risexp.training.curriculum import curriculum
from risexp.training.events import BatchEnded, EpochEnded, EpochStarted
from risexp.training.plan import Plan
from tests.support.host_syncs import looks
from tests.support.trainers import (
    EVENTFUL,
    SmallLoss,
    epochs_of,
    scored,
    small_config,
    small_loss,
    small_network,
    small_trainer,
    summed,
)


def test_a_run_yields_every_epoch_with_its_plan_and_every_batch(device: torch.device) -> None:
    config = small_config(**EVENTFUL)
    events = []
    for event in small_trainer(config, device=device).run():
        assert torch.is_grad_enabled()  # callbacks may compute gradients
        events.append(event)

    epoch = [EpochStarted, *[BatchEnded] * 4, EpochEnded]
    assert epoch * 5 == [type(event) for event in events]
    assert [BatchEnded(at, batch, 4) for at in range(1, 6) for batch in range(4)] == [
        event for event in events if isinstance(event, BatchEnded)
    ]
    assert curriculum(config) == tuple(
        event.plan for event in events if isinstance(event, EpochEnded)
    )


def test_training_learns(device: torch.device) -> None:
    config = small_config(training__epochs=10, training__repeat=True, training__batch=64)

    epochs = epochs_of(small_trainer(config, device=device))

    assert epochs[-1].losses.total < 0.5 * epochs[0].losses.total


def test_the_averaged_network_is_validated_in_evaluation_mode_without_gradients() -> None:
    seen: list[nn.Module] = []

    def validate(network: nn.Module, plan: Plan) -> Mapping[str, float]:
        assert not network.training
        assert not torch.is_grad_enabled()
        seen.append(network)
        return scored(network, plan)

    trainer = small_trainer(validate=validate)
    epochs_of(trainer)

    assert [trainer.stepper.average.module] * 3 == seen
    assert trainer.network.training


def test_the_host_never_waits_within_an_epoch(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(training__accumulation=2, training__scenes_per_epoch=256)
    run = small_trainer(config, device=device).run()
    assert isinstance(next(run), EpochStarted)
    assert isinstance(next(run), BatchEnded)

    with looks(monkeypatch, device) as found:
        events = [next(run) for _ in range(15)]

    assert {BatchEnded} == {type(event) for event in events}
    assert [] == found
    assert isinstance(next(run), EpochEnded)


def test_a_wait_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def waiting(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
        loss = small_loss(network, scenes, plan)
        assert loss.total.isfinite()
        return loss

    run = small_trainer(objective=waiting).run()
    assert isinstance(next(run), EpochStarted)
    assert isinstance(next(run), BatchEnded)

    with looks(monkeypatch) as found:
        next(run)

    assert ["__bool__"] == found


@pytest.mark.parametrize("pieces", [2, 3, 16])
def test_pieces_add_up_to_the_whole_batch(device: torch.device, pieces: int) -> None:
    networks = small_network(device), small_network(device)
    for network in networks:
        network.left_out.p = 0.0
    whole, cut = (small_trainer(network=each, device=device) for each in networks)
    cut.recipe = replace(cut.recipe, pieces=pieces)

    for one, two in zip(epochs_of(whole), epochs_of(cut), strict=True):
        assert one.losses.total == pytest.approx(two.losses.total, rel=1e-4)
        assert one.steps.grad_norm == pytest.approx(two.steps.grad_norm, rel=1e-4)
        assert 4 == two.steps.taken


@pytest.mark.parametrize("scores", [{}, {"loss": 1.0}, {"k_loc": math.nan}])
def test_a_validation_without_the_selected_score_ends_the_run(scores: dict[str, float]) -> None:
    trainer = small_trainer(validate=lambda _, __: scores)

    with pytest.raises(TrainingAborted, match=r"epoch 1: the validation gave .*k_loc") as caught:
        epochs_of(trainer)

    assert "validation" == caught.value.guard
    with pytest.raises(RuntimeError):
        trainer.state()


def test_a_decomposition_that_fails_is_one_refused_step(device: torch.device) -> None:
    looked: list[int] = []

    def failing(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
        looked.append(1)
        loss = small_loss(network, scenes, plan)
        if len(looked) == 3:
            torch.linalg.cholesky(torch.zeros(2, 2, device=device))
        return loss

    trainer = small_trainer(small_config(training__epochs=1), objective=failing, device=device)

    (epoch,) = epochs_of(trainer)

    assert (2,) == epoch.steps.refused
    assert ["not again"] == [each.reason for each in epoch.refused]
    assert math.isfinite(epoch.losses.total)


def test_an_epoch_without_a_step_is_told_and_left_to_the_guards() -> None:
    def nothing(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
        loss = small_loss(network, scenes, plan)
        return summed({name: term * 0.0 for name, term in loss.terms.items()}, plan.active)

    told = epochs_of(small_trainer(objective=nothing))

    assert [(0, 1, 2, 3)] * 3 == [each.steps.refused for each in told]


def test_what_the_loss_learns_is_trained_and_kept() -> None:
    class Log(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.variance = nn.Parameter(torch.tensor(0.5))

    balance = Log()

    def learned(network: nn.Module, scenes: Scenes, plan: Plan) -> SmallLoss:
        loss = small_loss(network, scenes, plan)
        weighted = {
            name: each * (-balance.variance).exp() + balance.variance
            for name, each in loss.weighted.items()
        }
        return SmallLoss(torch.stack(list(weighted.values())).sum(), loss.terms, weighted)

    config = small_config(loss__balance="uncertainty")
    trainer = small_trainer(config, objective=learned, balance=balance)
    epochs_of(trainer)
    kept = float(trainer.state().balance["variance"])

    assert kept == float(balance.variance.detach()) != 0.5
    assert "exp_avg.balance.variance" in trainer.state().optimizer
