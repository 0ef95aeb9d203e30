"""Signals and channels: energies, laws, and the equations they come from."""

import math

import pytest
import torch
from torch import Tensor

from risexp.config.measurement import PhysicsConfig
from risexp.physics.signals import (
    draw_symbols,
    line_of_sight,
    path_amplitude,
    received,
    rician_channel,
    stacked_operator,
)
from risexp.physics.steering import steering_vector
from tests.support.looping import for_each
from tests.support.scenes import field_of_view, gaussian, panel, tiny_scenes, uniform, worst

BATCH, SNAPSHOTS, ANTENNAS, ELEMENTS, SOURCES = 70, 5, 4, 6, 2
SCENES, STATION, PANEL = 512, 16, 144
"""Scenes, antennas and elements of the channels."""


def unit_codes(*shape: int) -> Tensor:
    return gaussian(*shape, seed=1).sgn()


def one_by_one(channel: Tensor, codes: Tensor, steering: Tensor, symbols: Tensor) -> Tensor:
    """y_l = H diag(c_l) A s_l in plain loops; codes and symbols may be shared."""
    batch = channel.shape[0]
    codes = codes.expand(batch, SNAPSHOTS, ELEMENTS)
    symbols = symbols.expand(batch, SNAPSHOTS, SOURCES)
    scenes = [
        torch.stack(
            [
                channel[b] @ torch.diag(codes[b, snap]) @ steering[b].mT @ symbols[b, snap]
                for snap in range(SNAPSHOTS)
            ]
        )
        for b in range(batch)
    ]
    return torch.stack(scenes)


@for_each("codes_shape", [(SNAPSHOTS, ELEMENTS), (BATCH, SNAPSHOTS, ELEMENTS)])
@for_each("symbols_held", [1, SNAPSHOTS])
def test_received_and_its_operator_are_h_diag_c_a_s_of_every_snapshot(
    device: torch.device, codes_shape: tuple[int, ...], symbols_held: int
) -> None:
    channel = gaussian(BATCH, ANTENNAS, ELEMENTS, seed=2).to(device)
    steering = gaussian(BATCH, SOURCES, ELEMENTS, seed=3).to(device)
    symbols = gaussian(BATCH, symbols_held, SOURCES, seed=4).to(device)
    codes = unit_codes(*codes_shape).to(device)

    y = received(channel, codes, symbols @ steering)

    assert (BATCH, SNAPSHOTS, ANTENNAS) == y.shape
    assert worst(one_by_one(channel, codes, steering, symbols), y) < 1e-14
    operator, field = stacked_operator(channel, codes), symbols[:, :1] @ steering
    assert (BATCH, SNAPSHOTS * ANTENNAS, ELEMENTS) == operator.shape
    assert worst(received(channel, codes, field).flatten(1), (operator @ field.mT)[..., 0]) < 1e-14


def test_batches_of_different_size_are_refused() -> None:
    channel, codes = gaussian(64, ANTENNAS, ELEMENTS), unit_codes(SNAPSHOTS, ELEMENTS)

    with pytest.raises(ValueError, match=r"zip|batch|scenes"):
        received(channel, codes, gaussian(1, 1, ELEMENTS))


def test_the_path_amplitude_is_lambda_over_four_pi_r_or_one() -> None:
    range_m = torch.tensor([0.5, 1.0, 10.0], dtype=torch.float64)

    amplitude = path_amplitude("free_space", range_m, wavelength_m=0.3)

    assert pytest.approx([0.0477464829, 0.0238732415, 0.00238732415]) == amplitude.tolist()
    assert [1.0] * 3 == path_amplitude("equal", range_m, wavelength_m=0.3).tolist()


def test_symbols_are_circular_gaussian_of_unit_power_or_of_modulus_one(
    device: torch.device,
) -> None:
    symbols, equal = (
        draw_symbols(power, (400, 100), torch.Generator(device).manual_seed(0))
        for power in ("free_space", "equal")
    )

    power = symbols.abs().square()
    assert pytest.approx(1.0, abs=0.02) == float(power.mean())
    # An exponential law's variance is 1, and a circular law has no pseudo-variance.
    assert pytest.approx(1.0, abs=0.06) == float(power.var())
    assert abs(complex(symbols.square().mean())) < 0.02
    assert equal.abs().sub(1.0).abs().max() < 1e-6
    assert abs(complex(equal.mean())) < 0.02
    assert pytest.approx(0.25, abs=0.01) == float((equal.angle() > math.pi / 2).float().mean())


def energy(channel: Tensor) -> Tensor:
    return channel.abs().square().sum((-2, -1))


def parts(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Scattered draws and both sides of the line of sight, in double precision."""
    phi, theta = field_of_view(SCENES)
    sides = line_of_sight(panel(), STATION, phi.to(device), theta.to(device), range_m=100.0)
    return gaussian(SCENES, STATION, PANEL).to(device), *sides


def test_the_line_of_sight_has_energy_n_exactly(device: torch.device) -> None:
    _, station, panel_side = parts(device)

    direct = station.unsqueeze(-1) * panel_side.conj().unsqueeze(-2)

    assert worst(torch.full((SCENES,), 144.0), energy(direct).cpu()) < 1e-12


def test_the_panel_side_is_the_steering_vector_at_the_station() -> None:
    phi, theta = torch.tensor([0.5]), torch.tensor([-0.3])
    expected = steering_vector(
        panel(), phi.sin() * theta.cos(), theta.sin(), torch.tensor([1.0 / 40.0])
    )

    _, panel_side = line_of_sight(panel(), 4, phi, theta, range_m=40.0)

    assert worst(expected, panel_side) < 1e-6


def test_the_station_side_is_a_centred_far_field_line() -> None:
    phi = torch.tensor([math.pi / 6], dtype=torch.float64)

    station, _ = line_of_sight(panel(), 4, phi, torch.zeros_like(phi), range_m=100.0)

    steps = (station[0, 1:] / station[0, :-1]).angle()
    assert pytest.approx([-math.pi / 2] * 3) == steps.tolist()
    assert abs(float(station.prod().angle())) < 1e-12


def test_the_mix_is_what_the_formula_says(device: torch.device) -> None:
    scattered, station, panel_side = parts(device)
    factor = uniform(0.01, 2.0, SCENES).to(device)
    share = (factor / (factor + 1)).sqrt()[:, None, None]
    direct = torch.einsum("bm,bn->bmn", station, panel_side)
    expected = share * direct + (1 - share.square()).sqrt() * scattered / math.sqrt(STATION)

    mixed = rician_channel(scattered.clone(), station, panel_side, factor)

    assert worst(expected, mixed) < 1e-14


def test_generated_channels_carry_the_line_of_sight_share_that_was_configured(
    device: torch.device,
) -> None:
    physics = PhysicsConfig(rician_db=(10.0, 10.0), station_deg=0.0)
    channel = tiny_scenes(256, physics=physics, device=device).frames.channel
    ones = torch.zeros(1, device=device)
    station, panel_side = line_of_sight(panel(), 16, ones, ones, range_m=100.0)

    direct = (station.conj() @ channel @ panel_side.mH).squeeze() / math.sqrt(144)

    assert pytest.approx(144.0, rel=0.01) == float(energy(channel).mean())
    # sqrt(10 / 11 N), and CN(0, 1 / (11 M)) about it.
    assert pytest.approx(math.sqrt(144 * 10 / 11), abs=0.02) == float(direct.real.mean())
