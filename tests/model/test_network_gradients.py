"""Which parts of a network receive a gradient from which output."""

from itertools import product

import pytest
import torch

from risexp.config.learning import CountKind, CountPath, FactorKind, Front
from risexp.config.run import RunConfig
from risexp.model.network import Network
from tests.support.networks import (
    FRONTS,
    KINDS,
    MAKES,
    PATHS,
    awake,
    network_config,
    observed,
    sound_gradients,
    total,
    untrained,
    without_gradient,
)


def learned(config: RunConfig, beta: float = 0.3) -> Network:
    """A network with the gradients of the plain sum of all it says."""
    network = awake(config)
    torch.autograd.backward(total(network(observed(config), beta)))
    return network


def counted(config: RunConfig) -> Network:
    """A network with the gradients of its count alone."""
    network = awake(config)
    torch.autograd.backward(network(observed(config), 0.0).count_logits.sum())
    return network


def taught(network: Network) -> set[str]:
    """Which parts of factors a gradient has reached."""
    names = {name for name, _ in network.named_parameters()} - without_gradient(network)
    return {name.split(".")[1] for name in names if name.startswith("factors.")}


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_has_something_to_learn(kind: CountKind) -> None:
    """Museum 9: half of all parameters never received a gradient."""
    for (front, factors), path in product(MAKES, PATHS):
        config = network_config(
            f"factors.kind={factors}", f"count.kind={kind}", f"count.path={path}", front=front
        )

        network = learned(config)

        assert set() == without_gradient(network), (front, factors, path)
        assert sound_gradients(network), (front, factors, path)


def test_every_weight_learns_from_fresh_symbols_and_in_half_precision() -> None:
    fronts: list[Front] = ["image", "aperture"]
    for symbols, front in product(["frame", "snapshot"], fronts):
        config = network_config(
            f"physics.symbols={symbols}", "training.precision=bf16", front=front
        )

        network = learned(config)

        assert set() == without_gradient(network), (symbols, front)
        assert sound_gradients(network), (symbols, front)


def test_every_weight_of_a_fresh_network_learns_within_a_few_steps() -> None:
    """Heads start at zero, so in the first step nothing behind them learns."""
    for front, factors in MAKES:
        config = network_config(f"factors.kind={factors}", front=front)
        network, observation = untrained(config), observed(config)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)

        missing = []
        for _ in range(5):
            optimizer.zero_grad()
            torch.autograd.backward(total(network(observation, 0.3)))
            missing.append([name for name, each in network.named_parameters() if each.grad is None])
            optimizer.step()

        assert [[]] * 5 == missing, (front, factors)
        assert set() == without_gradient(network, rounding=0.0), (front, factors)


@pytest.mark.parametrize("kind", KINDS)
def test_a_detached_count_teaches_nothing_but_the_existence_of_slots(kind: CountKind) -> None:
    expected = {"existence"} if kind == "slots" else set[str]()
    for (front, factors), path in product(MAKES, PATHS):
        config = network_config(
            f"factors.kind={factors}", f"count.kind={kind}", f"count.path={path}", front=front
        )

        assert expected == taught(counted(config)), (front, factors, path)


def test_a_count_that_is_not_detached_teaches_what_makes_the_columns() -> None:
    paths: list[CountPath] = ["both", "spectral"]
    cases: list[tuple[Front, FactorKind, set[str]]] = [
        ("pursuit", "pointers", {"shift", "power", "existence", "doubt"}),
        ("aperture", "free", {"columns"}),
        ("image", "spectrum", {"doubt"}),
    ]
    for path, (front, factors, expected) in product(paths, cases):
        config = network_config(
            f"factors.kind={factors}",
            "count.detach_spectral=false",
            f"count.path={path}",
            front=front,
        )

        network = counted(config)

        assert expected == taught(network), (path, front, factors, expected)
        assert sound_gradients(network), (path, front, factors, expected)


def test_a_direct_count_never_reaches_the_columns() -> None:
    config = network_config("count.detach_spectral=false", "count.path=direct")

    assert set() == taught(counted(config))


def test_a_spectral_count_that_is_detached_teaches_the_backbone_nothing() -> None:
    for front in FRONTS:
        network = counted(network_config("count.path=spectral", front=front))

        reached = {name for name, _ in network.named_parameters()} - without_gradient(network)
        assert {"count"} == {name.split(".")[0] for name in reached}, front


def test_no_gradient_passes_through_the_samples_of_a_full_blend() -> None:
    """At beta = 1 the effective covariance is that of the samples, which learn nothing."""
    for front in FRONTS:
        config = network_config(front=front)
        network = awake(config)

        prediction = network(observed(config), 1.0)
        torch.autograd.backward(torch.view_as_real(prediction.effective.factor).sum())

        gradients = [each.grad for each in network.factors.parameters() if each.grad is not None]
        assert all(not bool(gradient.any()) for gradient in gradients), front
