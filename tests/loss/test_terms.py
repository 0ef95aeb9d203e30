"""The table of terms is complete, and every term has an effect."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from risexp.config.learning import CountKind, LossWeights
from risexp.loss.target import Target
from risexp.loss.terms import MAIN, TERMS
from risexp.model.prediction import Heat, Pointers, Prediction
from tests.support.predictions import (
    best_prediction,
    effectively,
    gradients,
    leaves,
    orthogonal_prediction,
    pair_of,
    random_prediction,
    scored,
    small_target,
    term_faults,
)

BEST: dict[str, Callable[[Target], Prediction]] = {
    "orthogonality": orthogonal_prediction,
    "cross": orthogonal_prediction,
}
"""Optima other than the label."""


def test_the_table_holds_every_weight_and_no_more() -> None:
    assert set(LossWeights.model_fields) == TERMS.keys()
    assert MAIN < TERMS.keys()


def test_every_term_is_positive_zero_at_its_optimum_and_has_a_gradient(
    device: torch.device,
) -> None:
    kinds: list[CountKind] = ["softmax", "slots"]
    cases: list[tuple[str, CountKind]] = [(name, "ordinal") for name in TERMS]
    for name, kind in [*cases, *[("count", kind) for kind in kinds]]:
        target = small_target(device=device)
        pair = pair_of(random_prediction(target, kind), target)
        best = BEST[name](target) if name in BEST else best_prediction(target, kind)

        assert [] == term_faults(TERMS[name], pair, best), (name, kind)


def test_a_step_down_the_gradient_lowers_the_term(device: torch.device) -> None:
    for name in TERMS:
        target = small_target(device=device)
        prediction = random_prediction(target)
        value = TERMS[name](pair_of(prediction, target)).mean()
        before = float(value.detach())

        with torch.no_grad():
            found = gradients(value, prediction)
            slope = sum(float(each.abs().square().sum()) for each in found.values())
            for output, gradient in found.items():
                leaves(prediction)[output].sub_(1e-3 * before / slope * gradient)
        moved = scored(TERMS[name], effectively(prediction, target), target).mean()

        assert pytest.approx(0.999 * before, rel=2e-4) == float(moved), name


def test_scenes_do_not_see_one_another(device: torch.device) -> None:
    for name in TERMS:
        target = small_target(8, device=device)
        other = small_target(16, device=device)
        long = random_prediction(other)

        whole = scored(TERMS[name], long, other)
        part = scored(TERMS[name], _first(long, 8), target)

        torch.testing.assert_close(whole[:8], part, rtol=1e-4, atol=1e-6)


def _first(prediction: Prediction, count: int) -> Prediction:
    heat = prediction.heat
    assert heat is not None
    return replace(
        prediction,
        angle_factor=prediction.angle_factor[:count],
        range_factor=prediction.range_factor[:count],
        effective=prediction.effective[:count],
        count_logits=prediction.count_logits[:count],
        found_logits=prediction.found_logits[:count],
        pointers=Pointers(*[each[:count] for each in vars(prediction.pointers).values()]),
        heat=Heat(heat.logits[:count], heat.u, heat.v),
    )
