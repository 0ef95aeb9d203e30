"""Criteria and evidence of a count, against formulas, sums over positions, and how often true."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Frames, Scenes
from risexp.data.scenes import panel_of
from risexp.inference.count_rule import CountRule, counted, log_evidence, log_joint
from risexp.inference.fresh_symbols import FreshSymbols
from risexp.inference.grid import search_grid
from risexp.inference.held_symbols import HeldSymbols
from risexp.inference.law import Fit, Law
from risexp.inference.noise import noise_power
from risexp.inference.nomp import Nomp
from risexp.inference.pursuit import Pursuit, pursue
from risexp.inference.ranging import RangePosterior
from risexp.inference.setting import Setting
from risexp.physics.bounds import Sources, frame_bound, snapshot_bound
from risexp.physics.geometry import angles, direction_cosines
from risexp.physics.steering import steering_vector
from tests.localisation import (
    anywhere,
    at_snr,
    config_of,
    picked,
    plain_measured,
    plain_misfit,
    plain_operator,
    scenes_of,
)

RULES: tuple[CountRule, ...] = ("evidence", "bic", "aic")
Found = tuple[Law, Pursuit, list[RangePosterior]]


def pursued(config: RunConfig, frames: Frames) -> Found:
    setting = Setting.of(config)
    grid = search_grid(setting.panel, setting.view, frames.y.device)
    held = setting.symbols == "frame"
    law: Law = HeldSymbols.of(setting, frames) if held else FreshSymbols.of(setting, frames)
    pursuit = pursue(law, grid, setting.view.sources_max)
    return law, pursuit, [RangePosterior.of(law, fit) for fit in pursuit.fits]


@pytest.mark.parametrize(("rule", "price"), [("bic", 5.0 * math.log(512.0)), ("aic", 10.0)])
def test_criteria_are_those_of_the_books(
    device: torch.device, rule: CountRule, price: float
) -> None:
    """2 m ln(E_k / m) + 5 k ln(2 m) and 2 m ln(E_k / m) + 10 k, m = L M = 256."""
    config = config_of()
    frames = scenes_of(config, 8, device).frames
    law, pursuit, ranges = pursued(config, frames)
    scores = torch.stack(
        [
            512.0 * (plain_misfit(config, frames, fit.points) / 256.0).log() + price * fit.count
            for fit in pursuit.fits[1:]
        ],
        dim=-1,
    )

    count, probabilities = counted(rule, pursuit, law, ranges)

    assert (scores.argmin(-1) + 1).tolist() == count.tolist()
    assert torch.allclose((-0.5 * scores).softmax(-1), probabilities, atol=5e-3)


def test_the_criteria_of_fresh_symbols_price_a_source_at_four_numbers(
    device: torch.device,
) -> None:
    config = config_of("physics.symbols=snapshot")
    frames = scenes_of(config, 4, device).frames
    law, pursuit, ranges = pursued(config, frames)
    likelihood = torch.stack([fit.profile for fit in pursuit.fits[1:]], dim=-1)
    sources = torch.arange(1, 6, device=device)

    prices: dict[CountRule, float] = {"bic": 4.0 * math.log(512.0), "aic": 8.0}
    for rule, price in prices.items():
        scores = -2.0 * likelihood + price * sources
        count, probabilities = counted(rule, pursuit, law, ranges)

        assert (scores.argmin(-1) + 1).tolist() == count.tolist()
        assert torch.allclose((-0.5 * scores).softmax(-1), probabilities)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("symbols", ["frame", "snapshot"])
def test_probabilities_are_some_and_belong_to_the_counts(
    device: torch.device, symbols: str, rule: CountRule
) -> None:
    config = config_of(f"physics.symbols={symbols}")
    law, pursuit, ranges = pursued(config, scenes_of(config, 8, device).frames)

    count, probabilities = counted(rule, pursuit, law, ranges)

    assert (8, 5) == tuple(probabilities.shape)
    assert torch.allclose(torch.ones_like(probabilities[:, 0]), probabilities.sum(-1))
    assert bool((probabilities >= 0.0).all())
    assert bool(((count >= 1) & (count <= 5)).all())


def test_a_joint_probability_is_evidence_times_hidden_sources_times_their_choices(
    device: torch.device,
) -> None:
    """log p(y, j seen | K) = log C(K, j) + log p(y | j) + (K - j) log h_j, spelled out."""
    config = config_of("data.sources_max=3")
    law, pursuit, ranges = pursued(config, scenes_of(config, 4, device).frames)
    evidence = [
        log_evidence(fit, law.setting.view, each)
        for fit, each in zip(pursuit.fits, ranges, strict=True)
    ]

    joint = log_joint(pursuit, law.setting, ranges)

    for scene in range(4):
        for count in (1, 2, 3):
            for seen in range(4):
                if seen > count:
                    assert -math.inf == float(joint[scene, seen, count - 1])
                    continue
                expected = float(evidence[seen][scene]) + math.log(math.comb(count, seen))
                if seen < count:
                    expected += (count - seen) * float(pursuit.hidden[scene, seen])
                assert pytest.approx(expected) == float(joint[scene, seen, count - 1])


LADDER = (2.0 * torch.arange(20, dtype=torch.float64) + 1.0) / 20 - 1.0


def summed_evidence(config: RunConfig, scenes: Scenes, noise: Tensor, fit: Fit) -> Tensor:
    """Log of the mean over all positions of p(y | one source there) / p(y | none), by a fine sum.

    Power is by its law at that range. Held symbols make one look of all snapshots, fresh ones a
    look of each.
    """
    data, physics = config.data, config.physics
    looks = 1 if physics.symbols == "frame" else physics.snapshots
    widths = [math.radians(high - low) for low, high in (data.phi_deg, data.theta_deg)]
    widths.append(data.range_m[1] - data.range_m[0])
    operator, y = plain_operator(scenes.frames), plain_measured(scenes.frames)
    middle, reach = around(config, scenes.frames, noise, fit)
    answer = []
    for scene in range(len(scenes)):
        axes = [x + r * LADDER for x, r in zip(middle[scene], reach[scene], strict=True)]
        phi, theta, range_m = (x.flatten() for x in torch.meshgrid(*axes, indexing="ij"))
        u, v = direction_cosines(phi, theta)
        waves = steering_vector(panel_of(physics), u, v, range_m.reciprocal())
        response = (operator[scene] @ waves.mT).view(looks, -1, len(phi))
        heard = y[scene].view(looks, -1, 1)
        power = Setting.of(config).mean_power(range_m)
        strength = response.abs().square().sum(-2)
        matched = (response.conj() * heard).sum(-2).abs().square()
        loud = power * strength / noise[scene]
        ratio = matched * power / (noise[scene].square() * (1.0 + loud)) - loud.log1p()
        cells = [2.0 * r / len(LADDER) / w for r, w in zip(reach[scene], widths, strict=True)]
        answer.append(ratio.sum(0).logsumexp(0) + math.log(math.prod(cells)))
    return torch.stack(answer)


def around(
    config: RunConfig, frames: Frames, noise: Tensor, fit: Fit
) -> tuple[list[list[float]], list[list[float]]]:
    """The fitted (phi, theta, range), and five deviations of their bound to either side."""
    phi, theta = angles(*fit.points[..., :2].double().unbind(-1))
    range_m = fit.points[..., 2].double().reciprocal()
    here = Sources(phi, theta, range_m, torch.ones_like(phi, dtype=torch.bool))
    known = (panel_of(config.physics), frames.channel, frames.codes, here)
    bound = (
        frame_bound(*known, fit.powers.sqrt().to(torch.complex128), noise)
        if config.physics.symbols == "frame"
        else snapshot_bound(*known, fit.powers, noise)
    )
    middle = torch.cat([phi, theta, range_m], dim=-1)
    return middle.tolist(), (5.0 * bound.diagonal(dim1=-2, dim2=-1).sqrt()).tolist()


@pytest.mark.parametrize(
    ("symbols", "power", "snr_db"),
    [
        ("frame", "free_space", 20.0),
        ("frame", "equal", 30.0),
        ("snapshot", "free_space", 20.0),
        ("snapshot", "free_space", 30.0),
    ],
)
def test_the_evidence_of_one_source_is_the_sum_over_all_its_positions(
    symbols: str, power: str, snr_db: float
) -> None:
    """The peak taken as Gaussian and ranges integrated apart: all but a tenth of a nat of it."""
    config = config_of(
        f"physics.symbols={symbols}",
        f"physics.power={power}",
        "physics.antennas=64",
        "physics.snapshots=3",
        "data.sources_max=1",
        "data.range_m=[0.5,4]",
        at_snr(snr_db),
        preset="smoke",
    )
    drawn = scenes_of(config, 96)
    room = (drawn.truth.phi_rad.abs() < 0.6) & (drawn.truth.theta_rad.abs() < 0.3)
    room &= (drawn.truth.range_m > 0.7) & (drawn.truth.range_m < 1.5)
    scenes = picked(drawn, room.squeeze(-1).nonzero().flatten().tolist()[:4])
    law, pursuit, ranges = pursued(config, scenes.frames)

    none, one = (log_evidence(pursuit.fits[k], law.setting.view, ranges[k]) for k in (0, 1))

    noise = noise_power(scenes.frames, config.physics.symbols)
    off = (one - none - summed_evidence(config, scenes, noise, pursuit.fits[1])).abs()
    assert 4 == len(scenes)
    assert float(off.median()) < 0.1
    assert float(off.max()) < 0.3


def test_the_evidence_of_sources_that_do_not_meet_is_their_product_however_numbered() -> None:
    """Two sources have two numberings: log 2 more than what each has alone."""
    config = config_of(preset="smoke")
    setting, frames = Setting.of(config), scenes_of(config, 4).frames
    law = HeldSymbols.of(setting, frames)
    one, two = (
        law.extended(law.silence(), anywhere(config, 4, seed=seed).float()) for seed in (1, 2)
    )
    both = Fit(
        points=torch.cat([one.points, two.points], dim=1),
        powers=torch.cat([one.powers, two.powers], dim=1),
        power_spread=torch.cat([one.power_spread, two.power_spread], dim=1),
        profile=one.profile,
        log_marginal=one.log_marginal + two.log_marginal,
        rho_mean=torch.cat([one.rho_mean, two.rho_mean], dim=1),
        rho_spread=torch.cat([one.rho_spread, two.rho_spread], dim=1),
    )

    alone = [log_evidence(each, setting.view, RangePosterior.of(law, each)) for each in (one, two)]
    together = log_evidence(both, setting.view, RangePosterior.of(law, both))

    assert torch.allclose(alone[0] + alone[1] + math.log(2.0), together)


def test_the_count_answered_is_worth_most_hits_and_successes(device: torch.device) -> None:
    """It maximises P(K) + P(K and all seen), which is not always the likeliest count."""
    _, (law, pursuit, ranges) = default_law(device)
    logs = log_joint(pursuit, law.setting, ranges)
    joint = (logs - logs.flatten(1).logsumexp(-1)[:, None, None]).exp()
    likeliest = joint.sum(1).argmax(-1) + 1
    seen = torch.stack([joint[:, count, count - 1] for count in range(1, 6)], dim=-1)

    count, probabilities = counted("evidence", pursuit, law, ranges)

    assert torch.allclose(joint.sum(1), probabilities)
    assert ((joint.sum(1) + seen).argmax(-1) + 1).tolist() == count.tolist()
    assert likeliest.tolist() != count.tolist()


@cache
def default_law(device: torch.device) -> tuple[Scenes, Found]:
    scenes = scenes_of(config_of(), 512, device)
    return scenes, pursued(config_of(), scenes.frames)


def hits(rule: CountRule, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which counts are right, and what is said of that: two of (B,) float64."""
    scenes, (law, pursuit, ranges) = default_law(device)
    count, probabilities = counted(rule, pursuit, law, ranges)
    said = probabilities.gather(-1, count.unsqueeze(-1) - 1).squeeze(-1)
    return (count == scenes.truth.count).double(), said


def test_evidence_outdoes_the_criteria_it_replaces(device: torch.device) -> None:
    right = {rule: float(hits(rule, device)[0].mean()) for rule in RULES}

    assert right["evidence"] > right["bic"] - 0.02
    assert right["bic"] > right["aic"] + 0.2
    assert right["evidence"] > 0.6


def test_the_evidence_is_right_as_often_as_it_says(device: torch.device) -> None:
    right, said = hits("evidence", device)

    assert pytest.approx(float(said.mean()), abs=0.05) == float(right.mean())


def test_sure_answers_are_right_more_often_than_unsure_ones(device: torch.device) -> None:
    right, said = hits("evidence", device)

    unsure, sure = said.argsort()[:256], said.argsort()[256:]

    assert float(right[sure].mean()) > float(right[unsure].mean()) + 0.15
    for half in (unsure, sure):
        assert pytest.approx(float(said[half].mean()), abs=0.08) == float(right[half].mean())


@pytest.mark.slow
def test_the_evidence_of_fresh_symbols_is_right_as_often_as_it_says(device: torch.device) -> None:
    config = config_of("physics.symbols=snapshot")
    scenes = scenes_of(config, 256, device)

    found = Nomp(Setting.of(config))(scenes.frames)

    right = float((found.count == scenes.truth.count).double().mean())
    assert pytest.approx(float(found.confidence.mean()), abs=0.06) == right


def test_hidden_sources_are_as_likely_as_the_prior_makes_them_where_nothing_is_heard(
    device: torch.device,
) -> None:
    """Noise alone, loud: nobody could tell a source from none, and the odds are one."""
    config = config_of(at_snr(-60.0))
    scenes = scenes_of(config, 32, device)

    _, pursuit, _ = pursued(config, scenes.frames)

    assert float(pursuit.hidden.abs().max()) < 0.1
