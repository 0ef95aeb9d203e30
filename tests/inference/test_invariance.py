"""What must not change an answer, and how it must change where the world is mirrored."""

import math

import pytest
import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp
from tests.support.localisation import (
    Localiser,
    apart,
    at_snr,
    config_of,
    localiser,
    picked,
    scenes_of,
    share_apart,
    with_frames,
)
from tests.support.looping import for_each
from tests.support.scenes import gaussian

LAWS = ("frame", "snapshot")
SCENES = {"frame": 16, "snapshot": 5}
CLEAR = (at_snr(20.0), "physics.power=equal", "data.separation_deg=15")
"""Scenes whose sources nobody could miss: what differs there differs by no chance."""


def clear(symbols: str, *overrides: str) -> RunConfig:
    return config_of(f"physics.symbols={symbols}", *CLEAR, *overrides)


def heard(config: RunConfig, device: torch.device) -> Scenes:
    return scenes_of(config, SCENES[config.physics.symbols], device)


def small(gap: tuple[float, float], degrees: float = 1e-2, metres: float = 2e-2) -> bool:
    return gap[0] < degrees and gap[1] < metres


def mirrored(scenes: Scenes, config: RunConfig, axis: int) -> Scenes:
    """The same scenes with the elements counted from the other end along v (0) or h (1)."""
    shape = config.physics.elements_v, config.physics.elements_h
    order = torch.arange(config.physics.elements).view(shape).flip(axis).flatten()
    frames = scenes.frames
    return with_frames(scenes, channel=frames.channel[..., order], codes=frames.codes[..., order])


def rotated_station(scenes: Scenes) -> Scenes:
    """The antennas' signals mixed by a unitary matrix of each scene's own."""
    frames = scenes.frames
    antennas = frames.y.shape[-1]
    drawn = gaussian(len(scenes), antennas, antennas, seed=3).to(frames.y.device)
    unitary = torch.linalg.qr(drawn).Q.to(frames.y.dtype)
    return with_frames(scenes, y=frames.y @ unitary.mT, channel=unitary @ frames.channel)


def shuffled_snapshots(scenes: Scenes) -> Scenes:
    frames = scenes.frames
    order = torch.randperm(frames.y.shape[1], generator=torch.Generator().manual_seed(1))
    order = order.to(frames.y.device)
    return with_frames(scenes, y=frames.y[:, order], codes=frames.codes[order])


def codes_of_each_scene(scenes: Scenes) -> Scenes:
    frames = scenes.frames
    return with_frames(scenes, codes=frames.codes.expand(len(scenes), -1, -1))


def turned(scenes: Scenes) -> Scenes:
    """Every scene's measurements turned by a phase of its own."""
    phase = gaussian(len(scenes), 1, 1, seed=9).sgn().to(scenes.frames.y)
    return with_frames(scenes, y=scenes.frames.y * phase)


@pytest.mark.parametrize("method", ["nomp", "nomp:bic", "music:true-k", "mvdr:true-k"])
@for_each("symbols", LAWS)
def test_phase_antennas_order_of_snapshots_and_copies_of_codes_change_nothing(
    device: torch.device, symbols: str, method: str
) -> None:
    config = clear(symbols, "data.sources_max=1") if "true-k" in method else clear(symbols)
    scenes, localise = heard(config, device), localiser(method, config)
    before = localise(scenes)

    for change in (turned, rotated_station, shuffled_snapshots, codes_of_each_scene):
        gap = apart(before, localise(change(scenes)))

        assert small(gap)


@pytest.mark.parametrize("axis", [0, 1])
@for_each("method", ["nomp", "music:true-k", "mvdr:true-k"])
@for_each("symbols", LAWS)
def test_a_mirrored_panel_sees_mirrored_angles(
    device: torch.device, symbols: str, method: str, axis: int
) -> None:
    config = clear(symbols, "data.sources_max=1") if "true-k" in method else clear(symbols)
    scenes, localise = heard(config, device), localiser(method, config)
    before = localise(scenes)
    signs = (1.0, -1.0) if axis == 0 else (-1.0, 1.0)
    expected = Estimate(
        before.count,
        before.count_probabilities,
        signs[0] * before.phi_rad,
        signs[1] * before.theta_rad,
        before.range_m,
    )

    gap = apart(expected, localise(mirrored(scenes, config, axis)))

    assert small(gap)


@for_each("symbols", LAWS)
def test_the_scale_of_measurements_means_nothing_where_all_powers_are_equal(
    device: torch.device, symbols: str
) -> None:
    config = clear(symbols)
    scenes, localise = heard(config, device), localiser("nomp:bic", config)

    before, after = (
        localise(with_frames(scenes, y=scenes.frames.y * scale)) for scale in (1e-3, 1e3)
    )

    gap = apart(before, after)
    assert small(gap)
    assert torch.allclose(before.count_probabilities, after.count_probabilities, atol=1e-3)


def test_an_echo_too_loud_for_a_far_source_is_believed_to_be_near(device: torch.device) -> None:
    """The power law says how near; it is the only thing about a scene that has a unit."""
    config = config_of("data.sources_max=1", at_snr(-5.0), "data.range_m=[4,10]")
    scenes, localise = heard(config, device), localiser("nomp", config)

    quiet, loud = (
        localise(with_frames(scenes, y=scenes.frames.y * scale)) for scale in (0.1, 10.0)
    )

    assert float((loud.range_m - quiet.range_m).mean()) < -1.0


def alone(localise: Localiser, scenes: Scenes) -> Estimate:
    return Estimate.join([localise(scenes[place : place + 1]) for place in range(len(scenes))])


@pytest.mark.parametrize("method", ["nomp", "nomp:bic", "music on label", "mvdr on label"])
@for_each("symbols", LAWS)
def test_a_scene_is_answered_alone_as_it_is_among_others(
    device: torch.device, symbols: str, method: str
) -> None:
    config = clear(symbols)
    scenes, localise = heard(config, device), localiser(method, config)

    gap = apart(localise(scenes), alone(localise, scenes))

    assert small(gap, degrees=1e-4, metres=1e-3)


@for_each(("symbols", "count", "size"), [("frame", 96, 8), ("snapshot", 8, 1)])
def test_noisy_scenes_too_are_answered_alike_in_small_groups_and_large(
    device: torch.device, symbols: str, count: int, size: int
) -> None:
    """Weak sources have peaks of several tops: none may be chosen by a neighbour's progress.

    Only a source of which two ranges are as probable may be answered by either, for rounding.
    """
    config = config_of(f"physics.symbols={symbols}")
    scenes, localise = scenes_of(config, count, device), localiser("nomp", config)
    whole = localise(scenes)

    parts = Estimate.join(
        [localise(scenes[start : start + size]) for start in range(0, count, size)]
    )

    assert share_apart(whole, parts, degrees=0.05, metres=0.2) <= 0.03
    off = (whole.count_probabilities - parts.count_probabilities).abs()
    assert float(off.max()) < 0.02


@for_each("method", ["nomp", "music on label", "mvdr on label"])
@for_each("symbols", LAWS)
def test_answers_follow_the_order_of_their_scenes(
    device: torch.device, symbols: str, method: str
) -> None:
    config = clear(symbols)
    scenes, localise = heard(config, device), localiser(method, config)
    order = torch.randperm(len(scenes), generator=torch.Generator().manual_seed(2))

    found = localise(picked(scenes, order.tolist()))

    back = order.argsort().to(device)
    unshuffled = Estimate(*(value[back] for value in vars(found).values()))
    gap = apart(localise(scenes), unshuffled)
    assert small(gap, degrees=1e-4, metres=1e-4)


@for_each("symbols", LAWS)
def test_an_angle_of_the_station_or_a_seed_is_no_business_of_the_receiver(symbols: str) -> None:
    one, two = (
        Nomp(ReceiverModel.of(config_of(f"physics.symbols={symbols}", *more)))
        for more in ((), ("physics.station_deg=10", "data.seed=7", "data.snr_db=[3,4]"))
    )

    assert one == two


def test_double_precision_frames_are_answered_like_single_ones(device: torch.device) -> None:
    config = clear("frame")
    scenes, localise = scenes_of(config, 4, device), localiser("nomp", config)

    def wide(value: Tensor) -> Tensor:
        return value.to(torch.complex128)

    frames = scenes.frames
    found = localise(
        with_frames(
            scenes, y=wide(frames.y), channel=wide(frames.channel), codes=wide(frames.codes)
        )
    )

    gap = apart(localise(scenes), found)
    assert small(gap)


def test_noise_measured_instead_of_told_gives_nearly_the_same_answers(
    device: torch.device,
) -> None:
    config = config_of()
    scenes, localise = scenes_of(config, 128, device), localiser("nomp", config)
    told = localise(scenes)

    measured = localise(with_frames(scenes, snr_db=None))

    agreed = told.count == measured.count
    shift = (told.phi_rad - measured.phi_rad).abs().nan_to_num(0.0)[agreed].amax(-1)
    assert float(agreed.double().mean()) > 0.93
    assert float((shift < math.radians(0.1)).double().mean()) > 0.95
