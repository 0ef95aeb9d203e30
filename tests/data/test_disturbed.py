"""Scenes through disturbed elements, labels or streams: the physics that was meant, one noise."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.data.disturbed import mislabelled, seen_through, wave_amplitude, with_shared_stream
from risexp.data.frames import Scenes
from risexp.errors import DataInvalid
from tests.support.disturbed_scenes import MANY, PANEL, clean, noise
from tests.support.scenes import SMALL, gaussian, panel, tiny_scenes, uniform, worst


def test_gains_of_the_elements_are_those_of_the_channel_and_ones_change_no_bit() -> None:
    """What an element does to every wave, the channel's column could have done as well."""
    scenes = tiny_scenes(physics=SMALL)
    gain = gaussian(8, 1, 36).to(torch.complex64)
    same = seen_through(PANEL, scenes, torch.ones(8, 1, 36))

    heard = seen_through(PANEL, scenes, gain)

    frames = replace(scenes.frames, channel=scenes.frames.channel * gain)
    expected = clean(Scenes(frames, scenes.truth)) + noise(scenes)
    assert worst(expected, heard.frames.y) < 1e-5
    assert torch.equal(scenes.frames.y, same.frames.y)


def test_each_source_may_have_gains_of_its_own() -> None:
    scenes = tiny_scenes(physics=SMALL)
    gain = torch.ones(8, 5, 36)
    gain[:, 1:] = 0.0

    heard = seen_through(PANEL, scenes, gain)

    first = replace(scenes.truth, amplitude=scenes.truth.amplitude * torch.eye(5)[0])
    assert worst(clean(replace(scenes, truth=first)) + noise(scenes), heard.frames.y) < 1e-5


def test_amplitude_is_that_of_a_wave_from_a_point() -> None:
    truth = tiny_scenes(3).truth
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


def test_a_wrong_label_changes_nothing_but_the_label() -> None:
    scenes = tiny_scenes(physics=SMALL)

    heard = mislabelled(scenes, -3.0)

    assert scenes.frames.snr_db is not None
    assert heard.frames.snr_db is not None
    assert torch.equal(scenes.frames.snr_db - 3.0, heard.frames.snr_db)
    assert heard.truth is scenes.truth
    for name, value in scenes.frames.items():
        assert name == "snr_db" or value is dict(heard.frames.items())[name]
    with pytest.raises(DataInvalid, match="without an SNR"):
        mislabelled(Scenes(replace(scenes.frames, snr_db=None), scenes.truth), 3.0)


FRESH = SMALL.model_copy(update={"symbols": "snapshot"})


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


def test_only_correlated_streams_change_and_the_noise_does_not() -> None:
    scenes = tiny_scenes(physics=FRESH)

    heard, same = (
        with_shared_stream(PANEL, scenes, share, uniform(-3.0, 3.0, 8, 5)) for share in (0.9, 0.0)
    )

    assert worst(clean(scenes), clean(heard)) > 0.1
    assert worst(noise(scenes), noise(heard)) < 1e-4
    assert torch.equal(scenes.frames.y, same.frames.y)
    assert torch.equal(scenes.truth.symbols, same.truth.symbols)
    with pytest.raises(DataInvalid, match="fresh"):
        with_shared_stream(PANEL, tiny_scenes(physics=SMALL), 0.5, torch.zeros(8, 5))


def correlation(one: Tensor, other: Tensor) -> float:
    """Of two streams of mean power 1 and mean 0."""
    return float((one.conj() * other).mean().real)
