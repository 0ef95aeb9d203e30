"""The optimal count, against explicit covariances and against its own posterior."""

import pytest
import torch

from risexp.evaluation.candidates import candidates
from risexp.evaluation.count_references import count_evidence, likeliest_count
from risexp.physics.signals import Symbols, path_amplitude
from tests.support.looping import for_each
from tests.support.references import LAWS, at_snr, looked_at, smoke
from tests.support.scenes import gaussian, tiny_scenes, uniform, worst


@for_each(("looks", "samples"), [(1, 12), (4, 3)])
def test_evidence_is_the_gaussian_density_of_the_first_candidates(
    device: torch.device, looks: int, samples: int
) -> None:
    response, y = gaussian(3, looks, samples, 4, seed=1), gaussian(3, looks, samples, seed=2)
    powers, noise = uniform(0.2, 3.0, 3, 4, seed=3), uniform(0.1, 1.0, 3, seed=4)
    expected = torch.zeros(3, 4, dtype=torch.float64)
    for scene in range(3):
        for k in range(1, 5):
            for look in range(looks):
                seen = response[scene, look, :, :k]
                covariance = (seen * powers[scene, :k]) @ seen.mH + noise[scene] * torch.eye(
                    samples, dtype=torch.complex128
                )
                law = torch.linalg.inv(covariance)
                misfit = (y[scene, look].conj() @ law @ y[scene, look]).real
                expected[scene, k - 1] -= misfit + torch.logdet(covariance).real

    evidence = count_evidence(
        response.to(device), y.to(device), powers.to(device), noise.to(device)
    ).cpu()

    assert worst(expected.diff(dim=-1), evidence.diff(dim=-1)) < 1e-9


@for_each("symbols", LAWS)
def test_the_optimal_count_is_as_often_right_as_its_posterior_says(symbols: Symbols) -> None:
    config = smoke(symbols, "data.snr_db=[-5,10]")
    scenes = tiny_scenes(2048, physics=config.physics, data=config.data)
    where = candidates(config.data, scenes.truth)
    powers = path_amplitude("free_space", where.range_m, config.physics.wavelength_m).square()
    given = (*looked_at(config, scenes), powers, scenes.truth.noise_power)
    promised = count_evidence(*given).softmax(-1).amax(-1)

    right = (likeliest_count(*given) == scenes.truth.count).double()

    assert float(promised.mean()) == pytest.approx(float(right.mean()), abs=0.025)
    for sure in (promised < 0.8, promised >= 0.8):
        assert float(promised[sure].mean()) == pytest.approx(float(right[sure].mean()), abs=0.05)


def test_dummies_follow_the_true_sources_and_fill_the_view(device: torch.device) -> None:
    config = smoke()
    scenes = tiny_scenes(512, physics=config.physics, data=config.data, device=device)
    truth, data = scenes.truth, config.data

    where = candidates(data, truth)

    for name, (low, high) in (
        ("phi_rad", data.phi_deg),
        ("theta_rad", data.theta_deg),
        ("range_m", data.range_m),
    ):
        found, true = getattr(where, name), getattr(truth, name)
        assert torch.equal(true[truth.present], found[truth.present])
        dummies = found[~truth.present]
        dummies = dummies if name == "range_m" else dummies.rad2deg()
        quarters = torch.histc(dummies.float().cpu(), bins=4, min=low, max=high) / len(dummies)
        assert quarters.tolist() == pytest.approx([0.25] * 4, abs=0.07)


def test_the_bound_does_not_fail_where_every_candidate_is_loud() -> None:
    config = at_snr("frame", 30.0, "physics.power=equal")
    scenes = tiny_scenes(200, physics=config.physics, data=config.data)
    response, y = looked_at(config, scenes)

    count = likeliest_count(response, y, torch.ones(200, 3), scenes.truth.noise_power)

    assert float((count == scenes.truth.count).double().mean()) > 0.97
