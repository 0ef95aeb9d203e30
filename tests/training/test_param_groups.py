"""Parameters by part: each exactly once, and frozen for as long as it is said."""

import pytest
from torch import nn

from risexp.training.optimizer import expect_each_once, freeze, parts_of
from tests.support.trainers import part_of, small_network


class Log(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.variance = nn.Linear(1, 1)


def test_every_trainable_parameter_is_in_one_part() -> None:
    network = small_network()
    network.backbone.bias.requires_grad_(False)

    parts = parts_of(network, part_of, Log())

    assert {"backbone.weight"} == set(parts["backbone"])
    assert {
        "heads.weight",
        "heads.bias",
        "balance.variance.weight",
        "balance.variance.bias",
    } == set(parts["heads"])


def test_a_parameter_in_no_group_is_named() -> None:
    network = small_network()

    with pytest.raises(ValueError, match=r"backbone\.bias is trainable and in no group"):
        expect_each_once([network], [next(network.parameters()), *network.heads.parameters()])


@pytest.mark.parametrize("further", ["twice", "strange"])
def test_a_parameter_too_many_is_refused(further: str) -> None:
    network = small_network()
    source = network if further == "twice" else nn.Linear(1, 1)
    more = next(source.parameters())

    with pytest.raises(ValueError, match="two groups"):
        expect_each_once([network], [*network.parameters(), more])


def test_held_parts_have_no_gradient_until_they_are_let_go() -> None:
    network = small_network()
    parts = parts_of(network, part_of, nn.Identity())

    with freeze(parts, ("backbone",)):
        within = {name: each.requires_grad for name, each in network.named_parameters()}

    assert {
        "backbone.weight": False,
        "backbone.bias": False,
        "heads.weight": True,
        "heads.bias": True,
    } == within
    assert all(each.requires_grad for each in network.parameters())


def test_held_parts_are_let_go_when_something_fails() -> None:
    network = small_network()
    parts = parts_of(network, part_of, nn.Identity())

    with pytest.raises(KeyboardInterrupt), freeze(parts, ("backbone", "heads")):
        raise KeyboardInterrupt

    assert all(each.requires_grad for each in network.parameters())
