"""AdamW with a gate: the same as torch's where it is open, and no trace where it is shut."""

import copy
import math
import sys

import pytest
import torch
from torch import nn

from risexp.training.optimizer import GatedAdamW, parts_of
from tests.support.trainers import part_of, same, small_network


def gated(network: nn.Module, weight_decay: float = 0.1) -> GatedAdamW:
    return GatedAdamW(parts_of(network, part_of, nn.Identity()), weight_decay)


def with_gradients(network: nn.Module, seed: int, value: float | None = None) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        drawn = torch.randn(parameter.shape, generator=generator).to(parameter.device)
        parameter.grad = drawn if value is None else torch.full_like(drawn, value)


def rates(optimizer: GatedAdamW, lr: float, device: torch.device) -> torch.Tensor:
    return torch.full((len(optimizer.group_parts),), lr, device=device)


def test_open_steps_are_those_of_torch_with_decay_on_matrices_only(device: torch.device) -> None:
    network = small_network(device)
    twin = copy.deepcopy(network)
    optimizer = gated(network)
    matrices = [each for each in twin.parameters() if each.ndim == 2]
    vectors = [each for each in twin.parameters() if each.ndim == 1]
    plain = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=0.01,
    )

    for step in range(5):
        with_gradients(network, step)
        with_gradients(twin, step)
        optimizer.gated_step(torch.tensor(True, device=device), rates(optimizer, 0.01, device))
        plain.step()

    for one, other in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-7)


def test_a_shut_gate_leaves_weights_and_moments_bit_for_bit(device: torch.device) -> None:
    network = small_network(device)
    optimizer = gated(network)
    shut, rate = torch.tensor(False, device=device), rates(optimizer, 0.01, device)
    with_gradients(network, 1, torch.nan)
    optimizer.gated_step(shut, rate)
    assert all(not each.any() for each in optimizer.tensors().values())
    with_gradients(network, 0)
    optimizer.gated_step(~shut, rate)
    weights = {name: each.clone() for name, each in network.state_dict().items()}
    moments = {name: each.clone() for name, each in optimizer.tensors().items()}

    for value in (math.nan, math.inf, 1.0):
        with_gradients(network, 1, value)
        optimizer.gated_step(shut, rate)

    assert same(weights, network.state_dict())
    assert same(moments, optimizer.tensors())
    names = [name for name, _ in network.named_parameters()]
    assert {f"{m}.{name}" for m in ("step", "exp_avg", "exp_avg_sq") for name in names} == set(
        moments
    )


def test_each_group_moves_at_its_own_rate(device: torch.device) -> None:
    network = small_network(device)
    before = {name: each.detach().clone() for name, each in network.named_parameters()}
    optimizer = gated(network, weight_decay=0.0)
    with_gradients(network, 0)
    rate = torch.tensor([0.1 if part == "heads" else 0.0 for part in optimizer.group_parts])

    optimizer.gated_step(torch.tensor(True, device=device), rate.to(device))

    for name, parameter in network.named_parameters():
        assert ("heads" in name) == (not torch.equal(before[name], parameter))


def test_a_step_does_not_import_the_compiler(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("torch._dynamo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)
    network = small_network(device)
    before = [each.clone() for each in network.parameters()]

    optimizer = gated(network)
    with_gradients(network, 0)
    optimizer.gated_step(torch.tensor(True, device=device), rates(optimizer, 0.01, device))
    optimizer.zero_grad()

    assert not any(map(torch.equal, before, network.parameters()))
