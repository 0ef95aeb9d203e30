"""The loss's own checks fail on faulty code alone."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from risexp.config.learning import CountKind, LabelPower
from risexp.covariance.factored import FactoredCovariance
from risexp.errors import VerificationFailed
from risexp.loss.prediction_pair import TermSettings
from risexp.loss.self_test import blend_fault, covariance_fault, nmse_self_test, perfect_prediction
from risexp.loss.terms import TERMS
from tests.support.predictions import (
    LAMBDA_RANGE,
    SETTINGS,
    law_of,
    random_prediction,
    scored,
    small_scenes,
    small_target,
    target_of,
)
from tests.support.scenes import SMALL, label_covariance


def test_an_error_of_covariances_is_one_and_an_undefined_one_is_reported(
    device: torch.device,
) -> None:
    nothing = torch.zeros(2, 6, 3, dtype=torch.complex64, device=device)

    nmse_self_test(label_covariance(small_scenes(device=device), SMALL))

    with pytest.raises(VerificationFailed, match=r"nmse\(R, R\) is off by nan where 0 is due"):
        nmse_self_test(FactoredCovariance.from_factor(nothing))


def test_a_covariance_error_out_of_its_bounds_is_named() -> None:
    assert [None] * 4 == [covariance_fault(cov) for cov in (1e-12, 0.248, 1.0, 99.0)]
    for cov in (0.0, -1e-9, 100.0, 1e25, math.inf, math.nan):
        assert str(covariance_fault(cov)).startswith(f"cov is {cov:.3g},"), cov


def test_a_blend_that_is_a_constant_is_named(device: torch.device) -> None:
    blend = random_prediction(small_target(device=device)).effective

    assert blend_fault(blend) is None
    assert "has no gradient" in str(blend_fault(blend.detach()))


ZERO = ("cov", "cov_pred", "pointers", "count", "existence", "subspace")


def test_labels_as_predictions_score_nothing(device: torch.device) -> None:
    label_powers: list[LabelPower] = ["linear", "compressed"]
    kinds: list[CountKind] = ["ordinal", "softmax", "slots"]
    for label_power, kind, name in product(label_powers, kinds, ZERO):
        target = target_of(small_scenes(128, device=device), label_power)

        perfect = perfect_prediction(target, SETTINGS, law_of(target, kind), LAMBDA_RANGE)

        assert torch.equal(target.count, perfect.count), kind
        assert float(scored(TERMS[name], perfect, target).abs().max()) <= 1e-9, name


def test_a_softmax_is_perfect_at_its_own_smoothing_alone(device: torch.device) -> None:
    for smoothing in [0.0, 0.3]:
        target = small_target(device=device)
        settings = replace(SETTINGS, smoothing=smoothing)

        perfect = perfect_prediction(target, settings, law_of(target, "softmax"), LAMBDA_RANGE)

        assert float(scored(TERMS["count"], perfect, target, settings).abs().max()) <= 1e-9, (
            smoothing
        )
        assert float(scored(TERMS["count"], perfect, target).min()) > 1e-3, smoothing


def test_an_answer_beside_the_truth_scores_something(device: torch.device) -> None:
    target = small_target(device=device)
    beside = replace(target, phi_rad=target.phi_rad + 0.01)

    perfect = perfect_prediction(beside, TermSettings(0.1), law_of(target), LAMBDA_RANGE)

    assert float(scored(TERMS["pointers"], perfect, target).min()) > 1e-3
