"""Frames that no one would draw, and views at the edge: finite answers, finite gradients."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from risexp.config.learning import FactorKind, Front
from risexp.data.frames import Frames, Scenes
from risexp.model.observation import Observer
from risexp.physics.geometry import Wavefront
from tests.support.localisation import WAVEFRONTS, echoes, scenes_of, with_frames
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
    """Whether the answer and all that is learned from it are numbers."""
    config = network_config(f"factors.kind={factors}", LIVE, *overrides, front=front)
    network = awake(config)
    said = network(Observer.of(config)(frames), 0.3)
    torch.autograd.backward(total(said))
    return finite(said) and sound_gradients(network)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("front", "factors"), MAKES)
def test_a_degenerate_frame_has_a_finite_answer_and_teaches_finitely(
    front: Front, factors: FactorKind, fault: str
) -> None:
    frames = FAULTS[fault](scenes_of(network_config(), 4).frames)

    assert sound(front, factors, frames)


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


@pytest.mark.parametrize(("front", "factors"), MAKES)
def test_sources_at_one_place_have_a_finite_answer(front: Front, factors: FactorKind) -> None:
    frames = coincident(scenes_of(network_config(), 8)).frames

    assert sound(front, factors, frames)


@pytest.mark.parametrize(("front", "factors"), MAKES)
def test_slots_at_one_place_have_finite_gradients(front: Front, factors: FactorKind) -> None:
    """Columns that coincide: eigenvalues that coincide, at zero."""
    config = network_config(f"factors.kind={factors}", LIVE, front=front)
    network = awake(config)
    with torch.no_grad():
        for weight in network.factors.parameters():
            weight.zero_()

    said = network(observed(config), 0.0)
    torch.autograd.backward(total(said))

    assert finite(said)
    assert sound_gradients(network)


@pytest.mark.parametrize("front", FRONTS)
def test_double_precision_is_answered_like_single(front: Front) -> None:
    config = network_config(front=front)
    frames = scenes_of(config, 4).frames
    assert frames.snr_db is not None
    wide = replace(
        frames,
        y=frames.y.to(torch.complex128),
        channel=frames.channel.to(torch.complex128),
        codes=frames.codes.to(torch.complex128),
        snr_db=frames.snr_db.double(),
    )

    one, two = answer(config, frames, 0.3), answer(config, wide, 0.3)

    for name, value in outputs(one).items():
        assert value.dtype == outputs(two)[name].dtype
        assert worst(value, outputs(two)[name]) < 3e-3


@pytest.mark.parametrize("front", FRONTS)
def test_frames_without_an_snr_are_answered_by_the_one_they_show(front: Front) -> None:
    config = network_config(front=front)
    unknown = with_frames(scenes_of(config, 4), snr_db=None).frames
    shown = replace(unknown, snr_db=Observer.of(config)(unknown).snr_db)

    one, two = answer(config, unknown, 0.3), answer(config, shown, 0.3)

    for name, value in outputs(one).items():
        assert worst(value, outputs(two)[name]) < 1e-2


@pytest.mark.parametrize("sides", [(6, 6), (4, 9), (9, 4)])
@pytest.mark.parametrize("wavefront", WAVEFRONTS)
@pytest.mark.parametrize("front", FRONTS)
def test_every_wavefront_and_panel_is_answered(
    front: Front, wavefront: Wavefront, sides: tuple[int, int]
) -> None:
    overrides = (
        f"physics.wavefront={wavefront}",
        f"physics.elements_h={sides[0]}",
        f"physics.elements_v={sides[1]}",
    )
    frames = scenes_of(network_config(*overrides), 4).frames

    assert sound(front, "pointers", frames, *overrides)


@pytest.mark.parametrize(
    "view",
    [
        ("data.phi_deg=[10,10]", "data.theta_deg=[0,0]"),
        ("data.range_m=[2,2]",),
        ("data.range_m=[0.01,1000]",),
        ("data.phi_deg=[-85,85]", "data.theta_deg=[-80,80]"),
    ],
)
@pytest.mark.parametrize("front", FRONTS)
def test_views_of_one_direction_one_range_or_almost_everything_are_answered(
    front: Front, view: tuple[str, ...]
) -> None:
    frames = scenes_of(network_config(*view), 4).frames

    assert sound(front, "pointers", frames, *view)


@pytest.mark.parametrize("kind", ["ordinal", "softmax", "slots"])
@pytest.mark.parametrize(("front", "factors"), MAKES)
def test_where_one_source_is_the_most_a_network_learns_to_point(
    front: Front, factors: FactorKind, kind: str
) -> None:
    overrides = ("data.sources_max=1", f"count.kind={kind}")
    frames = scenes_of(network_config(*overrides), 4).frames

    assert sound(front, factors, frames, *overrides)
