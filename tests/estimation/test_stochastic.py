"""The likelihood of fresh symbols against dense Gaussians in double precision."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.scenes import panel_of
from risexp.estimation.receiver_model import ReceiverModel, noise_power
from risexp.estimation.stochastic import NoisyMeasurements, bounded, score, weigh
from risexp.physics.bounds import Sources, snapshot_bound
from risexp.physics.geometry import Wavefront, angles
from risexp.physics.steering import steering_vector
from tests.estimation.equations import turning
from tests.support.localisation import WAVEFRONTS, anywhere, at_snr, config_of, points_of, scenes_of
from tests.support.looping import for_each
from tests.support.scenes import slope, uniform, worst

COUNT = 2


def small(wavefront: Wavefront = "spherical", snr_db: float = 10.0) -> RunConfig:
    return config_of(
        "physics.symbols=snapshot",
        f"physics.wavefront={wavefront}",
        at_snr(snr_db),
        "physics.antennas=4",
        "physics.snapshots=5",
        preset="smoke",
    )


def recorded(config: RunConfig, scenes: int = 3) -> NoisyMeasurements:
    """The scenes in double precision."""
    frames = scenes_of(config, scenes).frames
    y, channel, codes = (x.to(torch.complex128) for x in (frames.y, frames.channel, frames.codes))
    return NoisyMeasurements(y, channel, codes, noise_power(frames, "snapshot"))


def case(config: RunConfig, frames: NoisyMeasurements, count: int = COUNT) -> tuple[Tensor, Tensor]:
    """Points and log powers around the noise's that are nobody's best."""
    scenes = len(frames.y)
    points = anywhere(config, scenes * count, seed=8).view(scenes, count, 3)
    louder = uniform(1.0, 5.0, scenes, count, seed=9)
    return points, frames.noise_power.log().unsqueeze(-1) + louder


def dense_log_likelihood(
    config: RunConfig, frames: NoisyMeasurements, points: Tensor, log_powers: Tensor
) -> Tensor:
    """Sum over l of log CN(y_l; 0, Sigma_l), the constant pi^-M left out, (B,)."""
    waves = steering_vector(panel_of(config.physics), *points.unbind(-1))
    eye = torch.eye(frames.y.shape[-1], dtype=torch.complex128)
    total = torch.zeros(len(points), dtype=torch.float64)
    for snapshot, code in enumerate(frames.codes):
        seen = (frames.channel * code) @ waves.mT
        covariance = (seen * log_powers.exp().unsqueeze(-2)) @ seen.mH
        covariance = covariance + frames.noise_power[:, None, None] * eye
        y = frames.y[:, snapshot].unsqueeze(-1)
        quadratic = (y.mH @ torch.linalg.solve(covariance, y)).real.squeeze((-2, -1))
        total = total - torch.linalg.slogdet(covariance).logabsdet - quadratic
    return total


def numerical_slope(
    function: Callable[[Tensor, Tensor], Tensor], points: Tensor, log: Tensor
) -> Tensor:
    """Over u of all sources, then v, rho and log power, (B, 4 k)."""
    columns = []
    for parameter in range(4 * points.shape[1]):
        axis, source = divmod(parameter, points.shape[1])
        place, power = torch.zeros_like(points), torch.zeros_like(log)
        (place[..., axis] if axis < 3 else power)[:, source] = 1.0

        def along(step: float, place: Tensor = place, power: Tensor = power) -> Tensor:
            return function(points + step * place, log + step * power)

        columns.append(slope(along))
    return torch.stack(columns, dim=-1)


@for_each("count", [1, 2, 3])
@for_each("wavefront", WAVEFRONTS)
def test_likelihood_and_slope_are_those_of_dense_gaussians(
    wavefront: Wavefront, count: int
) -> None:
    config = small(wavefront)
    frames = recorded(config)
    points, log_powers = case(config, frames, count)

    found = weigh(ReceiverModel.of(config), frames, points, log_powers)

    def dense(where: Tensor, powers: Tensor) -> Tensor:
        return dense_log_likelihood(config, frames, where, powers)

    assert worst(dense(points, log_powers), found.log_likelihood) < 1e-12
    assert worst(numerical_slope(dense, points, log_powers), found.slope) < 1e-6


@for_each("wavefront", ["spherical", "parabolic"])
def test_information_inverts_to_the_cramer_rao_bound(wavefront: Wavefront) -> None:
    config = small(wavefront)
    frames = recorded(config)
    points, log_powers = case(config, frames)
    phi, theta = angles(points[..., 0], points[..., 1])
    range_m = points[..., 2].reciprocal()
    present = torch.ones_like(phi, dtype=torch.bool)
    expected = snapshot_bound(
        panel_of(config.physics),
        frames.channel,
        frames.codes,
        Sources(phi, theta, range_m, present),
        log_powers.exp(),
        frames.noise_power,
    )

    found = weigh(ReceiverModel.of(config), frames, points, log_powers)

    inverse = torch.linalg.inv(found.information)[:, : 3 * COUNT, : 3 * COUNT]
    turned = torch.linalg.inv(turning(phi, theta, range_m))
    actual = turned @ inverse @ turned.mT
    assert worst(torch.ones_like(expected), actual / expected) < 1e-5


@given(seed=st.integers(0, 1000), count=st.integers(1, 3))
def test_climbing_never_lowers_the_likelihood_and_stays_in_view(seed: int, count: int) -> None:
    config = small()
    receiver, wide = ReceiverModel.of(config), recorded(config, 6)
    y, channel, codes = (x.to(torch.complex64) for x in (wide.y, wide.channel, wide.codes))
    frames = NoisyMeasurements(y, channel, codes, wide.noise_power)
    points = anywhere(config, 6 * count, seed).view(6, count, 3).float()
    log_powers = wide.noise_power.log().unsqueeze(-1).expand(6, count)
    start = weigh(receiver, frames, points, log_powers)

    end = score(receiver, frames, points, log_powers)

    assert bool((end.log_likelihood >= start.log_likelihood).all())
    assert torch.allclose(end.points, receiver.view.clamp(end.points), atol=1e-6)
    again = weigh(receiver, frames, end.points, end.log_powers)
    assert worst(again.log_likelihood, end.log_likelihood) < 1e-9


def test_climbing_ends_where_the_likelihood_is_flat(device: torch.device) -> None:
    config = config_of("physics.symbols=snapshot", at_snr(20.0), "data.sources_max=1")
    scenes = scenes_of(config, 24, device)
    frames, receiver = scenes.frames, ReceiverModel.of(config)
    heard = NoisyMeasurements(
        frames.y, frames.channel, frames.codes, noise_power(frames, "snapshot")
    )
    true = points_of(scenes.truth)
    start = receiver.view.clamp((true + 0.01).float())

    end = score(receiver, heard, start, scenes.truth.powers.double().log())

    inner = (receiver.view.clamp(end.points + 1e-3) - end.points > 5e-4).all(-1).squeeze(-1)
    inner &= (receiver.view.clamp(end.points - 1e-3) - end.points < -5e-4).all(-1).squeeze(-1)
    promised = end.slope * torch.linalg.solve(end.information, end.slope)
    assert int(inner.sum()) > 12
    assert float(promised.sum(-1)[inner].max()) < 0.05
    assert float((end.points - true)[..., :2].abs().max()) < 0.02


def test_powers_stay_within_reach_of_the_noise() -> None:
    noise = torch.tensor([1e-6, 1.0], dtype=torch.float64)
    wild = torch.tensor([[-1e3, 0.0, 1e3]] * 2, dtype=torch.float64)

    held = bounded(wild, noise) - noise.log().unsqueeze(-1)

    assert bool((held.abs() <= 25.0 + 1e-9).all())
    assert pytest.approx([-25.0, 25.0]) == [float(held[0, 0]), float(held[0, 2])]
    assert 0.0 == float(held[1, 1])
