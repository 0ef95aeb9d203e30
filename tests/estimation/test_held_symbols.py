"""The likelihood of held symbols against explicit Gaussians in double precision."""

import math

import pytest
import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Frames
from risexp.data.scenes import panel_of
from risexp.estimation.fit import Fit, Gaussian
from risexp.estimation.grid import search_grid
from risexp.estimation.held_symbols import HeldSymbols
from risexp.estimation.projection import Equations, project
from risexp.estimation.receiver_model import ReceiverModel
from risexp.physics.steering import steering_vector
from tests.support.localisation import (
    anywhere,
    at_snr,
    config_of,
    isometric,
    plain_measured,
    plain_misfit,
    plain_operator,
    points_of,
    scenes_of,
)
from tests.support.looping import for_each
from tests.support.scenes import worst

SCENES = 4


def small(snr_db: float = 10.0, *overrides: str) -> RunConfig:
    """A panel that its station hears without loss: as many antennas as elements."""
    return config_of(at_snr(snr_db), "physics.antennas=36", *overrides, preset="smoke")


def heard(config: RunConfig, device: torch.device | str = "cpu") -> Frames:
    return isometric(scenes_of(config, SCENES, device)).frames


def fitted(config: RunConfig, frames: Frames, count: int) -> tuple[HeldSymbols, Fit]:
    """Sources added one after another, each started anywhere."""
    law = HeldSymbols.of(ReceiverModel.of(config), frames)
    fit = law.silence()
    for source in range(count):
        points = anywhere(config, SCENES, seed=20 + source).float().to(frames.y.device)
        fit = law.extended(fit, points)
    return law, fit


def responses(config: RunConfig, frames: Frames, points: Tensor) -> Tensor:
    """G A in double precision, (B, L M, k)."""
    waves = steering_vector(panel_of(config.physics), *points.double().unbind(-1))
    return plain_operator(frames) @ waves.mT


def log_gaussian(covariance: Tensor, y: Tensor, noise: Tensor) -> Tensor:
    """log CN(y; 0, covariance) less that of white noise's constant, (B,)."""
    root = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(root, y.unsqueeze(-1), upper=False)
    logs = 2.0 * root.diagonal(dim1=-2, dim2=-1).real.log().sum(-1)
    answer: Tensor = y.shape[-1] * noise.log() - logs - white.abs().square().sum((-2, -1))
    return answer


@for_each("count", [0, 1, 2, 3])
def test_a_fit_profiles_the_likelihood_over_gains_and_noise(count: int) -> None:
    config = small()
    frames = heard(config)

    law, fit = fitted(config, frames, count)

    energy = plain_measured(frames).abs().square().sum(-1)
    misfit = plain_misfit(config, frames, fit.points) if count else energy
    samples = frames.y[0].numel()
    assert samples == law.samples
    assert count == fit.count
    assert worst(-samples * (misfit / samples).log(), fit.profile) < 1e-6


def test_powers_are_those_of_least_squares_gains_and_spread_is_their_variance() -> None:
    config = small()
    frames = heard(config)

    _, fit = fitted(config, frames, 2)

    response = responses(config, frames, fit.points)
    gains = torch.linalg.lstsq(response, plain_measured(frames).unsqueeze(-1)).solution
    snr_db = frames.snr_db
    assert snr_db is not None
    total = plain_measured(frames).abs().square().mean(-1)
    noise = total / (1.0 + 10.0 ** (snr_db.double() / 10.0))
    inverse = torch.linalg.inv(response.mH @ response).diagonal(dim1=-2, dim2=-1).real
    assert worst(gains.abs().square().squeeze(-1), fit.powers) < 1e-5
    assert worst(noise[:, None] * inverse, fit.power_spread) < 1e-5


@for_each("power", ["free_space", "equal"])
def test_the_marginal_likelihood_is_a_dense_gaussian_times_the_volume_of_the_peak(
    power: str,
) -> None:
    """log CN(y; 0, sigma^2 I + G A P A^H G^H) + log of the integral over positions near the fit."""
    config = small(10.0, f"physics.power={power}")
    frames = heard(config)

    law, fit = fitted(config, frames, 2)

    receiver, noise = ReceiverModel.of(config), law.noise_power
    response = responses(config, frames, fit.points)
    powers = receiver.mean_power(fit.points[..., 2].double().reciprocal())
    eye = torch.eye(response.shape[-2], dtype=torch.complex128)
    covariance = (response * powers.unsqueeze(-2)) @ response.mH + noise[:, None, None] * eye
    y = plain_measured(frames)
    expected = log_gaussian(covariance, y, noise)
    silent = log_gaussian(noise[:, None, None] * eye.expand(SCENES, -1, -1), y, noise)
    assert worst(silent, law.silence().log_marginal) < 1e-9
    operator = plain_operator(frames)
    equations = Equations(
        operator.mH @ operator, operator.mH @ y.unsqueeze(-1), y.abs().square().sum(-1)
    )
    found = project(receiver.panel, equations, fit.points.double())
    peak = Gaussian.of(
        2.0 / noise[:, None, None] * found.curvature,
        2.0 / noise[:, None] * found.slope,
        fit.points[..., 2],
        receiver.view.extent,
    )
    assert worst(expected + peak.log_volume, fit.log_marginal) < 1e-5


def test_a_scan_of_silence_is_the_likelihood_of_one_source_at_every_point(
    device: torch.device,
) -> None:
    """Exact where the channel keeps lengths: all waves are equally loud then."""
    config = small()
    frames = heard(config, device)
    receiver = ReceiverModel.of(config)
    grid = search_grid(receiver.panel, receiver.view, device)
    law = HeldSymbols.of(receiver, frames)

    scan = law.scan(law.silence(), grid)

    response = plain_operator(frames) @ grid.steering.to(torch.complex128)
    strength = response.abs().square().sum(-2)
    matched = (response.mH @ plain_measured(frames).unsqueeze(-1)).squeeze(-1).abs().square()
    noise = law.noise_power[:, None]
    loud = receiver.mean_power(grid.candidates[:, 2].double().reciprocal()) * strength / noise
    odds = matched / strength / noise * loud / (1.0 + loud) - loud.log1p()
    assert worst(matched / strength / noise, scan.gain.double()) < 1e-4
    assert worst(odds, scan.log_odds.double()) < 1e-4


def test_a_scan_after_a_fit_is_of_what_the_fit_leaves(device: torch.device) -> None:
    config = small()
    frames = heard(config, device)
    receiver = ReceiverModel.of(config)
    grid = search_grid(receiver.panel, receiver.view, device)
    law, fit = fitted(config, frames, 2)

    scan = law.scan(fit, grid)

    seen = torch.linalg.qr(responses(config, frames, fit.points)).Q
    response = plain_operator(frames) @ grid.steering.to(torch.complex128)
    left = response - seen @ (seen.mH @ response)
    strength = left.abs().square().sum(-2)
    matched = (left.mH @ plain_measured(frames).unsqueeze(-1)).squeeze(-1).abs().square()
    far = strength > 0.4 * response.abs().square().sum(-2)
    gain = matched / strength / law.noise_power[:, None]
    assert float((gain - scan.gain)[far].abs().max()) < 1e-3 * float(gain[far].max())
    assert bool(scan.log_odds[strength < 0.2 * strength.amax()].isneginf().all())
    assert bool(scan.gain.isfinite().all())


@for_each("count", [0, 1, 3])
def test_the_gain_of_a_few_points_is_exact_whatever_the_channel(count: int) -> None:
    """|b^H P y|^2 / (b^H P b sigma^2), P the projection beside the sources already fitted."""
    config = config_of(at_snr(10.0), preset="smoke")
    frames = scenes_of(config, SCENES).frames
    law, fit = fitted(config, frames, count)
    points = anywhere(config, 6 * SCENES, seed=3).view(SCENES, 6, 3).float()

    gains = law.gains(fit, points)

    response = responses(config, frames, points)
    y = plain_measured(frames).unsqueeze(-1)
    if count:
        seen = torch.linalg.qr(responses(config, frames, fit.points)).Q
        response = response - seen @ (seen.mH @ response)
    strength = response.abs().square().sum(-2)
    expected = (response.mH @ y).squeeze(-1).abs().square() / strength / law.noise_power[:, None]
    far = strength > 0.4 * responses(config, frames, points).abs().square().sum(-2)
    assert (SCENES, 6) == tuple(gains.shape)
    assert int(far.sum()) > SCENES
    assert float((gains - expected)[far].abs().max()) < 1e-3 * float(expected[far].max())


def test_more_noise_makes_every_spread_wider() -> None:
    frames = heard(small(20.0))
    law = HeldSymbols.of(ReceiverModel.of(small()), frames)
    louder = HeldSymbols(
        law.receiver, law.equations, 4.0 * law.noise_power, law.tolerance, law.samples
    )
    points = anywhere(small(), SCENES, seed=20).float()

    one, two = law.extended(law.silence(), points), louder.extended(louder.silence(), points)

    assert bool((two.rho_spread > one.rho_spread).all())
    assert worst(4.0 * one.power_spread, two.power_spread) < 0.05


def test_a_power_is_the_square_of_a_gain_drawn_by_the_law_and_measured_in_noise() -> None:
    """log CN(g; 0, mean power + variance of the gain)."""
    config = small()
    law, fit = fitted(config, heard(config), 2)
    mean = torch.tensor([1e-6, 1e-4, 1e-2], dtype=torch.float64)
    total = mean + fit.power_spread.unsqueeze(-1)

    density = law.power_log_likelihood(fit, mean)

    assert (SCENES, 2, 3) == tuple(density.shape)
    expected = -(math.pi * total).log() - fit.powers.unsqueeze(-1) / total
    assert worst(expected, density) < 1e-12


def test_a_peak_beyond_the_limit_of_the_view_is_still_where_it_is(device: torch.device) -> None:
    """Rho is held at the limit; its mean is where the likelihood would take it."""
    quiet = ("data.sources_max=1", at_snr(30.0), "physics.power=equal")
    scenes = scenes_of(config_of(*quiet, "data.range_m=[2.05,2.15]"), 64, device)
    law = HeldSymbols.of(ReceiverModel.of(config_of(*quiet, "data.range_m=[0.5,2]")), scenes.frames)
    true = points_of(scenes.truth)[:, 0]

    fit = law.extended(law.silence(), law.receiver.view.clamp(true.float()))

    assert bool((fit.points[:, 0, 2] > 0.4999).all())
    gone = (fit.rho_mean[:, 0] - 0.5) / (true[:, 2] - 0.5)
    assert pytest.approx(1.0, abs=0.2) == float(gone.median())


@for_each("snr_db", [0.0, 10.0, 20.0])
def test_the_spread_of_rho_is_that_of_its_errors(device: torch.device, snr_db: float) -> None:
    """Errors in spreads have mean square one, whatever the noise."""
    config = config_of("data.sources_max=1", at_snr(snr_db), "data.range_m=[1,2]")
    scenes = scenes_of(config, 256, device)
    law = HeldSymbols.of(ReceiverModel.of(config), scenes.frames)
    u = scenes.truth.phi_rad.sin() * scenes.truth.theta_rad.cos()
    true = torch.cat([u, scenes.truth.theta_rad.sin(), scenes.truth.range_m.reciprocal()], dim=-1)

    fit = law.extended(law.silence(), true.float())

    inner = (fit.points[:, 0, 2] < 0.95) & (fit.points[:, 0, 2] > 0.55)
    off = (fit.rho_mean - true[:, 2:])[inner] / fit.rho_spread[inner]
    assert pytest.approx(1.0, abs=0.2) == float(off.square().mean())
