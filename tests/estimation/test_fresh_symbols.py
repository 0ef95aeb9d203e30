"""The likelihood of fresh symbols, as a search asks for it, against explicit maximisation."""

import pytest
import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Frames
from risexp.errors import DataInvalid
from risexp.estimation.fit import Fit
from risexp.estimation.fresh_symbols import FreshSymbols
from risexp.estimation.grid import search_grid
from risexp.estimation.receiver_model import ReceiverModel
from risexp.estimation.stochastic import weigh
from risexp.physics.signals import coded
from risexp.physics.steering import steering_vector
from tests.support.localisation import (
    anywhere,
    at_snr,
    config_of,
    isometric,
    scenes_of,
    with_frames,
)
from tests.support.looping import for_each
from tests.support.scenes import worst

SCENES = 4


def small(snr_db: float = 10.0) -> RunConfig:
    return config_of(
        at_snr(snr_db), "physics.symbols=snapshot", "physics.antennas=36", preset="smoke"
    )


def heard(config: RunConfig, device: torch.device | str = "cpu") -> Frames:
    return isometric(scenes_of(config, SCENES, device)).frames


def fitted(config: RunConfig, frames: Frames, count: int) -> tuple[FreshSymbols, Fit]:
    law = FreshSymbols.of(ReceiverModel.of(config), frames)
    fit = law.silence()
    for source in range(count):
        points = anywhere(config, SCENES, seed=20 + source).float().to(frames.y.device)
        fit = law.extended(fit, points)
    return law, fit


def one_source(frames: Frames, waves: Tensor, noise: Tensor, power: Tensor) -> Tensor:
    """Log likelihood ratio of one source of these powers to none, at every wave (G, N): (B, G).

    sum_l |b_l^H y_l|^2 p / (sigma^2 (sigma^2 + p |b_l|^2)) - log(1 + p |b_l|^2 / sigma^2)
    """
    columns = waves.unsqueeze(0).expand(len(frames), -1, -1)
    channel, codes = frames.channel.to(torch.complex128), frames.codes.to(torch.complex128)
    seen = coded(channel, codes, columns.to(torch.complex128))
    matched = (seen.conj() @ frames.y.to(torch.complex128).unsqueeze(-1)).squeeze(-1)
    strength, noise = seen.abs().square().sum(-1), noise[:, None, None]
    loud = power.unsqueeze(-2) * strength / noise
    ratio = matched.abs().square() * power.unsqueeze(-2) / (noise * noise * (1.0 + loud))
    return (ratio - loud.log1p()).sum(-2)


def test_a_scan_of_silence_is_the_likelihood_of_one_source_at_every_point(
    device: torch.device,
) -> None:
    """Exact where the channel keeps lengths, and where next to all that is heard is noise."""
    config = small(-40.0)
    frames = heard(config, device)
    receiver = ReceiverModel.of(config)
    grid = search_grid(receiver.panel, receiver.view, device)
    law = FreshSymbols.of(receiver, frames)
    waves, noise = grid.steering.mT, law.recorded.noise_power

    scan = law.scan(law.silence(), grid)

    tried = torch.logspace(-3.0, 2.0, 60, dtype=torch.float64, device=device)
    powers = noise[:, None] * tried
    ratios = torch.stack(
        [one_source(frames, waves, noise, each.unsqueeze(-1)) for each in powers.unbind(-1)]
    )
    best = ratios.amax(0).clamp(min=0.0)
    assert float((best - scan.gain).abs().max()) < 0.02 * float(best.max())
    mean = receiver.mean_power(grid.candidates[:, 2].double().reciprocal())
    odds = one_source(frames, waves, noise, mean.expand(SCENES, -1))
    assert worst(odds, scan.log_odds.double()) < 2e-3


def test_the_gain_of_a_few_points_is_that_of_the_power_that_suits_them_best() -> None:
    config = small()
    frames = heard(config)
    law = FreshSymbols.of(ReceiverModel.of(config), frames)
    points = anywhere(config, SCENES, seed=3).float()
    waves = steering_vector(law.receiver.panel, *points.unbind(-1))
    tried = law.noise_power[:, None] * torch.logspace(-2.0, 5.0, 400, dtype=torch.float64)
    ratios = torch.stack(
        [one_source(frames, waves, law.noise_power, each[:, None]) for each in tried.unbind(-1)]
    )
    expected = ratios.amax(0).clamp(min=0.0)

    gains = law.gains(law.silence(), points.unsqueeze(0).expand(SCENES, -1, -1))

    assert float((gains - expected).abs().max()) < 1e-3 * float(expected.max())


def test_a_scan_after_a_fit_finds_nothing_where_the_fit_has_a_source(
    device: torch.device,
) -> None:
    config = small()
    frames = heard(config, device)
    receiver = ReceiverModel.of(config)
    grid = search_grid(receiver.panel, receiver.view, device)
    law, fit = fitted(config, frames, 1)

    before, after = law.scan(law.silence(), grid), law.scan(fit, grid)

    gaps = (grid.candidates - fit.points).abs() / grid.steps
    near = gaps.amax(-1).argmin(-1)
    places = torch.arange(SCENES, device=device)
    assert bool(after.log_odds[places, near].isneginf().any())
    assert float(after.gain.amax(-1).sum()) < float(before.gain.amax(-1).sum())
    assert bool(after.gain.isfinite().all())


@for_each("count", [0, 1, 2])
def test_a_fit_reports_the_likelihood_at_its_points_and_powers(count: int) -> None:
    config = small()
    frames = heard(config)

    law, fit = fitted(config, frames, count)

    again = weigh(law.receiver, law.recorded, fit.points, fit.powers.log())
    assert worst(again.log_likelihood, fit.profile) < 1e-9
    assert frames.y[0].numel() == law.samples
    assert count == fit.count


def test_every_source_more_raises_the_likelihood() -> None:
    config = small()
    frames = heard(config)
    law = FreshSymbols.of(ReceiverModel.of(config), frames)
    fits = [law.silence()]
    for source in range(3):
        points = anywhere(config, SCENES, seed=30 + source).float()
        fits.append(law.extended(fits[-1], points))

    profiles = torch.stack([fit.profile for fit in fits])

    assert bool((profiles.diff(dim=0) >= -1e-3).all())


@for_each("snr_db", [0.0, 20.0])
def test_the_spread_of_rho_is_that_of_its_errors(device: torch.device, snr_db: float) -> None:
    config = config_of(
        "physics.symbols=snapshot",
        "data.sources_max=1",
        at_snr(snr_db),
        "data.range_m=[1,2]",
        preset="smoke",
    )
    scenes = scenes_of(config, 256, device)
    law = FreshSymbols.of(ReceiverModel.of(config), scenes.frames)
    u = scenes.truth.phi_rad.sin() * scenes.truth.theta_rad.cos()
    true = torch.cat([u, scenes.truth.theta_rad.sin(), scenes.truth.range_m.reciprocal()], dim=-1)

    fit = law.extended(law.silence(), true.float())

    inner = (fit.points[:, 0, 2] < 0.95) & (fit.points[:, 0, 2] > 0.55)
    off = (fit.rho_mean - true[:, 2:])[inner] / fit.rho_spread[inner]
    assert pytest.approx(1.0, abs=0.25) == float(off.square().mean())


def test_fitted_powers_are_near_the_true_ones(device: torch.device) -> None:
    config = config_of("physics.symbols=snapshot", "data.sources_max=1", at_snr(20.0))
    scenes = scenes_of(config, 64, device)
    law = FreshSymbols.of(ReceiverModel.of(config), scenes.frames)
    u = scenes.truth.phi_rad.sin() * scenes.truth.theta_rad.cos()
    true = torch.cat([u, scenes.truth.theta_rad.sin(), scenes.truth.range_m.reciprocal()], dim=-1)

    fit = law.extended(law.silence(), true.float())

    sent = scenes.truth.gains.abs().square().mean(1).double()
    ratio = (fit.powers / sent).log().abs()
    assert float(ratio.median()) < 0.05
    assert pytest.approx(0.25, rel=0.05) == float(fit.power_spread.median())


def test_a_log_power_is_normal_around_the_law_s_by_its_own_spread() -> None:
    config = small()
    law, fit = fitted(config, heard(config), 2)
    steps = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64).exp()

    density = law.power_log_likelihood(fit, fit.powers.unsqueeze(-1) * steps)

    fall = density.diff(dim=-1)
    variance = fit.power_spread.square()
    assert (SCENES, 2, 3) == tuple(density.shape)
    assert torch.allclose(3.0 * fall[..., 0], fall[..., 1])
    assert bool((-0.5 / fall[..., 0] < 1.05 * variance + 0.02).all())
    assert bool((-0.5 / fall[..., 0] > 0.95 * variance).all())


def test_without_an_snr_there_is_no_law_of_fresh_symbols() -> None:
    config = small()
    frames = with_frames(scenes_of(config, 2), snr_db=None).frames

    with pytest.raises(DataInvalid, match=r"^[^\n]*give snr_db with the frames$"):
        FreshSymbols.of(ReceiverModel.of(config), frames)
