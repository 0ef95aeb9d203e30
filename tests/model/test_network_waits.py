"""A network's answer is queued on its device without a look at any value on the way.

A host that looks waits until everything before is done. `eigvalsh` waits on its own account.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from risexp.config.learning import FactorKind, Front
from tests.networks import MAKES, awake, network_config, observed

LOOKS = ("item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__")
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "is_nonzero", "equal"}


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes operations for which a host waits: values asked for, and masks turned into places."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch gives it no type
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        name = func.overloadpacket.__name__
        masked = name.startswith("index") and any(
            isinstance(each, Tensor) and each.dtype == torch.bool
            for given in args
            if isinstance(given, list | tuple)
            for each in given
        )
        if name in WAITING or masked:
            self.names.append(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Notes every method by which Python looks at a value."""
    seen: list[str] = []

    def noting(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            seen.append(name)
            return plain(self, *args, **kwargs)

        return method

    with monkeypatch.context() as patched:
        for name in LOOKS:
            patched.setattr(Tensor, name, noting(name, getattr(Tensor, name)))
        yield seen


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


@pytest.mark.parametrize("front", ["pursuit", "aperture", "image"])
def test_no_operation_of_a_network_waits(front: Front) -> None:
    config = network_config(front=front)
    network = awake(config)
    network(observed(config), 0.3)
    observation = observed(config)

    with Waits() as waits:
        network(observation, 0.3)

    assert [] == waits.names


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


@pytest.mark.parametrize(
    "fault",
    [
        lambda given: given[given > 1.0],
        lambda given: given.clone().__setitem__(given > 1.0, 0.0),
        lambda given: (given > 1.0).nonzero(),
        lambda given: given.sum().item(),
    ],
)
def test_an_operation_that_waits_would_be_seen(fault: Callable[[Tensor], object]) -> None:
    with Waits() as waits:
        fault(torch.arange(3.0))

    assert [] != waits.names
