"""Museum 18: spectra peaked at random or in the mirror; there were six copies of the steering.

One copy had its spacing multiplied by the wavelength twice, one met the covariance as a^T R a*, one
counted the elements from the other end. One source between the points of the grid shows each.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from risexp.data.frames import Scenes
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp
from risexp.inference.spectral import Spectral
from risexp.physics.geometry import Panel, Wavefront
from tests.support.localisation import (
    NOISELESS,
    WAVEFRONTS,
    config_of,
    found_exactly,
    label,
    off_grid,
    scenes_of,
    with_frames,
)

LAWS = ("frame", "snapshot")
NAMES = ("nomp", "music", "mvdr")
Localiser = Callable[[ReceiverModel, Scenes], Estimate]


@dataclass(frozen=True)
class Mirrored(Panel):
    """Counts its elements along h from the other end: u is mirrored."""

    def positions(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> tuple[Tensor, Tensor]:
        h_m, v_m = super().positions(dtype, device)
        return -h_m, v_m


def by_measurements(receiver: ReceiverModel, scenes: Scenes) -> Estimate:
    return Nomp(receiver)(scenes.frames)


def by_music(receiver: ReceiverModel, scenes: Scenes) -> Estimate:
    return Spectral(receiver).locate(label(config_of(*one_source()), scenes), scenes.truth.count)


def by_mvdr(receiver: ReceiverModel, scenes: Scenes) -> Estimate:
    seen = label(config_of(*one_source()), scenes)
    return Spectral(receiver, "mvdr").locate(seen, scenes.truth.count)


LOCALISERS: dict[str, Localiser] = dict(
    zip(NAMES, (by_measurements, by_music, by_mvdr), strict=True)
)


def one_source(wavefront: Wavefront = "spherical", symbols: str = "frame") -> tuple[str, ...]:
    law = (f"physics.wavefront={wavefront}", f"physics.symbols={symbols}")
    return (*law, "data.sources_max=1", NOISELESS)


def share_found(found: Estimate, scenes: Scenes) -> float:
    """The check that a localiser must pass: its share of single sources found exactly."""
    return float(found_exactly(found, scenes.truth).double().mean())


def spaced_twice(receiver: ReceiverModel) -> ReceiverModel:
    """Half a wavelength taken times the wavelength, twice."""
    panel = receiver.panel
    return replace(receiver, panel=replace(panel, spacing_m=panel.spacing_m * panel.wavelength_m))


def mirrored(receiver: ReceiverModel) -> ReceiverModel:
    return replace(receiver, panel=Mirrored(**vars(receiver.panel)))


def transposed(receiver: ReceiverModel, scenes: Scenes) -> Estimate:
    """a^T R a*: a conjugated covariance searched with a true steering vector."""
    seen = label(config_of(*one_source()), scenes)
    conjugate = replace(seen, factor=seen.factor.conj().resolve_conj())
    return Spectral(receiver).locate(conjugate, scenes.truth.count)


def conjugated(receiver: ReceiverModel, scenes: Scenes) -> Estimate:
    """All that was measured conjugated, which is to conjugate every steering vector."""
    frames = scenes.frames
    other = {
        name: value.conj().resolve_conj()
        for name, value in (("y", frames.y), ("channel", frames.channel), ("codes", frames.codes))
    }
    return Nomp(receiver)(with_frames(scenes, **other).frames)


@pytest.mark.parametrize("name", NAMES)
def test_ours_finds_every_source(device: torch.device, name: str) -> None:
    config = config_of(*one_source())
    scenes = scenes_of(config, 64, device)

    share = share_found(LOCALISERS[name](ReceiverModel.of(config), scenes), scenes)

    assert 1.0 == share
    assert off_grid(config, scenes.truth) > 0.01


@pytest.mark.parametrize("wavefront", WAVEFRONTS)
@pytest.mark.parametrize("symbols", LAWS)
def test_the_measurements_show_it_under_every_law_and_wavefront(
    device: torch.device, symbols: str, wavefront: Wavefront
) -> None:
    config = config_of(*one_source(wavefront, symbols))
    scenes = scenes_of(config, 32, device)

    assert 1.0 == share_found(by_measurements(ReceiverModel.of(config), scenes), scenes)


@pytest.mark.parametrize("plant", [spaced_twice, mirrored])
@pytest.mark.parametrize("name", NAMES)
def test_a_panel_that_is_not_the_generator_s_is_seen(
    device: torch.device, name: str, plant: Callable[[ReceiverModel], ReceiverModel]
) -> None:
    config = config_of(*one_source())
    scenes = scenes_of(config, 64, device)

    found = LOCALISERS[name](plant(ReceiverModel.of(config)), scenes)

    assert share_found(found, scenes) < 0.1


def test_a_mirrored_panel_answers_in_the_mirror(device: torch.device) -> None:
    """So the planted fault is the one it is said to be."""
    config = config_of(*one_source())
    scenes = scenes_of(config, 64, device)

    found = by_measurements(mirrored(ReceiverModel.of(config)), scenes)

    assert torch.allclose(-scenes.truth.phi_rad, found.phi_rad, atol=1e-4)


@pytest.mark.parametrize("plant", [transposed, conjugated])
def test_a_steering_vector_on_the_wrong_side_is_seen(
    device: torch.device, plant: Localiser
) -> None:
    config = config_of(*one_source())
    scenes = scenes_of(config, 64, device)

    assert share_found(plant(ReceiverModel.of(config), scenes), scenes) < 0.1


@pytest.mark.parametrize("other", ["fresnel", "parabolic"])
def test_a_wavefront_that_is_not_the_generator_s_is_seen(
    device: torch.device, other: Wavefront
) -> None:
    scenes = scenes_of(config_of(*one_source()), 64, device)

    found = by_measurements(ReceiverModel.of(config_of(*one_source(other))), scenes)

    assert share_found(found, scenes) < 0.1
