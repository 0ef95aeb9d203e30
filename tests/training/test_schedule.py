"""The learning rate over the steps of a run: start, middle, end, and beyond."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from risexp.config.training import OptimizerConfig
from risexp.training.optimizer import Schedule


def curve(schedule: Schedule) -> list[float]:
    """The factor of every step of a run."""
    return [float(schedule.factor(torch.tensor(step + 1))) for step in range(schedule.steps)]


def test_the_curve_is_a_line_then_half_a_cosine_and_stays_beyond_the_end(
    device: torch.device,
) -> None:
    schedule = Schedule(steps=101, warmup=11, final_share=0.1)

    factors = schedule.factor(torch.tensor([1, 6, 11, 56, 101], device=device))

    assert [1 / 11, 6 / 11, 1.0, 0.55, 0.1] == pytest.approx(factors.tolist(), abs=1e-12)
    assert 0.1 == pytest.approx(float(schedule.factor(torch.tensor(500))))
    assert [1.0] == curve(Schedule(steps=1, warmup=1, final_share=0.01))
    expected = [(1 + math.cos(math.pi * step / 39)) / 2 for step in range(40)]
    assert expected == pytest.approx(curve(Schedule(40, 0, 0.0)), abs=1e-12)


@given(
    steps=st.integers(1, 200),
    warmup=st.floats(0.0, 0.99),
    final=st.floats(1e-3, 1.0),
)
def test_the_rate_rises_once_to_the_largest_and_falls_and_is_never_zero(
    steps: int, warmup: float, final: float
) -> None:
    optimizer = OptimizerConfig(warmup_share=warmup, final_share=final)

    factors = curve(Schedule.of(optimizer, steps))

    top = factors.index(1.0)
    assert min(factors) > 0.0
    assert sorted(factors[: top + 1]) == factors[: top + 1]
    assert sorted(factors[top:], reverse=True) == factors[top:]
