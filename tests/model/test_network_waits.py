"""A network's answer is queued on its device without a look at any value on the way.

A host that looks waits until everything before is done. `eigvalsh` waits on its own account.
"""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from tests.support.host_syncs import Waits, looks
from tests.support.networks import MAKES, awake, network_config, observed


def test_a_network_answers_without_a_look_at_a_value_or_an_operation_that_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for beta, (front, factors) in product([0.0, 0.3], MAKES):
        config = network_config(f"factors.kind={factors}", front=front)
        network = awake(config)
        network(observed(config), beta)
        observation = observed(config)

        with looks(monkeypatch) as seen, Waits() as waits:
            network(observation, beta)

        assert [] == seen, (beta, front, factors)
        assert [] == waits.names, (beta, front, factors)


SEEN: tuple[tuple[str, Callable[[Tensor], object]], ...] = (
    ("item", lambda given: given.sum().item()),
    ("__bool__", lambda given: bool((given > 0.0).all())),
    ("tolist", lambda given: given.tolist()),
    ("__float__", lambda given: float(given.sum())),
)
WAITED_FOR: tuple[Callable[[Tensor], object], ...] = (
    lambda given: given[given > 1.0],
    lambda given: given.clone().__setitem__(given > 1.0, 0.0),
    lambda given: (given > 1.0).nonzero(),
    lambda given: given.sum().item(),
)


def test_a_look_and_an_operation_that_waits_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, fault in SEEN:
        with looks(monkeypatch) as seen:
            fault(torch.arange(3.0))

        assert name in seen
    for fault in WAITED_FOR:
        with Waits() as waits:
            fault(torch.arange(3.0))

        assert [] != waits.names, fault
