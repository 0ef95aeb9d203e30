"""Museum 18: spectra peaked at random or in the mirror; there were six copies of the steering.

One copy had its spacing multiplied by the wavelength twice, one met the covariance as a^T R a*, one
counted the elements from the other end. One source between the points of the grid shows each.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Scenes
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp
from risexp.inference.spectral import Spectral
from risexp.physics.geometry import Panel
from tests.support.localisation import (
    NOISELESS,
    config_of,
    found_exactly,
    label,
    off_grid,
    scenes_of,
    with_frames,
)

Localiser = Callable[[ReceiverModel, Scenes], Estimate]
SINGLE = ("data.sources_max=1", NOISELESS)
ONE = config_of(*SINGLE)
OURS = ReceiverModel.of(ONE)


def nomp(receiver: ReceiverModel, scenes: Scenes) -> Estimate:
    return Nomp(receiver)(scenes.frames)


def music(receiver: ReceiverModel, scenes: Scenes) -> Estimate:
    return Spectral(receiver).locate(label(ONE, scenes), scenes.truth.count)


def mvdr(receiver: ReceiverModel, scenes: Scenes) -> Estimate:
    return Spectral(receiver, "mvdr").locate(label(ONE, scenes), scenes.truth.count)


def transposed(seen: FactoredCovariance) -> FactoredCovariance:
    """a^T R a*: a conjugated covariance searched with a true steering vector."""
    return replace(seen, factor=seen.factor.conj().resolve_conj())


@dataclass(frozen=True)
class Mirrored(Panel):
    """Counts its elements along h from the other end: u is mirrored."""

    def positions(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> tuple[Tensor, Tensor]:
        h_m, v_m = super().positions(dtype, device)
        return -h_m, v_m


PANEL = OURS.panel
FAULTS = {
    "spaced twice": replace(
        OURS, panel=replace(PANEL, spacing_m=PANEL.spacing_m * PANEL.wavelength_m)
    ),
    "mirrored": replace(OURS, panel=Mirrored(**vars(PANEL))),
    "fresnel": ReceiverModel.of(config_of("physics.wavefront=fresnel", *SINGLE)),
    "parabolic": ReceiverModel.of(config_of("physics.wavefront=parabolic", *SINGLE)),
}


def share_found(found: Estimate, scenes: Scenes) -> float:
    """The check that a localiser must pass: its share of single sources found exactly."""
    return float(found_exactly(found, scenes.truth).double().mean())


@pytest.mark.parametrize("localise", [nomp, music, mvdr])
def test_ours_finds_every_source_and_of_another_panel_none(
    device: torch.device, localise: Localiser
) -> None:
    scenes = scenes_of(ONE, 32, device)
    faults = ["spaced twice", "mirrored", *(["fresnel", "parabolic"] if localise is nomp else [])]

    assert 1.0 == share_found(localise(OURS, scenes), scenes)
    assert off_grid(ONE, scenes.truth) > 0.01
    for fault in faults:
        assert share_found(localise(FAULTS[fault], scenes), scenes) < 0.1, fault


def test_a_mirrored_panel_answers_in_the_mirror(device: torch.device) -> None:
    """So the planted fault is the one it is said to be."""
    scenes = scenes_of(ONE, 32, device)

    found = nomp(FAULTS["mirrored"], scenes)

    assert torch.allclose(-scenes.truth.phi_rad, found.phi_rad, atol=1e-4)


def test_a_steering_vector_on_the_wrong_side_is_seen(device: torch.device) -> None:
    """For measurements it is all of them conjugated."""
    scenes = scenes_of(ONE, 32, device)
    parts = {"y": scenes.frames.y, "channel": scenes.frames.channel, "codes": scenes.frames.codes}
    conjugated = {name: value.conj().resolve_conj() for name, value in parts.items()}
    other = with_frames(scenes, **conjugated)

    found = Spectral(OURS).locate(transposed(label(ONE, scenes)), scenes.truth.count)

    assert share_found(found, scenes) < 0.1
    assert share_found(nomp(OURS, other), scenes) < 0.1
