"""The step gate: what it lets through, what it refuses, and what it counts."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from risexp.training.curriculum import curriculum
from risexp.training.optimizer import Average, Schedule, StepRule, parts_of
from risexp.training.stepper import Stepper
from tests.support.trainers import part_of, same, small_config, small_network

RULE = StepRule(lr=0.1, head_factor=2.0, weight_decay=0.01, clip=1.0)
SCHEDULE = Schedule(steps=8, warmup=4, final_share=0.0)
PLAN = curriculum(small_config())[0]


def stepper_of(network: nn.Module, rule: StepRule = RULE) -> Stepper:
    parts = parts_of(network, part_of, nn.Identity())
    return Stepper([network], parts, rule, SCHEDULE, Average(network, 0.9))


def backward(network: nn.Module, scale: float = 1.0) -> Tensor:
    """Gradients of a loss that depends on every weight, and the loss."""
    weights = [each for each in network.parameters() if each.requires_grad]
    total = torch.stack([(each - 1.0).square().sum() for each in weights]).sum() * scale
    total.backward()  # type: ignore[no-untyped-call]
    return total


def spoil(value: float) -> Callable[[nn.Module, Tensor], Tensor]:
    def one_gradient(network: nn.Module, total: Tensor) -> Tensor:
        gradient = next(network.parameters()).grad
        assert gradient is not None
        gradient.view(-1)[3] = value
        return total

    return one_gradient


def silence(network: nn.Module, total: Tensor) -> Tensor:
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return total


SPOILS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "nan gradient": spoil(math.nan),
    "infinite gradient": spoil(math.inf),
    "gradient that overflows": spoil(1e30),
    "no gradient": silence,
    "nan loss": lambda _, total: total * math.nan,
    "infinite loss": lambda _, total: total * -math.inf,
}


@pytest.mark.parametrize("spoiled", SPOILS)
def test_a_spoiled_step_leaves_no_trace_and_the_run_goes_on(
    device: torch.device, spoiled: str
) -> None:
    network, twin = small_network(device), small_network(device)
    stepper, plain = stepper_of(network), stepper_of(twin)

    with stepper.epoch(PLAN, 3), plain.epoch(PLAN, 2):
        stepper.step(backward(network), 0)
        plain.step(backward(twin), 0)
        taken = stepper.step(SPOILS[spoiled](network, backward(network)), 1)
        assert not bool(taken)
        assert_same(plain, twin, stepper, network)
        assert all(parameter.grad is None for parameter in network.parameters())
        stepper.step(backward(network), 2)
        plain.step(backward(twin), 1)
        steps, others = stepper.read(), plain.read()

    assert_same(plain, twin, stepper, network)
    assert replace(others, batches=3, refused=(1,)) == steps


def assert_same(plain: Stepper, twin: nn.Module, stepper: Stepper, network: nn.Module) -> None:
    """The weights, their average and the moments of two runs are equal bit for bit."""
    assert same(twin.state_dict(), network.state_dict())
    assert same(plain.average.module.state_dict(), stepper.average.module.state_dict())
    assert same(plain.optimizer.tensors(), stepper.optimizer.tensors())


def test_the_rate_of_a_step_follows_the_steps_taken(device: torch.device) -> None:
    network = small_network(device)
    stepper = stepper_of(network)
    seen = []
    for batch in range(5):
        with stepper.epoch(PLAN, 1):
            total = backward(network)
            stepper.step(total * math.nan if batch == 2 else total, 0)
            seen.append(stepper.read().lr)

    assert [0.025, 0.05, 0.075, 0.075, 0.1] == pytest.approx([lr["backbone"] for lr in seen])
    assert [0.05, 0.1, 0.15, 0.15, 0.2] == pytest.approx([lr["heads"] for lr in seen])


def test_the_whole_gradient_is_clipped_to_one_norm(device: torch.device) -> None:
    large, small = small_network(device), small_network(device)
    one, other = stepper_of(large), stepper_of(small)

    with one.epoch(PLAN, 1), other.epoch(PLAN, 1):
        one.step(backward(large, scale=1e3), 0)
        other.step(backward(small, scale=1.0), 0)
        steps, others = one.read(), other.read()

    for a, b in zip(small.parameters(), large.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0.0, atol=1e-4)
    assert (1, 1) == (steps.clipped, others.clipped)
    assert 1e3 * others.grad_norm == pytest.approx(steps.grad_norm, rel=1e-5)


def test_what_moved_is_the_sum_of_all_updates(device: torch.device) -> None:
    network = small_network(device)
    before = {name: each.detach().clone() for name, each in network.named_parameters()}
    stepper = stepper_of(network)
    with stepper.epoch(PLAN, 2):
        stepper.step(backward(network), 0)
        stepper.step(backward(network), 1)
        steps = stepper.read()
    squares = {
        name: float((each.detach() - before[name]).square().sum())
        for name, each in network.named_parameters()
    }

    assert math.sqrt(sum(squares.values())) == pytest.approx(steps.delta_param, rel=1e-5)
    assert math.sqrt(squares["heads.weight"] + squares["heads.bias"]) == pytest.approx(
        steps.moved["heads"], rel=1e-5
    )


def test_norms_are_the_mean_and_the_largest_of_steps_taken(device: torch.device) -> None:
    network = small_network(device)
    stepper = stepper_of(network, replace(RULE, lr=1e-7))
    with stepper.epoch(PLAN, 4):
        for batch, scale in enumerate((1.0, 3.0, math.inf, 2.0)):
            total = backward(network, min(scale, 1e6))
            stepper.step(total * scale if scale == math.inf else total, batch)
        steps = stepper.read()

    assert (3, (2,)) == (steps.taken, steps.refused)
    assert steps.grad_norm_max == pytest.approx(1.5 * steps.grad_norm, rel=1e-4)


def test_a_frozen_part_stands_still_and_a_slowed_one_moves_by_its_factor(
    device: torch.device,
) -> None:
    networks = [small_network(device) for _ in range(3)]
    frozen, still = stepper_of(networks[2], RULE), networks[2].backbone.weight.detach().clone()
    steppers = (
        *(stepper_of(each, replace(RULE, weight_decay=0.0)) for each in networks[:2]),
        frozen,
    )
    moved = []
    for network, stepper, rate in zip(networks, steppers, (1.0, 0.1, 0.0), strict=True):
        with stepper.epoch(replace(PLAN, rates={"backbone": rate, "heads": 1.0}), 1):
            stepper.step(backward(network), 0)
            moved.append(stepper.read().moved)

    assert 0.1 * moved[0]["backbone"] == pytest.approx(moved[1]["backbone"], rel=1e-3)
    assert 0.0 == moved[2]["backbone"] < moved[2]["heads"]
    assert torch.equal(still, networks[2].backbone.weight)
    assert not frozen.optimizer.tensors()["exp_avg.backbone.weight"].any()
    assert networks[2].backbone.weight.requires_grad


def test_a_network_with_a_parameter_in_no_part_is_refused() -> None:
    network = small_network()
    parts = {"heads": dict(network.heads.named_parameters())}

    with pytest.raises(ValueError, match="in no group"):
        Stepper([network], parts, RULE, SCHEDULE, Average(network, None))  # type: ignore[arg-type]
