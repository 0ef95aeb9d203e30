"""The checks of the loss itself fire on what is broken, and on nothing else."""

import math

import pytest
import torch

from risexp.covariance.factored import FactoredCovariance
from risexp.errors import VerificationFailed
from risexp.loss.self_test import (
    blend_fault,
    covariance_fault,
    expect_sound,
    nmse_self_test,
    total_fault,
)
from tests.predictions import random_prediction, small_scenes, small_target
from tests.scenes import SMALL, label_covariance


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


@pytest.mark.parametrize("total", [1e-9, -0.3, 7.0])
def test_a_total_that_moves_something_is_sound(total: float) -> None:
    assert total_fault(total) is None


@pytest.mark.parametrize("total", [0.0, math.nan, -math.inf])
def test_a_total_that_moves_nothing_is_named(total: float) -> None:
    assert f"the total loss is {total:g}" in str(total_fault(total))


def test_sound_losses_pass() -> None:
    expect_sound(1.2, {"cov": 0.4, "count": 0.7})
    expect_sound(1.2, {"count": 0.7})


def test_every_fault_of_an_epoch_is_said_at_once() -> None:
    with pytest.raises(VerificationFailed, match=r"the total loss is 0: .*; cov is 0,"):
        expect_sound(0.0, {"cov": 0.0})


def test_a_blend_that_reaches_the_network_is_sound(device: torch.device) -> None:
    assert blend_fault(random_prediction(small_target(device=device)).effective) is None


def test_a_blend_that_is_a_constant_is_named(device: torch.device) -> None:
    blend = random_prediction(small_target(device=device)).effective

    assert "has no gradient" in str(blend_fault(blend.detach()))
