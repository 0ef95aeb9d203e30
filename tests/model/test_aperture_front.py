"""The aperture front."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.covariance.factored import FactoredCovariance
from risexp.estimation.receiver_model import ReceiverModel
from risexp.model.aperture_front import ApertureFront
from risexp.model.observation import Observation
from tests.support.networks import awake, network_config, observed, untrained
from tests.support.scenes import gaussian, worst

WIDE, HIGH = 4, 9
SIDES = (f"physics.elements_h={WIDE}", f"physics.elements_v={HIGH}")


@dataclass(frozen=True)
class Shown(Observation):
    """An observation whose samples are what a test says they are."""

    field: Tensor

    @property
    def sampled(self) -> FactoredCovariance:
        return FactoredCovariance.from_factor(self.field)


def front_of(config: RunConfig) -> ApertureFront:
    front = awake(config).front
    assert isinstance(front, ApertureFront)
    return front


def tokens(config: RunConfig, field: Tensor) -> Tensor:
    shown = Shown(**vars(observed(config, len(field))), field=field)
    return front_of(config)._tokens(shown).detach()


def test_an_element_is_seen_by_its_row_and_its_column() -> None:
    """Elements run along h fastest; rows come first."""
    cases: list[tuple[int, int]] = [(0, 0), (2, 3), (8, 1)]
    for row, column in cases:
        config = network_config(*SIDES, front="aperture")
        field = gaussian(2, WIDE * HIGH, 1, seed=1).to(torch.complex64)
        other = field.clone()
        other[:, row * WIDE + column] += 1.0

        changed = (tokens(config, field) != tokens(config, other)).any(-1)

        expected = torch.zeros(HIGH + WIDE + 4, dtype=torch.bool)
        expected[[row, HIGH + column]] = True
        assert [expected.tolist()] * 2 == changed.tolist(), (row, column)


def test_slots_start_in_the_middle_of_the_view() -> None:
    config = network_config(front="aperture")
    view = ReceiverModel.of(config).view

    features = front_of(config)(observed(config))

    middle = torch.tensor([0.5 * sum(span) for span in (view.u, view.v, view.rho)])
    assert worst(middle.expand(4, 3, 3), features.anchors) < 1e-6
    assert 0.0 == float(features.log_power.abs().max())
    assert (4, 3, 16) == tuple(features.slots.shape)


def test_the_level_of_a_frame_is_told() -> None:
    config = network_config(front="aperture")
    observation = observed(config)
    front = front_of(config)

    quiet = replace(observation, snr_db=observation.snr_db - 20.0)
    louder = replace(observation, log_rms=observation.log_rms + 2.0)

    said = front(observation).context.detach()
    assert worst(said, front(quiet).context.detach()) > 1e-3
    assert worst(said, front(louder).context.detach()) > 1e-3


def test_slots_of_a_fresh_network_are_told_apart() -> None:
    """Slots that begin alike would learn alike, and answer one source for ever."""
    config = network_config(front="aperture")
    front = untrained(config).front

    slots = front(observed(config)).slots.detach()

    assert float((slots[:, 0] - slots[:, 1]).square().mean().sqrt()) > 0.3
