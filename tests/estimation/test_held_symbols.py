"""The likelihood of held symbols against explicit Gaussians in double precision."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Frames
from risexp.data.scenes import panel_of
from risexp.estimation.fit import Gaussian
from risexp.estimation.grid import search_grid
from risexp.estimation.held_symbols import HeldSymbols
from risexp.estimation.projection import project
from risexp.estimation.receiver_model import noise_power
from risexp.physics.steering import steering_vector
from tests.estimation.equations import plain_equations
from tests.support.localisation import (
    anywhere,
    at_snr,
    config_of,
    plain_measured,
    plain_misfit,
    plain_operator,
    points_of,
    scenes_of,
)
from tests.support.looping import for_each
from tests.support.pursuits import SCENES, fitted, heard, law, small
from tests.support.scenes import worst

HELD = small("frame")


def responses(config: RunConfig, frames: Frames, points: Tensor) -> Tensor:
    """G A in double precision, (B, L M, k)."""
    waves = steering_vector(panel_of(config.physics), *points.double().unbind(-1))
    return plain_operator(frames) @ waves.mT


def beside(response: Tensor, seen: Tensor) -> Tensor:
    """What is left of responses once others (B, L M, k) are projected out."""
    basis = torch.linalg.qr(seen).Q
    left: Tensor = response - basis @ (basis.mH @ response)
    return left


def filtered(response: Tensor, frames: Frames) -> tuple[Tensor, Tensor]:
    """|b|^2 and |b^H y|^2 of responses (B, L M, G), (B, G) each."""
    matched = (response.mH @ plain_measured(frames).unsqueeze(-1)).squeeze(-1)
    return response.abs().square().sum(-2), matched.abs().square()


def log_gaussian(covariance: Tensor, y: Tensor, noise: Tensor) -> Tensor:
    """log CN(y; 0, covariance) less that of white noise's constant, (B,)."""
    root = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(root, y.unsqueeze(-1), upper=False)
    logs = 2.0 * root.diagonal(dim1=-2, dim2=-1).real.log().sum(-1)
    answer: Tensor = y.shape[-1] * noise.log() - logs - white.abs().square().sum((-2, -1))
    return answer


@for_each("count", [0, 1, 3])
def test_a_fit_profiles_the_likelihood_over_gains_and_noise(count: int) -> None:
    frames = heard(HELD)

    known, fit = fitted(HELD, frames, count)

    energy = plain_measured(frames).abs().square().sum(-1)
    misfit = plain_misfit(HELD, frames, fit.points) if count else energy
    samples = frames.y[0].numel()
    assert samples == known.samples
    assert count == fit.count
    assert worst(-samples * (misfit / samples).log(), fit.profile) < 1e-6


def test_powers_are_those_of_least_squares_gains_and_spread_is_their_variance() -> None:
    frames = heard(HELD)

    _, fit = fitted(HELD, frames, 2)

    response = responses(HELD, frames, fit.points)
    gains = torch.linalg.lstsq(response, plain_measured(frames).unsqueeze(-1)).solution
    noise = noise_power(frames, "frame")
    inverse = torch.linalg.inv(response.mH @ response).diagonal(dim1=-2, dim2=-1).real
    assert worst(gains.abs().square().squeeze(-1), fit.powers) < 1e-5
    assert worst(noise[:, None] * inverse, fit.power_spread) < 1e-5


@for_each("power", ["free_space", "equal"])
def test_the_marginal_likelihood_is_a_dense_gaussian_times_the_volume_of_the_peak(
    power: str,
) -> None:
    """log CN(y; 0, sigma^2 I + G A P A^H G^H) + log of the integral over positions near the fit."""
    config = small("frame", 10.0, f"physics.power={power}")
    frames = heard(config)

    known, fit = fitted(config, frames, 2)

    receiver, noise = known.receiver, known.noise_power
    response = responses(config, frames, fit.points)
    powers = receiver.mean_power(fit.points[..., 2].double().reciprocal())
    eye = torch.eye(response.shape[-2], dtype=torch.complex128)
    covariance = (response * powers.unsqueeze(-2)) @ response.mH + noise[:, None, None] * eye
    y = plain_measured(frames)
    expected = log_gaussian(covariance, y, noise)
    silent = log_gaussian(noise[:, None, None] * eye.expand(SCENES, -1, -1), y, noise)
    assert worst(silent, known.silence().log_marginal) < 1e-9
    found = project(receiver.panel, plain_equations(frames), fit.points.double())
    peak = Gaussian.of(
        2.0 / noise[:, None, None] * found.curvature,
        2.0 / noise[:, None] * found.slope,
        fit.points[..., 2],
        receiver.view.extent,
    )
    assert worst(expected + peak.log_volume, fit.log_marginal) < 1e-5


def test_a_scan_is_the_likelihood_of_one_source_more_at_every_point() -> None:
    """Exact where the channel keeps lengths: all waves are equally loud then."""
    frames = heard(HELD)
    known, fit = fitted(HELD, frames, 2)
    receiver, noise = known.receiver, known.noise_power[:, None]
    grid = search_grid(receiver.panel, receiver.view, torch.device("cpu"))

    alone, after = known.scan(known.silence(), grid), known.scan(fit, grid)

    response = plain_operator(frames) @ grid.steering.to(torch.complex128)
    strength, matched = filtered(response, frames)
    loud = receiver.mean_power(grid.candidates[:, 2].double().reciprocal()) * strength / noise
    odds = matched / strength / noise * loud / (1.0 + loud) - loud.log1p()
    assert worst(matched / strength / noise, alone.gain.double()) < 1e-4
    assert worst(odds, alone.log_odds.double()) < 1e-4
    left, matched = filtered(beside(response, responses(HELD, frames, fit.points)), frames)
    far, gain = left > 0.4 * strength, matched / left / noise
    assert float((gain - after.gain)[far].abs().max()) < 1e-3 * float(gain[far].max())
    assert bool(after.log_odds[left < 0.2 * left.amax()].isneginf().all())
    assert bool(after.gain.isfinite().all())


@for_each("count", [0, 3])
def test_the_gain_of_a_few_points_is_exact_whatever_the_channel(count: int) -> None:
    """|b^H P y|^2 / (b^H P b sigma^2), P the projection beside the sources already fitted."""
    config = config_of(at_snr(10.0), preset="smoke")
    frames = scenes_of(config, SCENES).frames
    known, fit = fitted(config, frames, count)
    points = anywhere(config, 6 * SCENES, seed=3).view(SCENES, 6, 3).float()

    gains = known.gains(fit, points)

    response = responses(config, frames, points)
    strength, _ = filtered(response, frames)
    if count:
        response = beside(response, responses(config, frames, fit.points))
    left, matched = filtered(response, frames)
    expected, far = matched / left / known.noise_power[:, None], left > 0.4 * strength
    assert (SCENES, 6) == tuple(gains.shape)
    assert int(far.sum()) > SCENES
    assert float((gains - expected)[far].abs().max()) < 1e-3 * float(expected[far].max())


def test_more_noise_makes_every_spread_wider() -> None:
    known = law(HELD, heard(small("frame", 20.0)))
    assert isinstance(known, HeldSymbols)
    louder = replace(known, noise_power=4.0 * known.noise_power)
    points = anywhere(HELD, SCENES, seed=20).float()

    one, two = (each.extended(each.silence(), points) for each in (known, louder))

    assert bool((two.rho_spread > one.rho_spread).all())
    assert worst(4.0 * one.power_spread, two.power_spread) < 0.05


def test_a_power_is_the_square_of_a_gain_drawn_by_the_law_and_measured_in_noise() -> None:
    """log CN(g; 0, mean power + variance of the gain)."""
    known, fit = fitted(HELD, heard(HELD), 2)
    mean = torch.tensor([1e-6, 1e-4, 1e-2], dtype=torch.float64)
    total = mean + fit.power_spread.unsqueeze(-1)

    density = known.power_log_likelihood(fit, mean)

    assert (SCENES, 2, 3) == tuple(density.shape)
    expected = -(math.pi * total).log() - fit.powers.unsqueeze(-1) / total
    assert worst(expected, density) < 1e-12


def test_a_peak_beyond_the_limit_of_the_view_is_still_where_it_is(device: torch.device) -> None:
    """Rho is held at the limit; its mean is where the likelihood would take it."""
    quiet = ("data.sources_max=1", at_snr(30.0), "physics.power=equal")
    scenes = scenes_of(config_of(*quiet, "data.range_m=[2.05,2.15]"), 64, device)
    known = law(config_of(*quiet, "data.range_m=[0.5,2]"), scenes.frames)
    true = points_of(scenes.truth)[:, 0]

    fit = known.extended(known.silence(), known.receiver.view.clamp(true.float()))

    assert bool((fit.points[:, 0, 2] > 0.4999).all())
    gone = (fit.rho_mean[:, 0] - 0.5) / (true[:, 2] - 0.5)
    assert pytest.approx(1.0, abs=0.2) == float(gone.median())


@for_each(
    ("symbols", "snr_db", "tolerance"),
    [
        *(("frame", snr_db, 0.2) for snr_db in (0.0, 20.0)),
        *(("snapshot", snr_db, 0.25) for snr_db in (0.0, 20.0)),
    ],
)
def test_the_spread_of_rho_is_that_of_its_errors_under_both_laws(
    device: torch.device, symbols: str, snr_db: float, tolerance: float
) -> None:
    """Errors in spreads have mean square one, whatever the noise."""
    one = ("data.sources_max=1", at_snr(snr_db), "data.range_m=[1,2]")
    config = config_of(f"physics.symbols={symbols}", *one, preset="smoke")
    scenes = scenes_of(config, 256, device)
    known, true = law(config, scenes.frames), points_of(scenes.truth)[:, 0]

    fit = known.extended(known.silence(), true.float())

    inner = (fit.points[:, 0, 2] < 0.95) & (fit.points[:, 0, 2] > 0.55)
    off = (fit.rho_mean - true[:, 2:])[inner] / fit.rho_spread[inner]
    assert pytest.approx(1.0, abs=tolerance) == float(off.square().mean())
