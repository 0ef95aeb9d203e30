"""What the base station receives, against the snapshot-by-snapshot textbook."""

import math

import pytest
import torch
from torch import Tensor

from risexp.physics.signals import draw_symbols, path_amplitude, received, stacked_operator
from tests.support.looping import for_each
from tests.support.scenes import gaussian, worst

BATCH, SNAPSHOTS, ANTENNAS, ELEMENTS, SOURCES = 70, 5, 4, 6, 2


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
def test_received_is_h_diag_c_a_s_of_every_snapshot(
    device: torch.device, codes_shape: tuple[int, ...], symbols_held: int
) -> None:
    channel = gaussian(BATCH, ANTENNAS, ELEMENTS, seed=2).to(device)
    steering = gaussian(BATCH, SOURCES, ELEMENTS, seed=3).to(device)
    symbols = gaussian(BATCH, symbols_held, SOURCES, seed=4).to(device)
    codes = unit_codes(*codes_shape).to(device)

    y = received(channel, codes, symbols @ steering)

    assert y.shape == (BATCH, SNAPSHOTS, ANTENNAS)
    assert worst(one_by_one(channel, codes, steering, symbols), y) < 1e-14


@for_each("codes_shape", [(SNAPSHOTS, ELEMENTS), (BATCH, SNAPSHOTS, ELEMENTS)])
def test_the_stacked_operator_does_what_received_does(
    device: torch.device, codes_shape: tuple[int, ...]
) -> None:
    channel = gaussian(BATCH, ANTENNAS, ELEMENTS, seed=2).to(device)
    field = gaussian(BATCH, 1, ELEMENTS, seed=3).to(device)
    codes = unit_codes(*codes_shape).to(device)

    operator = stacked_operator(channel, codes)

    assert operator.shape == (BATCH, SNAPSHOTS * ANTENNAS, ELEMENTS)
    assert worst(received(channel, codes, field).flatten(1), (operator @ field.mT)[..., 0]) < 1e-14


def test_batches_of_different_size_are_refused() -> None:
    channel, codes = gaussian(64, ANTENNAS, ELEMENTS), unit_codes(SNAPSHOTS, ELEMENTS)

    with pytest.raises(ValueError, match=r"zip|batch|scenes"):
        received(channel, codes, gaussian(1, 1, ELEMENTS))


def test_the_path_amplitude_is_lambda_over_four_pi_r() -> None:
    range_m = torch.tensor([0.5, 1.0, 10.0], dtype=torch.float64)

    amplitude = path_amplitude("free_space", range_m, wavelength_m=0.3)

    assert pytest.approx([0.0477464829, 0.0238732415, 0.00238732415]) == amplitude.tolist()


def test_equal_sources_have_amplitude_one_at_any_range() -> None:
    range_m = torch.tensor([0.5, 10.0], dtype=torch.float64)

    amplitude = path_amplitude("equal", range_m, wavelength_m=0.3)

    assert amplitude.tolist() == [1.0, 1.0]


def test_free_space_symbols_are_circular_gaussian_of_unit_power(device: torch.device) -> None:
    symbols = draw_symbols("free_space", (400, 100), torch.Generator(device).manual_seed(0))

    power = symbols.abs().square()
    assert pytest.approx(1.0, abs=0.02) == float(power.mean())
    # An exponential law's variance is 1, and a circular law has no pseudo-variance.
    assert pytest.approx(1.0, abs=0.06) == float(power.var())
    assert abs(complex(symbols.square().mean())) < 0.02


def test_equal_symbols_have_modulus_one_and_any_phase(device: torch.device) -> None:
    symbols = draw_symbols("equal", (400, 100), torch.Generator(device).manual_seed(0))

    assert symbols.abs().sub(1.0).abs().max() < 1e-6
    assert abs(complex(symbols.mean())) < 0.02
    assert pytest.approx(0.25, abs=0.01) == float((symbols.angle() > math.pi / 2).float().mean())
