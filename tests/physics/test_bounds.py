"""Cramer-Rao bounds against Fisher informations differentiated from the plain model."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from risexp.physics.bounds import Sources, frame_bound, snapshot_bound
from risexp.physics.geometry import Panel, Wavefront
from tests.support.looping import for_each
from tests.support.scenes import field_of_view, gaussian, panel, slope, tiny_scenes, uniform, worst

ANTENNAS, SNAPSHOTS, NOISE_POWER = 6, 5, 0.02
Model = Callable[[Tensor], Tensor]

SMALL = panel(elements_h=5, elements_v=4)
CHANNEL = gaussian(1, ANTENNAS, 20, seed=1)
CODES = gaussian(SNAPSHOTS, 20, seed=2).sgn()
NOISE = torch.tensor([NOISE_POWER], dtype=torch.float64)
GAINS = torch.tensor([[1.0 - 0.5j, 0.2 + 0.4j]], dtype=torch.complex128)
POWERS = torch.tensor([[1.3, 0.4]], dtype=torch.float64)


def two_sources(device: torch.device | str = "cpu") -> Sources:
    rows = torch.tensor([[0.4, -0.7], [0.2, -0.3], [0.6, 1.1]], dtype=torch.float64, device=device)
    present = torch.ones(1, 2, dtype=torch.bool, device=device)
    return Sources(rows[:1], rows[1:2], rows[2:], present)


def twins(apart: float) -> Sources:
    """At each of sixteen places two sources, `apart` in rad and in metres."""
    phi, theta = field_of_view(16)
    rows = [torch.stack([x, x + apart], dim=-1) for x in (phi, theta, uniform(0.5, 3.0, 16))]
    return Sources(rows[0], rows[1], rows[2], torch.ones(16, 2, dtype=torch.bool))


def padded(sources: Sources, slots: list[int]) -> Sources:
    """The same sources in the named ones of five slots, the others filled at random."""
    filled = [torch.tensor([[0.1, -0.2, 0.3, 0.5, -0.4]], dtype=torch.float64) for _ in range(3)]
    filled[2] = filled[2].abs() + 1.0
    for row, values in zip(
        filled, (sources.phi_rad, sources.theta_rad, sources.range_m), strict=True
    ):
        row[:, slots] = values
    present = torch.zeros(1, 5, dtype=torch.bool)
    present[:, slots] = True
    return Sources(filled[0], filled[1], filled[2], present)


def in_slots(values: Tensor, slots: list[int]) -> Tensor:
    return torch.full((1, 5), 0.7, dtype=values.dtype).index_copy(1, torch.tensor(slots), values)


def response(shape: Panel, position: Tensor) -> Tensor:
    """G A of (phi, theta, range) rows, (L M, K): plain geometry, no code under test."""
    phi, theta, range_m = (row.unsqueeze(-1) for row in position)
    h, v = shape.positions()
    u, w = phi.sin() * theta.cos(), theta.sin()
    along, square = h * u + v * w, h**2 + v**2
    depth = range_m * phi.cos() * theta.cos()
    path = ((range_m * u - h) ** 2 + (range_m * w - v) ** 2 + depth**2).sqrt() - range_m
    if shape.wavefront == "parabolic":
        path = square / (2 * range_m) - along
    phase = -shape.wavenumber * path
    steering = torch.complex(phase.cos(), phase.sin()) / math.sqrt(shape.elements)
    return torch.cat([CHANNEL[0] @ torch.diag(code) @ steering.mT for code in CODES])


def positions_block(information: Tensor) -> Tensor:
    scale = information.diagonal().rsqrt()
    scaled = information * scale * scale[:, None]
    inverse: Tensor = torch.linalg.inv(scaled) * scale * scale[:, None]
    return inverse[:6, :6]


def jacobian(model: Model, parameters: Tensor) -> Tensor:
    """Numerical slopes of the model, (..., parameters)."""
    units = torch.eye(len(parameters), dtype=torch.float64)
    along = [partial(lambda unit, step: model(parameters + step * unit), unit) for unit in units]
    return torch.stack([slope(each) for each in along], dim=-1)


def stacked(sources: Sources, *more: Tensor) -> Tensor:
    return torch.cat([sources.phi_rad[0], sources.theta_rad[0], sources.range_m[0], *more])


def variances(bound: Tensor) -> Tensor:
    return bound.diagonal(dim1=-2, dim2=-1)


def bound_of_frames(sources: Sources, noise: Tensor = NOISE, shape: Panel = SMALL) -> Tensor:
    gains = GAINS.to(noise.device)
    return frame_bound(
        shape, CHANNEL.to(noise.device), CODES.to(noise.device), sources, gains, noise
    )


def bound_of_snapshots(sources: Sources, noise: Tensor = NOISE, shape: Panel = SMALL) -> Tensor:
    powers = POWERS.to(noise.device)
    return snapshot_bound(
        shape, CHANNEL.to(noise.device), CODES.to(noise.device), sources, powers, noise
    )


@for_each("wavefront", ["spherical", "parabolic"])
def test_the_frame_bound_inverts_the_information_of_a_differentiated_mean(
    device: torch.device, wavefront: Wavefront
) -> None:
    shape = replace(SMALL, wavefront=wavefront)

    def mean(parameters: Tensor) -> Tensor:
        gains = torch.complex(parameters[6:8], parameters[8:10])
        return torch.view_as_real(response(shape, parameters[:6].view(3, 2)) @ gains).flatten()

    slopes = jacobian(mean, stacked(two_sources(), GAINS[0].real, GAINS[0].imag))
    expected = positions_block(2.0 / NOISE_POWER * slopes.mT @ slopes)

    bound = bound_of_frames(two_sources(device), NOISE.to(device), shape)

    assert worst(torch.ones(6, 6), (bound[0].cpu() / expected)) < 1e-5


@for_each("wavefront", ["spherical", "parabolic"])
def test_the_snapshot_bound_inverts_slepian_and_bangs(
    device: torch.device, wavefront: Wavefront
) -> None:
    shape = replace(SMALL, wavefront=wavefront)

    def covariance(parameters: Tensor) -> Tensor:
        seen = response(shape, parameters[:6].view(3, 2)).view(SNAPSHOTS, ANTENNAS, 2)
        eye = torch.eye(ANTENNAS, dtype=torch.float64)
        return (seen * parameters[6:8]) @ seen.mH + NOISE_POWER * eye

    parameters = stacked(two_sources(), POWERS[0])
    slopes = jacobian(covariance, parameters).movedim(-1, 1)
    whitened = torch.linalg.solve(covariance(parameters).unsqueeze(1), slopes)
    expected = positions_block(torch.einsum("limn,ljnm->ij", whitened, whitened).real)

    bound = bound_of_snapshots(two_sources(device), NOISE.to(device), shape)

    assert worst(torch.ones(6, 6), (bound[0].cpu() / expected)) < 1e-5


@for_each("slots", [[0, 1], [1, 4]])
def test_absent_sources_are_nan_and_leave_the_bound_of_the_others_alone(slots: list[int]) -> None:
    alone = two_sources()
    among = padded(alone, slots)
    rows = torch.tensor([5 * axis + slot for axis in range(3) for slot in slots])

    frame = frame_bound(SMALL, CHANNEL, CODES, among, in_slots(GAINS, slots), NOISE)
    snapshot = snapshot_bound(SMALL, CHANNEL, CODES, among, in_slots(POWERS, slots), NOISE)

    for bound, expected in (
        (frame, bound_of_frames(alone)),
        (snapshot, bound_of_snapshots(alone)),
    ):
        assert worst(expected, bound[:, rows][:, :, rows]) < 1e-9
        assert 15**2 - 6**2 == int(bound.isnan().sum())


@for_each("apart", [0.0, 1e-9])
def test_coincident_sources_have_a_boundless_bound_and_raise_nothing(apart: float) -> None:
    channel, noise = CHANNEL.expand(16, -1, -1), NOISE.expand(16)
    alone, together = two_sources(), twins(apart)

    frame = frame_bound(SMALL, channel, CODES, together, GAINS.expand(16, -1), noise)
    snapshot = snapshot_bound(SMALL, channel, CODES, together, POWERS.expand(16, -1), noise)

    for bound, ordinary in ((frame, bound_of_frames(alone)), (snapshot, bound_of_snapshots(alone))):
        assert (variances(bound) > 1e6 * variances(ordinary)).all()


def test_ten_decibels_divide_a_bound_by_ten_once_noise_is_weak() -> None:
    loud, quiet = bound_of_frames(two_sources()), bound_of_frames(two_sources(), NOISE / 10)
    snapshots = [bound_of_snapshots(two_sources(), NOISE * share) for share in (1e-4, 1e-5)]

    assert worst(loud / 10, quiet) < 1e-9
    assert worst(snapshots[0] / 10, snapshots[1]) < 1e-3


def test_scenes_of_a_batch_have_the_bounds_they_have_alone() -> None:
    one = two_sources()
    swapped = Sources(one.phi_rad.flip(1), one.theta_rad, one.range_m.flip(1), one.present)
    both = Sources(
        torch.cat([one.phi_rad, swapped.phi_rad]),
        torch.cat([one.theta_rad, swapped.theta_rad]),
        torch.cat([one.range_m, swapped.range_m]),
        torch.cat([one.present, swapped.present]),
    )
    channel, noise = CHANNEL.repeat(2, 1, 1), torch.cat([NOISE, 7 * NOISE])

    frame = frame_bound(SMALL, channel, CODES, both, GAINS.repeat(2, 1), noise)
    snapshot = snapshot_bound(SMALL, channel, CODES, both, POWERS.repeat(2, 1), noise)

    for bound, alone in ((frame, bound_of_frames), (snapshot, bound_of_snapshots)):
        assert worst(alone(one), bound[:1]) < 1e-9
        assert worst(alone(swapped, 7 * NOISE), bound[1:]) < 1e-9


def test_padded_positions_are_as_good_as_any_and_silent_ones_boundless(
    device: torch.device,
) -> None:
    scenes = tiny_scenes(40, device=device)
    truth, frames = scenes.truth, scenes.frames
    padded = Sources(truth.phi_rad, truth.theta_rad, truth.range_m, truth.present)
    filled = Sources(
        truth.phi_rad.nan_to_num(0.3),
        truth.theta_rad.nan_to_num(0.1),
        truth.range_m.nan_to_num(2.0),
        truth.present,
    )

    gains = truth.gains[:, 0]
    silent = gains.clone()
    silent[:, 0] = 0.0

    one, two, boundless = (
        frame_bound(panel(), frames.channel, frames.codes, each, sent, truth.noise_power)
        for each, sent in ((padded, gains), (filled, gains), (padded, silent))
    )

    assert torch.equal(one.nan_to_num(-7.0), two.nan_to_num(-7.0))
    assert bool(one[:, 0, 0].isfinite().all())
    assert bool(boundless[:, 0, 0].isposinf().all())
