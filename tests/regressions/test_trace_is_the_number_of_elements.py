"""Once: the trace was 288 in place of 144, or the loss 1e25: normalised doubly, or not at all."""

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


def test_a_doubled_normalisation_is_reported(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = FactoredCovariance.trace_normalize

    def doubled(covariance: FactoredCovariance) -> FactoredCovariance:
        normal = healthy(covariance)
        return replace(normal, factor=normal.factor * 2**0.5, diagonal=normal.diagonal * 2)

    monkeypatch.setattr(FactoredCovariance, "trace_normalize", doubled)

    with pytest.raises(AssertionError, match="trace is 288, not 144"):
        check_invariants(physical_covariance(tiny_scenes(2, device=device)))


def test_a_missing_normalisation_is_reported(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FactoredCovariance, "trace_normalize", lambda covariance: covariance)

    with pytest.raises(AssertionError, match="not 144"):
        check_invariants(physical_covariance(tiny_scenes(2, device=device)))


def test_a_diagonal_that_is_not_scaled_with_the_factor_is_reported(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = FactoredCovariance.trace_normalize

    def half_done(covariance: FactoredCovariance) -> FactoredCovariance:
        return replace(healthy(covariance), diagonal=covariance.diagonal)

    scenes = tiny_scenes(2, device=device)
    loaded = physical_covariance(scenes).regularise(0.2)
    tripled = replace(loaded, factor=loaded.factor * 3**0.5, diagonal=loaded.diagonal * 3)
    check_invariants(tripled.trace_normalize())

    monkeypatch.setattr(FactoredCovariance, "trace_normalize", half_done)

    with pytest.raises(AssertionError, match="not 144"):
        check_invariants(tripled.trace_normalize())


def test_a_negative_diagonal_is_reported(device: torch.device) -> None:
    covariance = physical_covariance(tiny_scenes(2, device=device))

    with pytest.raises(AssertionError):
        check_invariants(replace(covariance, diagonal=-covariance.diagonal))
