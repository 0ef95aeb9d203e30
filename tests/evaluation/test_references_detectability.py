"""Whether a source stands out, against least squares and explicit covariances."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from risexp.data.frames import Scenes
from risexp.evaluation.count_references import detectable, likelihood_gain, residual_energy
from risexp.physics.signals import Symbols
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
from tests.support.scenes import gaussian, tiny_scenes, worst


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

    assert int(scenes.truth.count.max()) == 3
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


@for_each(("share", "expected"), [(0.999, False), (1.001, True)])
def test_a_lone_pilot_is_detectable_from_five_halves_of_the_log_on(
    share: float, expected: bool
) -> None:
    config = smoke("frame", "data.sources_max=1")
    scenes = tiny_scenes(8, physics=config.physics, data=config.data)
    response, _ = looked_at(config, scenes)
    energy = (response[:, 0] @ scenes.truth.gains[:, 0].unsqueeze(-1).to(response)).abs().square()
    threshold = 2.5 * math.log(2 * response.shape[2])
    truth = replace(scenes.truth, noise_power=energy.sum((-2, -1)) / (share * threshold))

    assert [expected] * 8 == detectable("frame", response, truth).tolist()


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


def test_absent_sources_project_nothing_out() -> None:
    response = gaussian(2, 3, 7, 4, seed=5)
    present = torch.tensor([[True, True, False, False]]).expand(2, -1)

    among = residual_energy(response, present)
    alone = residual_energy(response[..., :2], present[:, :2])

    assert worst(alone, among[..., :2]) < 1e-12
    assert worst(alone, residual_energy(response, present | True)[..., :2]) > 0.1


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


@for_each("symbols", LAWS)
def test_a_silent_source_makes_its_scene_undetectable(symbols: Symbols) -> None:
    config = at_snr(symbols, 90.0)
    scenes = tiny_scenes(16, physics=config.physics, data=config.data)
    scenes.truth.amplitude[:, 0] = 0.0

    assert not bool(refer(config, scenes).detectable.any())


def test_more_fresh_sources_than_antennas_are_undetectable() -> None:
    config = at_snr("snapshot", 40.0, "physics.antennas=2")
    scenes = tiny_scenes(48, physics=config.physics, data=config.data)

    found = refer(config, scenes).detectable

    assert not bool(found[scenes.truth.count == 3].any())
    assert bool(found[scenes.truth.count == 1].all())
