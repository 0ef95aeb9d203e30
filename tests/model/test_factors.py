"""The factor head: waves, positions and powers of slots."""

from itertools import product

import torch
from torch import Tensor

from risexp.config.learning import FactorKind
from risexp.config.run import RunConfig
from risexp.estimation.receiver_model import ReceiverModel
from risexp.model.blocks import Features
from risexp.model.factors import FactorHead, Factors
from risexp.physics.geometry import direction_cosines
from risexp.physics.steering import steering_slopes, steering_vector
from tests.support.localisation import WAVEFRONTS, anywhere
from tests.support.networks import FACTORS, network_config
from tests.support.scenes import gaussian, uniform, worst

SCENES, WIDTH, REACH = 4, 16, 0.1


def head(config: RunConfig, kind: FactorKind, moved: float = 0.0) -> FactorHead:
    """A head as it starts, or with every weight moved."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = FactorHead(ReceiverModel.of(config), kind, WIDTH, REACH)
        with torch.no_grad():
            for weight in made.parameters():
                weight.add_(moved * torch.randn(weight.shape))
        return made


def features(config: RunConfig, log_power: float = -1.0) -> Features:
    """Slots that were found anywhere in the view."""
    most = config.data.sources_max
    return Features(
        context=gaussian(SCENES, WIDTH).real.float(),
        slots=gaussian(SCENES, most, WIDTH, seed=1).real.float(),
        anchors=anywhere(config, SCENES * most).view(SCENES, most, 3).float(),
        log_power=log_power + uniform(-1.0, 1.0, SCENES, most, seed=2).float(),
    )


def pointed(factors: Factors) -> Tensor:
    """The points (u, v, rho) that pointers stand for."""
    u, v = direction_cosines(factors.pointers.phi_rad, factors.pointers.theta_rad)
    return torch.stack([u, v, factors.pointers.rho], dim=-1)


@torch.no_grad()
def made(config: RunConfig, kind: FactorKind, moved: float = 0.3) -> Factors:
    factors: Factors = head(config, kind, moved)(features(config))
    return factors


def lengths(columns: Tensor) -> Tensor:
    return columns.abs().square().sum(-2).sqrt()


def test_a_head_starts_by_pointing_where_the_search_did() -> None:
    for kind in FACTORS:
        config = network_config()

        factors = made(config, kind, moved=0.0)

        assert worst(features(config).anchors, pointed(factors)) < 1e-6, kind
        assert 0.0 == float(factors.pointers.existence.abs().max()), kind


def test_columns_are_waves_from_where_the_slots_point() -> None:
    kinds: list[FactorKind] = ["pointers", "spectrum"]
    for wavefront, kind in product(WAVEFRONTS, kinds):
        config = network_config(f"physics.wavefront={wavefront}")

        factors = made(config, kind)

        waves = steering_vector(ReceiverModel.of(config).panel, *pointed(factors).unbind(-1)).mT
        along = (waves.conj() * factors.angle).sum(-2)
        assert worst(lengths(factors.angle), along.abs()) < 1e-5, (wavefront, kind)
        assert worst(along.real, along.abs()) < 1e-4, (wavefront, kind)


def test_the_power_of_a_column_is_the_one_it_starts_from_moved_and_weighed_by_existence() -> None:
    config = network_config()
    given, made_of = features(config), head(config, "pointers", moved=0.3)

    with torch.no_grad():
        factors = made_of(given)
        moved = made_of.power(given.slots).squeeze(-1)

    expected = given.log_power + moved + factors.pointers.existence.sigmoid().log()
    assert worst(expected, lengths(factors.angle).log() * 2.0) < 1e-5


def test_columns_of_a_map_have_the_power_of_their_peak() -> None:
    config = network_config()

    factors = made(config, "spectrum")

    assert worst(features(config).log_power, lengths(factors.angle).log() * 2.0) < 1e-5


def test_powers_stay_within_what_a_covariance_can_show() -> None:
    cases: list[float] = [-100.0, 100.0]
    for log_power in cases:
        config = network_config()

        factors = head(config, "pointers")(features(config, log_power))

        power = lengths(factors.angle.detach()).square().log()
        assert worst(torch.full_like(power, max(min(log_power, 4.0), -16.0)), power) < 1e-4, (
            log_power
        )


def test_the_second_factor_turns_a_wave_along_its_range() -> None:
    for wavefront in WAVEFRONTS:
        config = network_config(f"physics.wavefront={wavefront}")
        given, made_of = features(config), head(config, "pointers", moved=0.3)

        with torch.no_grad():
            factors = made_of(given)
            doubt = made_of.doubt(given.slots).squeeze(-1).sigmoid()

        slope = steering_slopes(ReceiverModel.of(config).panel, *pointed(factors).unbind(-1))[-1].mT
        along = (slope.conj() * factors.range).sum(-2) / lengths(slope)
        assert worst(lengths(factors.angle) * doubt, lengths(factors.range)) < 1e-5, wavefront
        assert worst(lengths(factors.range), along.real) < 1e-4, wavefront


def test_slots_stay_inside_the_view_and_near_their_anchors() -> None:
    for kind, moved in product(FACTORS, [0.3, 100.0]):
        config = network_config()
        receiver = ReceiverModel.of(config)

        factors = made(config, kind, moved)

        points = pointed(factors)
        assert worst(receiver.view.clamp(points), points) < 1e-5, (kind, moved)
        reach = torch.tensor(receiver.view.extent) * REACH
        assert bool(((points - features(config).anchors).abs() <= reach * 1.01).all()), kind


def test_free_columns_are_no_waves_and_start_at_the_power_of_their_slot() -> None:
    config = network_config()
    made_of = head(config, "free", moved=0.3)

    with torch.no_grad():
        one, louder = made_of(features(config, -1.0)), made_of(features(config, 1.0))

    waves = steering_vector(ReceiverModel.of(config).panel, *pointed(one).unbind(-1)).mT
    along = (waves.conj() * one.angle).sum(-2).abs()
    assert bool((along < 0.9 * lengths(one.angle)).all())
    expected = lengths(one.angle) * torch.e
    assert worst(expected, lengths(louder.angle)) < 1e-5
    assert worst(lengths(one.range) * torch.e, lengths(louder.range)) < 1e-5
