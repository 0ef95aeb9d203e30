"""Sources moved on until they fit the measurements: downhill, and as far as the truth would get."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Frames
from risexp.estimation.pursuit import law_of
from risexp.estimation.ranging import RangePosterior
from risexp.estimation.receiver_model import ReceiverModel, noise_power
from risexp.inference import predictor
from risexp.inference.estimate import Estimate
from risexp.inference.predictor import Localiser
from risexp.model.prediction import Prediction
from risexp.physics.geometry import direction_cosines
from tests.support.localisation import (
    NOISELESS,
    SEPARATED,
    apart,
    at_snr,
    config_of,
    missed_scenes,
    plain_misfit,
    points_of,
    scenes_of,
    sound,
)
from tests.support.looping import for_each
from tests.support.networks import localised, truthful
from tests.support.scenes import gaussian, worst


def moved(config: RunConfig, prediction: Prediction, frames: Frames) -> Estimate:
    """The pointers' positions, moved on to fit the measurements."""
    return Localiser(ReceiverModel.of(config), "pointers", "measurement")(prediction, frames)


def misled(prediction: Prediction, radians: float = 0.04, rho: float = 0.1) -> Prediction:
    """The same answer, its pointers a little beside."""
    true = prediction.pointers
    phi, theta, inverse = gaussian(3, *true.rho.shape, seed=8).real.float()
    pointers = replace(
        true,
        phi_rad=true.phi_rad + radians * phi,
        theta_rad=true.theta_rad + radians * theta,
        rho=(true.rho + rho * inverse).clamp(0.1, 2.0),
    )
    return replace(prediction, pointers=pointers)


def placed_points(found: Estimate) -> Tensor:
    """The points (u, v, rho) of an estimate, (B, K_MAX, 3); NaN beyond the count."""
    u, v = direction_cosines(found.phi_rad, found.theta_rad)
    return torch.stack([u, v, found.range_m.reciprocal()], dim=-1)


def fitted(
    config: RunConfig, frames: Frames, count: Tensor, points: Tensor
) -> tuple[Tensor, Tensor]:
    """Where fits of `count` sources end that start at points, and the ranges believed there."""
    receiver = ReceiverModel.of(config)
    ends, ranges = points.clone(), points[..., 2].clone()
    for sources in set(count.tolist()):
        here = (count == sources).nonzero().squeeze(-1)
        law = law_of(receiver, frames[here], noise_power(frames[here], receiver.symbols))
        fit = law.fitted(points[here, :sources].float())
        ends[here, :sources] = fit.points.double()
        ranges[here, :sources] = RangePosterior.of(law, fit).answer()
    return ends, ranges


def misfits(config: RunConfig, frames: Frames, count: Tensor, points: Tensor) -> Tensor:
    """|y - G A s|^2 of the first `count` sources at points, (B,)."""
    left = torch.zeros(len(count), dtype=torch.float64)
    for sources in set(count.tolist()):
        here = (count == sources).nonzero().squeeze(-1)
        left[here] = plain_misfit(config, frames[here], points[here, :sources])
    return left


@for_each("snr_db", [0.0, 30.0])
def test_a_refinement_never_raises_the_misfit_and_answers_the_ranges_it_believes(
    snr_db: float,
) -> None:
    """A believed range is the most probable one within a metre, not the one that fits best."""
    config = config_of(at_snr(snr_db), preset="smoke")
    scenes = scenes_of(config, 64)
    frames, said = scenes.frames, misled(truthful(config, scenes))
    start = localised(config, said, frames)

    end = moved(config, said, frames)

    points, ranges = fitted(config, frames, start.count, placed_points(start))
    answered = placed_points(end)[end.present]
    assert worst(points[end.present][:, :2], answered[:, :2]) < 1e-5
    assert worst(ranges[end.present], end.range_m[end.present]) < 1e-5
    before = misfits(config, frames, start.count, placed_points(start))
    after = misfits(config, frames, end.count, points)
    assert bool((after <= before * (1.0 + 1e-5)).all())
    assert float(after.sum()) < 0.97 * float(before.sum())
    assert start.count.tolist() == end.count.tolist()
    assert sound(end)


def test_a_refinement_without_noise_ends_at_the_truth() -> None:
    config = config_of(*SEPARATED, NOISELESS)
    scenes = scenes_of(config, 32)
    said = misled(truthful(config, scenes), radians=0.02)

    start, end = localised(config, said, scenes.frames), moved(config, said, scenes.frames)

    assert len(missed_scenes(start, scenes.truth)) > 30
    assert [] == missed_scenes(end, scenes.truth)


def test_sources_of_fresh_symbols_are_refined_too() -> None:
    config = config_of(*SEPARATED, at_snr(20.0), "physics.symbols=snapshot", preset="smoke")
    scenes = scenes_of(config, 12)
    said = misled(truthful(config, scenes))

    start, end = localised(config, said, scenes.frames), moved(config, said, scenes.frames)

    true = points_of(scenes.truth)
    before, after = (
        (placed_points(each) - true)[scenes.truth.present][:, :2].square().mean().sqrt()
        for each in (start, end)
    )
    assert float(after) < 0.5 * float(before)
    assert sound(end)


def test_more_scenes_than_are_moved_at_once_are_moved_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = config_of("data.sources_max=2", at_snr(20.0), preset="smoke")
    scenes = scenes_of(config, 24)
    said = misled(truthful(config, scenes))
    together = moved(config, said, scenes.frames)

    monkeypatch.setattr(predictor, "_REFINED", 5)
    cut = moved(config, said, scenes.frames)

    assert apart(together, cut)[0] < 0.05
    assert 0 == len(moved(config, truthful(config, scenes[:0]), scenes.frames[:0]))
