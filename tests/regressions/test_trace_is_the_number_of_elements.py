"""Once: the trace was 288 in place of 144, or the loss 1e25: normalised doubly, or not at all."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from risexp.covariance.factored import FactoredCovariance
from tests.support.scenes import matrix, physical_covariance, tiny_scenes


def check_invariants(covariance: FactoredCovariance) -> None:
    """What every effective covariance promises: Hermitian, positive, of trace N."""
    entries = matrix(covariance)
    trace = entries.diagonal(dim1=-2, dim2=-1).sum(-1).real
    assert entries.sub(entries.mH).abs().max() < 1e-9
    assert covariance.diagonal.min() >= 0.0
    assert torch.linalg.eigvalsh(entries).min() > 0.0
    for value in trace.tolist():
        wanted = covariance.elements
        assert abs(value / wanted - 1.0) < 1e-5, f"trace is {value:.3g}, not {wanted}"


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_effective_covariances_keep_their_invariants(device: torch.device, beta: float) -> None:
    check_invariants(physical_covariance(tiny_scenes(16, device=device), beta=beta))


def doubled(normal: FactoredCovariance, _: FactoredCovariance) -> FactoredCovariance:
    return replace(normal, factor=normal.factor * 2**0.5, diagonal=normal.diagonal * 2)


def missing(_: FactoredCovariance, covariance: FactoredCovariance) -> FactoredCovariance:
    return covariance


def half_done(normal: FactoredCovariance, covariance: FactoredCovariance) -> FactoredCovariance:
    """The diagonal is not scaled with the factor."""
    return replace(normal, diagonal=covariance.diagonal)


@pytest.mark.parametrize(("fault", "trace"), [(doubled, "288"), (missing, ""), (half_done, "")])
def test_another_normalisation_is_reported(
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[FactoredCovariance, FactoredCovariance], FactoredCovariance],
    trace: str,
) -> None:
    healthy = FactoredCovariance.trace_normalize
    loaded = physical_covariance(tiny_scenes(2, device=device)).regularise(0.2)
    tripled = replace(loaded, factor=loaded.factor * 3**0.5, diagonal=loaded.diagonal * 3)
    check_invariants(tripled.trace_normalize())

    monkeypatch.setattr(
        FactoredCovariance, "trace_normalize", lambda given: fault(healthy(given), given)
    )

    with pytest.raises(AssertionError, match=f"trace is {trace}.*, not 144"):
        check_invariants(tripled.trace_normalize())


def test_a_negative_diagonal_is_reported(device: torch.device) -> None:
    covariance = physical_covariance(tiny_scenes(2, device=device))

    with pytest.raises(AssertionError):
        check_invariants(replace(covariance, diagonal=-covariance.diagonal))
