"""The checks of the loss itself fire on what is broken, and on nothing else."""

import math

import pytest
import torch

from risexp.covariance.factored import FactoredCovariance
from risexp.errors import VerificationFailed
from risexp.loss.self_test import blend_fault, covariance_fault, nmse_self_test
from tests.support.predictions import random_prediction, small_scenes, small_target
from tests.support.scenes import SMALL, label_covariance


def test_the_error_of_covariances_is_one(device: torch.device) -> None:
    nmse_self_test(label_covariance(small_scenes(device=device), SMALL))


def test_an_undefined_error_is_reported(device: torch.device) -> None:
    nothing = FactoredCovariance.from_factor(
        torch.zeros(2, 6, 3, dtype=torch.complex64, device=device)
    )

    with pytest.raises(VerificationFailed, match=r"nmse\(R, R\) is off by nan where 0 is due"):
        nmse_self_test(nothing)


@pytest.mark.parametrize("cov", [1e-12, 0.248, 1.0, 99.0])
def test_a_covariance_error_within_its_bounds_is_sound(cov: float) -> None:
    assert covariance_fault(cov) is None


@pytest.mark.parametrize("cov", [0.0, -1e-9, 100.0, 1e25, math.inf, math.nan])
def test_a_covariance_error_out_of_its_bounds_is_named(cov: float) -> None:
    fault = covariance_fault(cov)

    assert fault is not None
    assert fault.startswith(f"cov is {cov:.3g},")


def test_a_blend_that_reaches_the_network_is_sound(device: torch.device) -> None:
    assert blend_fault(random_prediction(small_target(device=device)).effective) is None


def test_a_blend_that_is_a_constant_is_named(device: torch.device) -> None:
    blend = random_prediction(small_target(device=device)).effective

    assert "has no gradient" in str(blend_fault(blend.detach()))
