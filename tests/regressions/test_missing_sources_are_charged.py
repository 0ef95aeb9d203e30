"""Museum 42: the search preferred networks that find fewer sources.

The errors of the composite were those of matched pairs alone. The strongest source is the easiest:
whoever answers nothing else has the smallest errors.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from risexp.data.frames import Truth
from risexp.evaluation.matching import CAP
from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.evaluation.scores import summarise
from risexp.inference.estimate import Estimate
from tests.support.estimates import drawn_case, estimate_at, truth_at, with_count
from tests.support.scenes import gaussian

Composite = Callable[[SceneScores], float]
SPREAD = torch.tensor([0.1, 1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
"""Errors in tolerances, from the strongest source to the weakest."""


def ours(table: SceneScores) -> float:
    return summarise(table).k_loc


def over_pairs_alone(table: SceneScores) -> float:
    """The composite of old: e_x = sqrt(mean over matched pairs), whatever was missed."""
    alone = (table.slots - table.matching.pairs).unsqueeze(-1)
    paired = table.slot_errors - CAP**2 * alone
    mean: Tensor = paired.sum(0) / table.matching.pairs.sum()
    rates = table.hit.double().mean() + table.success.double().mean()
    return float(1.0 + mean.sqrt().sum() - rates)


def strongest_first(device: torch.device) -> tuple[Estimate, Truth]:
    """Answers with the true count, worse from source to source, to scenes of sources far apart."""
    _, truth = drawn_case(1, scenes=500, device=device)
    azimuth = torch.linspace(-60.0, 60.0, 5, dtype=torch.float64).deg2rad().to(device)
    truth = truth_at(
        truth.count,
        azimuth.expand_as(truth.phi_rad).where(truth.present, torch.nan),
        truth.theta_rad,
        truth.range_m,
    )
    off = (SPREAD * gaussian(3, 500, 5).real).to(device)
    five_deg = off.new_tensor(5.0).deg2rad()
    return estimate_at(
        truth.count,
        truth.phi_rad + five_deg * off[0],
        truth.theta_rad + five_deg * off[1],
        truth.range_m + off[2],
    ), truth


def composite_by_count(composite: Composite, device: torch.device) -> list[float]:
    """The composite of answers that stop after the first, the second, ... true source."""
    estimate, truth = strongest_first(device)
    return [
        composite(score_scenes(with_count(estimate, truth.count.clamp(max=most)), truth))
        for most in (1, 2, 3, 4, 5)
    ]


def test_errors_over_pairs_alone_prefer_to_find_one_source(device: torch.device) -> None:
    composites = composite_by_count(over_pairs_alone, device)

    assert min(composites) == composites[0]
    assert composites[0] < composites[-1] - 0.5


def test_every_source_found_makes_the_composite_better(device: torch.device) -> None:
    composites = composite_by_count(ours, device)

    assert composites == sorted(composites, reverse=True)


@pytest.mark.parametrize("composite", [ours, over_pairs_alone])
def test_both_agree_where_nothing_is_missing(device: torch.device, composite: Composite) -> None:
    estimate, truth = strongest_first(device)
    table = score_scenes(estimate, truth)

    assert pytest.approx(summarise(table).k_loc) == composite(table)
