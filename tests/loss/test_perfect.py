"""The oracle: labels as predictions score nothing, on any law of the count and of the powers."""

from dataclasses import replace

import pytest
import torch

from risexp.config.learning import CountKind, LabelPower
from risexp.loss.perfect import perfect_prediction
from risexp.loss.settings import TermSettings
from risexp.loss.terms import TERMS
from tests.support.predictions import (
    LAMBDA_RANGE,
    SETTINGS,
    law_of,
    scored,
    small_scenes,
    small_target,
    target_of,
)

ZERO = ("cov", "cov_pred", "pointers", "count", "existence", "subspace")


@pytest.mark.parametrize("label_power", ["linear", "compressed"])
@pytest.mark.parametrize("kind", ["ordinal", "softmax", "slots"])
@pytest.mark.parametrize("name", ZERO)
def test_labels_as_predictions_score_nothing(
    device: torch.device, name: str, kind: CountKind, label_power: LabelPower
) -> None:
    target = target_of(small_scenes(128, device=device), label_power)

    perfect = perfect_prediction(target, SETTINGS, law_of(target, kind), LAMBDA_RANGE)

    assert float(scored(TERMS[name], perfect, target).abs().max()) <= 1e-9


@pytest.mark.parametrize("kind", ["ordinal", "softmax", "slots"])
def test_the_count_that_is_read_is_the_true_one(device: torch.device, kind: CountKind) -> None:
    target = small_target(device=device)

    perfect = perfect_prediction(target, SETTINGS, law_of(target, kind), LAMBDA_RANGE)

    assert torch.equal(target.count, perfect.count)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_softmax_is_perfect_at_its_own_smoothing_alone(
    device: torch.device, smoothing: float
) -> None:
    target = small_target(device=device)
    settings = replace(SETTINGS, smoothing=smoothing)

    perfect = perfect_prediction(target, settings, law_of(target, "softmax"), LAMBDA_RANGE)

    assert float(scored(TERMS["count"], perfect, target, settings).abs().max()) <= 1e-9
    assert float(scored(TERMS["count"], perfect, target).min()) > 1e-3


def test_a_weight_of_the_range_factor_changes_nothing(device: torch.device) -> None:
    target = small_target(device=device)

    perfect = perfect_prediction(target, SETTINGS, law_of(target), 0.0)

    assert float(scored(TERMS["cov_pred"], perfect, target).max()) <= 1e-9


def test_an_answer_beside_the_truth_scores_something(device: torch.device) -> None:
    target = small_target(device=device)
    beside = replace(target, phi_rad=target.phi_rad + 0.01)

    perfect = perfect_prediction(beside, TermSettings(0.1), law_of(target), LAMBDA_RANGE)

    assert float(scored(TERMS["pointers"], perfect, target).min()) > 1e-3
