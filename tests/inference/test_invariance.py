"""What must not change an answer, and how it must change where the world is mirrored."""

import math
from dataclasses import replace

import pytest
import torch

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp
from tests.support.localisation import (
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
SCENES = {"frame": 12, "snapshot": 4}
CLEAR = (at_snr(20.0), "physics.power=equal", "data.separation_deg=15")
"""Scenes whose sources nobody could miss: what differs there differs by no chance."""


def clear(symbols: str, *overrides: str) -> RunConfig:
    return config_of(f"physics.symbols={symbols}", *CLEAR, *overrides)


def heard(config: RunConfig, device: torch.device) -> Scenes:
    return scenes_of(config, SCENES[config.physics.symbols], device)


def small(gap: tuple[float, float], degrees: float = 1e-2, metres: float = 2e-2) -> bool:
    return gap[0] < degrees and gap[1] < metres


def retold(scenes: Scenes) -> Scenes:
    """The same scenes: another phase, mixed antennas, another order of snapshots, own codes."""
    frames = scenes.frames
    batch, snapshots, antennas = frames.y.shape
    phase = gaussian(batch, 1, 1, seed=9).sgn().to(frames.y)
    unitary = torch.linalg.qr(gaussian(batch, antennas, antennas, seed=3)).Q.to(frames.y)
    order = torch.randperm(snapshots, generator=torch.Generator().manual_seed(1))
    order = order.to(frames.y.device)
    return with_frames(
        scenes,
        y=((frames.y * phase) @ unitary.mT)[:, order],
        channel=unitary @ frames.channel,
        codes=frames.codes[order].expand(batch, -1, -1),
    )


def mirrored(scenes: Scenes, config: RunConfig, axis: int) -> Scenes:
    """The same scenes with the elements counted from the other end along v (0) or h (1)."""
    shape = config.physics.elements_v, config.physics.elements_h
    order = torch.arange(config.physics.elements).view(shape).flip(axis).flatten()
    frames = scenes.frames
    return with_frames(scenes, channel=frames.channel[..., order], codes=frames.codes[..., order])


@pytest.mark.parametrize("method", ["nomp", "music:true-k", "mvdr:true-k"])
@for_each("symbols", LAWS)
def test_scenes_told_otherwise_are_answered_alike_and_mirrored_ones_in_the_mirror(
    device: torch.device, symbols: str, method: str
) -> None:
    config = clear(symbols, "data.sources_max=1") if "true-k" in method else clear(symbols)
    scenes, localise = heard(config, device), localiser(method, config)
    before = localise(scenes)

    for axis, (phi, theta) in enumerate(((1.0, -1.0), (-1.0, 1.0))):
        expected = replace(before, phi_rad=phi * before.phi_rad, theta_rad=theta * before.theta_rad)
        assert small(apart(expected, localise(mirrored(retold(scenes), config, axis)))), axis


@for_each("symbols", LAWS)
def test_the_scale_of_measurements_means_nothing_where_all_powers_are_equal(
    device: torch.device, symbols: str
) -> None:
    config = clear(symbols)
    scenes, localise = heard(config, device), localiser("nomp:bic", config)

    before, after = (
        localise(with_frames(scenes, y=scenes.frames.y * scale)) for scale in (1e-3, 1e3)
    )

    assert small(apart(before, after))
    assert torch.allclose(before.count_probabilities, after.count_probabilities, atol=1e-3)


def test_an_echo_too_loud_for_a_far_source_is_believed_to_be_near(device: torch.device) -> None:
    """The power law says how near; it is the only thing about a scene that has a unit."""
    config = config_of("data.sources_max=1", at_snr(-5.0), "data.range_m=[4,10]")
    scenes, localise = heard(config, device), localiser("nomp", config)

    quiet, loud = (
        localise(with_frames(scenes, y=scenes.frames.y * scale)) for scale in (0.1, 10.0)
    )

    assert float((loud.range_m - quiet.range_m).mean()) < -1.0


@pytest.mark.parametrize("method", ["nomp", "music on label", "mvdr on label"])
@for_each("symbols", LAWS)
def test_a_scene_is_answered_alone_as_it_is_among_others_in_any_order(
    device: torch.device, symbols: str, method: str
) -> None:
    config = clear(symbols)
    scenes, localise = heard(config, device), localiser(method, config)
    order = torch.randperm(len(scenes), generator=torch.Generator().manual_seed(2)).tolist()

    together = localise(picked(scenes, order))

    alone = Estimate.join([localise(scenes[place : place + 1]) for place in order])
    assert small(apart(together, alone), degrees=1e-4, metres=1e-3)


@for_each(("symbols", "count", "size"), [("frame", 64, 16), ("snapshot", 6, 1)])
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
    frames = scenes.frames
    wide = {name: getattr(frames, name).to(torch.complex128) for name in ("y", "channel", "codes")}

    found = localise(with_frames(scenes, **wide))

    assert small(apart(localise(scenes), found))


def test_noise_measured_instead_of_told_gives_nearly_the_same_answers(
    device: torch.device,
) -> None:
    config = config_of()
    scenes, localise = scenes_of(config, 64, device), localiser("nomp", config)
    told = localise(scenes)

    measured = localise(with_frames(scenes, snr_db=None))

    agreed = told.count == measured.count
    shift = (told.phi_rad - measured.phi_rad).abs().nan_to_num(0.0)[agreed].amax(-1)
    assert float(agreed.double().mean()) > 0.93
    assert float((shift < math.radians(0.1)).double().mean()) > 0.95
