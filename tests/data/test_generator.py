"""The signals of the generator: the stated formula, at the stated SNR, over the stated channel."""

import math
from functools import cache
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from risexp.config.layers import load_config
from risexp.config.measurement import DataConfig, PhysicsConfig, Wavefront
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator, source_snr_db
from tests.support.scenes import MANY, SMALL, drawn


def plain(scenes: Scenes, physics: PhysicsConfig) -> NDArray[np.complex128]:
    """H diag(c_l) sum_k a_k amplitude_k s_kl from the truth alone, plainly and in float64."""
    truth, frames = scenes.truth.to("cpu"), scenes.frames.to("cpu")
    present = truth.present.numpy()
    phi, theta, far = (
        np.where(present, value.numpy(), 1.0)
        for value in (truth.phi_rad, truth.theta_rad, truth.range_m)
    )
    spacing = physics.spacing_wavelengths * physics.wavelength_m
    h = (np.arange(physics.elements_h) - (physics.elements_h - 1) / 2) * spacing
    v = (np.arange(physics.elements_v) - (physics.elements_v - 1) / 2) * spacing
    elements = np.array([[at_h, at_v, 0.0] for at_v in v for at_h in h])
    towards = np.stack(
        [np.sin(phi) * np.cos(theta), np.sin(theta), np.cos(phi) * np.cos(theta)], axis=-1
    )
    sources = far[..., None] * towards
    longer = np.linalg.norm(sources[:, :, None] - elements, axis=-1) - far[..., None]
    steering = np.exp(-2j * math.pi / physics.wavelength_m * longer) / math.sqrt(len(elements))
    gains = (present * truth.amplitude.numpy())[:, None] * truth.symbols.numpy()
    field = gains.astype(np.complex128) @ steering
    codes = frames.codes.numpy().astype(np.complex128)
    channel = frames.channel.numpy().astype(np.complex128)
    return np.asarray((codes * field) @ channel.swapaxes(1, 2))


@cache
def clean_and_noise(device: torch.device) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean power of each default scene's clean signal and of what is left of y, both (B,)."""
    scenes, powers = drawn(device), []
    for first in range(0, MANY, 512):
        part = scenes[first : first + 512]
        clean = plain(part, PhysicsConfig())
        left = part.frames.y.cpu().numpy() - clean
        powers.append([np.mean(np.abs(value) ** 2, axis=(1, 2)) for value in (clean, left)])
    clean_power, noise_power = np.concatenate(powers, axis=1)
    return clean_power, noise_power


def test_snr_and_noise_power_are_what_the_labels_say(device: torch.device) -> None:
    clean, noise = clean_and_noise(device)
    label_db = snr_db_of(drawn(device))
    stated = drawn(device).truth.noise_power.cpu().numpy()

    error_db = 10.0 * np.log10(clean / noise) - label_db

    # One scene's noise is 256 samples: 0.27 dB of its own, 0.004 dB in the mean.
    assert abs(float(np.mean(error_db))) < 0.02
    assert float(np.std(error_db)) < 0.3
    for ends in (label_db < 0.0, label_db > 15.0):
        assert abs(float(np.mean(error_db[ends]))) < 0.05
    assert pytest.approx(1.0, abs=0.01) == float(np.mean(noise / stated))
    assert float(np.max(np.abs(clean / stated / 10.0 ** (label_db / 10.0) - 1.0))) < 1e-4


def snr_db_of(scenes: Scenes) -> NDArray[np.float64]:
    assert scenes.frames.snr_db is not None
    return scenes.frames.snr_db.cpu().double().numpy()


@pytest.mark.parametrize("wavefront", get_args(Wavefront))
@pytest.mark.parametrize("symbols", ["frame", "snapshot"])
def test_y_is_the_stated_formula_up_to_the_noise(
    device: torch.device, wavefront: Wavefront, symbols: str
) -> None:
    config = load_config(
        preset="smoke",
        overrides=[
            f"physics.wavefront={wavefront}",
            f"physics.symbols={symbols}",
            "data.snr_db=[90,90]",
        ],
    ).config
    scenes = SceneGenerator(config.physics, config.data, device).scenes("train", 0, 64)

    clean = plain(scenes, config.physics)

    away = np.linalg.norm(scenes.frames.y.cpu().numpy() - clean) / np.linalg.norm(clean)
    # `plain` is the spherical wave; the other two models are others, as they should be.
    assert away < 1e-4 if wavefront == "spherical" else away > 1e-2


@pytest.mark.parametrize(("rician_db", "widest"), [(-100, 3.2), (0, 10.0), (100, 1e-2)])
def test_both_parts_of_the_channel_have_the_same_energy(
    device: torch.device, rician_db: int, widest: float
) -> None:
    scenes = drawn(device, f"physics.rician_db=[{rician_db},{rician_db}]", count=1024)

    energy = scenes.frames.channel.abs().square().sum((1, 2)).double()

    assert abs(float(energy.mean()) - 144.0) < 0.15 * widest
    assert float(energy.std()) < widest


def test_the_snr_of_each_source_is_that_of_its_own_echo(device: torch.device) -> None:
    physics, data = SMALL, DataConfig(sources_max=3, snr_db=(10.0, 10.0))
    scenes = SceneGenerator(physics, data, device).scenes("test", 0, 128)

    of_each = source_snr_db(SceneGenerator(physics, data, device).panel, scenes).cpu()

    truth = scenes.truth.to("cpu")
    assert torch.equal(truth.present, of_each.isfinite())
    alone = truth.count == 1
    assert pytest.approx([10.0] * int(alone.sum()), abs=1e-3) == of_each[alone, 0].tolist()
