"""What the terms take from a configuration."""

import pytest

from risexp.config.layers import load_config
from risexp.loss.settings import TermSettings


def settings(*overrides: str) -> TermSettings:
    return TermSettings.of(load_config(overrides=overrides).config)


def test_costs_and_smoothing_are_those_of_the_count() -> None:
    made = settings("count.under_weight=2.5", "count.over_weight=0.5", "count.smoothing=0.1")

    assert (2.5, 0.5, 0.1) == (made.under_weight, made.over_weight, made.smoothing)


def test_the_unit_of_inverse_range_is_a_twentieth_of_the_view() -> None:
    assert pytest.approx((1 / 0.5 - 1 / 10) / 20) == settings().rho_unit


def test_a_view_of_one_range_has_a_unit_too() -> None:
    assert pytest.approx(0.1 / 5 / 20) == settings("data.range_m=[5, 5]").rho_unit
