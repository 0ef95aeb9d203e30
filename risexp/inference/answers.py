"""What is answered about a scene, as plain values that any language can read."""

import math
from collections.abc import Callable
from typing import TypedDict

import torch

from risexp.data.frames import Frames
from risexp.errors import DataInvalid
from risexp.inference.estimate import Estimate


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
    """A predictor's answer to each scene.

    Raises:
        DataInvalid: There is none that means something.
    """
    try:
        found = answers(predictor(frames))
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        raise DataInvalid(
            "these frames have no solution: see that y, channel and codes belong together"
        ) from None
    for scene, answer in enumerate(found):
        positions = [value for each in answer["sources"] for value in each.values()]
        told = [*answer["count_probabilities"], answer["confidence"], *positions]
        if not all(isinstance(each, float) and math.isfinite(each) for each in told):
            raise DataInvalid(f"scene {scene} has no finite answer: see what is unusual in it")
    return found


def answers(estimate: Estimate) -> list[Answer]:
    """The answer to each scene of an estimate."""
    here = estimate.to("cpu")
    slots = (here.phi_rad.rad2deg(), here.theta_rad.rad2deg(), here.range_m)
    places = zip(*(each.tolist() for each in slots), strict=True)
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
