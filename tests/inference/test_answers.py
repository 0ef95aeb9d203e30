"""What is answered about a scene, as plain values."""

import math
from dataclasses import replace

import pytest
import torch

from risexp.data.frames import Frames
from risexp.errors import DataInvalid
from risexp.inference.estimate import Estimate, answered, answers
from tests.support.models import frames

NAN = math.nan


def estimate() -> Estimate:
    """Two sources, one, and none."""
    degrees = torch.tensor([[30.0, -45.0], [10.0, NAN], [NAN, NAN]], dtype=torch.float64)
    return Estimate(
        count=torch.tensor([2, 1, 0]),
        count_probabilities=torch.tensor([[0.25, 0.75], [0.5, 0.5], [0.5, 0.5]]),
        phi_rad=degrees.deg2rad(),
        theta_rad=(degrees / 2).deg2rad(),
        range_m=degrees.abs() / 10,
    )


def test_each_scene_is_answered_in_degrees_and_metres() -> None:
    first, second, third = answers(estimate())

    assert [2, 1, 0] == [each["count"] for each in (first, second, third)]
    assert [0.25, 0.75] == first["count_probabilities"]
    assert [0.75, 0.5, 0.0] == [each["confidence"] for each in (first, second, third)]
    assert {"phi_deg": 30.0, "theta_deg": 15.0, "range_m": 3.0} == pytest.approx(
        first["sources"][0]
    )
    assert {"phi_deg": -45.0, "theta_deg": -22.5, "range_m": 4.5} == pytest.approx(
        first["sources"][1]
    )


def test_there_are_as_many_sources_as_are_counted_and_all_are_numbers() -> None:
    said = answers(estimate())

    assert [2, 1, 0] == [len(each["sources"]) for each in said]
    assert all(
        math.isfinite(value)
        for each in said
        for source in each["sources"]
        for value in (source["phi_deg"], source["theta_deg"], source["range_m"])
    )


def test_an_answer_that_is_no_number_is_not_given() -> None:
    lost = replace(estimate(), range_m=torch.tensor([[1.0, 2.0], [NAN, 1.0], [1.0, 1.0]]))

    with pytest.raises(DataInvalid, match="scene 1 has no finite answer"):
        answered(lambda _: lost, frames())


def test_frames_that_have_no_solution_are_refused() -> None:
    def singular(given: Frames) -> Estimate:
        torch.linalg.cholesky(torch.zeros(2, 2))
        raise AssertionError(given)

    with pytest.raises(DataInvalid, match="these frames have no solution: see that y, channel"):
        answered(singular, frames())
