"""A network's answer is queued on its device without a look at any value on the way.

A host that looks waits until everything before is done. `eigvalsh` waits on its own account.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from risexp.config.learning import FactorKind, Front
from tests.support.host_syncs import Waits, looks
from tests.support.networks import MAKES, awake, network_config, observed


@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize(("front", "factors"), MAKES)
def test_python_looks_at_no_value_while_a_network_answers(
    monkeypatch: pytest.MonkeyPatch, front: Front, factors: FactorKind, beta: float
) -> None:
    config = network_config(f"factors.kind={factors}", front=front)
    network = awake(config)
    network(observed(config), beta)
    observation = observed(config)

    with looks(monkeypatch) as seen:
        network(observation, beta)

    assert [] == seen


def test_no_operation_of_a_network_waits() -> None:
    cases: list[Front] = ["pursuit", "aperture", "image"]
    for front in cases:
        config = network_config(front=front)
        network = awake(config)
        network(observed(config), 0.3)
        observation = observed(config)

        with Waits() as waits:
            network(observation, 0.3)

        assert [] == waits.names, front


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("item", lambda given: given.sum().item()),
        ("__bool__", lambda given: bool((given > 0.0).all())),
        ("tolist", lambda given: given.tolist()),
        ("__float__", lambda given: float(given.sum())),
    ],
)
def test_a_look_would_be_seen(
    monkeypatch: pytest.MonkeyPatch, name: str, fault: Callable[[Tensor], object]
) -> None:
    given = torch.arange(3.0)

    with looks(monkeypatch) as seen:
        fault(given)

    assert name in seen


def test_an_operation_that_waits_would_be_seen() -> None:
    cases: list[Callable[[Tensor], object]] = [
        lambda given: given[given > 1.0],
        lambda given: given.clone().__setitem__(given > 1.0, 0.0),
        lambda given: (given > 1.0).nonzero(),
        lambda given: given.sum().item(),
    ]
    for fault in cases:
        with Waits() as waits:
            fault(torch.arange(3.0))

        assert [] != waits.names, fault
