"""An estimate, and the plain answers made from it."""

import math
from dataclasses import replace

import pytest
import torch

from risexp.data.frames import Frames
from risexp.errors import DataInvalid
from risexp.inference.estimate import Estimate, answered, answers
from tests.support.looping import for_each
from tests.support.models import frames

PROBABILITIES = torch.tensor(
    [[0.1, 0.2, 0.7], [0.5, 0.25, 0.25], [0.6, 0.3, 0.1]], dtype=torch.float64
)


def answer(count: list[int], slots: int = 4) -> Estimate:
    counts = torch.tensor(count)
    rows = torch.arange(len(count) * slots, dtype=torch.float64).view(len(count), slots)
    absent = torch.arange(slots) >= counts.unsqueeze(-1)
    place = rows.masked_fill(absent, math.nan)
    return Estimate(counts, PROBABILITIES[: len(count)], place, place + 100.0, place + 200.0)


def test_present_slots_are_the_first_ones_and_they_hold_numbers() -> None:
    found = answer([2, 0, 4])

    expected = [[True, True, False, False], [False] * 4, [True] * 4]
    assert expected == found.present.tolist()
    assert expected == found.phi_rad.isfinite().tolist()


def test_confidence_is_the_probability_of_the_answered_count_or_zero() -> None:
    assert pytest.approx([0.2, 0.0, 0.1]) == answer([2, 0, 3]).confidence.tolist()


def test_probabilities_that_are_no_numbers_are_refused() -> None:
    fields = dict(vars(answer([2, 0, 4])))
    fields["count_probabilities"] = torch.full((3, 3), math.nan)

    with pytest.raises(DataInvalid, match="no number"):
        Estimate(**fields)


@for_each("field", ["count", "count_probabilities", "theta_rad", "range_m"])
def test_fields_of_other_scenes_are_refused(field: str) -> None:
    fields = dict(vars(answer([2, 0, 4])))
    fields[field] = fields[field][:2]

    with pytest.raises(DataInvalid, match="positions of one shape"):
        Estimate(**fields)


def estimate() -> Estimate:
    """Two sources, one, and none."""
    nan = math.nan
    degrees = torch.tensor([[30.0, -45.0], [10.0, nan], [nan, nan]], dtype=torch.float64)
    return Estimate(
        count=torch.tensor([2, 1, 0]),
        count_probabilities=torch.tensor([[0.25, 0.75], [0.5, 0.5], [0.5, 0.5]]),
        phi_rad=degrees.deg2rad(),
        theta_rad=(degrees / 2).deg2rad(),
        range_m=degrees.abs() / 10,
    )


def test_each_scene_is_answered_in_degrees_and_metres() -> None:
    found = answers(estimate())

    assert [2, 1, 0] == [each["count"] for each in found]
    assert [0.25, 0.75] == found[0]["count_probabilities"]
    assert [0.75, 0.5, 0.0] == [each["confidence"] for each in found]
    expected = [[(30.0, 15.0, 3.0), (-45.0, -22.5, 4.5)], [(10.0, 5.0, 1.0)], []]
    for places, answer in zip(expected, found, strict=True):
        assert [{"phi_deg", "theta_deg", "range_m"}] * len(places) == [
            set(each) for each in answer["sources"]
        ]
        for place, source in zip(places, answer["sources"], strict=True):
            actual = (source["phi_deg"], source["theta_deg"], source["range_m"])
            assert pytest.approx(place) == actual


def test_an_answer_that_is_no_number_is_not_given() -> None:
    lost = replace(estimate(), range_m=torch.tensor([[1.0, 2.0], [math.nan, 1.0], [1.0, 1.0]]))

    with pytest.raises(DataInvalid, match="scene 1 has no finite answer"):
        answered(lambda _: lost, frames())


def test_frames_that_have_no_solution_are_refused() -> None:
    def singular(given: Frames) -> Estimate:
        torch.linalg.cholesky(torch.zeros(2, 2))
        raise AssertionError(given)

    with pytest.raises(DataInvalid, match="these frames have no solution: see that y, channel"):
        answered(singular, frames())
