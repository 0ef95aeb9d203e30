"""From predictions to positions: whose count, where sources are found, and how they are refined."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.config.learning import CountKind, FactorKind, Front
from risexp.config.run import RunConfig
from risexp.config.training import LocalisationSpectrum
from risexp.data.frames import Frames
from risexp.estimation.pursuit import law_of
from risexp.estimation.ranging import RangePosterior
from risexp.estimation.receiver_model import ReceiverModel, noise_power
from risexp.inference import predictor
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp
from risexp.inference.predictor import Localiser, pointed
from risexp.model.observation import Observer
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
from tests.support.networks import (
    KINDS,
    MAKES,
    awake,
    localised,
    network_config,
    saying,
    truthful,
)
from tests.support.scenes import gaussian, worst

SPECTRA: tuple[LocalisationSpectrum, ...] = ("music", "mvdr", "pointers")
SMALL = config_of(preset="smoke")
UNSURE = torch.zeros(1)


@for_each("symbols", ["frame", "snapshot"])
@for_each("spectrum", SPECTRA)
def test_a_perfect_prediction_is_located_exactly(
    spectrum: LocalisationSpectrum, symbols: str
) -> None:
    config = config_of(*SEPARATED, NOISELESS, f"physics.symbols={symbols}")
    scenes = scenes_of(config, 16)

    found = localised(config, truthful(config, scenes), scenes.frames, spectrum)

    assert [] == missed_scenes(found, scenes.truth)
    assert sound(found)


@for_each("kind", KINDS)
@for_each("spectrum", SPECTRA)
def test_the_count_is_the_head_s_whatever_is_seen(
    spectrum: LocalisationSpectrum, kind: CountKind
) -> None:
    """Museum 41: nobody else is asked, however unsure the head is."""
    scenes = scenes_of(SMALL, 24)
    said = truthful(SMALL, scenes, kind)
    guessed = saying(said, 2.0 * gaussian(*said.count_logits.shape, seed=3).real.float())

    found = localised(SMALL, guessed, scenes.frames, spectrum)

    assert guessed.count.tolist() == found.count.tolist()
    assert torch.equal(guessed.count_probabilities, found.count_probabilities)
    assert found.count.tolist() != scenes.truth.count.tolist()
    assert sound(found)


def test_a_fallback_counts_only_where_the_head_is_unsure() -> None:
    scenes = scenes_of(SMALL, 32)
    probabilities = torch.tensor([[0.2, 0.45, 0.35], [0.1, 0.2, 0.7]]).log().repeat(16, 1)
    said = saying(truthful(SMALL, scenes, "softmax"), probabilities)

    found = Localiser(ReceiverModel.of(SMALL), "pointers", fallback="bic")(said, scenes.frames)

    bic = Nomp(ReceiverModel.of(SMALL), "bic")(scenes.frames).count
    assert bic[::2].tolist() == found.count[::2].tolist()
    assert [3] * 16 == found.count[1::2].tolist()
    assert [2] * 16 != bic[::2].tolist()
    assert bic[1::2].tolist() != [3] * 16
    assert sound(found)


def test_a_head_is_unsure_of_the_count_it_answers_not_of_another() -> None:
    """A step that must be all but certain: two are answered where three are probable."""
    scenes = scenes_of(SMALL, 16)
    said = saying(truthful(SMALL, scenes), torch.tensor([0.95, 0.8]).logit().expand(16, 2))
    careful = replace(said, count_law=replace(said.count_law, threshold=0.9))

    found = Localiser(ReceiverModel.of(SMALL), "pointers", fallback="bic")(careful, scenes.frames)

    assert [2] * 16 == careful.count.tolist()
    assert (
        Nomp(ReceiverModel.of(SMALL), "bic")(scenes.frames).count.tolist() == found.count.tolist()
    )


def test_slots_that_likely_hold_a_source_are_taken_first_equal_ones_in_their_order() -> None:
    said = truthful(SMALL, scenes_of(SMALL, 4))
    existence = torch.tensor([[0.0, 3.0, 2.0]] * 3 + [[0.0, 0.0, 0.0]])
    ranked = replace(said, pointers=replace(said.pointers, existence=existence))

    found = pointed(ranked, torch.tensor([1, 2, 3, 3]))

    order = torch.tensor([[1, 2, 0]] * 3 + [[0, 1, 2]])
    assert [1, 2, 3, 3] == found.present.sum(-1).tolist()
    for name in ("phi_rad", "theta_rad"):
        expected = getattr(said.pointers, name).double().gather(1, order)[found.present]
        assert worst(expected, getattr(found, name)[found.present]) < 1e-6


@pytest.mark.parametrize("spectrum", SPECTRA)
@for_each(("front", "factors"), MAKES)
def test_every_network_is_located_soundly(
    device: torch.device, front: Front, factors: FactorKind, spectrum: LocalisationSpectrum
) -> None:
    config = network_config(
        f"factors.kind={factors}", f"localisation.spectrum={spectrum}", front=front
    )
    frames = scenes_of(config, 6, device).frames
    prediction = awake(config, device)(Observer.of(config)(frames), 0.3)

    found = Localiser.of(config)(prediction, frames)

    assert sound(found)
    assert (6, 3) == tuple(found.phi_rad.shape)
    assert not found.phi_rad.requires_grad
    assert not found.count_probabilities.requires_grad


def test_a_localiser_is_what_its_configuration_asks_for() -> None:
    config = network_config(
        "localisation.spectrum=mvdr",
        "localisation.refine=measurement",
        "localisation.fallback=bic",
    )

    expected = Localiser(ReceiverModel.of(config), "mvdr", "measurement", "bic")
    assert expected == Localiser.of(config)
    assert Localiser(ReceiverModel.of(config)) == Localiser.of(network_config())


@for_each("spectrum", SPECTRA)
def test_a_scene_is_located_alike_alone_and_in_any_company(spectrum: LocalisationSpectrum) -> None:
    config = network_config(*SEPARATED, at_snr(20.0))
    scenes = scenes_of(config, 6)
    frames, order = scenes.frames, torch.arange(6).flip(0)
    localiser = Localiser(ReceiverModel.of(config), spectrum, "measurement")

    whole = localiser(truthful(config, scenes), frames)

    each = [scenes[place : place + 1] for place in order.tolist()]
    alone = [localiser(truthful(config, scene), scene.frames) for scene in each]
    turned = torch.cat([found.theta_rad for found in alone])
    assert worst(whole.theta_rad[order].nan_to_num(), turned.nan_to_num()) < 1e-3


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
    config = config_of(at_snr(snr_db), "localisation.backend=torch", preset="smoke")
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
