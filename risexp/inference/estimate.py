"""What a localiser answers, as tensors and as plain values that any language can read."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from risexp.core.batch import TensorBatch
from risexp.data.frames import Frames
from risexp.errors import DataInvalid


@dataclass(frozen=True)
class Estimate(TensorBatch):
    """Counts and positions of the sources of B scenes; positions follow the one count.

    Slots beyond a scene's count are NaN; S is the localiser's number of slots.
    """

    count: Tensor
    """(B,) int64: K^, 0 .. S"""
    count_probabilities: Tensor
    """(B, K_MAX) real, of K = 1 .. K_MAX; rows sum to one."""
    phi_rad: Tensor
    """(B, S) float64"""
    theta_rad: Tensor
    """(B, S) float64"""
    range_m: Tensor
    """(B, S) float64"""

    def __post_init__(self) -> None:
        batch, slots = self.phi_rad.shape
        alike = self.theta_rad.shape == self.range_m.shape == (batch, slots)
        if not alike or self.count.shape != (batch,) or len(self.count_probabilities) != batch:
            raise DataInvalid("an estimate needs one count a scene and positions of one shape")
        if bool(self.count_probabilities.isnan().any()):
            raise DataInvalid("an estimate's count probabilities hold a value that is no number")

    @property
    def present(self) -> Tensor:
        """(B, S) bool: which slots hold a source."""
        slots = torch.arange(self.phi_rad.shape[1], device=self.count.device)
        return slots < self.count.unsqueeze(-1)

    @property
    def confidence(self) -> Tensor:
        """Probability of the answered count, (B,); zero where none was answered."""
        place = (self.count - 1).clamp(0, self.count_probabilities.shape[1] - 1).unsqueeze(-1)
        return self.count_probabilities.gather(-1, place).squeeze(-1) * (self.count > 0)


class Position(TypedDict):
    """Where one source stands, seen from the panel's centre."""

    phi_deg: float
    theta_deg: float
    range_m: float


class Answer(TypedDict):
    """How many sources a scene holds, and where."""

    count: int
    count_probabilities: list[float]
    """Of one source, of two, and so on; they sum to one."""
    sources: list[Position]
    """As many as the count."""
    confidence: float
    """The probability of the answered count."""


def answered(predictor: Callable[[Frames], Estimate], frames: Frames) -> list[Answer]:
    """A predictor's answer to each scene."""
    try:
        replies = answers(predictor(frames))
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        raise DataInvalid(
            "these frames have no solution: see that y, channel and codes belong together"
        ) from None
    for scene, answer in enumerate(replies):
        positions = [value for place in answer["sources"] for value in place.values()]
        numbers = [*answer["count_probabilities"], answer["confidence"], *positions]
        if not all(isinstance(value, float) and math.isfinite(value) for value in numbers):
            raise DataInvalid(f"scene {scene} has no finite answer: see what is unusual in it")
    return replies


def answers(estimate: Estimate) -> list[Answer]:
    """The answer to each scene of an estimate."""
    here = estimate.to("cpu")
    slots = (here.phi_rad.rad2deg(), here.theta_rad.rad2deg(), here.range_m)
    places = zip(*(column.tolist() for column in slots), strict=True)
    rows = zip(
        here.count.tolist(),
        here.count_probabilities.tolist(),
        places,
        here.confidence.tolist(),
        strict=True,
    )
    return [
        Answer(
            count=count,
            count_probabilities=probabilities,
            sources=[
                Position(phi_deg=phi, theta_deg=theta, range_m=range_m)
                for phi, theta, range_m in list(zip(*place, strict=True))[:count]
            ],
            confidence=confidence,
        )
        for count, probabilities, place, confidence in rows
    ]
