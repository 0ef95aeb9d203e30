"""Scenes through disturbed elements or labels: the physics that was meant, the same noise."""

import math
from dataclasses import replace

import pytest
import torch

from risexp.data.disturbed import mislabelled, seen_through, wave_amplitude
from risexp.data.frames import Scenes
from risexp.errors import DataInvalid
from tests.support.disturbed_scenes import PANEL, clean, noise
from tests.support.scenes import SMALL, gaussian, panel, tiny_scenes, worst


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
