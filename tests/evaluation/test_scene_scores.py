"""Scores of single scenes: the composite, its order, and which counts are taken for which."""

import math

import pytest
import torch
from torch import Tensor

from risexp.config.measurement import DataConfig
from risexp.data.frames import Scenes, Truth
from risexp.data.scenes import SceneGenerator
from risexp.evaluation.scene_scores import confusion, score_scenes
from risexp.inference.estimate import Estimate
from tests.support.estimates import (
    drawn_case,
    estimate_at,
    estimate_of,
    perfect,
    scores_of,
    shuffled_estimate,
    truth_at,
    truth_of,
    with_count,
)
from tests.support.scenes import SMALL, uniform


def strongest_first(scenes: Scenes) -> tuple[Truth, Tensor]:
    """The scenes with their strongest source first, and the SNR of each source as an amplitude."""
    truth, snr_db = scenes.truth, scenes.frames.snr_db
    assert snr_db is not None
    order = truth.powers.argsort(-1, descending=True)
    columns = (value.gather(-1, order) for value in (truth.phi_rad, truth.theta_rad, truth.range_m))
    share = (truth.powers / truth.powers.sum(-1, keepdim=True)).gather(-1, order)
    amplitude = (share.double() * 10.0 ** (snr_db.double().unsqueeze(-1) / 10.0)).sqrt()
    return truth_at(truth.count, *columns), amplitude


def five_found(truth: Truth, amplitude: Tensor) -> Estimate:
    """Five sources a scene: the true ones, the worse the fainter and farther, then false ones."""
    shape = truth.phi_rad.shape
    generator = torch.Generator().manual_seed(1)
    normal = torch.randn(3, *shape, generator=generator, dtype=torch.float64).to(amplitude)
    spread = truth.range_m / amplitude.clamp(min=1e-3)
    false = (
        uniform(-60.0, 60.0, *shape, seed=2).deg2rad(),
        uniform(-30.0, 30.0, *shape, seed=3).deg2rad(),
        uniform(1.0, 10.0, *shape, seed=4),
    )
    near = (
        truth.phi_rad + 0.006 * spread * normal[0],
        truth.theta_rad + 0.006 * spread * normal[1],
        truth.range_m + 0.08 * spread * normal[2],
    )
    columns = (
        torch.where(truth.present, value, other.to(value))
        for value, other in zip(near, false, strict=True)
    )
    return estimate_at(torch.full_like(truth.count, shape[1]), *columns)


def test_perfect_is_exactly_minus_one(device: torch.device) -> None:
    _, truth = drawn_case(1, scenes=100, device=device)

    assert -1.0 == scores_of(shuffled_estimate(perfect(truth), 3), truth).k_loc


def test_worst_is_exactly_ten(device: torch.device) -> None:
    truth = truth_of([(-50.0, -25.0, 2.0)], [(-50.0, -25.0, 2.0), (-40.0, -20.0, 3.0)])
    far = (50.0, 25.0, 90.0)
    estimate = estimate_of([far] * 2, [far])

    assert 10.0 == scores_of(estimate.to(device), truth.to(device)).k_loc


def test_finding_nothing_at_all_is_the_worst_too(device: torch.device) -> None:
    _, truth = drawn_case(2, device=device)
    nothing = torch.empty(8, 0, dtype=torch.float64, device=device)
    estimate = estimate_at(torch.zeros_like(truth.count), *(nothing,) * 3)

    assert 10.0 == scores_of(estimate, truth).k_loc


def test_every_slot_of_every_scene_weighs_the_same() -> None:
    near, right = (2.5, 0.0, 4.0), (0.0, 0.0, 4.0)
    truth = truth_of([right], [right, (40.0, 20.0, 7.0)], [right])
    # Half a tolerance in azimuth; one source missed; one 2 m off and one too many.
    estimate = estimate_of([near], [right], [(0.0, 0.0, 6.0), (40.0, -20.0, 9.0)])

    k_loc = scores_of(estimate, truth).k_loc

    phi = math.sqrt((0.25 + 9.0 + 9.0) / 5)
    theta = math.sqrt((9.0 + 9.0) / 5)
    range_ = math.sqrt((9.0 + 4.0 + 9.0) / 5)
    assert pytest.approx((1 - 1 / 3) + phi + theta + range_ - 1 / 3) == k_loc


def test_an_error_beyond_the_cap_is_as_bad_as_a_source_not_found() -> None:
    truth = truth_of([(0.0, 0.0, 4.0), (40.0, 20.0, 7.0)])
    found, missed = (0.0, 0.0, 4.0), (-40.0, -20.0, 80.0)

    wrong = scores_of(estimate_of([found, missed]), truth)
    fewer = scores_of(estimate_of([found]), truth)

    # Only the count tells them apart.
    assert pytest.approx(fewer.k_loc - 1.0) == wrong.k_loc


def test_the_true_count_is_worth_more_than_any_other(device: torch.device) -> None:
    scenes = SceneGenerator(SMALL, DataConfig(), device).scenes("test", 0, 1000)
    truth, amplitude = strongest_first(scenes)
    full = five_found(truth, amplitude)
    loud, louder = ((amplitude > least).sum(-1).clamp(min=1) for least in (0.2, 0.35))
    counts = {
        "true": truth.count,
        "bic": loud,
        "2 bic": louder,
        "always 5": torch.full_like(truth.count, 5),
        "always 1": torch.ones_like(truth.count),
    }

    k_loc = {
        name: scores_of(with_count(full, count), truth).k_loc for name, count in counts.items()
    }

    assert list(counts) == sorted(k_loc, key=k_loc.__getitem__)


def test_rows_are_true_and_columns_estimated(device: torch.device) -> None:
    true = torch.tensor([1, 1, 2, 3, 3, 3], device=device)
    estimated = torch.tensor([1, 2, 2, 1, 3, 3], device=device)

    table = confusion(true, estimated, most=3)

    assert [[1, 1, 0], [0, 1, 0], [1, 0, 2]] == table.matrix.tolist()


def test_no_source_and_too_many_have_cells_of_their_own(device: torch.device) -> None:
    true = torch.tensor([1, 2, 2, 3], device=device)
    estimated = torch.tensor([0, 0, 4, 9], device=device)

    table = confusion(true, estimated, most=3)

    assert [1, 1, 0] == table.none.tolist()
    assert [0, 1, 1] == table.beyond.tolist()
    assert 0 == int(table.matrix.sum())


def test_every_scene_is_in_one_cell(device: torch.device) -> None:
    estimate, truth = drawn_case(1, scenes=500, true_width=4, width=7, device=device)
    scored = score_scenes(estimate, truth)

    table = scored.confusion

    per_count = torch.bincount(truth.count, minlength=5)[1:]
    assert (4, 4) == table.matrix.shape
    assert torch.equal(per_count, table.matrix.sum(-1) + table.none + table.beyond)
    assert int(table.none.sum()) > 0
    assert int(table.beyond.sum()) > 0
    assert int(scored.hit.sum()) == int(table.matrix.trace())


def test_a_count_is_right_or_too_small_or_too_large(device: torch.device) -> None:
    estimate, truth = drawn_case(2, scenes=300, width=7, device=device)
    scored = score_scenes(estimate, truth)

    cases = torch.stack([scored.hit, scored.under, scored.over]).int()

    assert [1] * 300 == cases.sum(0).tolist()
    assert torch.equal(estimate.count < truth.count, scored.under)
    assert torch.equal(estimate.count > truth.count, scored.over)
