"""The quick search: where it looks, what it leaves, and that it is the slow one in a hurry."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from risexp.config.run import RunConfig
from risexp.data.frames import Frames
from risexp.estimation import pursuit
from risexp.estimation.pursuit import QuickPursuit, quick_pursuit
from risexp.estimation.receiver_model import ReceiverModel, noise_power
from risexp.physics.geometry import Wavefront
from tests.support.localisation import (
    NOISELESS,
    SEPARATED,
    WAVEFRONTS,
    at_snr,
    config_of,
    plain_misfit,
    points_of,
    scenes_of,
    with_frames,
)
from tests.support.looping import for_each
from tests.support.pursuits import pursued
from tests.support.scenes import any_device, worst

MANY_STEPS = 14
SMOKE = config_of(preset="smoke")
LOUD = (*SEPARATED, at_snr(20.0))


def searched(config: RunConfig, frames: Frames, steps: int = 2) -> QuickPursuit:
    return quick_pursuit(ReceiverModel.of(config), frames, steps)


def tensors(found: QuickPursuit) -> dict[str, torch.Tensor]:
    return {name: value for name, value in vars(found).items() if isinstance(value, torch.Tensor)}


def finite(found: QuickPursuit) -> bool:
    return all(bool(value.isfinite().all()) for value in tensors(found).values())


@for_each("wavefront", WAVEFRONTS)
def test_a_noiseless_source_is_found_exactly_in_enough_steps(
    device: torch.device, wavefront: Wavefront
) -> None:
    config = config_of(f"physics.wavefront={wavefront}", "data.sources_max=1", NOISELESS)
    scenes = scenes_of(config, 32, device)

    found = searched(config, scenes.frames, MANY_STEPS)

    off = (found.points.double() - points_of(scenes.truth)).abs().flatten(0, 1).amax(0)
    assert float(off[:2].max()) < 1e-4
    assert float(off[2]) < 1e-3
    assert worst(scenes.truth.powers.double(), found.powers) < 1e-3


def test_more_steps_bring_a_source_nearer_and_leave_less() -> None:
    config = config_of("data.sources_max=1", NOISELESS)
    scenes = scenes_of(config, 32)
    true = points_of(scenes.truth)

    off = [
        float((searched(config, scenes.frames, steps).points - true).abs().mean())
        for steps in (0, 2, MANY_STEPS)
    ]

    assert off[1] < 0.3 * off[0]
    assert off[2] < 0.3 * off[1]
    frames = scenes_of(config_of(), 64).frames
    one, two, six = (
        float(searched(config_of(), frames, steps).misfit[:, -1].sum()) for steps in (1, 2, 6)
    )
    assert one > two > six


@any_device
@given(seed=st.integers(0, 200), steps=st.integers(0, 4))
def test_no_source_more_leaves_more_unexplained(
    *, device: torch.device, seed: int, steps: int
) -> None:
    frames = scenes_of(SMOKE, 208, device).frames[seed : seed + 8]

    found = searched(SMOKE, frames, steps)

    assert bool((found.misfit.diff(dim=-1) <= 2e-5 * found.misfit[:, :1]).all())
    receiver = ReceiverModel.of(SMOKE)
    assert torch.allclose(found.points, receiver.view.clamp(found.points), atol=1e-6)


def test_what_is_left_is_the_misfit_of_the_points_by_least_squares() -> None:
    frames = scenes_of(SMOKE, 16).frames

    found = searched(SMOKE, frames)

    energy = frames.y.abs().square().sum((-2, -1)).double()
    assert worst(energy, found.misfit[:, 0]) < 1e-5
    left = plain_misfit(SMOKE, frames, found.points)
    assert float(((left - found.misfit[:, -1]).abs() / energy).max()) < 1e-5


def test_a_quick_search_agrees_with_a_full_one_on_loud_sources_far_apart() -> None:
    config = config_of(*LOUD)
    scenes = scenes_of(config, 40)
    law, slow, _ = pursued(config, scenes.frames)
    true = points_of(scenes.truth)[..., :2].nan_to_num(9.0)

    quick, found = (searched(config, scenes.frames, steps) for steps in (2, MANY_STEPS))

    for count in range(1, 6):
        here = scenes.truth.count == count
        full = plain_misfit(config, scenes.frames, slow.fits[count].points)[here]
        near = (found.misfit[here, count] - full) / full
        assert float((near < 0.01).double().mean()) > 0.9
    assert worst(law.noise_power, found.noise_power) < 1e-12
    assert law.samples == found.samples
    gaps = (quick.points[:, :, None, :2] - true[:, None]).abs().amax(-1).amin(-1)
    first = gaps[torch.arange(5) < scenes.truth.count[:, None]]
    assert float((first < 0.02).double().mean()) > 0.97


def test_a_scene_is_searched_alike_alone_and_in_any_company(device: torch.device) -> None:
    frames = scenes_of(config_of(), 48, device).frames
    order = torch.arange(48, device=device).flip(0)

    whole, turned = (searched(config_of(), each) for each in (frames, frames[order]))

    alone = searched(config_of(), frames[7:8])
    for name, value in tensors(whole).items():
        assert worst(value[order], tensors(turned)[name]) < 1e-3
        assert worst(value[7:8], tensors(alone)[name]) < 1e-3


def test_more_scenes_than_are_searched_at_once_are_searched_alike(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = scenes_of(SMOKE, 12, device).frames
    whole = searched(SMOKE, frames)

    monkeypatch.setattr(pursuit, "_SCENES", 5)
    parts = searched(SMOKE, frames)

    assert float(((parts.misfit - whole.misfit).abs() / whole.misfit[:, :1]).max()) < 1e-4
    assert worst(whole.points, parts.points) < 1e-3
    assert ((0, 3, 3), (0, 4)) == tuple(
        tuple(each.shape) for each in (searched(SMOKE, frames[:0]).points, parts.misfit[:0])
    )


def test_noise_is_what_the_frames_say_of_it_and_spreads_the_gains() -> None:
    config = config_of("physics.antennas=36", at_snr(10.0), preset="smoke")
    frames = scenes_of(config, 8).frames
    assert frames.snr_db is not None
    louder = replace(frames, snr_db=frames.snr_db - 20.0)

    one, two = (searched(config, each, steps=0) for each in (frames, louder))

    assert worst(noise_power(frames, "frame"), one.noise_power) < 1e-9
    ratio = two.noise_power / one.noise_power
    assert worst(ratio.unsqueeze(-1) * one.power_spread, two.power_spread) < 1e-9


@for_each("fault", ["silent", "deaf", "tiny", "huge", "one antenna"])
def test_degenerate_frames_leave_numbers(device: torch.device, fault: str) -> None:
    scenes = scenes_of(SMOKE, 4, device)
    y, channel = scenes.frames.y, scenes.frames.channel
    changed = {
        "silent": {"y": torch.zeros_like(y)},
        "deaf": {"channel": torch.zeros_like(channel)},
        "tiny": {"y": y * 1e-12},
        "huge": {"y": y * 1e12},
        "one antenna": {"channel": channel[:, :1].expand_as(channel)},
    }

    found = searched(SMOKE, with_frames(scenes, **changed[fault]).frames)

    assert finite(found)
    assert bool((found.powers >= 0.0).all())
    assert bool((found.power_spread > 0.0).all())


def test_double_precision_unknown_snrs_and_single_sources_are_searched() -> None:
    scenes = scenes_of(SMOKE, 8)
    frames = scenes.frames
    wide = {name: getattr(frames, name).to(torch.complex128) for name in ("y", "channel", "codes")}

    plain = searched(SMOKE, frames)
    doubled = searched(SMOKE, with_frames(scenes, **wide).frames)
    unknown = searched(SMOKE, with_frames(scenes, snr_db=None).frames)

    assert torch.float32 == doubled.points.dtype
    assert worst(plain.misfit, doubled.misfit) < 1e-4
    assert finite(unknown)
    single = config_of("data.sources_max=1", preset="smoke")
    one = searched(single, scenes_of(single, 4).frames)
    assert ((4, 1, 3), (4, 2)) == (tuple(one.points.shape), tuple(one.misfit.shape))
