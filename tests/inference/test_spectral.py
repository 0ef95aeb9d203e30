"""MUSIC and MVDR on covariances that are known, and on those of samples."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import Criterion, Method, order_scores, sampled_covariance
from risexp.data.frames import Truth
from risexp.data.scenes import panel_of, source_steering
from risexp.estimation.grid import search_grid
from risexp.estimation.receiver_model import ReceiverModel, snr_db_of
from risexp.inference import spectral
from risexp.inference.classical import Classical
from risexp.inference.spectral import Spectral, Spectrum, placed, recursive_music
from risexp.physics.steering import steering_vector
from tests.support.estimates import truth_of
from tests.support.localisation import (
    apart,
    at_snr,
    config_of,
    found_exactly,
    label,
    points_of,
    scenes_of,
    with_frames,
)
from tests.support.looping import for_each
from tests.support.scenes import gaussian, uniform, worst

SPECTRA: tuple[Spectrum, ...] = ("music", "mvdr")
SETTING = ReceiverModel.of(config_of())


def covariance_of(truth: Truth, *powers: float) -> FactoredCovariance:
    """Incoherent sources of these powers, trace normal."""
    steering = source_steering(SETTING.panel, truth)
    weight = torch.zeros(truth.phi_rad.shape[1], dtype=torch.float64)
    weight[: len(powers)] = torch.tensor(powers, dtype=torch.float64)
    each = weight.to(steering.device).expand(len(truth), -1) * truth.present
    return FactoredCovariance.from_sources(steering, each).trace_normalize()


def three(device: torch.device) -> Truth:
    rows = [
        [(-31.3, 11.7, 1.3), (4.9, -13.1, 6.3), (38.7, 2.3, 2.7)],
        [(-52.1, -8.3, 4.1), (-17.7, 22.9, 0.9), (21.3, -3.7, 8.7)],
    ]
    return truth_of(*rows, device=device)


@for_each("spectrum", SPECTRA)
def test_as_many_sources_are_answered_as_are_asked_for(
    device: torch.device, spectrum: Spectrum
) -> None:
    seen = covariance_of(three(device), 1.0, 1.0, 1.0).regularise(1e-3)
    count = torch.tensor([1, 5], device=device)

    found = Spectral(SETTING, spectrum).locate(seen, count)

    assert [1, 5] == found.count.tolist()
    assert [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1]] == found.count_probabilities.tolist()
    assert found.present.tolist() == found.range_m.isfinite().tolist()
    assert [1.0, 1.0] == found.confidence.tolist()


def equivalents(seen: FactoredCovariance) -> list[FactoredCovariance]:
    """The same covariance at other scales, and from a factor turned by a unitary matrix."""
    size = seen.factor.shape[-1]
    unitary = torch.linalg.qr(gaussian(size, size)).Q.to(seen.factor)
    scaled = [
        replace(seen, factor=seen.factor * math.sqrt(scale), diagonal=seen.diagonal * scale)
        for scale in (1e-6, 1e6)
    ]
    return [*scaled, replace(seen, factor=seen.factor @ unitary)]


@for_each("spectrum", SPECTRA)
def test_scale_and_columns_of_a_factor_mean_nothing_nor_does_a_load_to_music(
    device: torch.device, spectrum: Spectrum
) -> None:
    truth = three(device)
    bare = covariance_of(truth, 1.0, 0.3, 0.1)
    loads = [bare, *(bare.regularise(alpha) for alpha in (1e-4, 0.25))]
    locate, seen = Spectral(SETTING, spectrum).locate, bare.regularise(1e-2)

    found = locate(seen, truth.count)

    for other in (*equivalents(seen), *(loads if spectrum == "music" else ())):
        gap = apart(found, locate(other, truth.count))
        assert gap[0] < 1e-3
        assert gap[1] < 1e-2


def test_mvdr_of_a_covariance_without_a_diagonal_is_refused(device: torch.device) -> None:
    truth = three(device)

    with pytest.raises(ValueError, match="regularise"):
        Spectral(SETTING, "mvdr").locate(covariance_of(truth, 1.0, 1.0, 1.0), truth.count)


def test_music_is_blind_to_powers_down_to_a_ten_thousandth(device: torch.device) -> None:
    truth = three(device)

    found = Spectral(SETTING).locate(covariance_of(truth, 1.0, 1e-2, 1e-4), truth.count)

    assert bool(found_exactly(found, truth).all())


def test_mvdr_finds_the_strongest_first(device: torch.device) -> None:
    truth = three(device)
    seen = covariance_of(truth, 0.05, 1.0, 0.3).regularise(1e-3)

    found = Spectral(SETTING, "mvdr").locate(seen, torch.tensor([1, 1], device=device))

    assert torch.allclose(truth.phi_rad[:, 1], found.phi_rad[:, 0], atol=1e-3)
    assert torch.allclose(truth.range_m[:, 1], found.range_m[:, 0], atol=0.05)


def test_many_scenes_are_answered_piece_by_piece_alike(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of("data.sources_max=1", preset="smoke")
    scenes = scenes_of(config, 20, device)

    for kind in SPECTRA:
        locate = Spectral(ReceiverModel.of(config), kind).locate
        seen = label(config, scenes)
        whole = locate(seen, scenes.truth.count)
        with monkeypatch.context() as patch:
            patch.setattr(spectral, "_SCENES", 7)
            parts = locate(seen, scenes.truth.count)

        assert apart(whole, parts)[0] < 1e-3


def subspace_of(points: Tensor) -> Tensor:
    """Orthonormal columns that span the waves of points (B, k, 3), padded to five."""
    waves = steering_vector(SETTING.panel, *points.double().unbind(-1)).mT
    basis = torch.linalg.qr(waves).Q
    return torch.nn.functional.pad(basis, (0, 5 - basis.shape[-1])).to(torch.complex64)


@for_each("count", [1, 3, 5])
def test_recursive_music_finds_whatever_spans_a_subspace(device: torch.device, count: int) -> None:
    """Random sources, as close as chance puts them; a subspace of waves has no other root."""
    scenes = 32
    u = torch.linspace(-0.6, 0.6, count).double().unsqueeze(0) + uniform(-0.05, 0.05, scenes, count)
    v = uniform(-0.4, 0.4, scenes, count, seed=1)
    rho = uniform(0.12, 1.9, scenes, count, seed=2)
    true = torch.stack([u, v, rho], dim=-1).to(device)
    counts = torch.full((scenes,), count, device=device)
    grid = search_grid(SETTING.panel, SETTING.view, device)

    found = recursive_music(SETTING, grid, subspace_of(true), counts)[:, :count].double()

    assert worst(subspace_projector(true), subspace_projector(found)) < 1e-3
    gaps = (found.unsqueeze(2) - true.unsqueeze(1)).abs().amax(-1)
    assert float(gaps.amin(1).max()) < 1e-3
    assert float(gaps.amin(2).max()) < 1e-3


def subspace_projector(points: Tensor) -> Tensor:
    basis: Tensor = torch.linalg.qr(steering_vector(SETTING.panel, *points.unbind(-1)).mT).Q
    return basis @ basis.mH


def test_points_become_angles_and_metres(device: torch.device) -> None:
    truth = three(device)
    points = points_of(truth).nan_to_num(0.5)

    found = placed(points, truth.count, 5)

    for name in ("phi_rad", "theta_rad", "range_m"):
        expected, actual = getattr(truth, name), getattr(found, name)
        assert torch.allclose(expected, actual, equal_nan=True)


def test_the_setting_is_what_the_configuration_says() -> None:
    config = config_of("physics.wavefront=fresnel", "physics.power=equal", preset="smoke")

    receiver = ReceiverModel.of(config)

    assert panel_of(config.physics) == receiver.panel
    assert ("frame", "equal") == (receiver.symbols, receiver.power)
    assert 3 == receiver.view.sources_max
    ranges = torch.tensor([0.5, 5.0], dtype=torch.float64)
    assert [1.0, 1.0] == receiver.mean_power(ranges).tolist()
    free = ReceiverModel.of(config_of()).mean_power(ranges)
    assert pytest.approx([(0.3 / (4 * math.pi * r)) ** 2 for r in (0.5, 5.0)]) == free.tolist()


CLEAR = (at_snr(30.0), "physics.power=equal", "data.sources_max=1")


def music(*overrides: str, method: Method = "joint", criterion: Criterion = "mdl") -> Classical:
    receiver = ReceiverModel.of(config_of(*overrides))
    return Classical(Spectral(receiver), method, ridge=1e-3, alpha_base=1e-3, criterion=criterion)


def test_one_clear_source_is_located_by_its_samples(device: torch.device) -> None:
    scenes = scenes_of(config_of(*CLEAR), 32, device)

    found = music(*CLEAR).locate(scenes.frames, scenes.truth.count)

    off = (found.phi_rad - scenes.truth.phi_rad).abs().rad2deg()
    assert float(off.max()) < 0.5
    assert float((found.range_m - scenes.truth.range_m).abs().median()) < 0.2


@for_each("criterion", ["mdl", "aic"])
def test_the_count_is_the_criterion_s_on_samples_of_each_snapshot(
    device: torch.device, criterion: Criterion
) -> None:
    frames = scenes_of(config_of(), 16, device).frames
    samples = sampled_covariance("per_snapshot", frames.y, frames.channel, frames.codes, 1e-3)
    scores = order_scores(criterion, samples.eigenvalues(), 16, 5)[:, 1:]

    found = music(criterion=criterion)(frames)

    assert (scores.argmin(-1) + 1).tolist() == found.count.tolist()
    weight = scores if criterion == "mdl" else 0.5 * scores
    assert torch.allclose((-weight).log_softmax(-1), found.count_probabilities.log(), rtol=1e-6)
    assert torch.equal(found.count_probabilities.argmax(-1) + 1, found.count)


def test_every_knob_turns_something(device: torch.device) -> None:
    scenes = scenes_of(config_of(at_snr(10.0)), 16, device)
    base = music()
    capon = replace(base, spectral=Spectral(base.spectral.receiver, "mvdr"))
    loaded = replace(capon, alpha_base=0.5)
    others = [replace(base, ridge=0.1), replace(base, method="per_snapshot"), capon, loaded]

    found = [each.locate(scenes.frames, scenes.truth.count) for each in (base, *others)]

    assert 5 == len({str(each.phi_rad.tolist()) for each in found})


def test_two_snapshots_show_one_source(device: torch.device) -> None:
    overrides = ("physics.snapshots=2", "physics.antennas=80")
    frames = scenes_of(config_of(*overrides), 4, device).frames

    found = music(*overrides)(frames)

    assert [1, 1, 1, 1] == found.count.tolist()
    assert torch.allclose(torch.ones(4).double(), found.confidence.cpu())


@for_each("snr_db", [0.0, 10.0, 25.0])
def test_an_snr_is_passed_on_or_estimated(device: torch.device, snr_db: float) -> None:
    scenes = scenes_of(config_of(at_snr(snr_db), preset="smoke"), 64, device)

    estimated = snr_db_of(with_frames(scenes, snr_db=None).frames, "frame")

    assert scenes.frames.snr_db is snr_db_of(scenes.frames, "frame")
    assert pytest.approx(snr_db, abs=0.5) == float(estimated.median())
    assert estimated.dtype == torch.float32
