"""The pursuit front: features of a quick pursuit."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.estimation.receiver_model import ReceiverModel
from risexp.model.observation import Observation, Observer
from risexp.model.pursuit_front import PursuitFront, residual_features
from tests.support.localisation import (
    NOISELESS,
    SEPARATED,
    at_snr,
    config_of,
    scenes_of,
    with_frames,
)
from tests.support.networks import awake, network_config, observed
from tests.support.scenes import worst

UNITS = 2.0**-20


def profiled(observation: Observation) -> Tensor:
    assert observation.pursuit is not None
    return residual_features(observation.pursuit, observation.snr_db)


def excess(observation: Observation) -> Tensor:
    """How many standard deviations the energy left after 0 .. K_MAX sources lies off its mean."""
    assert observation.pursuit is not None
    most = observation.pursuit.points.shape[1]
    start = 2 + most + 1
    return profiled(observation)[:, start : start + most + 1]


def observing(config: RunConfig, scenes: Scenes) -> Observation:
    return Observer.of(config)(scenes.frames)


def test_once_all_is_explained_the_energy_left_is_that_of_noise() -> None:
    """And before, far more: that is what shows a count."""
    config = config_of(*SEPARATED, at_snr(10.0))
    scenes = scenes_of(config, 64)

    seen = excess(observing(config, scenes))

    after = seen.gather(1, scenes.truth.count.unsqueeze(-1))
    before = seen.gather(1, scenes.truth.count.unsqueeze(-1) - 1)
    assert float((after.abs() < 4.0).double().mean()) > 0.9
    assert float((before >= 5.9).double().mean()) > 0.9


def test_a_profile_does_not_know_the_unit_of_the_measurements() -> None:
    for snr_db in [10.0, 90.0]:
        config = network_config(at_snr(snr_db))
        scenes = scenes_of(config, 16)
        scaled = with_frames(scenes, y=scenes.frames.y * UNITS)

        one, two = (profiled(observing(config, each)) for each in (scenes, scaled))

        assert worst(one, two) < 1e-4, snr_db


def test_what_is_said_of_sources_and_scenes_stays_near_unit_scale() -> None:
    """Rounding may leave less than nothing of a noiseless frame."""
    cases: list[tuple[str]] = [(NOISELESS,), (at_snr(-40.0),), ("physics.power=equal",)]
    for overrides in cases:
        config = network_config(*overrides)
        observation = observed(config, 32)
        front = PursuitFront(ReceiverModel.of(config), config.network)

        assert observation.pursuit is not None, overrides
        features = torch.cat(
            [front._sources(observation.pursuit).flatten(1), profiled(observation)], dim=-1
        )

        assert bool(features.isfinite().all()), overrides
        level = 0.25 * (observation.snr_db / 10.0).square().max()
        assert float(features.abs().max()) < max(19.0, float(level) + 1.0), overrides


def test_slots_start_where_the_search_found_them_with_their_share_of_the_power() -> None:
    config = network_config()
    observation = observed(config)
    front = awake(config).front
    found = observation.pursuit
    assert found is not None

    with torch.no_grad():
        features = front(observation)

    shares = found.powers / found.powers.sum(-1, keepdim=True)
    assert torch.equal(found.points, features.anchors)
    assert worst(shares, features.log_power.double().exp()) < 1e-5
    assert (4, 3, 16) == tuple(features.slots.shape)
    assert (4, 16) == tuple(features.context.shape)


def test_what_is_found_elsewhere_or_louder_is_told_apart() -> None:
    config = network_config()
    observation = observed(config)
    front = awake(config).front
    found = observation.pursuit
    assert found is not None
    turned = replace(found, points=found.points * torch.tensor([-1.0, 1.0, 1.0]))
    louder = replace(found, powers=found.powers * torch.tensor([1.0, 4.0, 1.0]))

    with torch.no_grad():
        plain, moved, changed = (
            front(replace(observation, pursuit=each)).slots for each in (found, turned, louder)
        )

    assert worst(plain, moved) > 1e-3
    assert worst(plain[:, 1], changed[:, 1]) > 1e-3


def test_without_a_search_there_is_nothing_to_judge() -> None:
    config = network_config()
    unsearched = replace(observed(config), pursuit=None)

    with pytest.raises(ValueError, match="needs observations with a search"):
        awake(config).front(unsearched)
