"""The noise power of frames, told or measured."""

import pytest
import torch

from risexp.errors import DataInvalid
from risexp.estimation.receiver_model import noise_power
from tests.support.localisation import at_snr, config_of, plain_operator, scenes_of, with_frames
from tests.support.looping import for_each
from tests.support.scenes import worst


def test_with_an_snr_it_is_its_share_of_the_power(device: torch.device) -> None:
    frames = scenes_of(config_of(), 16, device).frames
    assert frames.snr_db is not None
    power = frames.y.abs().square().double().mean((-2, -1))
    expected = power / (1.0 + 10.0 ** (frames.snr_db.double() / 10.0))

    assert worst(torch.ones_like(expected), noise_power(frames, "frame") / expected) < 1e-6


@for_each("snr_db", [-5.0, 10.0, 30.0])
def test_without_one_it_is_measured_without_bias(device: torch.device, snr_db: float) -> None:
    scenes = scenes_of(config_of(at_snr(snr_db)), 256, device)

    measured = noise_power(with_frames(scenes, snr_db=None).frames, "frame")

    ratio = measured / scenes.truth.noise_power.double()
    freedom = scenes.frames.y[0].numel() - 144
    assert pytest.approx(1.0, abs=4.0 / (freedom * 256) ** 0.5) == float(ratio.mean())
    assert pytest.approx(freedom**-0.5, rel=0.2) == float(ratio.std())


def test_it_is_the_energy_that_no_field_on_the_panel_explains(device: torch.device) -> None:
    scenes = with_frames(scenes_of(config_of(preset="smoke"), 4, device), snr_db=None)
    operator, y = plain_operator(scenes.frames), scenes.frames.y.flatten(1).to(torch.complex128)
    basis = torch.linalg.qr(operator).Q
    left = y.unsqueeze(-1) - basis @ (basis.mH @ y.unsqueeze(-1))
    expected = left.abs().square().sum((-2, -1)) / (operator.shape[-2] - operator.shape[-1])

    assert worst(expected, noise_power(scenes.frames, "frame")) < 1e-6


@for_each("told", [True, False])
def test_a_scale_of_the_measurements_is_a_scale_of_the_noise(
    device: torch.device, *, told: bool
) -> None:
    scenes = scenes_of(config_of(), 8, device)
    scenes = scenes if told else with_frames(scenes, snr_db=None)

    louder = noise_power(with_frames(scenes, y=1e3 * scenes.frames.y).frames, "frame")

    assert (
        worst(torch.ones(8).double(), (louder / noise_power(scenes.frames, "frame")).cpu() / 1e6)
        < 1e-5
    )


@for_each("told", [True, False])
def test_it_is_never_nothing(device: torch.device, *, told: bool) -> None:
    scenes = scenes_of(config_of(), 8, device)
    silent = with_frames(scenes, y=torch.zeros_like(scenes.frames.y))
    silent = silent if told else with_frames(silent, snr_db=None)

    assert bool((noise_power(silent.frames, "frame") > 0.0).all())


def test_as_many_samples_as_elements_show_none(device: torch.device) -> None:
    config = config_of("physics.antennas=12", "physics.snapshots=12")
    frames = with_frames(scenes_of(config, 2, device), snr_db=None).frames

    with pytest.raises(DataInvalid, match=r"^144 samples of 144 elements [^\n]* give snr_db"):
        noise_power(frames, "frame")


def test_codes_of_each_scene_are_as_good_as_shared_ones(device: torch.device) -> None:
    scenes = with_frames(scenes_of(config_of(preset="smoke"), 4, device), snr_db=None)
    own = with_frames(scenes, codes=scenes.frames.codes.expand(4, -1, -1))

    assert worst(noise_power(scenes.frames, "frame"), noise_power(own.frames, "frame")) < 1e-9
