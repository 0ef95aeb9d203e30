"""Once: the NMSE of the truth was about 1: it was a similarity."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.errors import VerificationFailed
from risexp.loss.self_test import nmse_self_test
from tests.support.scenes import label_covariance, tiny_scenes
from tests.support.short_runs import short_run


def similarity(one: FactoredCovariance, other: FactoredCovariance) -> Tensor:
    """<R1, R2> / (|R1| |R2|): one for the truth."""
    inner = one.squared_norm() + other.squared_norm() - one.squared_distance(other)
    return 0.5 * inner / (one.squared_norm() * other.squared_norm()).sqrt().clamp(min=1e-300)


def over_its_own_norm(one: FactoredCovariance, other: FactoredCovariance) -> Tensor:
    """|R1 - R2|^2 / |R1|^2: right for the truth, without bound for an answer of nothing."""
    return one.squared_distance(other) / one.squared_norm().clamp(min=1e-300)


@pytest.mark.parametrize("fault", [over_its_own_norm, FactoredCovariance.squared_distance])
def test_what_is_no_share_of_the_truth_is_reported(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, fault: object
) -> None:
    label = label_covariance(tiny_scenes(8, device=device))
    nmse_self_test(label)
    monkeypatch.setattr(FactoredCovariance, "nmse", fault)

    with pytest.raises(VerificationFailed, match=r"nmse\(0, R\) is off by .* where 1 is due"):
        nmse_self_test(label)


def test_a_run_with_a_similarity_for_its_error_does_not_begin(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FactoredCovariance, "nmse", similarity)

    with pytest.raises(VerificationFailed, match=r"nmse\(R, R\) is off by 1") as caught:
        short_run()

    assert 4 == caught.value.exit_code
    assert [] == list(own_home.iterdir())
