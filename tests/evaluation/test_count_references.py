"""References for the count: candidates, detectable sources, and the count of an ideal receiver."""

import math

import pytest
import torch
from torch import Tensor

from risexp.data.frames import Scenes
from risexp.evaluation.candidates import candidates, scene_normals, scene_uniforms
from risexp.evaluation.count_references import (
    count_evidence,
    detectable,
    likelihood_gain,
    residual_energy,
)
from risexp.physics.signals import Symbols, path_amplitude
from tests.support.looping import for_each
from tests.support.references import (
    LAWS,
    at_snr,
    coincident,
    looked_at,
    plain_gains,
    plain_looks,
    refer,
    smoke,
)
from tests.support.scenes import gaussian, tiny_scenes, uniform, worst


def residual(column: Tensor, others: Tensor) -> Tensor:
    """What least squares leaves of a column."""
    fitted: Tensor = others @ torch.linalg.lstsq(others, column.unsqueeze(-1)).solution
    return column - fitted.squeeze(-1)


def without(looks: Tensor, k: int) -> Tensor:
    return torch.cat([looks[:, :k], looks[:, k + 1 :]], dim=-1)


def held_gain(scenes: Scenes, scene: int, k: int) -> float:
    """Twice the residual energy over the noise power."""
    (look,), (gains,) = plain_looks(smoke("frame"), scenes, scene), plain_gains(scenes, scene)
    left = residual(look[:, k] * gains[k], without(look, k))
    return 2.0 * float(left.abs().square().sum()) / float(scenes.truth.noise_power[scene])


def fresh_gain(scenes: Scenes, scene: int, k: int) -> float:
    """Expected log-likelihoods of the projected snapshots with the source and without it."""
    noise = float(scenes.truth.noise_power[scene])
    power = float(scenes.truth.amplitude[scene, k]) ** 2
    total = 0.0
    looks, sent = plain_looks(smoke("snapshot"), scenes, scene), plain_gains(scenes, scene)
    for look, gains in zip(looks, sent, strict=True):
        rest = look.shape[1] - 1
        basis = torch.linalg.qr(without(look, k), mode="complete").Q[:, rest:]
        seen = basis.mH @ look[:, k]
        eye = torch.eye(len(seen), dtype=torch.complex128)
        mean = torch.outer(seen * gains[k], (seen * gains[k]).conj()) + noise * eye
        alone = noise * eye
        for sign, model in ((1, alone + power * torch.outer(seen, seen.conj())), (-1, alone)):
            misfit = torch.trace(torch.linalg.solve(model, mean)).real
            total -= sign * 2.0 * float(misfit + torch.linalg.slogdet(model).logabsdet)
    return total


@for_each("symbols", LAWS)
def test_a_gain_is_what_the_textbook_says(device: torch.device, symbols: Symbols) -> None:
    config, twin = at_snr(symbols, 8.0), held_gain if symbols == "frame" else fresh_gain
    scenes = tiny_scenes(24, physics=config.physics, data=config.data, device=device)
    response, _ = looked_at(config, scenes)

    gain = likelihood_gain(symbols, response, scenes.truth)

    assert 3 == int(scenes.truth.count.max())
    for scene, count in enumerate(scenes.truth.count.tolist()):
        expected = torch.tensor([twin(scenes, scene, k) for k in range(count)])
        assert worst(expected, gain[scene, :count].cpu().float()) < 1e-4
        assert not bool(gain[scene, count:].any())


@for_each(("symbols", "freedom"), [("frame", 5), ("snapshot", 4)])
def test_a_scene_is_detectable_when_every_gain_pays_for_its_parameters(
    symbols: Symbols, freedom: int
) -> None:
    config = at_snr(symbols, 5.0)
    physics = config.physics
    scenes = tiny_scenes(200, physics=physics, data=config.data)
    response, _ = looked_at(config, scenes)
    charge = freedom * math.log(2 * physics.antennas * physics.snapshots)
    weakest = likelihood_gain(symbols, response, scenes.truth).where(
        scenes.truth.present, torch.inf
    )
    expected = weakest.amin(-1) > charge

    actual = detectable(symbols, response, scenes.truth)

    assert torch.equal(expected, actual)
    assert 0.2 < float(expected.double().mean()) < 0.8


def test_the_residual_is_that_of_least_squares(device: torch.device) -> None:
    response = gaussian(3, 2, 7, 4, seed=3)
    expected = torch.stack(
        [
            torch.stack([residual(look[:, k], without(look, k)) for k in range(4)])
            for look in response.flatten(0, 1)
        ]
    )

    energy = residual_energy(response.to(device), torch.ones(3, 4, dtype=torch.bool, device=device))

    assert worst(expected.abs().square().sum(-1).view(3, 2, 4), energy.cpu()) < 1e-9


@for_each("symbols", LAWS)
def test_coincident_sources_are_not_detectable_however_strong(
    device: torch.device, symbols: Symbols
) -> None:
    config = at_snr(symbols, 90.0)
    apart = tiny_scenes(48, physics=config.physics, data=config.data, device=device)
    together = coincident(apart)

    found = refer(config, together)

    assert len(together) > 20
    assert not bool(found.detectable.any())
    assert bool(refer(config, apart).detectable.all())
    assert not bool(found.success.any())
    assert not bool(found.success_strict.any())
    assert bool(found.success_true_count.isfinite().all())


def test_more_fresh_sources_than_antennas_are_undetectable() -> None:
    config = at_snr("snapshot", 40.0, "physics.antennas=2")
    scenes = tiny_scenes(48, physics=config.physics, data=config.data)

    found = refer(config, scenes).detectable

    assert not bool(found[scenes.truth.count == 3].any())
    assert bool(found[scenes.truth.count == 1].all())


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
    powers = path_amplitude("free_space", where[2], config.physics.wavelength_m).square()
    given = (*looked_at(config, scenes), powers, scenes.truth.noise_power)
    evidence = count_evidence(*given)

    right = (evidence.argmax(-1) + 1 == scenes.truth.count).double()

    promised = evidence.softmax(-1).amax(-1)

    assert pytest.approx(float(right.mean()), abs=0.025) == float(promised.mean())
    for sure in (promised < 0.8, promised >= 0.8):
        assert pytest.approx(float(right[sure].mean()), abs=0.05) == float(promised[sure].mean())


def test_dummies_follow_the_true_sources_and_fill_the_view(device: torch.device) -> None:
    config = smoke()
    scenes = tiny_scenes(512, physics=config.physics, data=config.data, device=device)
    truth, data = scenes.truth, config.data

    where = candidates(data, truth)

    limits = {"phi_rad": data.phi_deg, "theta_rad": data.theta_deg, "range_m": data.range_m}
    for found, (name, (low, high)) in zip(where, limits.items(), strict=True):
        true = getattr(truth, name)
        assert torch.equal(true[truth.present], found[truth.present])
        dummies = found[~truth.present]
        dummies = dummies if name == "range_m" else dummies.rad2deg()
        quarters = torch.histc(dummies.float().cpu(), bins=4, min=low, max=high) / len(dummies)
        assert pytest.approx([0.25] * 4, abs=0.07) == quarters.tolist()


def test_a_scene_draws_the_same_wherever_it_stands(device: torch.device) -> None:
    config = smoke()
    truth = tiny_scenes(12, physics=config.physics, data=config.data, device=device).truth

    for drawn in (scene_normals, scene_uniforms):
        whole = drawn(truth, "test", (5, 4))
        assert torch.equal(whole[7:], drawn(truth[7:], "test", (5, 4)))
        assert device.type == whole.device.type


def test_scenes_and_purposes_draw_independently() -> None:
    config = smoke()
    truth = tiny_scenes(12, physics=config.physics, data=config.data).truth

    one, two = (scene_normals(truth, purpose, (500,)) for purpose in ("one", "two"))

    correlation = torch.cat([one, two]).corrcoef() - torch.eye(24, dtype=torch.float64)
    assert float(correlation.abs().max()) < 0.2
