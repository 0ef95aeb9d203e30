"""An estimate, and the plain answers made from it."""

import math
from dataclasses import replace

import pytest
import torch

from risexp.data.frames import Frames
from risexp.errors import DataInvalid
from risexp.inference.estimate import Estimate, answered, answers
from tests.support.estimates import drawn_case
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


def test_a_slice_is_an_answer_to_those_scenes(device: torch.device) -> None:
    found = answer([2, 0, 4]).to(device)

    part = found[1:]

    assert 2 == len(part)
    assert [0, 4] == part.count.tolist()
    for name, value in vars(part).items():
        assert torch.equal(getattr(found, name)[1:].nan_to_num(-1.0), value.nan_to_num(-1.0))
        assert device.type == value.device.type


def test_joined_parts_are_the_whole() -> None:
    whole, _ = drawn_case(3, scenes=7)

    again = Estimate.join([whole[:3], whole[3:3], whole[3:6], whole[6:]])

    for name, value in vars(again).items():
        assert torch.equal(getattr(whole, name).nan_to_num(-1.0), value.nan_to_num(-1.0))


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
