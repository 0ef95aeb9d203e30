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


def tensors(device: torch.device, taken: bool, steps: int) -> tuple[Tensor, Tensor]:
    return torch.tensor(taken, device=device), torch.tensor(steps, device=device)


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_the_mean_is_the_plain_recursion_with_its_bias_taken_out(
    device: torch.device, decay: float
) -> None:
    network = small_network(device)
    average = Average(network, decay)
    shadow = torch.zeros_like(flat(network))
    for step in range(1, 61):
        moved(network, step)
        shadow = decay * shadow + (1.0 - decay) * flat(network)
        average.add(*tensors(device, taken=True, steps=step))

        expected = shadow / (1.0 - decay**step)

        torch.testing.assert_close(expected, flat(average.module), rtol=1e-5, atol=1e-6)


def test_the_first_step_leaves_nothing_of_the_initial_weights(device: torch.device) -> None:
    network = small_network(device)
    average = Average(network, 0.999)
    moved(network, 1)

    average.add(*tensors(device, taken=True, steps=1))

    assert torch.equal(flat(network), flat(average.module))


def test_a_refused_step_leaves_the_mean_alone(device: torch.device) -> None:
    network = small_network(device)
    average = Average(network, 0.9)
    average.add(*tensors(device, taken=True, steps=1))
    before = flat(average.module)
    moved(network, 2)

    average.add(*tensors(device, taken=False, steps=1))
    average.add(*tensors(device, taken=False, steps=0))

    assert torch.equal(before, flat(average.module))


def test_buffers_are_copied_and_not_averaged(device: torch.device) -> None:
    network = small_network(device)
    average = Average(network, 0.9)
    network.seen.add_(41)

    average.settle()

    assert isinstance(average.module, Small)
    assert 41 == int(average.module.seen)


def test_without_a_decay_the_copy_is_the_plain_network(device: torch.device) -> None:
    network = small_network(device)
    average = Average(network, None)
    moved(network, 3)
    average.add(*tensors(device, taken=True, steps=1))

    average.settle()

    assert torch.equal(flat(network), flat(average.module))
    assert not average.averages


def test_the_distance_is_that_of_all_parameters(device: torch.device) -> None:
    network = small_network(device)
    average = Average(network, 0.9)
    before = flat(network)
    moved(network, 4)

    assert float((flat(network) - before).norm()) == pytest.approx(float(average.distance()))


def test_the_copy_is_in_evaluation_mode_and_learns_nothing(device: torch.device) -> None:
    average = Average(small_network(device).train(), 0.9)

    assert not average.module.training
    assert not any(each.requires_grad for each in average.module.parameters())
