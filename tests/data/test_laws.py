"""The laws scenes are drawn from: uniform where it is said, and far enough apart."""

import math

import pytest
import torch
from torch import Tensor

from risexp.config.layers import load_config
from risexp.config.measurement import DataConfig
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK
from risexp.errors import ConfigInvalid
from tests.support.scenes import SMALL, drawn


def spread(values: Tensor, low: float, high: float) -> float:
    """Kolmogorov's distance of the values from a uniform law, times the root of their number."""
    ordered = ((values.double().flatten() - low) / (high - low)).sort().values.cpu()
    steps = torch.arange(1, len(ordered) + 1, dtype=torch.float64) / len(ordered)
    return float((ordered - steps).abs().max() * math.sqrt(len(ordered)))


UNLIKELY = 1.95
"""A truly uniform sample is further out in one of a thousand cases."""


def test_snr_and_positions_are_uniform_over_their_intervals(device: torch.device) -> None:
    truth, snr_db = drawn(device).truth, drawn(device).frames.snr_db
    assert snr_db is not None
    fields = (
        (snr_db, -5.0, 20.0),
        (truth.phi_rad.rad2deg()[truth.present], -60.0, 60.0),
        (truth.theta_rad.rad2deg()[truth.present], -30.0, 30.0),
        (truth.range_m[truth.present], 0.5, 10.0),
        *((truth.range_m[truth.count == 5, slot], 0.5, 10.0) for slot in range(5)),
    )

    for values, low, high in fields:
        assert low <= float(values.min()) <= float(values.max()) <= high
        assert spread(values, low, high) < UNLIKELY


def test_counts_are_uniform_whatever_the_separation(device: torch.device) -> None:
    far = DataConfig(separation_deg=25.0, sources_max=4)
    separated = SceneGenerator(SMALL, far, device).scenes("train", 0, 4 * BLOCK).truth

    # Limits of chi square that one of a thousand samples exceeds.
    for truth, most, limit in ((drawn(device).truth, 5, 18.5), (separated, 4, 16.3)):
        counts = torch.bincount(truth.count.cpu(), minlength=most + 1)[1:]
        expected = len(truth.count) / most
        assert most == len(counts)
        assert float(((counts - expected).square() / expected).sum()) < limit


def test_slots_beyond_the_count_are_empty(device: torch.device) -> None:
    truth = drawn(device).truth
    absent = ~truth.present

    for value in (truth.phi_rad, truth.theta_rad, truth.range_m):
        assert bool(value[absent].isnan().all())
        assert bool(value[~absent].isfinite().all())
    assert 0.0 == float(truth.amplitude[absent].abs().max())
    assert 0.0 == float(truth.symbols.abs().amax(1)[absent].max())


def test_sources_fade_and_fall_with_the_range_unless_power_is_equal(
    device: torch.device,
) -> None:
    truth = drawn(device).truth
    present = truth.present

    expected = 0.3 / (4.0 * math.pi * truth.range_m[present])
    assert float((truth.amplitude[present] / expected - 1.0).abs().max()) < 1e-6
    power = truth.symbols[:, 0][present].abs().square()
    assert pytest.approx(1.0, abs=0.04) == float(power.mean())
    # CN(0, 1): a source is 10 dB under its mean power in one scene of ten.
    assert pytest.approx(1.0 - math.exp(-0.1), abs=0.01) == float((power < 0.1).float().mean())
    equal = drawn(device, "physics.power=equal").truth
    assert float((equal.powers[equal.present] - 1.0).abs().max()) < 1e-5
    assert 0.0 == float((equal.amplitude[equal.present] - 1.0).abs().max())


@pytest.mark.parametrize(("symbols", "rows"), [("frame", 1), ("snapshot", 16)])
def test_symbols_are_held_or_fresh(device: torch.device, symbols: str, rows: int) -> None:
    config = load_config(preset="smoke", overrides=[f"physics.symbols={symbols}"]).config
    truth = SceneGenerator(config.physics, config.data, device).scenes("test", 0, 64).truth

    assert (64, rows, 3) == truth.symbols.shape
    assert truth.symbols.dtype == torch.complex64
    first = truth.symbols[:, 0][truth.present]
    last = truth.symbols[:, -1][truth.present]
    assert (rows == 1) == torch.equal(first, last)


def test_fresh_symbols_do_not_remember_each_other(device: torch.device) -> None:
    symbols = drawn(device, "physics.symbols=snapshot", count=512).truth
    rows = symbols.symbols.transpose(1, 2)[symbols.present]

    gram = (rows.mH @ rows / len(rows)).cpu()

    assert float((gram - torch.eye(16)).abs().max()) < 0.12


@pytest.mark.parametrize("separation", [5.0, 25.0])
def test_sources_keep_the_demanded_angle_where_there_is_room(
    device: torch.device, separation: float
) -> None:
    data = DataConfig(separation_deg=separation, sources_max=4)
    truth = SceneGenerator(SMALL, data, device).scenes("train", 0, 3 * BLOCK).truth

    closest = least_angle_deg(truth.phi_rad, truth.theta_rad)

    assert float(closest.min()) >= separation - 1e-9
    # The limit is reached, not overdone.
    assert float(closest.min()) < separation + 3.0
    with pytest.raises(ConfigInvalid, match=r"separation_deg = 80 leaves no room for 5 sources"):
        SceneGenerator(SMALL, DataConfig(separation_deg=80.0), device).block("train", 0)


def least_angle_deg(phi: Tensor, theta: Tensor) -> Tensor:
    """The smallest angle of each pair of sources, by the haversine of two directions."""
    left, right = torch.triu_indices(phi.shape[1], phi.shape[1], offset=1, device=phi.device)
    half = ((theta[:, left] - theta[:, right]) / 2.0).sin().square()
    turn = ((phi[:, left] - phi[:, right]) / 2.0).sin().square()
    angles = 2.0 * (half + theta[:, left].cos() * theta[:, right].cos() * turn).sqrt().asin()
    return angles[angles.isfinite()].rad2deg()
