"""What is believed of a range, against sums over a fine ladder of ranges."""

import math
from dataclasses import dataclass
from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.estimation.fit import Fit
from risexp.estimation.pursuit import Law
from risexp.estimation.ranging import TOLERANCE_M, RangePosterior
from risexp.estimation.receiver_model import ReceiverModel
from tests.support.localisation import config_of
from tests.support.looping import for_each

SETTING = ReceiverModel.of(config_of())
EQUAL = ReceiverModel.of(config_of("physics.power=equal"))


@dataclass(frozen=True)
class PowerLaw:
    """The part of a law that is asked here: log power normal around the law's, by its spread."""

    receiver: ReceiverModel

    def power_log_likelihood(self, fit: Fit, mean_power: Tensor) -> Tensor:
        gap = fit.powers.log().unsqueeze(-1) - mean_power.log()
        return -0.5 * gap.square() / fit.power_spread.unsqueeze(-1).square()


def known(receiver: ReceiverModel) -> Law:
    return cast(Law, PowerLaw(receiver))


def fit_of(rho: list[float], spread: list[float], power: float = 1e-4, width: float = 1.0) -> Fit:
    """Sources of one scene whose rho is known so well; only what ranges need is filled in."""
    mean = torch.tensor([rho], dtype=torch.float64)
    points = torch.stack([torch.zeros_like(mean)] * 2 + [mean.clamp(0.1, 2.0)], dim=-1).float()
    return Fit(
        points=points,
        powers=torch.full_like(mean, power),
        power_spread=torch.full_like(mean, width),
        profile=torch.zeros(1),
        log_marginal=torch.zeros(1),
        rho_mean=mean,
        rho_spread=torch.tensor([spread], dtype=torch.float64),
    )


def ladder(receiver: ReceiverModel, fit: Fit, steps: int = 200_000) -> tuple[Tensor, Tensor]:
    """Ranges of one source on a fine ladder, and the weight of each: power, wave and range."""
    near, far = receiver.view.range_m
    range_m = near + (far - near) * (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    mean, spread = fit.rho_mean[0, 0], fit.rho_spread[0, 0]
    gap = (range_m.reciprocal() - mean) / spread
    wave = -0.5 * gap.square() - (math.sqrt(2.0 * math.pi) * spread).log()
    law, here = PowerLaw(receiver), fit.points[..., 2:].double().reciprocal()
    power = law.power_log_likelihood(fit, receiver.mean_power(range_m))
    power = power - law.power_log_likelihood(fit, receiver.mean_power(here))
    return range_m, (wave + power[0, 0]).exp() / steps


CASES = [([1.0], [0.01]), ([0.3], [0.05]), ([0.5], [0.5]), ([0.2], [2.0]), ([1.9], [0.3])]


@for_each("receiver", [SETTING, EQUAL])
@for_each(("rho", "spread"), CASES)
def test_evidence_is_the_integral_over_ranges_and_no_range_is_more_probable_than_the_answer(
    receiver: ReceiverModel, rho: list[float], spread: list[float]
) -> None:
    fit = fit_of(rho, spread)
    range_m, weight = ladder(receiver, fit)
    mass = torch.cat([torch.zeros(1).double(), (weight / weight.sum()).cumsum(0)])

    def hit(centre: Tensor) -> Tensor:
        ends = torch.stack([centre - TOLERANCE_M, centre + TOLERANCE_M])
        below, upto = mass[torch.searchsorted(range_m, ends)].unbind(0)
        return torch.sub(upto, below)

    believed = RangePosterior.of(known(receiver), fit)

    assert pytest.approx(math.log(float(weight.sum())), abs=0.05) == float(believed.log_evidence())
    assert float(hit(believed.answer()[0, 0])) > float(hit(range_m).max()) - 0.02


@for_each("receiver", [SETTING, EQUAL])
def test_where_every_window_holds_all_of_it_the_median_is_answered(receiver: ReceiverModel) -> None:
    fit = fit_of([1.25], [0.1])
    range_m, weight = ladder(receiver, fit)
    median = range_m[(weight.cumsum(0) / weight.sum() < 0.5).sum()]

    answer = RangePosterior.of(known(receiver), fit).answer()

    assert pytest.approx(float(median), abs=0.02) == float(answer)


def test_the_answer_is_the_range_by_the_wave_then_by_the_power_then_the_middle() -> None:
    sharp = RangePosterior.of(known(EQUAL), fit_of([1.25, 0.4], [1e-4, 1e-4])).answer()
    middle = RangePosterior.of(known(EQUAL), fit_of([1.0], [1e3])).answer()

    assert pytest.approx([0.8, 2.5], abs=2e-3) == sharp[0].tolist()
    assert pytest.approx(5.25, abs=1.1) == float(middle)
    for power, expected in ((1e-2, 0.5), (1e-6, 10.0)):
        fit = fit_of([1.0], [50.0], power, width=0.3)
        assert abs(float(RangePosterior.of(known(SETTING), fit).answer()) - expected) < 1.5


@given(
    rho=st.floats(-3.0, 5.0),
    spread=st.floats(1e-9, 1e3),
    power=st.floats(1e-12, 1e3),
)
def test_every_answer_lies_in_the_view_and_every_evidence_is_a_number(
    rho: float, spread: float, power: float
) -> None:
    believed = RangePosterior.of(known(SETTING), fit_of([rho], [spread], power))

    answer = float(believed.answer())

    assert 0.5 - 1e-5 <= answer <= 10.0 + 1e-3
    assert math.isfinite(float(believed.log_evidence()))


@for_each("at", [0.7, 4.0, 9.0])
def test_a_view_without_depth_is_the_limit_of_shallow_ones(at: float) -> None:
    """The evidence of a source whose range everyone knows does not jump where the width is zero."""

    def receiver(half: float) -> ReceiverModel:
        return ReceiverModel.of(config_of(f"data.range_m=[{at - half},{at + half}]"))

    fit = fit_of([1.0 / at], [0.02])

    flat, shallow = (
        float(RangePosterior.of(known(receiver(half)), fit).log_evidence()) for half in (0.0, 1e-3)
    )

    assert pytest.approx(shallow, abs=0.05) == flat
