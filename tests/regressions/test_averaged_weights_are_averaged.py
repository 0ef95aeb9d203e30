"""Once: averaged weights were the plain ones, or the initial ones, and were served as averages.

A prefix loaded without strictness left them plain; 60 steps at a decay of .999 left them initial.
"""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from risexp.errors import CheckpointRefused, TrainingAborted
from risexp.training.checkpoint import copied, restore
from risexp.training.optimizer import Average
from risexp.training.plan import Plan
from tests.support.trainers import (
    epochs_of,
    guarded_epochs,
    scored,
    small_config,
    small_network,
    small_trainer,
)


def flat(network: nn.Module) -> Tensor:
    return torch.cat([each.detach().flatten() for each in network.parameters()])


def test_sixty_steps_leave_nothing_of_the_initial_weights(device: torch.device) -> None:
    config = small_config(
        training__epochs=1, training__scenes_per_epoch=16 * 60, training__ema_decay=0.999
    )
    initial = flat(small_network(device))
    trainer = small_trainer(config, device=device)

    (epoch,) = epochs_of(trainer)
    averaged, plain = flat(trainer.stepper.average.module), flat(trainer.network)

    assert 60 == epoch.steps.taken
    assert float((averaged - plain).norm()) < 0.7 * float((initial - plain).norm())
    assert float((averaged - initial).norm()) > 0.3 * float((initial - plain).norm())
    last = float((averaged - plain).double().norm())
    assert last == pytest.approx(epoch.steps.average_distance, rel=1e-5)


def left_alone(_: Average, __: Tensor, ___: Tensor) -> None: ...


def plain(average: Average, _: Tensor, __: Tensor) -> None:
    average.module.load_state_dict(average._network.state_dict())


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (left_alone, "the averaged weights did not move"),
        (plain, "the averaged weights are the plain ones after 4 steps"),
    ],
)
def test_an_average_that_is_none_ends_the_run(
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[Average, Tensor, Tensor], None],
    said: str,
) -> None:
    monkeypatch.setattr(Average, "add", fault)

    with pytest.raises(TrainingAborted, match=said) as caught:
        guarded_epochs(small_trainer(device=device))

    assert "average" == caught.value.guard


def test_the_averaged_weights_are_the_ones_validated_and_kept() -> None:
    seen: list[Tensor] = []

    def validate(network: nn.Module, plan: Plan) -> Mapping[str, float]:
        seen.append(flat(network).clone())
        return scored(network, plan)

    trainer = small_trainer(validate=validate)

    epochs_of(trainer)

    module = small_network()
    restore(module.state_dict(), trainer.state().averaged, "averaged weights")
    assert torch.equal(seen[-1], flat(module))
    assert not torch.equal(seen[-1], flat(trainer.network))


def test_a_prefix_is_an_error_and_leaves_everything_as_it_was() -> None:
    network = small_network()
    before = flat(network).clone()
    prefixed = {f"module.{name}": each * 0.0 for name, each in copied(network.state_dict()).items()}

    with pytest.raises(CheckpointRefused, match="averaged weights"):
        restore(network.state_dict(), prefixed, "averaged weights")

    assert torch.equal(before, flat(network))
