"""The count error of every kind of head."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from risexp.config.learning import CountKind
from risexp.loss.main_terms import count_error, steps_passed
from risexp.loss.prediction_pair import TermSettings
from risexp.loss.target import Target
from risexp.model.prediction import Prediction
from tests.support.predictions import (
    best_prediction,
    law_of,
    pair_of,
    random_prediction,
    small_target,
)

KINDS: list[CountKind] = ["ordinal", "softmax", "slots"]
PLAIN = TermSettings(rho_unit=0.1)


def logits_for(target: Target, kind: CountKind, count: int, size: float) -> Prediction:
    """An answer that is sure, to some degree, of one count in every scene."""
    law = law_of(target, kind)
    places = torch.arange(law.width, device=target.count.device)
    right = {"ordinal": places < count - 1, "softmax": places == count - 1}.get(
        kind, places < count
    )
    logits = torch.where(right, size, -size).expand(len(target), law.width)
    return replace(best_prediction(target, kind), count_logits=logits)


def error_of(target: Target, prediction: Prediction, settings: TermSettings = PLAIN) -> Tensor:
    return count_error(pair_of(prediction, target, settings))


def test_ordinal_is_the_mean_cross_entropy_of_its_steps(device: torch.device) -> None:
    target = small_target(device=device)
    prediction = random_prediction(target, "ordinal")
    wanted = torch.stack([target.count > t for t in (1, 2, 3, 4)], dim=-1).float()

    expected = binary_cross_entropy_with_logits(
        prediction.count_logits, wanted, reduction="none"
    ).mean(-1)

    assert torch.equal(wanted.bool(), steps_passed(target.count, 4))
    torch.testing.assert_close(expected, error_of(target, prediction))


def test_smoothing_moves_softmax_by_a_constant_from_the_usual_form(device: torch.device) -> None:
    target = small_target(device=device)
    prediction = random_prediction(target, "softmax")
    settings = replace(PLAIN, smoothing=0.2)
    usual = cross_entropy(
        prediction.count_logits.double(), target.count - 1, reduction="none", label_smoothing=0.2
    )
    right, wrong = 0.8 + 0.2 / 5, 0.2 / 5
    entropy = -right * math.log(right) - 4 * wrong * math.log(wrong)

    torch.testing.assert_close(usual - entropy, error_of(target, prediction, settings))


def test_softmax_costs_multiply_the_chances_of_their_mistakes(device: torch.device) -> None:
    cases: list[tuple[float, float]] = [(2.0, 1.0), (1.0, 3.0), (0.5, 4.0)]
    for under, over in cases:
        target = small_target(device=device)
        prediction = random_prediction(target, "softmax")
        chances = prediction.count_logits.double().softmax(-1)
        classes, count = torch.arange(1, 6, device=device), target.count.unsqueeze(-1)
        below = torch.where(classes < count, chances, 0.0).sum(-1)
        above = torch.where(classes > count, chances, 0.0).sum(-1)

        expected = ((under * below + over * above) / (1.0 - below - above) + 1.0).log()

        settings = replace(PLAIN, under_weight=under, over_weight=over)
        torch.testing.assert_close(expected, error_of(target, prediction, settings))


def test_each_weight_raises_the_cost_of_its_own_mistake_alone(device: torch.device) -> None:
    target = small_target(64, device=device)
    middle = target.count == 3
    dear_below = replace(PLAIN, under_weight=3.0)
    dear_above = replace(PLAIN, over_weight=3.0)

    def cost(kind: CountKind, count: int, settings: TermSettings) -> float:
        sure = logits_for(target, kind, count, 12.0)
        return float(error_of(target, sure, settings)[middle].mean())

    for kind in KINDS:
        assert cost(kind, 2, dear_below) > cost(kind, 2, PLAIN) + 0.5, kind
        assert cost(kind, 4, dear_above) > cost(kind, 4, PLAIN) + 0.5, kind
        assert pytest.approx(cost(kind, 2, PLAIN), abs=1e-3) == cost(kind, 2, dear_above), kind
        assert pytest.approx(cost(kind, 4, PLAIN), abs=1e-3) == cost(kind, 4, dear_below), kind


def test_a_panel_that_counts_to_one_has_nothing_to_learn(device: torch.device) -> None:
    target = small_target(sources_max=1, device=device)

    errors = count_error(pair_of(random_prediction(target), target))

    assert [0.0] * len(target) == errors.tolist()
