"""Truths and estimates as the tests need them: written in degrees and metres, drawn, or bent."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from risexp.data.frames import Truth
from risexp.evaluation.scene_scores import score_scenes
from risexp.evaluation.scores import Scores, summarise
from risexp.inference.estimate import Estimate
from tests.support.scenes import uniform

Position = tuple[float, float, float]
"""phi (deg), theta (deg), range (m)."""
Positions = tuple[Tensor, Tensor, Tensor]


def truth_of(
    *scenes: Sequence[Position], width: int = 5, device: torch.device | str = "cpu"
) -> Truth:
    """Scenes with sources at these positions."""
    return truth_at(_counts(scenes, device), *_padded(scenes, width, device))


def estimate_of(
    *scenes: Sequence[Position], width: int = 5, device: torch.device | str = "cpu"
) -> Estimate:
    """An answer with sources at these positions, `width` slots a scene."""
    return estimate_at(_counts(scenes, device), *_padded(scenes, width, device))


def truth_at(count: Tensor, phi_rad: Tensor, theta_rad: Tensor, range_m: Tensor) -> Truth:
    """What is true, where only counts and positions matter."""
    return Truth(
        count=count,
        phi_rad=phi_rad,
        theta_rad=theta_rad,
        range_m=range_m,
        symbols=torch.ones_like(phi_rad, dtype=torch.complex64).unsqueeze(-2),
        amplitude=torch.ones_like(phi_rad),
        noise_power=torch.ones_like(phi_rad[:, 0]),
    )


def estimate_at(count: Tensor, phi_rad: Tensor, theta_rad: Tensor, range_m: Tensor) -> Estimate:
    """An answer that is as sure of one count as of another."""
    probabilities = torch.full((len(count), 5), 0.2, dtype=torch.float64, device=count.device)
    return Estimate(count, probabilities, phi_rad, theta_rad, range_m)


def perfect(truth: Truth) -> Estimate:
    """The truth as an answer."""
    return estimate_at(truth.count, truth.phi_rad, truth.theta_rad, truth.range_m)


def drawn_case(
    seed: int,
    *,
    scenes: int = 8,
    true_width: int = 5,
    width: int = 5,
    device: torch.device | str = "cpu",
) -> tuple[Estimate, Truth]:
    """Random answers to random scenes, of counts of their own; some sources are nearly found."""
    generator = torch.Generator().manual_seed(seed)
    true_count = torch.randint(1, true_width + 1, (scenes,), generator=generator)
    count = torch.randint(0, width + 1, (scenes,), generator=generator)
    true = _anywhere(scenes, true_width, 2 * seed)
    found = _anywhere(scenes, width, 2 * seed + 1)
    common = min(true_width, width)
    near = torch.rand(scenes, common, generator=generator) < 0.6
    for answer, position, size in zip(found, true, (0.1, 0.1, 0.8), strict=True):
        noise = torch.randn(scenes, common, generator=generator, dtype=torch.float64)
        answer[:, :common] = torch.where(
            near, position[:, :common] + size * noise, answer[:, :common]
        )
    truth = truth_at(true_count, *(_blank(value, true_count) for value in true))
    estimate = estimate_at(count, *(_blank(value, count) for value in found))
    return estimate.to(device), truth.to(device)


def shuffled_estimate(estimate: Estimate, seed: int) -> Estimate:
    """The same answer with the sources of every scene in another order."""
    return estimate_at(estimate.count, *_shuffled(estimate, seed))


def shuffled_truth(truth: Truth, seed: int) -> Truth:
    """The same scenes with their sources in another order."""
    return truth_at(truth.count, *_shuffled(truth, seed))


def with_extra(estimate: Estimate, position: Position) -> Estimate:
    """The same answer and one source more, in one slot more."""
    extra = torch.tensor([[position]], dtype=torch.float64, device=estimate.count.device)
    extra[..., :2].deg2rad_()
    columns = [
        torch.cat([value, torch.full_like(value[:, :1], math.nan)], dim=-1).scatter(
            1, estimate.count.unsqueeze(-1), extra[..., axis].expand(len(estimate), 1)
        )
        for axis, value in enumerate((estimate.phi_rad, estimate.theta_rad, estimate.range_m))
    ]
    return estimate_at(estimate.count + 1, *columns)


def with_count(estimate: Estimate, count: Tensor) -> Estimate:
    """The first `count` sources of an answer."""
    columns = (estimate.phi_rad, estimate.theta_rad, estimate.range_m)
    return replace(
        estimate_at(count, *(_blank(value, count) for value in columns)),
        count_probabilities=estimate.count_probabilities,
    )


def scores_of(estimate: Estimate, truth: Truth) -> Scores:
    """All scores of an answer."""
    return summarise(score_scenes(estimate, truth))


def _anywhere(scenes: int, width: int, seed: int) -> Positions:
    return (
        uniform(-60.0, 60.0, scenes, width, seed=3 * seed).deg2rad(),
        uniform(-30.0, 30.0, scenes, width, seed=3 * seed + 1).deg2rad(),
        uniform(2.0, 8.0, scenes, width, seed=3 * seed + 2),
    )


def _blank(values: Tensor, count: Tensor) -> Tensor:
    """NaN beyond the count."""
    places = torch.arange(values.shape[1], device=values.device)
    return values.where(places < count.unsqueeze(-1), math.nan)


def _shuffled(positions: Truth | Estimate, seed: int) -> Positions:
    """Present sources in another order, absent ones still behind them."""
    generator = torch.Generator().manual_seed(seed)
    key = torch.rand(positions.present.shape, generator=generator).to(positions.count.device)
    order = torch.where(positions.present, key, 2.0).argsort(dim=-1, stable=True)
    return (
        positions.phi_rad.gather(-1, order),
        positions.theta_rad.gather(-1, order),
        positions.range_m.gather(-1, order),
    )


def _counts(scenes: Sequence[Sequence[Position]], device: torch.device | str) -> Tensor:
    return torch.tensor([len(scene) for scene in scenes], device=device)


def _padded(
    scenes: Sequence[Sequence[Position]], width: int, device: torch.device | str
) -> Positions:
    rows = [[*scene, *[(math.nan,) * 3] * (width - len(scene))] for scene in scenes]
    table = torch.tensor(rows, dtype=torch.float64, device=device).view(len(scenes), width, 3)
    phi_deg, theta_deg, range_m = table.unbind(-1)
    return phi_deg.deg2rad(), theta_deg.deg2rad(), range_m
