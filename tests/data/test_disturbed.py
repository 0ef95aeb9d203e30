"""Disturbed scenes: the physics that was meant, the same noise, and nothing else."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.config.sections import DataConfig
from risexp.data.disturbed import (
    BEARINGS,
    mislabelled,
    seen_through,
    wave_amplitude,
    with_close_pair,
    with_equal_power,
    with_first_two,
    with_shared_stream,
)
from risexp.data.frames import Scenes
from risexp.data.scenes import panel_of, source_steering
from risexp.errors import ConfigInvalid, DataInvalid
from risexp.physics.geometry import direction_cosines
from risexp.physics.signals import received
from tests.estimates import truth_of
from tests.scenes import SMALL, gaussian, panel, tiny_scenes, uniform, worst

PANEL = panel_of(SMALL)
FRESH = SMALL.model_copy(update={"symbols": "snapshot"})
PAIRS = DataConfig(sources_max=3, seed=1)
MANY = 200


def test_gains_of_one_change_no_bit() -> None:
    scenes = tiny_scenes(physics=SMALL)

    heard = seen_through(PANEL, scenes, torch.ones(8, 1, 36))

    assert torch.equal(scenes.frames.y, heard.frames.y)


def test_gains_of_the_elements_are_those_of_the_channel() -> None:
    """What an element does to every wave, the channel's column could have done as well."""
    scenes = tiny_scenes(physics=SMALL)
    gain = gaussian(8, 1, 36).to(torch.complex64)

    heard = seen_through(PANEL, scenes, gain)

    frames = replace(scenes.frames, channel=scenes.frames.channel * gain)
    expected = clean(Scenes(frames, scenes.truth)) + noise(scenes)
    assert worst(expected, heard.frames.y) < 1e-5


def test_each_source_may_have_gains_of_its_own() -> None:
    scenes = tiny_scenes(physics=SMALL)
    gain = torch.ones(8, 5, 36)
    gain[:, 1:] = 0.0

    heard = seen_through(PANEL, scenes, gain)

    first = replace(scenes.truth, amplitude=scenes.truth.amplitude * torch.eye(5)[0])
    assert worst(clean(replace(scenes, truth=first)) + noise(scenes), heard.frames.y) < 1e-5


def test_amplitude_is_that_of_a_wave_from_a_point() -> None:
    truth = tiny_scenes().truth
    large = panel()
    h_m, v_m = large.positions()

    amplitude = wave_amplitude(large, truth)

    for scene, slot in truth.present.nonzero().tolist():
        phi, theta, r = (
            float(each[scene, slot]) for each in (truth.phi_rad, truth.theta_rad, truth.range_m)
        )
        source = (
            r * math.sin(phi) * math.cos(theta),
            r * math.sin(theta),
            r * math.cos(phi) * math.cos(theta),
        )
        elements = zip(h_m.tolist(), v_m.tolist(), strict=True)
        expected = [r / math.dist(source, (h, v, 0.0)) for h, v in elements]
        torch.testing.assert_close(torch.tensor(expected).double(), amplitude[scene, slot])


def test_amplitude_hardly_varies_far_away_and_strongly_nearby() -> None:
    truth = truth_of([(0.0, 0.0, 10.0), (0.0, 0.0, 0.5)])

    far, near = wave_amplitude(panel(), truth)[0, :2]

    assert 0.99 < float(far.min()) <= float(far.max()) < 1.0
    assert float(near.min()) < 0.4
    assert float(near.max()) > 0.95


def test_correlated_streams_are_correlated_as_asked() -> None:
    scenes = tiny_scenes(MANY, physics=FRESH)
    turn = uniform(-3.0, 3.0, MANY, 5)

    heard = with_shared_stream(PANEL, scenes, 0.6, turn)

    kept = heard.truth.count >= 3
    first, second, third = heard.truth.symbols[kept][..., :3].unbind(-1)
    aligned = torch.polar(torch.ones_like(turn), -turn).to(torch.complex64)[kept].unsqueeze(-2)
    assert correlation(first, second * aligned[..., 1]) == pytest.approx(0.6, abs=0.04)
    assert correlation(second * aligned[..., 1], third * aligned[..., 2]) == pytest.approx(
        0.36, abs=0.05
    )
    assert float(second.abs().square().mean()) == pytest.approx(1.0, abs=0.06)


def test_fully_correlated_sources_send_one_stream() -> None:
    scenes = tiny_scenes(physics=FRESH)
    turn = uniform(-3.0, 3.0, 8, 5)

    heard = with_shared_stream(PANEL, scenes, 1.0, turn)

    rank = torch.linalg.matrix_rank(heard.truth.symbols, rtol=1e-4)
    assert [1] * 8 == rank.tolist()
    assert max(scenes.truth.count.tolist()) > 1
    assert torch.equal(scenes.truth.symbols[..., 0], heard.truth.symbols[..., 0])


def test_correlated_streams_are_what_is_sent_in_the_same_noise() -> None:
    scenes = tiny_scenes(physics=FRESH)

    heard = with_shared_stream(PANEL, scenes, 0.9, uniform(-3.0, 3.0, 8, 5))

    assert worst(clean(scenes), clean(heard)) > 0.1
    assert worst(noise(scenes), noise(heard)) < 1e-4


def test_uncorrelated_streams_change_no_bit() -> None:
    scenes = tiny_scenes(physics=FRESH)

    heard = with_shared_stream(PANEL, scenes, 0.0, uniform(-3.0, 3.0, 8, 5))

    assert torch.equal(scenes.frames.y, heard.frames.y)
    assert torch.equal(scenes.truth.symbols, heard.truth.symbols)


def test_held_symbols_cannot_be_correlated() -> None:
    with pytest.raises(DataInvalid, match="fresh"):
        with_shared_stream(PANEL, tiny_scenes(physics=SMALL), 0.5, torch.zeros(8, 5))


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


def test_a_line_of_directions_has_room_along_itself() -> None:
    line = PAIRS.model_copy(update={"theta_deg": (0.0, 0.0)})
    scenes = of_two_or_more(line)

    truth = with_close_pair(
        PANEL, scenes, 7.0, line, uniform(0.0, 1.0, len(scenes), BEARINGS)
    ).truth

    apart = (truth.phi_rad[:, 0] - truth.phi_rad[:, 1]).abs().rad2deg()
    torch.testing.assert_close(torch.full_like(apart, 7.0), apart)


def test_a_view_without_room_for_a_pair_is_refused() -> None:
    narrow = DataConfig(sources_max=3, phi_deg=(-1.0, 1.0), theta_deg=(-1.0, 1.0))
    scenes = of_two_or_more(narrow)

    with pytest.raises(ConfigInvalid, match="5 deg away"):
        with_close_pair(PANEL, scenes, 5.0, narrow, torch.ones(len(scenes), BEARINGS))


def test_a_lonely_source_makes_no_pair() -> None:
    with pytest.raises(DataInvalid, match="two or more"):
        with_first_two(PANEL, tiny_scenes(64, physics=SMALL))


def test_a_wrong_label_changes_nothing_but_the_label() -> None:
    scenes = tiny_scenes(physics=SMALL)

    heard = mislabelled(scenes, -3.0)

    assert scenes.frames.snr_db is not None
    assert heard.frames.snr_db is not None
    assert torch.equal(scenes.frames.snr_db - 3.0, heard.frames.snr_db)
    assert heard.truth is scenes.truth
    for name, value in scenes.frames.items():
        assert name == "snr_db" or value is dict(heard.frames.items())[name]


def test_what_has_no_label_has_no_wrong_one() -> None:
    scenes = tiny_scenes(physics=SMALL)
    unlabelled = Scenes(replace(scenes.frames, snr_db=None), scenes.truth)

    with pytest.raises(DataInvalid, match="without an SNR"):
        mislabelled(unlabelled, 3.0)


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


def clean(scenes: Scenes) -> Tensor:
    """What would be heard of the truth without noise."""
    field = scenes.truth.gains @ source_steering(PANEL, scenes.truth)
    return received(scenes.frames.channel, scenes.frames.codes, field)


def noise(scenes: Scenes) -> Tensor:
    """What is heard beside the truth."""
    return scenes.frames.y - clean(scenes)


def snr(scenes: Scenes) -> Tensor:
    """Mean clean power over the noise power, (B,)."""
    return clean(scenes).abs().square().mean((-2, -1)) / scenes.truth.noise_power


def correlation(one: Tensor, other: Tensor) -> float:
    """Of two streams of mean power 1 and mean 0."""
    return float((one.conj() * other).mean().real)
