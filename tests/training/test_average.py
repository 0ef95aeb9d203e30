"""The averaged weights against a plain loop, on every step and on none."""

import pytest
import torch
from torch import Tensor, nn

from risexp.training.optimizer import Average
from tests.support.trainers import Small, small_network


def moved(network: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))


def flat(network: nn.Module) -> Tensor:
    return torch.cat([each.detach().flatten().double() for each in network.parameters()])


def add(average: Average, *, taken: bool, steps: int) -> None:
    device = next(average.module.parameters()).device
    average.add(torch.tensor(taken, device=device), torch.tensor(steps, device=device))


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_copy_is_the_mean_of_all_steps_without_bias(device: torch.device, decay: float) -> None:
    network = small_network(device)
    average = Average(network.train(), decay)
    shadow = torch.zeros_like(flat(network))
    for step in range(1, 21):
        moved(network, step)
        shadow = decay * shadow + (1.0 - decay) * flat(network)
        add(average, taken=True, steps=step)

        expected = shadow / (1.0 - decay**step)

        torch.testing.assert_close(expected, flat(average.module), rtol=1e-5, atol=1e-6)
        assert step > 1 or torch.equal(flat(network), flat(average.module))
    distance = float((flat(network) - flat(average.module)).norm())
    assert distance == pytest.approx(float(average.distance()), rel=1e-4)
    assert not average.module.training
    assert not any(each.requires_grad for each in average.module.parameters())


def test_a_refused_step_leaves_the_mean_alone_and_buffers_are_copied(device: torch.device) -> None:
    network = small_network(device)
    average = Average(network, 0.9)
    add(average, taken=True, steps=1)
    before = flat(average.module)
    moved(network, 2)
    network.seen.add_(41)

    add(average, taken=False, steps=1)
    add(average, taken=False, steps=0)
    average.settle()

    assert torch.equal(before, flat(average.module))
    assert isinstance(average.module, Small)
    assert 41 == int(average.module.seen)


def test_without_a_decay_the_copy_is_the_plain_network(device: torch.device) -> None:
    network = small_network(device)
    average = Average(network, None)
    moved(network, 3)
    add(average, taken=True, steps=1)

    average.settle()

    assert torch.equal(flat(network), flat(average.module))
    assert not average.averages
