"""The likelihood of fresh symbols, as a search asks for it, against explicit maximisation."""

import pytest
import torch
from torch import Tensor

from risexp.data.frames import Frames
from risexp.estimation.fresh_symbols import FreshSymbols
from risexp.estimation.grid import search_grid
from risexp.estimation.stochastic import weigh
from risexp.physics.signals import coded
from risexp.physics.steering import steering_vector
from tests.support.localisation import anywhere, at_snr, config_of, points_of, scenes_of
from tests.support.looping import for_each
from tests.support.pursuits import SCENES, fitted, heard, law, small
from tests.support.scenes import worst

FRESH = small("snapshot")


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


def best_ratio(frames: Frames, waves: Tensor, noise: Tensor, shares: Tensor) -> Tensor:
    """The same at the best of some powers, given over the noise's, (B, G)."""
    powers = noise[:, None] * shares
    ratios = [one_source(frames, waves, noise, each[:, None]) for each in powers.unbind(-1)]
    return torch.stack(ratios).amax(0).clamp(min=0.0)


def test_a_scan_of_silence_is_the_likelihood_of_one_source_at_every_point() -> None:
    """Exact where the channel keeps lengths, and where next to all that is heard is noise."""
    config = small("snapshot", -40.0)
    frames = heard(config, 2)
    known = law(config, frames)
    receiver, noise = known.receiver, known.noise_power
    grid = search_grid(receiver.panel, receiver.view, torch.device("cpu"))
    waves = grid.steering.mT

    scan = known.scan(known.silence(), grid)

    best = best_ratio(frames, waves, noise, torch.logspace(-2.0, 2.0, 25, dtype=torch.float64))
    assert float((best - scan.gain).abs().max()) < 0.02 * float(best.max())
    mean = receiver.mean_power(grid.candidates[:, 2].double().reciprocal())
    odds = one_source(frames, waves, noise, mean.expand(2, -1))
    assert worst(odds, scan.log_odds.double()) < 2e-3


def test_the_gain_of_a_few_points_is_that_of_the_power_that_suits_them_best() -> None:
    frames = heard(FRESH)
    known = law(FRESH, frames)
    points = anywhere(FRESH, SCENES, seed=3).float()
    waves = steering_vector(known.receiver.panel, *points.unbind(-1))
    shares = torch.logspace(-2.0, 5.0, 400, dtype=torch.float64)
    expected = best_ratio(frames, waves, known.noise_power, shares)

    gains = known.gains(known.silence(), points.unsqueeze(0).expand(SCENES, -1, -1))

    assert float((gains - expected).abs().max()) < 1e-3 * float(expected.max())


def test_a_scan_after_a_fit_finds_nothing_where_the_fit_has_a_source() -> None:
    known, fit = fitted(FRESH, heard(FRESH), 1)
    grid = search_grid(known.receiver.panel, known.receiver.view, torch.device("cpu"))

    before, after = known.scan(known.silence(), grid), known.scan(fit, grid)

    gaps = (grid.candidates - fit.points).abs() / grid.steps
    near = gaps.amax(-1).argmin(-1)
    assert bool(after.log_odds[torch.arange(SCENES), near].isneginf().any())
    assert float(after.gain.amax(-1).sum()) < float(before.gain.amax(-1).sum())
    assert bool(after.gain.isfinite().all())


@for_each("count", [0, 1, 2])
def test_a_fit_reports_the_likelihood_at_its_points_and_powers(count: int) -> None:
    frames = heard(FRESH)

    known, fit = fitted(FRESH, frames, count)

    assert isinstance(known, FreshSymbols)
    again = weigh(known.receiver, known.recorded, fit.points, fit.powers.log())
    assert worst(again.log_likelihood, fit.profile) < 1e-9
    assert bool((fit.profile >= known.silence().profile - 1e-3).all())
    assert frames.y[0].numel() == known.samples
    assert count == fit.count


def test_fitted_powers_are_near_the_true_ones(device: torch.device) -> None:
    config = config_of("physics.symbols=snapshot", "data.sources_max=1", at_snr(20.0))
    scenes = scenes_of(config, 64, device)
    known = law(config, scenes.frames)

    fit = known.extended(known.silence(), points_of(scenes.truth)[:, 0].float())

    sent = scenes.truth.gains.abs().square().mean(1).double()
    ratio = (fit.powers / sent).log().abs()
    assert float(ratio.median()) < 0.05
    assert pytest.approx(0.25, rel=0.05) == float(fit.power_spread.median())


def test_a_log_power_is_normal_around_the_law_s_by_its_own_spread() -> None:
    known, fit = fitted(FRESH, heard(FRESH), 2)
    steps = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64).exp()

    density = known.power_log_likelihood(fit, fit.powers.unsqueeze(-1) * steps)

    fall = density.diff(dim=-1)
    variance = fit.power_spread.square()
    assert (SCENES, 2, 3) == tuple(density.shape)
    assert torch.allclose(3.0 * fall[..., 0], fall[..., 1])
    assert bool((-0.5 / fall[..., 0] < 1.05 * variance + 0.02).all())
    assert bool((-0.5 / fall[..., 0] > 0.95 * variance).all())
