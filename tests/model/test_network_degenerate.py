"""Degenerate frames and extreme views have finite answers and gradients."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from risexp.config.learning import FactorKind, Front
from risexp.data.frames import Frames, Scenes
from risexp.model.observation import Observer
from tests.support.localisation import WAVEFRONTS, echoes, scenes_of
from tests.support.networks import (
    FRONTS,
    MAKES,
    answer,
    awake,
    finite,
    network_config,
    observed,
    outputs,
    sound_gradients,
    total,
)
from tests.support.scenes import gaussian, worst

LIVE = "count.detach_spectral=false"
"""The count's gradient runs through the eigenvalues, where NaN would come from."""


def silent(frames: Frames) -> Frames:
    return replace(frames, y=torch.zeros_like(frames.y))


def deaf(frames: Frames) -> Frames:
    return replace(frames, channel=torch.zeros_like(frames.channel))


def one_antenna(frames: Frames) -> Frames:
    """All antennas hear the same: channels of rank one."""
    return replace(frames, channel=frames.channel[:, :1].expand_as(frames.channel).contiguous())


def one_code(frames: Frames) -> Frames:
    return replace(frames, codes=frames.codes[:1].expand_as(frames.codes).contiguous())


def scaled(factor: float) -> Callable[[Frames], Frames]:
    return lambda frames: replace(frames, y=frames.y * factor)


def one_loud_scene(frames: Frames) -> Frames:
    """Scenes of one batch that lie 240 dB apart."""
    y = frames.y.clone()
    y[0] *= 1e12
    return replace(frames, y=y)


def noise_only(frames: Frames) -> Frames:
    return replace(frames, y=gaussian(*frames.y.shape, seed=4).to(frames.y))


FAULTS: dict[str, Callable[[Frames], Frames]] = {
    "silent": silent,
    "deaf": deaf,
    "one antenna": one_antenna,
    "one code": one_code,
    "tiny": scaled(1e-12),
    "huge": scaled(1e12),
    "uneven": one_loud_scene,
    "noise": noise_only,
}


def sound(front: Front, factors: FactorKind, frames: Frames, *overrides: str) -> bool:
    """Whether the answer and all gradients are finite."""
    config = network_config(f"factors.kind={factors}", LIVE, *overrides, front=front)
    network = awake(config)
    prediction = network(Observer.of(config)(frames), 0.3)
    torch.autograd.backward(total(prediction))
    return finite(prediction) and sound_gradients(network)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_degenerate_frame_has_a_finite_answer_and_teaches_finitely(fault: str) -> None:
    frames = FAULTS[fault](scenes_of(network_config(), 4).frames)

    assert [] == [make for make in MAKES if not sound(*make, frames)]


def test_a_silent_scene_does_not_disturb_its_neighbours() -> None:
    config = network_config()
    frames = scenes_of(config, 4).frames
    y = frames.y.clone()
    y[1] = 0.0

    plain, holed = answer(config, frames, 0.3), answer(config, replace(frames, y=y), 0.3)

    kept = torch.tensor([0, 2, 3])
    for name, value in outputs(plain).items():
        assert worst(value[kept], outputs(holed)[name][kept]) < 1e-4


def coincident(scenes: Scenes) -> Scenes:
    """All sources of a scene at one place."""
    truth = scenes.truth
    first = {name: getattr(truth, name)[:, :1] for name in ("phi_rad", "theta_rad", "range_m")}
    together = {name: torch.where(truth.present, each, torch.nan) for name, each in first.items()}
    return echoes(network_config(), replace(truth, **together))


def test_sources_at_one_place_have_a_finite_answer() -> None:
    frames = coincident(scenes_of(network_config(), 8)).frames

    assert [] == [make for make in MAKES if not sound(*make, frames)]


def test_slots_at_one_place_have_finite_gradients() -> None:
    """Columns that coincide: eigenvalues that coincide, at zero."""
    for front, factors in MAKES:
        config = network_config(f"factors.kind={factors}", LIVE, front=front)
        network = awake(config)
        with torch.no_grad():
            for weight in network.factors.parameters():
                weight.zero_()

        prediction = network(observed(config), 0.0)
        torch.autograd.backward(total(prediction))

        assert finite(prediction), (front, factors)
        assert sound_gradients(network), (front, factors)


VIEWS = (
    ("data.phi_deg=[10,10]", "data.theta_deg=[0,0]"),
    ("data.range_m=[2,2]",),
    ("data.range_m=[0.01,1000]",),
    ("data.phi_deg=[-85,85]", "data.theta_deg=[-80,80]"),
)
PANELS = tuple(
    (
        f"physics.wavefront={wavefront}",
        f"physics.elements_h={sides[0]}",
        f"physics.elements_v={sides[1]}",
    )
    for wavefront, sides in zip(WAVEFRONTS, [(6, 6), (4, 9), (9, 4)], strict=True)
)


@pytest.mark.parametrize("front", FRONTS)
def test_every_wavefront_panel_and_extreme_view_is_answered(front: Front) -> None:
    offenders = []
    for overrides in (*PANELS, *VIEWS):
        frames = scenes_of(network_config(*overrides), 4).frames
        if not sound(front, "pointers", frames, *overrides):
            offenders.append(overrides)

    assert [] == offenders
