"""The labels: scale, units, and no NaN for absent sources."""

from dataclasses import replace

import torch

from risexp.config.learning import LABELLED, LabelPower
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.data.scenes import panel_of, source_steering
from risexp.loss.target import leading_eigenvalues, sound_scenes
from risexp.loss.terms import TERMS
from tests.support.predictions import (
    ALPHA_BASE,
    pair_of,
    random_prediction,
    small_scenes,
    small_target,
    target_of,
)
from tests.support.scenes import SMALL, label_covariance, matrix, worst


def test_the_label_is_that_of_the_true_powers_at_the_trace_of_the_panel(
    device: torch.device,
) -> None:
    scenes = small_scenes(device=device)

    target = target_of(scenes)

    expected = label_covariance(scenes, SMALL).trace_normalize()
    assert worst(matrix(expected), matrix(target.covariance)) < 1e-6
    torch.testing.assert_close(torch.full_like(target.snr_db, 36.0), target.effective.trace())


def test_a_compressed_label_holds_the_square_roots_of_the_powers(device: torch.device) -> None:
    scenes = small_scenes(device=device)
    steering = source_steering(panel_of(SMALL), scenes.truth)

    target = target_of(scenes, "compressed")

    rooted = FactoredCovariance.from_sources(steering, scenes.truth.powers.sqrt())
    assert worst(matrix(rooted.trace_normalize()), matrix(target.covariance)) < 1e-6
    assert worst(matrix(target_of(scenes).covariance), matrix(target.covariance)) > 0.01


def test_the_effective_label_is_regularised_by_the_scene_s_own_snr(device: torch.device) -> None:
    scenes = small_scenes(device=device)
    target = target_of(scenes)

    expected = effective(label_covariance(scenes, SMALL), target.snr_db, alpha_base=ALPHA_BASE)

    torch.testing.assert_close(expected.diagonal, target.effective.diagonal)
    assert len(set(target.effective.diagonal.tolist())) == len(scenes)


def test_positions_are_those_of_the_truth_in_rad_and_per_metre(device: torch.device) -> None:
    scenes = small_scenes(device=device)
    truth, target = scenes.truth, target_of(scenes)
    kept = truth.present

    assert {torch.float32} == {each.dtype for each in target.points}
    torch.testing.assert_close(truth.phi_rad[kept].float(), target.phi_rad[kept])
    torch.testing.assert_close(truth.theta_rad[kept].float(), target.theta_rad[kept])
    torch.testing.assert_close(1.0 / truth.range_m[kept].float(), target.rho[kept])
    assert torch.equal(truth.count, target.count)


def test_absent_sources_are_zero_and_never_nan(device: torch.device) -> None:
    cases: list[LabelPower] = ["linear", "compressed"]
    for label_power in cases:
        target = target_of(small_scenes(device=device), label_power)

        absent = ~target.present
        assert bool(absent.any()), label_power
        for value in (*target.points, target.steering.abs().sum(-1)):
            assert bool(value.isfinite().all()), label_power
            assert 0.0 == float(value[absent].abs().max()), label_power
        assert bool(target.covariance.factor.abs().isfinite().all()), label_power


def test_the_spectrum_of_a_label_is_that_of_its_matrix(device: torch.device) -> None:
    target = target_of(small_scenes(device=device))

    expected = torch.linalg.eigvalsh(matrix(target.effective)).flip(-1)[:, :6]

    assert worst(expected, target.spectrum) < 1e-5


def test_beyond_the_rank_every_eigenvalue_is_the_diagonal(device: torch.device) -> None:
    covariance = small_target(device=device).effective

    values = leading_eigenvalues(covariance, 9)

    assert (len(covariance), 9) == tuple(values.shape)
    assert worst(covariance.diagonal.double().unsqueeze(-1).expand(-1, 4), values[:, 5:]) < 1e-12
    assert torch.equal(values[:, :2], leading_eigenvalues(covariance, 2))


def test_a_scene_that_is_not_finite_is_not_sound_and_has_nan_for_eigenvalues(
    device: torch.device,
) -> None:
    covariance = small_target(4, device=device).effective
    factor = covariance.factor.clone()
    factor[1, 3, 0] = torch.nan
    broken = replace(covariance, factor=factor)

    values = leading_eigenvalues(broken, 3)

    assert [False, True, False, False] == values.isnan().all(-1).tolist()
    assert [True, False, True, True] == sound_scenes(broken)[1].tolist()
    assert torch.equal(leading_eigenvalues(covariance, 3)[2:], values[2:])
    diagonal = torch.tensor([1.0, 1.0, torch.inf, 1.0], device=device)
    assert [1, 1, 0, 1] == sound_scenes(replace(covariance, diagonal=diagonal))[1].int().tolist()


def test_a_term_sees_the_label_s_powers_if_it_is_said_to() -> None:
    for name in TERMS:
        linear, compressed = target_of(small_scenes()), target_of(small_scenes(), "compressed")
        prediction = random_prediction(linear)

        values = [TERMS[name](pair_of(prediction, each)) for each in (linear, compressed)]

        assert torch.equal(*values) == (name not in LABELLED), name
