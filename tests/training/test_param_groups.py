"""Parameters by part: each exactly once, and frozen for as long as it is said."""

from contextlib import suppress

import pytest
from torch import nn

from risexp.training.optimizer import expect_each_once, freeze, parts_of
from tests.support.trainers import part_of, small_network


def test_every_trainable_parameter_is_in_one_part() -> None:
    network = small_network()
    network.backbone.bias.requires_grad_(False)
    balance = nn.ModuleDict({"variance": nn.Linear(1, 1)})

    parts = parts_of(network, part_of, balance)

    assert {"backbone.weight"} == set(parts["backbone"])
    assert {
        "heads.weight",
        "heads.bias",
        "balance.variance.weight",
        "balance.variance.bias",
    } == set(parts["heads"])


def test_a_parameter_in_no_group_or_in_two_is_refused() -> None:
    network = small_network()
    whole = list(network.parameters())

    with pytest.raises(ValueError, match=r"backbone\.bias is trainable and in no group"):
        expect_each_once([network], [whole[0], *whole[2:]])
    for further in (whole[0], next(nn.Linear(1, 1).parameters())):
        with pytest.raises(ValueError, match="two groups"):
            expect_each_once([network], [*whole, further])


def test_held_parts_have_no_gradient_until_the_block_ends_or_fails() -> None:
    network = small_network()
    parts = parts_of(network, part_of, nn.Identity())

    with suppress(KeyboardInterrupt), freeze(parts, ("backbone",)):
        within = {name: each.requires_grad for name, each in network.named_parameters()}
        raise KeyboardInterrupt

    assert all(trained == name.startswith("heads") for name, trained in within.items())
    assert all(each.requires_grad for each in network.parameters())
