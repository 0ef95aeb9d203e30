"""Frames and truth: shapes held where they enter, batches cut, joined and normalised."""

import dataclasses
import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from risexp.data.frames import Frames, Scenes, Truth
from risexp.errors import DataInvalid
from tests.support.scenes import gaussian, uniform

BATCH, SNAPSHOTS, ANTENNAS, ELEMENTS, MOST = 4, 3, 2, 6, 3


def frames(*, shared: bool = True, snr_db: Tensor | None = None) -> Frames:
    codes = gaussian(SNAPSHOTS, ELEMENTS, seed=1).sgn()
    return Frames(
        y=gaussian(BATCH, SNAPSHOTS, ANTENNAS, seed=2),
        channel=gaussian(BATCH, ANTENNAS, ELEMENTS, seed=3),
        codes=codes if shared else gaussian(BATCH, SNAPSHOTS, ELEMENTS, seed=4).sgn(),
        snr_db=snr_db,
    )


def truth(held: int = 1) -> Truth:
    count = torch.tensor([1, 3, 2, 1])
    present = torch.arange(MOST) < count[:, None]
    return Truth(
        count=count,
        phi_rad=uniform(-1.0, 1.0, BATCH, MOST).where(present, torch.nan),
        theta_rad=uniform(-0.5, 0.5, BATCH, MOST).where(present, torch.nan),
        range_m=uniform(0.5, 10.0, BATCH, MOST).where(present, torch.nan),
        symbols=gaussian(BATCH, held, MOST, seed=5) * present[:, None],
        amplitude=uniform(0.1, 2.0, BATCH, MOST) * present,
        noise_power=uniform(0.1, 0.2, BATCH),
    )


def equal(one: Scenes, two: Scenes) -> bool:
    pairs = [
        (left, right)
        for a, b in ((one.frames, two.frames), (one.truth, two.truth))
        for (_, left), (_, right) in zip(a.items(), b.items(), strict=True)
    ]
    return all(torch.equal(a.nan_to_num(-9.0), b.nan_to_num(-9.0)) for a, b in pairs)


OF_WRONG_SHAPE: dict[str, tuple[tuple[str, tuple[int, ...]], ...]] = {
    "Frames": (
        ("channel", (BATCH, ANTENNAS + 1, ELEMENTS)),
        ("channel", (BATCH + 1, ANTENNAS, ELEMENTS)),
        ("codes", (SNAPSHOTS, ELEMENTS + 1)),
        ("codes", (SNAPSHOTS + 1, ELEMENTS)),
        ("codes", (BATCH + 1, SNAPSHOTS, ELEMENTS)),
        ("snr_db", (BATCH, 1)),
        ("snr_db", (BATCH + 1,)),
    ),
    "Truth": (
        ("theta_rad", (BATCH, MOST + 1)),
        ("range_m", (BATCH,)),
        ("amplitude", (BATCH + 1, MOST)),
        ("count", (BATCH, 1)),
        ("noise_power", (BATCH + 1,)),
        ("symbols", (BATCH, 1, MOST + 1)),
    ),
}


def test_a_field_of_a_wrong_shape_is_refused_by_its_name() -> None:
    for sound in (frames(), truth()):
        for field, wrong in OF_WRONG_SHAPE[type(sound).__name__]:
            with pytest.raises(DataInvalid, match=f"{field} has shape"):
                type(sound)(**(dict(sound.items()) | {field: torch.ones(wrong)}))


@pytest.mark.parametrize("shared", [True, False])
def test_cutting_takes_the_same_scenes_of_every_field_and_joining_undoes_it(shared: bool) -> None:
    whole = frames(shared=shared, snr_db=uniform(-5.0, 20.0, BATCH))
    scenes = Scenes(whole, truth())

    part = whole[1:3]

    assert 2 == len(part)
    assert torch.equal(whole.y[1:3], part.y)
    assert torch.equal(whole.channel[1:3], part.channel)
    assert torch.equal(whole.codes if shared else whole.codes[1:3], part.codes)
    assert part.snr_db is not None
    assert frames(shared=shared)[1:3].snr_db is None
    # As many scenes as snapshots do not cut shared codes.
    assert not shared or (SNAPSHOTS, ELEMENTS) == frames()[:SNAPSHOTS][:1].codes.shape
    for cuts in ((0, 1, 4), (0, 2, 3, 4), (0, 4)):
        assert equal(scenes, Scenes.join([scenes[low:high] for low, high in pairwise(cuts)])), cuts


def test_moving_keeps_every_value(device: torch.device) -> None:
    scenes = Scenes(frames(snr_db=uniform(-5.0, 20.0, BATCH)), truth())

    moved = scenes.to(device)

    assert moved.frames.y.device.type == device.type
    assert moved.truth.count.device.type == device.type
    assert equal(scenes, moved.to("cpu"))
    assert frames().to(device).snr_db is None


def test_normalised_frames_have_unit_rms_and_silent_ones_stay_silent(device: torch.device) -> None:
    scale = torch.tensor([1e-6, 1e-2, 3.0, 50.0], dtype=torch.float64)
    raw = frames()
    spread = dataclasses.replace(raw, y=raw.y * scale[:, None, None]).to(device)

    unit, log_rms = spread.normalised()

    rms = unit.y.abs().square().mean((-2, -1)).sqrt()
    assert pytest.approx([1.0] * BATCH) == rms.tolist()
    restored = unit.y * torch.pow(10.0, log_rms)[:, None, None]
    assert (restored - spread.y).abs().max() < 1e-12
    assert torch.equal(spread.channel, unit.channel)
    raw.y[2] = 0.0
    unit, log_rms = raw.normalised()
    assert bool(unit.y.isfinite().all())
    assert (0.0, -30.0) == (float(unit.y[2].abs().max()), float(log_rms[2]))


def test_truth_gives_present_slots_gains_and_powers() -> None:
    held, fresh = truth(1), truth(SNAPSHOTS)

    assert [[True] * count + [False] * (MOST - count) for count in (1, 3, 2, 1)] == (
        held.present.tolist()
    )
    for true in (held, fresh):
        assert torch.equal(true.amplitude[:, None] * true.symbols, true.gains)
    # A held symbol has its own power, fresh ones have their mean.
    own = (held.amplitude * held.symbols[:, 0].abs()).square()
    assert torch.allclose(own, held.powers)
    assert torch.equal(fresh.amplitude.square(), fresh.powers)
    assert not math.isclose(float(own[0, 0]), float(held.amplitude[0, 0] ** 2))
