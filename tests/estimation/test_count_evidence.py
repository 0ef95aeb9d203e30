"""The evidence of a count, against sums over positions and products over sources."""

import math

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Frames, Scenes
from risexp.data.scenes import panel_of
from risexp.estimation.count_rule import log_evidence
from risexp.estimation.fit import Fit
from risexp.estimation.held_symbols import HeldSymbols
from risexp.estimation.ranging import RangePosterior
from risexp.estimation.receiver_model import ReceiverModel, noise_power
from risexp.physics.bounds import Sources, frame_bound, snapshot_bound
from risexp.physics.geometry import angles, direction_cosines
from risexp.physics.steering import steering_vector
from tests.support.localisation import (
    anywhere,
    at_snr,
    config_of,
    picked,
    plain_measured,
    plain_operator,
    scenes_of,
)
from tests.support.looping import for_each
from tests.support.pursuits import pursued

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
        power = ReceiverModel.of(config).mean_power(range_m)
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


@for_each(
    ("symbols", "power", "snr_db"),
    [
        ("frame", "free_space", 20.0),
        ("frame", "equal", 30.0),
        ("snapshot", "free_space", 20.0),
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

    none, one = (log_evidence(pursuit.fits[k], law.receiver.view, ranges[k]) for k in (0, 1))

    noise = noise_power(scenes.frames, config.physics.symbols)
    off = (one - none - summed_evidence(config, scenes, noise, pursuit.fits[1])).abs()
    assert 4 == len(scenes)
    assert float(off.median()) < 0.1
    assert float(off.max()) < 0.3


def test_the_evidence_of_sources_that_do_not_meet_is_their_product_however_numbered() -> None:
    """Two sources have two numberings: log 2 more than what each has alone."""
    config = config_of(preset="smoke")
    receiver, frames = ReceiverModel.of(config), scenes_of(config, 4).frames
    law = HeldSymbols.of(receiver, frames)
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

    alone = [log_evidence(each, receiver.view, RangePosterior.of(law, each)) for each in (one, two)]
    together = log_evidence(both, receiver.view, RangePosterior.of(law, both))

    assert torch.allclose(alone[0] + alone[1] + math.log(2.0), together)
