"""Success at the Cramer-Rao bound: what is drawn, where it is clipped, and what is counted."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.config.measurement import DataConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import panel_of
from risexp.evaluation.success_bound import (
    BOX,
    STRICT_BOX,
    deviations,
    inside,
    position_bound,
    position_errors,
)
from risexp.physics.signals import Symbols
from tests.support.looping import for_each
from tests.support.references import LAWS, at_snr, coincident, refer
from tests.support.scenes import tiny_scenes, worst

WIDE = DataConfig(phi_deg=(-89.0, 89.0), theta_deg=(-89.0, 89.0), range_m=(1e-3, 1e6))


def bounded(symbols: Symbols, snr_db: float, count: int) -> tuple[Scenes, Tensor]:
    config = at_snr(symbols, snr_db)
    scenes = tiny_scenes(count, physics=config.physics, data=config.data)
    panel = panel_of(config.physics)
    return scenes, position_bound(symbols, panel, scenes.frames, scenes.truth)


def present_block(bound: Tensor, scenes: Scenes, scene: int) -> Tensor:
    present = scenes.truth.present[scene].repeat(3)
    return bound[scene][present][:, present]


@for_each("symbols", LAWS)
def test_drawn_errors_have_the_covariance_of_the_bound(symbols: Symbols) -> None:
    scenes, bound = bounded(symbols, 60.0, 6)

    errors = position_errors(bound, scenes.truth, WIDE, draws=20_000).flatten(-2)

    for scene in range(6):
        expected = present_block(bound, scenes, scene)
        present = scenes.truth.present[scene].repeat(3)
        actual = errors[scene][:, present].mT.cov()
        size = expected.diagonal().sqrt()
        scale = size.outer(size)
        assert worst(expected / scale, actual / scale) < 0.05
        assert not bool(errors[scene][:, ~present].any())


def test_deviations_are_the_roots_of_the_variances() -> None:
    scenes, bound = bounded("frame", 10.0, 12)
    most = scenes.truth.phi_rad.shape[1]

    found = deviations(bound)

    assert torch.equal(scenes.truth.present, found[..., 2].isfinite())
    for scene in range(12):
        for k in range(int(scenes.truth.count[scene])):
            variances = [bound[scene, axis * most + k, axis * most + k] for axis in range(3)]
            assert pytest.approx(found[scene, k].tolist()) == [
                math.sqrt(each) for each in variances
            ]


def test_clipped_positions_stay_in_the_view_and_reach_its_edges(device: torch.device) -> None:
    config = at_snr("frame", -30.0)
    scenes = tiny_scenes(32, physics=config.physics, data=config.data, device=device)
    truth, data = scenes.truth, config.data
    bound = position_bound("frame", panel_of(config.physics), scenes.frames, truth)

    errors = position_errors(bound, truth, data, draws=50)

    true = torch.stack([truth.phi_rad.rad2deg(), truth.theta_rad.rad2deg(), truth.range_m], dim=1)
    moved = torch.cat([errors[:, :, :2].rad2deg(), errors[:, :, 2:]], dim=2) + true.unsqueeze(1)
    for axis, (low, high) in enumerate((data.phi_deg, data.theta_deg, data.range_m)):
        found = moved[:, :, axis].movedim(1, -1)[truth.present]
        assert pytest.approx((float(found.min()), float(found.max()))) == (low, high)


def test_an_infinite_bound_fails_and_is_never_nan() -> None:
    scenes, bound = bounded("frame", 20.0, 32)
    endless = torch.where(bound.isnan(), bound, torch.inf)

    errors = position_errors(endless, scenes.truth, at_snr("frame", 20.0).data, draws=100)
    share = inside(errors, BOX)

    assert bool(errors.isfinite().all())
    assert float(share.mean()) < 0.05
    assert float(share.mean()) < float(
        refer(at_snr("frame", 20.0), scenes).means().success_true_count
    )


@for_each("symbols", LAWS)
def test_coincident_sources_are_located_by_luck_only(symbols: Symbols) -> None:
    config = at_snr(symbols, 20.0)
    apart = tiny_scenes(96, physics=config.physics, data=config.data)

    together = refer(config, coincident(apart))

    assert bool(together.success_true_count.isfinite().all())
    assert float(together.success_true_count.mean()) < 0.02
    assert not bool(together.deviation.isnan().all(-1)[:, :2].any())


def test_the_share_inside_counts_draws_with_every_source_in_the_box() -> None:
    errors = torch.zeros(1, 8, 3, 2, dtype=torch.float64)
    errors[0, 0, 0, 0] = math.radians(5.01)
    errors[0, 1, 1, 1] = -math.radians(5.01)
    errors[0, 2, 2, 0] = -1.01
    errors[0, 3, 2, 1] = 0.51
    errors[0, 4, 0, 0] = math.radians(4.99)
    errors[0, 5, :, 1] = torch.tensor([math.radians(2.99), -math.radians(2.99), 0.49])

    assert [5 / 8] == inside(errors, BOX).tolist()
    assert [3 / 8] == inside(errors, STRICT_BOX).tolist()


def test_a_source_outside_the_view_is_not_located() -> None:
    scenes, bound = bounded("frame", 60.0, 8)
    narrow = DataConfig(range_m=(0.5, 4.0))

    share = inside(position_errors(bound, scenes.truth, narrow, draws=50), BOX)

    outside = (scenes.truth.range_m > narrow.range_m[1] + 1.0).any(-1)
    assert bool(outside.any())
    assert not bool(share[outside].any())


def test_errors_of_a_scene_do_not_depend_on_its_noise() -> None:
    scenes, bound = bounded("frame", 60.0, 4)
    louder = replace(scenes.truth, noise_power=4.0 * scenes.truth.noise_power)

    quiet = position_errors(bound, scenes.truth, WIDE, draws=30)
    loud = position_errors(4.0 * bound, louder, WIDE, draws=30)

    assert worst(2.0 * quiet, loud) < 1e-6
