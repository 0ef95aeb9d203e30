"""Disturbed sources: of other power or in close pairs, at the same SNR in the same noise."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.config.measurement import DataConfig
from risexp.data.disturbed import BEARINGS, with_close_pair, with_equal_power, with_first_two
from risexp.data.frames import Scenes
from risexp.errors import ConfigInvalid, DataInvalid
from risexp.physics.geometry import direction_cosines
from tests.support.disturbed_scenes import MANY, PANEL, clean, noise
from tests.support.scenes import SMALL, tiny_scenes, uniform, worst

PAIRS = DataConfig(sources_max=3, seed=1)


def test_equal_power_leaves_phases_and_positions() -> None:
    scenes = tiny_scenes(physics=SMALL)
    present = scenes.truth.present

    heard = with_equal_power(PANEL, scenes)

    truth = heard.truth
    assert worst(torch.ones(int(present.sum())), truth.gains[:, 0][present].abs()) < 1e-6
    assert not truth.gains[:, 0][~present].abs().any()
    turned = (truth.symbols * scenes.truth.symbols.conj())[:, 0][present]
    assert worst(torch.zeros_like(turned.real) + 1.0, turned.angle().cos()) < 1e-6
    assert torch.equal(scenes.truth.phi_rad[present], truth.phi_rad[present])


def test_other_sources_are_heard_at_the_same_snr_in_the_same_noise() -> None:
    scenes = of_two_or_more()
    chance = uniform(0.0, 1.0, len(scenes), BEARINGS)

    for heard in (
        with_equal_power(PANEL, scenes),
        with_first_two(PANEL, scenes),
        with_close_pair(PANEL, scenes, 5.0, PAIRS, chance),
    ):
        assert worst(snr(scenes), snr(heard)) < 1e-4
        scale = (heard.truth.noise_power / scenes.truth.noise_power).sqrt()[:, None, None]
        assert worst(noise(scenes), noise(heard) / scale) < 1e-3
        assert heard.frames.snr_db is scenes.frames.snr_db


def test_the_first_two_of_two_are_all_that_was_there() -> None:
    scenes = of_two_or_more()
    two = scenes.truth.count == 2

    heard = with_first_two(PANEL, scenes)

    assert 0 < int(two.sum()) < len(scenes)
    assert worst(scenes.frames.y[two], heard.frames.y[two]) < 1e-6
    assert [2] * len(scenes) == heard.truth.count.tolist()
    assert torch.equal(scenes.truth.range_m[:, :2], heard.truth.range_m[:, :2])
    assert bool(heard.truth.range_m[:, 2:].isnan().all())
    assert not heard.truth.amplitude[:, 2:].any()


@given(separation_deg=st.floats(0.01, 30.0), seed=st.integers(0, 1000))
def test_close_pairs_stand_at_their_angle_inside_the_view(separation_deg: float, seed: int) -> None:
    scenes = of_two_or_more()
    chance = uniform(0.0, 1.0, len(scenes), BEARINGS, seed=seed)

    truth = with_close_pair(PANEL, scenes, separation_deg, PAIRS, chance).truth

    phi, theta = truth.phi_rad[:, :2], truth.theta_rad[:, :2]
    unit = torch.stack([*direction_cosines(phi, theta), phi.cos() * theta.cos()], dim=-1)
    across = torch.linalg.vector_norm(unit[:, 0] - unit[:, 1], dim=-1)
    angle = 2.0 * (across / 2.0).asin().rad2deg()
    torch.testing.assert_close(torch.full_like(angle, separation_deg), angle, rtol=1e-9, atol=1e-9)
    assert float(phi.abs().max().rad2deg()) <= 60.0 + 1e-6
    assert float(theta.abs().max().rad2deg()) <= 30.0 + 1e-6
    assert torch.equal(scenes.truth.phi_rad[:, 0], phi[:, 0])
    assert torch.equal(scenes.truth.range_m[:, :2], truth.range_m[:, :2])


def test_second_sources_stand_on_all_sides_of_the_first() -> None:
    scenes = of_two_or_more()
    chance = uniform(0.0, 1.0, len(scenes), BEARINGS)

    truth = with_close_pair(PANEL, scenes, 3.0, PAIRS, chance).truth

    right = truth.phi_rad[:, 1] > truth.phi_rad[:, 0]
    above = truth.theta_rad[:, 1] > truth.theta_rad[:, 0]
    for side in (right & above, right & ~above, ~right & above, ~right & ~above):
        assert 0.15 < float(side.double().mean()) < 0.35


def test_a_pair_takes_the_room_there_is_and_none_is_refused() -> None:
    line = PAIRS.model_copy(update={"theta_deg": (0.0, 0.0)})
    narrow = DataConfig(sources_max=3, phi_deg=(-1.0, 1.0), theta_deg=(-1.0, 1.0))
    scenes, others = of_two_or_more(line), of_two_or_more(narrow)
    chance = uniform(0.0, 1.0, len(scenes), BEARINGS)

    truth = with_close_pair(PANEL, scenes, 7.0, line, chance).truth

    apart = (truth.phi_rad[:, 0] - truth.phi_rad[:, 1]).abs().rad2deg()
    torch.testing.assert_close(torch.full_like(apart, 7.0), apart)
    with pytest.raises(ConfigInvalid, match="5 deg away"):
        with_close_pair(PANEL, others, 5.0, narrow, torch.ones(len(others), BEARINGS))
    with pytest.raises(DataInvalid, match="two or more"):
        with_first_two(PANEL, tiny_scenes(64, physics=SMALL))


def of_two_or_more(data: DataConfig = PAIRS) -> Scenes:
    """Scenes that hold at least two sources."""
    scenes = tiny_scenes(MANY, physics=SMALL, data=data)
    kept = scenes.truth.count >= 2
    frames = replace(
        scenes.frames,
        **{
            name: value[kept]
            for name, value in scenes.frames.items()
            if name != "codes" and value is not None
        },
    )
    return Scenes(frames, type(scenes.truth)(*(value[kept] for _, value in scenes.truth.items())))


def snr(scenes: Scenes) -> Tensor:
    """Mean clean power over the noise power, (B,)."""
    return clean(scenes).abs().square().mean((-2, -1)) / scenes.truth.noise_power
